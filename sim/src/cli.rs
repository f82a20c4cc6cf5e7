//! `reforge sim`: one seed, a range of seeds, or the mutants.

use std::fmt::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Args;
use types::CommitRule;

use crate::coverage::{Coverage, table};
use crate::mutants::Mutant;
use crate::oracle::Violation;
use crate::plan::{MS, WorldPlan};
use crate::split::cli::SplitArgs;
use crate::world::{Outcome, run};

/// Failures that are written out; the rest is counted.
const SHOWN_MAX: usize = 5;

/// What to simulate.
#[derive(Debug, Clone, Args)]
pub struct SimArgs {
    /// One seed.
    #[arg(long, conflicts_with = "seeds")]
    pub seed: Option<u64>,
    /// A range of seeds, `A..B`, without B.
    #[arg(long, value_parser = range)]
    pub seeds: Option<Range<u64>>,
    /// Numbers of replicas, separated by commas; 4 and 7 if not given.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(2..=31))]
    pub n: Vec<u64>,
    /// Commit rule, `two-chain` or `three-chain`; both if not given.
    #[arg(long, value_parser = rule)]
    pub rule: Option<CommitRule>,
    /// Worlds that run at the same time.
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// With one seed: also shows the last messages of every world.
    #[arg(long, requires = "seed")]
    pub trace: bool,
    /// Runs wrong replicas instead, each of which the oracle must catch.
    #[arg(long)]
    pub mutants: bool,
    #[command(flatten)]
    pub split: SplitArgs,
}

/// What came out.
#[derive(Debug)]
pub struct SimReport {
    pub text: String,
    pub failures: u64,
    pub worlds: u64,
}

/// Why nothing could be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error("no seed to run: expected --seed S or --seeds A..B with A below B")]
    NoSeeds,
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let parts = text.split_once("..").map(|(a, b)| (a.parse(), b.parse()));
    match parts {
        Some((Ok(from), Ok(to))) if from < to => Ok(from..to),
        _ => Err(format!("expected A..B with A below B, found `{text}`")),
    }
}

fn rule(text: &str) -> Result<CommitRule, String> {
    CommitRule::from_name(text)
        .ok_or_else(|| format!("expected two-chain or three-chain, found `{text}`"))
}

/// Runs what `args` asks for. Every seed is run at every size and rule.
///
/// # Errors
/// [`SimError::NoSeeds`]; failing seeds are no error but stand in the report.
pub fn run_cli(args: &SimArgs) -> Result<SimReport, SimError> {
    let seeds = match (args.seed, &args.seeds) {
        (Some(seed), _) => seed..seed.saturating_add(1),
        (None, Some(seeds)) => seeds.clone(),
        (None, None) if args.mutants => 0..200,
        (None, None) => return Err(SimError::NoSeeds),
    };
    let sizes = match args.n.is_empty() {
        true => vec![4, 7],
        false => args.n.iter().map(|n| *n as usize).collect(),
    };
    let rules = args
        .rule
        .map_or(vec![CommitRule::TwoChain, CommitRule::ThreeChain], |rule| {
            vec![rule]
        });
    let cells: Vec<(usize, CommitRule)> = sizes
        .iter()
        .filter(|n| args.split.fits(**n))
        .flat_map(|n| rules.iter().map(move |rule| (*n, *rule)))
        .collect();
    if let (Some(seed), true) = (args.seed, args.trace) {
        return Ok(traced(seed, &cells, &args.split));
    }
    match args.mutants {
        true => Ok(mutants(seeds, &cells)),
        false => Ok(worlds(seeds, &cells, args.threads.max(1), &args.split)),
    }
}

/// One world; a panic inside of it is a failure like any other.
pub(crate) fn run_caught(plan: WorldPlan, mutant: Option<Mutant>) -> Outcome {
    let (n, rule) = (plan.n, plan.rule);
    caught(n, rule, || run(plan, mutant))
}

pub(crate) fn caught(n: usize, rule: CommitRule, run: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
        Outcome {
            violation: Some(Violation {
                check: "panic",
                what: text.unwrap_or_default(),
            }),
            hash: 0,
            coverage: Coverage::new(n, rule),
            end_ns: 0,
        }
    })
}

fn worlds(
    seeds: Range<u64>,
    cells: &[(usize, CommitRule)],
    threads: usize,
    split: &SplitArgs,
) -> SimReport {
    let total = (seeds.end - seeds.start) * cells.len() as u64;
    let next = AtomicU64::new(0);
    let columns: Mutex<Vec<Coverage>> = Mutex::new(
        cells
            .iter()
            .map(|(n, rule)| Coverage::new(*n, *rule))
            .collect(),
    );
    let failed: Mutex<Vec<(u64, usize, Violation)>> = Mutex::default();
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= total {
                return;
            }
            let (seed, cell) = (
                seeds.start + at / cells.len() as u64,
                (at % cells.len() as u64) as usize,
            );
            let (n, rule) = cells[cell];
            let outcome = caught(n, rule, || split.world(seed, n, rule, false).0);
            if let Ok(mut columns) = columns.lock() {
                columns[cell].merge(&outcome.coverage);
            }
            if let (Some(violation), Ok(mut failed)) = (outcome.violation, failed.lock()) {
                failed.push((seed, cell, violation));
            }
        }
    };
    std::thread::scope(|scope| {
        (0..threads.min(total as usize)).for_each(|_| drop(scope.spawn(work)));
    });
    let columns = columns.into_inner().unwrap_or_default();
    let mut failed = failed.into_inner().unwrap_or_default();
    failed.sort_by_key(|(seed, cell, _)| (*seed, *cell));
    let mut text = table(&columns);
    for (seed, cell, violation) in failed.iter().take(SHOWN_MAX) {
        let (n, rule) = cells[*cell];
        let _ = write!(
            text,
            "\nFAILED {}: {}\n  repeat: reforge sim --seed {seed} --n {n} --rule {}{}\n",
            violation.check,
            violation.what,
            rule.name(),
            split.flags(),
        );
    }
    if failed.len() > SHOWN_MAX {
        let rest: Vec<String> = failed[SHOWN_MAX..]
            .iter()
            .map(|(seed, cell, v)| {
                format!(
                    "{seed}/n={}/{}:{}",
                    cells[*cell].0,
                    cells[*cell].1.name(),
                    v.check
                )
            })
            .collect();
        let _ = write!(text, "\nand {} more: {}\n", rest.len(), rest.join(" "));
    }
    let _ = writeln!(text, "\n{} worlds, {} failed", total, failed.len());
    // A column in which no attack came off proves nothing, however green.
    let idle = columns
        .iter()
        .filter(|column| split.is_idle(column))
        .count() as u64;
    if idle > 0 {
        let _ = writeln!(
            text,
            "{idle} columns without a single split: nothing was tested there"
        );
    }
    SimReport {
        text,
        failures: failed.len() as u64 + idle,
        worlds: total,
    }
}

fn traced(seed: u64, cells: &[(usize, CommitRule)], split: &SplitArgs) -> SimReport {
    let (mut text, mut failures) = (String::new(), 0);
    for (n, rule) in cells {
        let _ = writeln!(text, "{}", split.describe(seed, *n, *rule));
        let (outcome, lines) = split.world(seed, *n, *rule, true);
        let _ = writeln!(text, "{}", lines.join("\n"));
        let end_ms = outcome.end_ns / MS;
        let _ = match &outcome.violation {
            Some(v) => writeln!(text, "FAILED {} at {end_ms} ms: {}", v.check, v.what),
            None => writeln!(text, "green at {end_ms} ms"),
        };
        failures += u64::from(outcome.violation.is_some());
    }
    SimReport {
        text,
        failures,
        worlds: cells.len() as u64,
    }
}

/// Tries seeds until each mutant is caught by a check that is meant for it.
fn mutants(seeds: Range<u64>, cells: &[(usize, CommitRule)]) -> SimReport {
    let mut report = SimReport {
        text: String::new(),
        failures: 0,
        worlds: 0,
    };
    for mutant in Mutant::ALL {
        for (n, rule) in cells
            .iter()
            .copied()
            .filter(|(_, rule)| mutant.applies(*rule))
        {
            let tried = catch(mutant, n, rule, seeds.clone());
            report.worlds += tried.worlds;
            let name = format!("{:<26} n={n} {:<12}", mutant.name(), rule.name());
            let _ = match tried.caught {
                Some((seed, check)) => {
                    writeln!(report.text, "{name} caught by {check} at seed {seed}")
                }
                None => writeln!(report.text, "{name} NOT CAUGHT by {} seeds", tried.worlds),
            };
            report.failures += u64::from(tried.caught.is_none());
        }
    }
    report
}

#[derive(Debug)]
pub(crate) struct Tried {
    pub worlds: u64,
    pub caught: Option<(u64, &'static str)>,
}

pub(crate) fn catch(mutant: Mutant, n: usize, rule: CommitRule, seeds: Range<u64>) -> Tried {
    let mut worlds = 0;
    for seed in seeds {
        worlds += 1;
        let outcome = run_caught(WorldPlan::hostile_to(mutant, seed, n, rule), Some(mutant));
        if let Some(violation) = outcome.violation
            && mutant.caught_by().contains(&violation.check)
        {
            return Tried {
                worlds,
                caught: Some((seed, violation.check)),
            };
        }
    }
    Tried {
        worlds,
        caught: None,
    }
}
