//! Worlds made to bring out one mutant each, until a check that is meant for it catches it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;

use types::CommitRule;

use super::{SimReport, caught, run_caught};
use crate::mutants::Mutant;
use crate::plan::WorldPlan;
use crate::split::SplitPlan;
use crate::world::{Outcome, run_split_of};

/// Tries seeds until each mutant is caught by a check that is meant for it.
pub(super) fn all(
    seeds: Range<u64>,
    cells: &[(usize, CommitRule)],
    only: Option<Mutant>,
) -> SimReport {
    let mut report = SimReport {
        text: String::new(),
        failures: 0,
        worlds: 0,
    };
    let all = Mutant::ALL.into_iter().chain(Mutant::OF_RECOVERY);
    for mutant in all.filter(|mutant| only.is_none_or(|only| only == *mutant)) {
        for (n, rule) in cells
            .iter()
            .copied()
            .filter(|(n, rule)| mutant.applies(*n, *rule))
        {
            let tried = catch(mutant, n, rule, seeds.clone());
            report.worlds += tried.worlds;
            let (name, worlds) = (mutant.name(), tried.worlds);
            let _ = write!(report.text, "{name:<26} n={n} {:<12}", rule.name());
            let _ = match tried.caught {
                Some((seed, check)) => write!(
                    report.text,
                    " caught by {check} at seed {seed}, world {worlds}"
                ),
                None => write!(report.text, " NOT CAUGHT by {worlds} seeds"),
            };
            for (check, seed) in &tried.others {
                let _ = write!(report.text, "; before, {check} at {seed}");
            }
            report.text.push('\n');
            report.failures += u64::from(tried.caught.is_none());
        }
    }
    report
}

#[derive(Debug)]
pub(crate) struct Tried {
    pub worlds: u64,
    pub caught: Option<(u64, &'static str)>,
    /// What else was found, before or instead: each check with the first seed of it.
    pub others: BTreeMap<&'static str, u64>,
}

/// The world of a seed that is made to bring out `against`, with replicas that are `mutant`.
pub(crate) fn run_hostile(
    against: Mutant,
    seed: u64,
    n: usize,
    rule: CommitRule,
    mutant: Option<Mutant>,
) -> Outcome {
    match Mutant::OF_RECOVERY.contains(&against) {
        true => {
            let plan = SplitPlan::hostile_to(against, seed, n, rule);
            caught(n, rule, || run_split_of(plan, mutant, false).0)
        }
        false => run_caught(WorldPlan::hostile_to(against, seed, n, rule), mutant),
    }
}

pub(crate) fn catch(mutant: Mutant, n: usize, rule: CommitRule, seeds: Range<u64>) -> Tried {
    let (mut worlds, mut others) = (0, BTreeMap::new());
    for seed in seeds {
        worlds += 1;
        let outcome = run_hostile(mutant, seed, n, rule, Some(mutant));
        let Some(violation) = outcome.violation else {
            continue;
        };
        if mutant.caught_by().contains(&violation.check) {
            return Tried {
                worlds,
                caught: Some((seed, violation.check)),
                others,
            };
        }
        others.entry(violation.check).or_insert(seed);
    }
    Tried {
        worlds,
        caught: None,
        others,
    }
}
