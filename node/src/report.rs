//! What a replica leaves in its run folder: `ledger.bin` while it runs, `status.json` at its end, and the
//! incident timeline where there is one.

mod incidents;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use measure::metrics as m;
use measure::{LedgerRecord, LedgerWriter, ReplicaReport, Usage, WallAnchor, folder};

use crate::NodeError;
use crate::incident::Incident;
use crate::snapshot::Snapshot;
use crate::start::Setup;

use incidents::IncidentWriter;

/// The writer of all; without a folder it writes nothing.
#[derive(Debug)]
pub struct Reporter {
    folder: Option<(PathBuf, LedgerWriter)>,
    /// Opened by the first incident: most replicas have none.
    incidents: Option<IncidentWriter>,
}

impl Reporter {
    /// Opens (or continues) the ledger in `dir`.
    ///
    /// # Errors
    /// [`NodeError`] when the folder or its ledger cannot be written.
    pub fn open(dir: Option<&Path>) -> Result<Reporter, NodeError> {
        let folder = match dir {
            None => None,
            Some(dir) => {
                std::fs::create_dir_all(dir).map_err(NodeError::io("create folder", dir))?;
                let ledger = LedgerWriter::open(&dir.join(folder::LEDGER))?;
                Some((dir.to_path_buf(), ledger))
            }
        };
        Ok(Reporter {
            folder,
            incidents: None,
        })
    }

    /// Appends executed blocks and hands them to the kernel.
    ///
    /// # Errors
    /// [`NodeError::Report`].
    pub fn blocks(&mut self, records: &[LedgerRecord]) -> Result<(), NodeError> {
        let Some((_, ledger)) = &mut self.folder else {
            return Ok(());
        };
        for record in records {
            ledger.append(record)?;
        }
        Ok(ledger.flush()?)
    }

    /// Appends to the incident timeline.
    ///
    /// # Errors
    /// [`NodeError::Report`].
    pub fn incidents(&mut self, incidents: &[Incident]) -> Result<(), NodeError> {
        let Some((dir, _)) = self.folder.as_ref().filter(|_| !incidents.is_empty()) else {
            return Ok(());
        };
        let writer = match &mut self.incidents {
            Some(writer) => writer,
            none => none.insert(IncidentWriter::open(dir)?),
        };
        for incident in incidents {
            writer.append(incident)?;
        }
        Ok(())
    }

    /// Writes `status.json`.
    ///
    /// # Errors
    /// [`NodeError::Report`].
    pub fn status(
        &self,
        setup: &Setup,
        snapshot: &Snapshot,
        failure: Option<String>,
    ) -> Result<(), NodeError> {
        let Some((dir, _)) = &self.folder else {
            return Ok(());
        };
        let report = report(setup, snapshot, failure);
        Ok(measure::files::write_json(
            &dir.join(folder::STATUS),
            &report,
        )?)
    }
}

fn report(setup: &Setup, snapshot: &Snapshot, failure: Option<String>) -> ReplicaReport {
    let extra = |name: &str| snapshot.extra.get(name).copied().unwrap_or(0);
    let refused: BTreeMap<String, u64> = snapshot
        .labelled
        .get(m::REFUSED)
        .cloned()
        .unwrap_or_default();
    ReplicaReport {
        schema: measure::SCHEMA_VERSION,
        replica: u32::from(setup.me.0),
        committee: setup.epoch.n as u32,
        cluster: setup.epoch.cluster.to_string(),
        started: setup.started,
        stopped: WallAnchor::now(),
        clean_stop: failure.is_none(),
        failure,
        durability: setup.durability.name().into(),
        scheme: setup.scheme.name().into(),
        rule: setup.rule.name().into(),
        backend: setup.backend.name().into(),
        backend_wanted: (setup.backend_wanted != setup.backend)
            .then(|| setup.backend_wanted.name().into()),
        encryption: setup.encryption,
        auth: setup.auth.name().into(),
        app: setup.app.name().into(),
        view: snapshot.view,
        views: extra("views_entered"),
        height: snapshot.height,
        commits: snapshot.figure(m::COMMITS),
        timeouts: snapshot.figure(m::TIMEOUTS),
        tx_executed: snapshot.figure(m::TX_EXECUTED),
        tx_rejected: snapshot.figure(m::TX_REJECTED),
        tx_duplicate: snapshot.figure(m::TX_DUPLICATE),
        tx_refused: extra("txs_refused"),
        batches: snapshot.figure(m::BATCHES),
        signatures_made: snapshot.figure(m::SIGNATURES_MADE),
        signatures_checked: snapshot.figure(m::SIGNATURES_CHECKED),
        signatures_bad: snapshot.figure(m::SIGNATURES_BAD),
        syncs: snapshot.figure(m::JOURNAL_SYNCS),
        journal_bytes: snapshot.figure(m::JOURNAL_BYTES),
        peer_bytes_in: snapshot.figure(m::PEER_BYTES_IN),
        peer_bytes_out: snapshot.figure(m::PEER_BYTES_OUT),
        client_bytes_in: snapshot.figure(m::CLIENT_BYTES_IN),
        client_bytes_out: snapshot.figure(m::CLIENT_BYTES_OUT),
        refused,
        fetches: snapshot.figure(m::FETCHES),
        snapshots_installed: snapshot.figure(m::SNAPSHOTS_INSTALLED),
        usage: Usage::of_this_process(),
        extra: snapshot.extra.clone(),
    }
}
