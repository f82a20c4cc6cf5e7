//! Everything a run folder holds, read as far as it can be read; what is missing is a reason.

use std::collections::BTreeMap;
use std::path::Path;

use measure::event::read_events;
use measure::files::{read_json, read_json_lines};
use measure::hdr::merge_phase;
use measure::incident::read_incidents;
use measure::{
    BoundRecord, DisseminationBound, Event, Fingerprint, IncidentLine, Ledger, LoadResult,
    MeasureError, Outcomes, Percentiles, Phase, Receipts, ReplicaReport, RunFolder, RunRecord,
    SealState, SeriesRow, folder,
};

use crate::judgement::Reason;
use crate::verdict::Verdict;

/// The parts of one run.
pub(crate) struct Record {
    pub run: RunRecord,
    pub fingerprint: Option<Fingerprint>,
    pub events: Vec<Event>,
    pub loads: Vec<LoadResult>,
    pub series: Vec<SeriesRow>,
    pub ledgers: Vec<(u32, Ledger)>,
    pub reports: Vec<Option<ReplicaReport>>,
    /// Timelines of the replicas whose word counts, where they wrote one.
    pub incidents: Vec<(u32, Vec<IncidentLine>)>,
    /// What every generator was told, where it kept that, and until when it listened.
    pub receipts: Vec<(Receipts, u64)>,
    /// Transactions per second of dissemination alone, where it was measured before the run.
    pub bound_tps: Option<f64>,
    pub corrected: Percentiles,
    pub service: Percentiles,
    pub lag: Percentiles,
}

impl Record {
    /// Requests of the measured phase over all generators.
    pub(crate) fn outcomes(&self) -> Outcomes {
        let mut sum = Outcomes::default();
        for load in &self.loads {
            sum.add(&load.measured);
        }
        sum
    }

    /// Sum of one count over all generators.
    pub(crate) fn sum(&self, count: impl Fn(&LoadResult) -> u64) -> u64 {
        self.loads.iter().map(count).sum()
    }
}

/// Reads a run; without a readable `run.json` there is nothing to compare the rest with.
pub(crate) fn read(root: &Path, reasons: &mut Vec<Reason>) -> Option<Record> {
    let run_folder = RunFolder::open(root);
    let run = keep(run_folder.read_run(), Verdict::InvalidHarness, reasons)?;
    read_seal(&run_folder, reasons);
    let fingerprint = keep(
        read_json(&run_folder.path(folder::FINGERPRINT), "fingerprint"),
        Verdict::Inconclusive,
        reasons,
    );
    let events = keep(
        read_events(&run_folder.path(folder::EVENTS)),
        Verdict::Inconclusive,
        reasons,
    )
    .unwrap_or_default();

    let mut loads = Vec::new();
    let mut series: Vec<SeriesRow> = Vec::new();
    let mut ends = BTreeMap::new();
    for index in 0..run.generators {
        let part = run_folder.load(index);
        let load = read_json(&part.join(folder::LOAD), "load result");
        loads.extend(keep(load, Verdict::Inconclusive, reasons));
        let rows = read_json_lines::<SeriesRow>(&part.join(folder::SERIES), "series");
        let rows = keep(rows, Verdict::Inconclusive, reasons).unwrap_or_default();
        ends.extend(rows.last().map(|row| (index, row.monotonic_ns)));
        series.extend(rows);
    }
    series.sort_by_key(|row| row.monotonic_ns);
    let mut receipts = Vec::new();
    for index in 0..run.generators {
        let path = run_folder.load(index).join(folder::RECEIPTS);
        if path.exists() {
            let read = keep(Receipts::read(&path), Verdict::Inconclusive, reasons);
            receipts.extend(read.map(|read| (read, ends.get(&index).copied().unwrap_or(0))));
        }
    }

    let mut merged = |file: &str| {
        let paths: Vec<_> = (0..run.generators)
            .map(|index| run_folder.load(index).join(file))
            .collect();
        keep(
            merge_phase(&paths, Phase::Measure),
            Verdict::Inconclusive,
            reasons,
        )
        .map_or_else(Percentiles::default, |histogram| {
            Percentiles::of(&histogram)
        })
    };
    let corrected = merged(folder::CORRECTED_HLOG);
    let service = merged(folder::SERVICE_HLOG);
    let lag = merged(folder::LAG_HLOG);

    let mut ledgers = Vec::new();
    let mut reports = Vec::new();
    let mut incidents = Vec::new();
    let correct = run.correct();
    for index in 0..run.replicas {
        // What an attacker writes of itself proves nothing.
        if !correct.contains(&index) {
            reports.push(None);
            continue;
        }
        let part = run_folder.replica(index);
        let timeline = part.join(folder::INCIDENTS);
        if timeline.exists() {
            let lines = keep(read_incidents(&timeline), Verdict::Inconclusive, reasons);
            incidents.extend(lines.map(|lines| (index, lines)));
        }
        let ledger = keep(
            Ledger::read(&part.join(folder::LEDGER)),
            Verdict::Inconclusive,
            reasons,
        );
        ledgers.extend(ledger.map(|ledger| (index, ledger)));
        // Whether a report may be missing depends on the faults: the rules decide.
        let status = part.join(folder::STATUS);
        reports.push(if status.exists() {
            let report = read_json(&status, "replica report");
            keep(report, Verdict::Inconclusive, reasons)
        } else {
            None
        });
    }
    let bound = run_folder.path(folder::BOUND);
    let bound_record = match bound.exists() {
        true => keep(
            read_json::<BoundRecord>(&bound, "bound"),
            Verdict::Inconclusive,
            reasons,
        ),
        false => None,
    };
    let bound_tps = bound_record.and_then(|record| {
        let here = |at: &&DisseminationBound| at.replicas == run.replicas && at.tps > 0.0;
        record.dissemination.iter().find(here).map(|at| at.tps)
    });
    Some(Record {
        bound_tps,
        run,
        fingerprint,
        events,
        loads,
        series,
        ledgers,
        reports,
        incidents,
        receipts,
        corrected,
        service,
        lag,
    })
}

fn read_seal(run_folder: &RunFolder, reasons: &mut Vec<Reason>) {
    let (verdict, text) = match run_folder.seal_state() {
        Ok(SealState::Intact) => return,
        Ok(SealState::Unsealed) => (
            Verdict::Inconclusive,
            "the folder is not sealed: the run was cut off".into(),
        ),
        Ok(SealState::Broken(names)) => (
            Verdict::InvalidHarness,
            format!("changed since the seal: {}", names.join(", ")),
        ),
        Err(error) => (Verdict::InvalidHarness, error.to_string()),
    };
    reasons.push(Reason { verdict, text });
}

/// The value, or nothing and a reason that names only the file, not where the folder lies, so
/// that a moved folder is judged with the same words.
fn keep<T>(
    result: Result<T, MeasureError>,
    verdict: Verdict,
    reasons: &mut Vec<Reason>,
) -> Option<T> {
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            let text = match &error {
                MeasureError::Io {
                    action,
                    path,
                    source,
                }
                | MeasureError::DiskFull {
                    action,
                    path,
                    source,
                } => format!("cannot {action} {}: {source}", short(path)),
                MeasureError::Malformed {
                    path,
                    expected,
                    found,
                } => format!("{} is not a readable {expected}: {found}", short(path)),
                MeasureError::Histogram { path, found } => {
                    format!("histogram in {}: {found}", short(path))
                }
                newer @ MeasureError::NewerSchema { .. } => newer.to_string(),
            };
            reasons.push(Reason { verdict, text });
            None
        }
    }
}

/// The last two parts of a path, such as `replica-0/ledger.bin`.
fn short(path: &Path) -> String {
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    match path.parent().map(name) {
        Some(parent) if parent.starts_with("replica-") || parent.starts_with("load-") => {
            format!("{parent}/{}", name(path))
        }
        _ => name(path),
    }
}
