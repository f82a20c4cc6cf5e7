//! `evidence.bin` and `incidents.jsonl`: what a replica found out about a split, as proofs for
//! `reforge audit` and as lines for readers. Neither exists as long as nothing happened.

use std::path::Path;

use measure::files::JsonLines;
use measure::{
    EvidenceKind, EvidenceRecord, EvidenceWriter, IncidentKind, IncidentLine, MeasureError, folder,
};
use types::{CommitProof, SignerSet, Wire};

use crate::incident::{Incident, What};

/// The writer of both.
#[derive(Debug)]
pub(super) struct IncidentWriter {
    evidence: EvidenceWriter,
    lines: JsonLines,
}

impl IncidentWriter {
    pub fn open(dir: &Path) -> Result<IncidentWriter, MeasureError> {
        Ok(IncidentWriter {
            evidence: EvidenceWriter::open(&dir.join(folder::EVIDENCE))?,
            lines: JsonLines::open(&dir.join(folder::INCIDENTS))?,
        })
    }

    pub fn append(&mut self, incident: &Incident) -> Result<(), MeasureError> {
        if let Some(record) = evidence(incident) {
            self.evidence.append(&record)?;
        }
        self.lines.append(&line(incident))
    }
}

/// What of it others can check, or must at least be told.
fn evidence(incident: &Incident) -> Option<EvidenceRecord> {
    let (kind, payload) = match &incident.what {
        What::Conflict(conflict) => (EvidenceKind::Conflict, conflict.encode().to_vec()),
        What::Convicted { fraud, .. } => (EvidenceKind::Fraud, fraud.encode().to_vec()),
        What::Committed(resumption) => (EvidenceKind::Resumption, resumption.encode().to_vec()),
        What::Mode { mode, epoch } => {
            let mut payload = Vec::with_capacity(33);
            mode.put(&mut payload);
            epoch.put(&mut payload);
            (EvidenceKind::Mode, payload)
        }
        What::Gate { .. }
        | What::Merged { .. }
        | What::Crossed { .. }
        | What::FirstBlock { .. }
        | What::FalseAlarm { .. } => return None,
    };
    Some(EvidenceRecord {
        kind,
        at_ns: incident.at_ns,
        payload,
    })
}

fn ids(set: SignerSet) -> Vec<u32> {
    set.iter().map(|replica| u32::from(replica.0)).collect()
}

fn block(proof: &CommitProof) -> String {
    proof
        .block()
        .map(|core| core.id().to_string())
        .unwrap_or_default()
}

fn line(incident: &Incident) -> IncidentLine {
    let what = match &incident.what {
        What::Mode { mode, epoch } => IncidentKind::Mode {
            mode: mode.name().to_owned(),
            epoch: epoch.to_string(),
        },
        What::Conflict(conflict) => IncidentKind::Conflict {
            epoch: conflict.epoch.to_string(),
            height: conflict.first.block().map_or(0, |core| core.height.0),
            one: block(&conflict.first),
            other: block(&conflict.second),
        },
        What::Convicted {
            fraud,
            culprits,
            excluded,
        } => IncidentKind::Convicted {
            culprits: ids(*culprits),
            excluded: ids(*excluded),
            offence: fraud.offence().name().to_owned(),
            digest: fraud.digest().to_string(),
        },
        What::Gate { open, why } => IncidentKind::Gate {
            open: *open,
            why: why.clone(),
        },
        What::Committed(resumption) => IncidentKind::Committed {
            of: resumption.of.to_string(),
            excluded: ids(resumption.value.excluded),
            base: resumption.value.base.to_string(),
            root_height: resumption.value.root_height.0,
            reports: resumption.value.reports.len() as u32,
        },
        What::Merged {
            epoch,
            members,
            rolled_back_to,
            root_height,
            moved,
            invalidated,
            orphans,
        } => IncidentKind::Merged {
            epoch: epoch.to_string(),
            members: ids(*members),
            rolled_back_to: rolled_back_to.0,
            root_height: root_height.0,
            moved: *moved,
            invalidated: *invalidated,
            orphans: *orphans,
        },
        What::Crossed {
            epoch,
            members,
            kept,
            height,
            orphans,
        } => IncidentKind::Crossed {
            epoch: epoch.to_string(),
            members: ids(*members),
            kept: kept.0,
            height: height.0,
            orphans: *orphans,
        },
        What::FirstBlock { epoch, height } => IncidentKind::FirstBlock {
            epoch: epoch.to_string(),
            height: height.0,
        },
        What::FalseAlarm { from, why } => IncidentKind::FalseAlarm {
            from: u32::from(from.0),
            why: why.clone(),
        },
    };
    IncidentLine {
        at_ns: incident.at_ns,
        what,
    }
}

#[cfg(test)]
mod tests;
