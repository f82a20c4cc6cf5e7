//! What a campaign is going to take, told before it starts. Estimates: no verdict hangs on them.

use std::time::Duration;

use crate::campaign::probes_max;
use crate::run::drill_ready_within;
use crate::spec::{Durability, Point, Spec};

/// Start, readiness and stop of one run, roughly.
const OVERHEAD: Duration = Duration::from_secs(4);
/// Further time for that per replica.
const OVERHEAD_PER_REPLICA: Duration = Duration::from_millis(100);
/// A cool-down ends early when nothing is unfinished.
const COOLDOWN_S_USUAL: f64 = 2.0;
/// Blocks per second, generously: a view takes some milliseconds on loopback.
const BLOCKS_PER_S: f64 = 150.0;
const LEDGER_RECORD_LEN_BYTES: f64 = 96.0;
const RECEIPT_LEN_BYTES: f64 = 51.0;
/// Configuration, report and log of one process.
const PROCESS_LEN_BYTES: f64 = 12e3;
/// Histograms and series of one second of one generator.
const SECOND_LEN_BYTES: f64 = 6e3;
/// What a journal adds to the payload of a transaction.
const JOURNAL_EXTRA_BYTES: f64 = 100.0;

/// One run of the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedRun {
    /// Its place in the order.
    pub index: u32,
    /// Its folder in the campaign.
    pub name: String,
    /// From start to seal.
    pub time: Duration,
    /// What stays in its folder.
    pub kept_bytes: u64,
    /// Journals while it runs; removed before the seal.
    pub scratch_bytes: u64,
}

/// All runs in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The runs.
    pub runs: Vec<PlannedRun>,
    /// In a search for the capacity: every one stands for at most so many.
    pub probes_max: Option<u32>,
}

impl Plan {
    /// The plan of a spec.
    #[must_use]
    pub fn of(spec: &Spec) -> Self {
        let points = spec.points();
        let runs = points.iter().map(|point| planned(spec, point)).collect();
        let probes_max = spec.capacity.as_ref().map(probes_max);
        Self { runs, probes_max }
    }

    /// All runs after each other.
    #[must_use]
    pub fn time(&self) -> Duration {
        let each: Duration = self.runs.iter().map(|run| run.time).sum();
        each * self.probes_max.unwrap_or(1)
    }

    /// What all folders hold in the end.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        let each: u64 = self.runs.iter().map(|run| run.kept_bytes).sum();
        each * u64::from(self.probes_max.unwrap_or(1))
    }

    /// The most that journals take at one time.
    #[must_use]
    pub fn scratch_bytes(&self) -> u64 {
        let all = self.runs.iter().map(|run| run.scratch_bytes);
        all.max().unwrap_or(0)
    }
}

fn planned(spec: &Spec, point: &Point) -> PlannedRun {
    let load = spec.load_of(point);
    let seconds = load.warmup_s + load.duration_s;
    let replicas = f64::from(point.replicas);
    let generators = f64::from(load.generators);
    let ledgers = BLOCKS_PER_S * LEDGER_RECORD_LEN_BYTES * seconds * replicas;
    let receipts = match point.drill {
        Some(_) => RECEIPT_LEN_BYTES * point.rate_tps * seconds,
        None => 0.0,
    };
    let processes = PROCESS_LEN_BYTES * (replicas + generators);
    let kept = ledgers + receipts + processes + SECOND_LEN_BYTES * seconds * generators;
    let journal = match point.durability {
        Durability::Strict => {
            let tx = f64::from(point.size_bytes) + JOURNAL_EXTRA_BYTES;
            tx * point.rate_tps * seconds * replicas
        }
        Durability::Memory => 0.0,
    };
    PlannedRun {
        index: point.index,
        name: point.name.clone(),
        time: time_of(spec, point),
        kept_bytes: kept as u64,
        scratch_bytes: journal as u64,
    }
}

/// How long one run takes, roughly.
pub(crate) fn time_of(spec: &Spec, point: &Point) -> Duration {
    let load = spec.load_of(point);
    let load_s = load.warmup_s + load.duration_s + load.cooldown_s.min(COOLDOWN_S_USUAL);
    // A drill waits until its replicas had time to become ready.
    let drill = point
        .drill
        .map_or(Duration::ZERO, |_| drill_ready_within(point.replicas));
    let bound = Duration::from_secs(u64::from(spec.dissemination_s));
    OVERHEAD
        + OVERHEAD_PER_REPLICA * point.replicas
        + drill
        + bound
        + Duration::from_secs_f64(load_s)
}

#[cfg(test)]
mod tests;
