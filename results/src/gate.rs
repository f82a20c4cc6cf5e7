//! The regression gate: instruction counts of a tree beside those that were accepted.
//!
//! Counts depend on what compiled the code and on what runs it, and on nothing else that a neighbour
//! could disturb: so a baseline is kept per [`Key`], and another key's baseline is no baseline.

mod counts;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judgement::Reason;
use crate::verdict::Verdict;

pub use counts::{CountsError, read_counts};

/// Version of a baseline file.
pub const BASELINE_SCHEMA: u64 = 1;
/// A path may cost this share more than it did, unless its baseline says otherwise.
pub const TOLERANCE: f64 = 0.03;

/// What counts depend on beside the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// `rustc --version`.
    pub rustc: String,
    /// `valgrind --version`.
    pub valgrind: String,
    /// Target architecture.
    pub arch: String,
    /// Features by which code dispatches at run time, as seen under valgrind.
    pub cpu: Vec<String>,
}

/// One accepted count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Instructions.
    pub instructions: u64,
    /// In place of [`TOLERANCE`], for a path that is known to vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<f64>,
}

/// Accepted counts of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// [`BASELINE_SCHEMA`].
    pub schema: u64,
    /// What they were counted with.
    pub key: Key,
    /// What else was there: changes counts by little, is told when it differs.
    pub beside: BTreeMap<String, String>,
    /// By name of the path.
    pub counts: BTreeMap<String, Accepted>,
}

impl Baseline {
    /// Accepts `counts`; tolerances of the baseline before it stay.
    #[must_use]
    pub fn bless(
        key: Key,
        beside: BTreeMap<String, String>,
        counts: &BTreeMap<String, u64>,
        before: Option<&Baseline>,
    ) -> Baseline {
        let accept = |(name, &instructions): (&String, &u64)| {
            let tolerance = before.and_then(|b| b.counts.get(name)?.tolerance);
            let accepted = Accepted {
                instructions,
                tolerance,
            };
            (name.clone(), accepted)
        };
        Baseline {
            schema: BASELINE_SCHEMA,
            key,
            beside,
            counts: counts.iter().map(accept).collect(),
        }
    }
}

/// One path of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Accepted, if it was.
    pub before: Option<u64>,
    /// Counted, if it was.
    pub now: Option<u64>,
}

impl Compared {
    /// By what share it costs more.
    #[must_use]
    pub fn change(&self) -> Option<f64> {
        let (before, now) = (self.before?, self.now?);
        (before > 0).then(|| now as f64 / before as f64 - 1.0)
    }
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct GateReport {
    /// The worst of `reasons`.
    pub verdict: Verdict,
    /// Why it is no pass.
    pub reasons: Vec<Reason>,
    /// To know, without effect.
    pub notes: Vec<String>,
    /// Every path, by name.
    pub paths: Vec<Compared>,
}

/// Compares with accepted counts. A path that only one side knows is never a pass.
#[must_use]
pub fn gate(counts: &BTreeMap<String, u64>, baseline: &Baseline) -> GateReport {
    judge(counts, &baseline.counts, |name| Reason {
        verdict: Verdict::Inconclusive,
        text: format!("{name} has no accepted count: run `just bless`, read the change, commit it"),
    })
}

/// Compares with another revision that was counted by the same tools in the same place. A path that is
/// new here has nothing to be compared with.
#[must_use]
pub fn gate_against(counts: &BTreeMap<String, u64>, base: &BTreeMap<String, u64>) -> GateReport {
    let accept = |(name, &instructions): (&String, &u64)| {
        let accepted = Accepted {
            instructions,
            tolerance: None,
        };
        (name.clone(), accepted)
    };
    judge(counts, &base.iter().map(accept).collect(), |name| Reason {
        verdict: Verdict::Pass,
        text: format!("{name} is new"),
    })
}

fn judge(
    counts: &BTreeMap<String, u64>,
    accepted: &BTreeMap<String, Accepted>,
    unknown: impl Fn(&str) -> Reason,
) -> GateReport {
    let mut reasons = Vec::new();
    let mut notes = Vec::new();
    let mut paths = Vec::new();
    let mut say = |verdict, text| match verdict {
        Verdict::Pass => notes.push(text),
        verdict => reasons.push(Reason { verdict, text }),
    };
    if counts.is_empty() || accepted.is_empty() {
        let text = "expected counts on both sides, found none on one".to_owned();
        say(Verdict::Inconclusive, text);
    }
    let mut names: Vec<&String> = counts.keys().chain(accepted.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let before = accepted.get(name);
        let path = Compared {
            name: name.clone(),
            before: before.map(|accepted| accepted.instructions),
            now: counts.get(name).copied(),
        };
        let tolerance = before.and_then(|a| a.tolerance).unwrap_or(TOLERANCE);
        match (path.change(), path.before, path.now) {
            (_, None, _) => {
                let Reason { verdict, text } = unknown(name);
                say(verdict, text);
            }
            (_, _, None) => say(
                Verdict::Inconclusive,
                format!(
                    "{name} has an accepted count and was not counted: `just bless` if it is gone"
                ),
            ),
            (Some(change), ..) if change > tolerance => say(
                Verdict::ThresholdFailed,
                format!(
                    "{name} takes {:+.2} % instructions, {:.1} % are tolerated",
                    change * 100.0,
                    tolerance * 100.0
                ),
            ),
            // Not accepted, a gain would hide as large a loss later.
            (Some(change), ..) if change < -tolerance => say(
                Verdict::Pass,
                format!(
                    "{name} takes {:+.2} %: `just bless` keeps it so",
                    change * 100.0
                ),
            ),
            (None, ..) => say(
                Verdict::Inconclusive,
                format!("{name} has an accepted count of nothing"),
            ),
            (Some(_), ..) => {}
        }
        paths.push(path);
    }
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    GateReport {
        verdict: reasons.first().map_or(Verdict::Pass, |r| r.verdict),
        reasons,
        notes,
        paths,
    }
}

#[cfg(test)]
mod tests;
