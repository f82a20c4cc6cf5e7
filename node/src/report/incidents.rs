//! `evidence.bin` and `incidents.jsonl`: what a replica found out about a split, as proofs for
//! `reforge audit` and as lines for readers. Neither exists as long as nothing happened.

use std::path::Path;

use measure::files::JsonLines;
use measure::{EvidenceKind, EvidenceRecord, EvidenceWriter, MeasureError, folder};
use serde_json::{Value, json};
use types::{CommitProof, ReplicaId, SignerSet, Wire};

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
        | What::FirstBlock { .. }
        | What::FalseAlarm { .. } => return None,
    };
    Some(EvidenceRecord {
        kind,
        at_ns: incident.at_ns,
        payload,
    })
}

fn ids(set: SignerSet) -> Vec<u16> {
    set.iter().map(|replica: ReplicaId| replica.0).collect()
}

fn block(proof: &CommitProof) -> Option<String> {
    proof.block().map(|core| core.id().to_string())
}

fn line(incident: &Incident) -> Value {
    let mut line = match &incident.what {
        What::Mode { mode, epoch } => json!({
            "what": "mode",
            "mode": mode.name(),
            "epoch": epoch.to_string(),
        }),
        What::Conflict(conflict) => json!({
            "what": "conflict",
            "epoch": conflict.epoch.to_string(),
            "height": conflict.first.block().map(|core| core.height.0),
            "blocks": [block(&conflict.first), block(&conflict.second)],
        }),
        What::Convicted {
            fraud,
            culprits,
            excluded,
        } => json!({
            "what": "convicted",
            "offence": fraud.offence().name(),
            "epoch": fraud.epoch().to_string(),
            "culprits": ids(*culprits),
            "excluded": ids(*excluded),
        }),
        What::Gate { open, why } => json!({ "what": "gate", "open": open, "why": why }),
        What::Committed(resumption) => json!({
            "what": "recovery-committed",
            "of": resumption.of.to_string(),
            "excluded": ids(resumption.value.excluded),
            "standbys": ids(resumption.value.standbys),
            "reports": resumption.value.reports.len(),
            "base": resumption.value.base.to_string(),
        }),
        What::Merged {
            epoch,
            members,
            rolled_back_to,
            root_height,
            moved,
            invalidated,
            orphans,
        } => json!({
            "what": "merged",
            "epoch": epoch.to_string(),
            "members": ids(*members),
            "rolled_back_to": rolled_back_to.0,
            "root_height": root_height.0,
            "moved": moved,
            "invalidated": invalidated,
            "orphans": orphans,
        }),
        What::FirstBlock { epoch, height } => json!({
            "what": "first-block",
            "epoch": epoch.to_string(),
            "height": height.0,
        }),
        What::FalseAlarm { from, why } => json!({
            "what": "false-alarm",
            "from": from.0,
            "why": why,
        }),
    };
    line["at_ns"] = incident.at_ns.into();
    line
}

#[cfg(test)]
mod tests;
