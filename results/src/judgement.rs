//! `summary.json`: its fields are described in `docs/summary-schema.md`.

use measure::{Outcomes, Percentiles};
use serde::{Deserialize, Serialize};

use crate::capacity::Capacity;
use crate::consistency::Consistency;
use crate::drill::DrillReport;
use crate::drill_stats::DrillStats;
use crate::overhead::Overhead;
use crate::tx_check::TxCheck;
use crate::verdict::Verdict;

/// A judged folder: one run, or all runs of a campaign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// [`measure::SCHEMA_VERSION`].
    pub schema: u32,
    /// Name of the experiment, if the folder tells it.
    pub experiment: Option<String>,
    /// blake3 of the resolved spec, if the folder tells it.
    pub spec_hash: Option<String>,
    /// The command that repeats it, if the folder tells it.
    pub command: Option<String>,
    /// The worst of the campaign's own reasons and of all runs.
    pub verdict: Verdict,
    /// Reasons that concern no single run (a planned run is missing, …).
    pub reasons: Vec<Reason>,
    /// The runs in their order.
    pub runs: Vec<RunJudgement>,
    /// Terms of Eq. 5 over the repetitions of every drill.
    #[serde(default)]
    pub drills: Vec<DrillStats>,
    /// What searches for the capacity came to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capacity: Vec<Capacity>,
    /// What recovery costs, from pairs of runs.
    #[serde(default)]
    pub overhead: Vec<Overhead>,
}

/// Why a verdict is not better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The verdict this alone leads to.
    pub verdict: Verdict,
    /// What was expected and what was found.
    pub text: String,
}

/// One judged run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunJudgement {
    /// Name of its folder.
    pub name: String,
    /// The worst of its reasons.
    pub verdict: Verdict,
    /// All reasons, worst first.
    pub reasons: Vec<Reason>,
    /// Things to know which are no reason for another verdict.
    pub notes: Vec<String>,
    /// The point; absent when `run.json` is missing or unreadable.
    pub point: Option<measure::RunRecord>,
    /// Commit of the source, with `-dirty` when it had changes.
    pub git: Option<String>,
    /// Offered load over the measured phase, transactions per second.
    pub offered_tps: f64,
    /// Finished of these, per second.
    pub achieved_tps: f64,
    /// Share of the offered requests that finished in time; absent when none was offered.
    pub goodput: Option<f64>,
    /// Requests of the measured phase by fate, all generators.
    pub outcomes: Outcomes,
    /// From intended send to verified receipt, measured phase, merged over generators.
    pub corrected: Percentiles,
    /// From actual send to verified receipt.
    pub service: Percentiles,
    /// From intended to actual send.
    pub lag: Percentiles,
    /// Median of the medians of all seconds of the measured phase: coarser than `corrected`, and
    /// comparable with a part of a run.
    #[serde(default)]
    pub seconds_p50_ns: Option<u64>,
    /// Receipts checked and found bad by all generators.
    pub receipts_checked: u64,
    /// Receipts that did not hold.
    pub receipts_bad: u64,
    /// Connections made again, sessions moved.
    pub reconnects: u64,
    /// Sessions moved to another replica.
    pub failovers: u64,
    /// Comparison of the replicas' ledgers.
    pub consistency: Consistency,
    /// Share of what dissemination alone reached on the machine just before; absent where it was not measured.
    #[serde(default)]
    pub dissemination: Option<DisseminationShare>,
    /// Least median latency that the delays between regions allow, in milliseconds; absent where there are no
    /// regions.
    #[serde(default)]
    pub wan_floor_p50_ms: Option<f64>,
    /// Throughput before and after the faults; absent without faults.
    pub fault_effect: Option<FaultEffect>,
    /// What every attack of a drill came to.
    #[serde(default)]
    pub drills: Vec<DrillReport>,
    /// What was lost and what counts twice; absent where generators kept no receipts.
    #[serde(default)]
    pub transactions: Option<TxCheck>,
    /// What the replicas report of themselves.
    pub replicas: Vec<ReplicaSummary>,
}

/// The bound that no replica on the same transport can exceed, and how near the run came to it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DisseminationShare {
    /// Median transactions per second of dissemination alone.
    pub bound_tps: f64,
    /// Achieved, over the bound.
    pub share: f64,
}

/// Throughput around the faults, from the one-second series.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultEffect {
    /// Finished per second from the start of the measured phase to the first fault, if there was
    /// a full second; otherwise in the warm-up.
    pub before_tps: Option<f64>,
    /// Finished per second from 5 s after the last fault to the end of the measured phase.
    pub after_tps: Option<f64>,
    /// Longest time without any finished request after the first fault, seconds, in whole rows
    /// of the series.
    pub outage_s: f64,
}

/// The figures of a replica that a reader asks for first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaSummary {
    /// Index in the committee.
    pub replica: u32,
    /// Height of its last executed block, from its ledger.
    pub height: Option<u64>,
    /// Everything below is from its report; absent when it left none.
    pub report: Option<measure::ReplicaReport>,
}
