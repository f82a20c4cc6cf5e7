//! Many drills of one point in a row: percentiles of every term of Eq. 5.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judgement::RunJudgement;
use crate::verdict::Verdict;

/// All attacks of one number in the repetitions of one point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillStats {
    /// The point: the runs' names without index and repetition.
    pub point: String,
    /// Number of the attack in a run.
    pub attack: u32,
    /// Runs of this point.
    pub runs: u32,
    /// Of these, how many passed.
    pub passed: u32,
    /// By term: `detect`, `attribute`, `reconfigure`, `resync`, `converge`, and `first-commit`, which is
    /// from `t0` to the first commit that a client saw.
    pub terms: BTreeMap<String, TermStats>,
}

/// Percentiles of one term, by the nearest rank; with fewer than a hundred values the 99th is the
/// largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermStats {
    /// Drills that tell this term.
    pub count: u32,
    /// Smallest.
    pub min_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// Largest.
    pub max_ns: u64,
}

impl TermStats {
    fn of(mut values: Vec<u64>) -> Option<TermStats> {
        values.sort_unstable();
        let rank = |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1];
        Some(TermStats {
            count: values.len() as u32,
            min_ns: *values.first()?,
            p50_ns: rank(50),
            p99_ns: rank(99),
            max_ns: *values.last()?,
        })
    }
}

/// In the order of the points' names.
#[must_use]
pub(crate) fn stats(runs: &[RunJudgement]) -> Vec<DrillStats> {
    let mut groups: BTreeMap<(String, u32), Vec<&RunJudgement>> = BTreeMap::new();
    for run in runs {
        for drill in &run.drills {
            let key = (label(&run.name).to_owned(), drill.attack);
            groups.entry(key).or_default().push(run);
        }
    }
    let group = |((point, attack), runs): ((String, u32), Vec<&RunJudgement>)| {
        let mut values: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for drill in runs.iter().flat_map(|run| &run.drills) {
            if drill.attack != attack {
                continue;
            }
            let first = ("first-commit", drill.clients.first_commit_ns);
            for (name, value) in drill.terms.named().into_iter().chain([first]) {
                values.entry(name.to_owned()).or_default().extend(value);
            }
        }
        let terms = values.into_iter();
        DrillStats {
            point,
            attack,
            runs: runs.len() as u32,
            passed: runs.iter().filter(|r| r.verdict == Verdict::Pass).count() as u32,
            terms: terms
                .filter_map(|(name, values)| Some((name, TermStats::of(values)?)))
                .collect(),
        }
    };
    groups.into_iter().map(group).collect()
}

/// A run's name without its index and repetition.
pub(crate) fn label(name: &str) -> &str {
    let name = name.split_once('-').map_or(name, |(_, rest)| rest);
    name.rsplit_once("-r").map_or(name, |(label, _)| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let of = |values: &[u64]| TermStats::of(values.to_vec());
        assert_eq!(of(&[]), None);
        let thirty = of(&(1..=30).rev().collect::<Vec<_>>()).unwrap();
        assert_eq!((thirty.p50_ns, thirty.p99_ns, thirty.count), (15, 30, 30));
        let thousand = of(&(1..=1000).collect::<Vec<_>>()).unwrap();
        assert_eq!((thousand.p50_ns, thousand.p99_ns), (500, 990));
        let one = of(&[5]).unwrap();
        assert_eq!(
            (one.min_ns, one.p50_ns, one.p99_ns, one.max_ns),
            (5, 5, 5, 5)
        );
    }

    #[test]
    fn names_lose_index_and_repetition_only() {
        assert_eq!(
            label("012-three-run-n7-two-chain-r3"),
            "three-run-n7-two-chain"
        );
        assert_eq!(label("odd"), "odd");
    }
}
