//! `run.json` and `campaign.json`: what was asked, resolved so far that a run explains itself.

use serde::{Deserialize, Serialize};

use crate::clock::WallAnchor;
use crate::drill::{DrillKind, PlannedDrill};
use crate::fault::PlannedFault;
use crate::shape::LoadPlan;

/// Bounds a run has to keep; an absent one is not judged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Least share of the offered requests that finish in time, 0 to 1.
    pub goodput_min: Option<f64>,
    /// Largest corrected median in milliseconds.
    pub p50_ms_max: Option<f64>,
    /// Largest corrected 99th percentile in milliseconds.
    pub p99_ms_max: Option<f64>,
    /// Least share of the throughput that dissemination alone reached just before, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dissemination_share_min: Option<f64>,
    /// Least throughput of recovery-ready runs as a multiple of the baseline beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_throughput_min: Option<f64>,
    /// Largest median latency of recovery-ready runs as a multiple of the baseline beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_p50_max: Option<f64>,
}

/// A replica of the plan that lies from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedAdversary {
    /// Which replica, by index.
    pub replica: u32,
    /// What it does, by the name that `reforge adversary --act` takes.
    pub act: String,
}

/// `run.json`: one point of the experiment, written before any process starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`crate::SCHEMA_VERSION`].
    pub schema: u32,
    /// Name of the experiment.
    pub experiment: String,
    /// blake3 of the resolved spec, hex.
    pub spec_hash: String,
    /// Place in the campaign's order.
    pub index: u32,
    /// Name of the run's folder in the campaign.
    pub name: String,
    /// Repetition of the same point, from 0.
    pub repetition: u32,
    /// Where it ran: `local`, …
    pub provider: String,
    /// Committee size.
    pub replicas: u32,
    /// Number of generators.
    pub generators: u32,
    /// `two-chain` or `three-chain`.
    pub rule: String,
    /// `bls` or `ed25519`.
    pub scheme: String,
    /// `strict` or `memory`.
    pub durability: String,
    /// `epoll`, `tokio-uring` or `io-uring`.
    pub backend: String,
    /// Encryption between replicas.
    pub encryption: bool,
    /// Client authentication.
    pub auth: String,
    /// Application.
    pub app: String,
    /// Offered rate of all generators together, transactions per second.
    pub rate_tps: f64,
    /// Payload size in bytes.
    pub size_bytes: u32,
    /// Lengths of the three phases in seconds.
    pub warmup_s: f64,
    /// Length of the measured phase in seconds.
    pub duration_s: f64,
    /// Length of the cool-down in seconds.
    pub cooldown_s: f64,
    /// Seed of the run.
    pub seed: u64,
    /// Faults in the order of their times.
    pub faults: Vec<PlannedFault>,
    /// Replicas that lie; absent in older records.
    #[serde(default)]
    pub adversaries: Vec<PlannedAdversary>,
    /// The attack beyond the bound; absent in most runs, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<PlannedDrill>,
    /// Whether the replicas can recover; absent where the spec left it to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<bool>,
    /// Delay of every link between replicas, one way.
    #[serde(default)]
    pub delay_ms: f64,
    /// Round trips between the regions that the replicas sit in, replica `i` in region `i` modulo their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wan_rtt_ms: Option<Vec<Vec<f64>>>,
    /// How the load was asked for, beside its rate; a steady open loop in older records.
    #[serde(default)]
    pub load: LoadPlan,
    /// Bounds.
    pub thresholds: Thresholds,
    /// When the run was begun.
    pub begun: WallAnchor,
    /// The command that repeats the campaign.
    pub command: String,
}

impl RunRecord {
    /// Largest number of faulty replicas the committee tolerates.
    #[must_use]
    pub fn fault_bound(&self) -> u32 {
        self.replicas.saturating_sub(1) / 3
    }

    /// What is measured against what: `baseline`, `recovery-ready`, or `post-recovery`.
    #[must_use]
    pub fn configuration(&self) -> &'static str {
        match (self.drill.is_some(), self.recovery) {
            (true, _) => "post-recovery",
            (false, Some(false)) => "baseline",
            (false, _) => "recovery-ready",
        }
    }

    /// Replicas whose word counts: in a drill, those that never attack.
    #[must_use]
    pub fn correct(&self) -> Vec<u32> {
        match &self.drill {
            Some(drill) => drill.correct(self.replicas),
            None => (0..self.replicas).collect(),
        }
    }

    /// Faults and adversaries as one short text, such as `crash 3 @5s` or `3: silent-leader`, or `-`.
    #[must_use]
    pub fn fault_summary(&self) -> String {
        let lie = |liar: &PlannedAdversary| format!("{}: {}", liar.replica, liar.act);
        let lies = self.adversaries.iter().map(lie);
        let attack = |drill: &PlannedDrill| {
            let kind = match drill.kind {
                DrillKind::Split => "split",
                DrillKind::Evict => "evict",
            };
            let attacks = drill.attacks(self.replicas);
            let each = attacks
                .into_iter()
                .map(move |a| format!("{kind} by {} @{}s", a.attackers.len(), a.at_s));
            each.collect::<Vec<_>>()
        };
        let attacks = self.drill.iter().flat_map(attack);
        let faults = self.faults.iter().map(PlannedFault::summary);
        let all: Vec<String> = faults.chain(lies).chain(attacks).collect();
        match all.is_empty() {
            true => "-".into(),
            false => all.join(", "),
        }
    }
}

/// `campaign.json`: all runs of one spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignRecord {
    /// [`crate::SCHEMA_VERSION`].
    pub schema: u32,
    /// Name of the experiment.
    pub experiment: String,
    /// blake3 of the resolved spec, hex.
    pub spec_hash: String,
    /// Folders of the planned runs, in their order; a missing one was not begun.
    pub runs: Vec<String>,
    /// When the campaign was begun.
    pub begun: WallAnchor,
    /// The command that repeats it.
    pub command: String,
}
