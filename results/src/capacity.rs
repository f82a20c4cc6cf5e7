//! The highest rate that was kept up with, from the probes of a search.

use std::collections::BTreeMap;

use measure::CapacityGoal;
use serde::{Deserialize, Serialize};

use crate::judgement::{Reason, RunJudgement};
use crate::verdict::Verdict;

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// The point without its rate, and its repetition.
    pub point: String,
    /// Repetition of the same search, from 0.
    pub repetition: u32,
    /// Number of probes.
    pub probes: usize,
    /// Highest rate that was kept up with; absent if none was.
    pub held_tps: Option<f64>,
    /// Corrected 99th percentile at that rate.
    pub held_p99_ns: Option<u64>,
    /// Lowest rate that was not; absent if all were.
    pub missed_tps: Option<f64>,
    /// Why that one was not.
    pub missed_because: Option<String>,
    /// What a probe had to keep.
    pub goal: CapacityGoal,
    /// False if the search ended before its resolution was reached.
    pub is_complete: bool,
}

/// Whether a probe is within its goal. What means nothing keeps up with nothing.
#[must_use]
pub fn keeps_up(run: &RunJudgement) -> bool {
    run.point
        .as_ref()
        .and_then(|point| point.load.capacity)
        .is_some_and(|goal| run.verdict == Verdict::Pass && why_not(run, &goal).is_none())
}

fn why_not(run: &RunJudgement, goal: &CapacityGoal) -> Option<String> {
    let (goodput, p99_ms) = (
        run.goodput.unwrap_or(0.0),
        run.corrected.p99_ns as f64 * 1e-6,
    );
    match run.reasons.first() {
        Some(reason) => Some(format!("{}: {}", reason.verdict.name(), reason.text)),
        None if goodput < goal.goodput_min => Some(format!("goodput {:.2} %", goodput * 100.0)),
        None if p99_ms > goal.p99_ms_max => Some(format!("p99 {p99_ms:.1} ms")),
        None => None,
    }
}

/// A run, its goal and its rate.
type Probe<'a> = (&'a RunJudgement, CapacityGoal, f64);

/// All searches of a campaign.
pub(crate) fn searches(runs: &[RunJudgement]) -> Vec<Capacity> {
    let mut groups: BTreeMap<(String, u32), Vec<Probe<'_>>> = BTreeMap::new();
    for run in runs {
        if let Some(point) = &run.point
            && let Some(goal) = point.load.capacity
        {
            let key = (without_rate(&run.name), point.repetition);
            let group = groups.entry(key).or_default();
            group.push((run, goal, point.rate_tps));
        }
    }
    let groups = groups.into_iter();
    groups
        .map(|((point, repetition), probes)| {
            let goal = probes[0].1;
            let held = probes.iter().filter(|(run, ..)| keeps_up(run));
            let held = held.max_by(|a, b| a.2.total_cmp(&b.2));
            let missed = probes.iter().filter(|(run, ..)| !keeps_up(run));
            let missed = missed.min_by(|a, b| a.2.total_cmp(&b.2));
            Capacity {
                point,
                repetition,
                probes: probes.len(),
                held_tps: held.map(|of| of.2),
                held_p99_ns: held.map(|of| of.0.corrected.p99_ns),
                missed_tps: missed.map(|of| of.2),
                missed_because: missed.and_then(|of| why_not(of.0, &goal)),
                goal,
                is_complete: is_complete(&goal, held.map(|of| of.2), missed.map(|of| of.2)),
            }
        })
        .collect()
}

fn is_complete(goal: &CapacityGoal, held: Option<f64>, missed: Option<f64>) -> bool {
    /// Rates are rounded to three digits.
    const ROUNDING: f64 = 1.01;
    match (held, missed) {
        (None, None) => false,
        (None, Some(missed)) => missed <= goal.low_tps,
        (Some(held), None) => held >= goal.high_tps,
        (Some(held), Some(missed)) => missed / held <= (1.0 + goal.resolution) * ROUNDING,
    }
}

/// `003-base-n4-…-14100tps-r0` without its place and rate.
fn without_rate(name: &str) -> String {
    let parts = name.split('-').skip(1);
    let parts = parts.filter(|part| {
        let rate = part.strip_suffix("tps");
        rate.is_none_or(|rate| rate.parse::<f64>().is_err())
    });
    let point = parts.collect::<Vec<_>>().join("-");
    point
        .rsplit_once("-r")
        .map_or(point.clone(), |(p, _)| p.to_owned())
}

/// A probe that is too fast is meant to fail; it counts against the system only if it lies, and against the
/// search if what ended it was not the system.
pub(crate) fn reasons(searches: &[Capacity], runs: &[RunJudgement]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut say = |verdict, text| reasons.push(Reason { verdict, text });
    for search in searches {
        let of = format!("{}, repetition {}", search.point, search.repetition);
        if !search.is_complete {
            say(
                Verdict::Inconclusive,
                format!("{of}: the search ended early; go on with `reforge resume`"),
            );
        } else if search.held_tps.is_none() {
            let low = search.goal.low_tps;
            say(
                Verdict::ThresholdFailed,
                format!("{of}: {low} tx/s were too much already; lower capacity.low_tps"),
            );
        }
        let limit = runs.iter().find(|run| {
            let point = run.point.as_ref();
            run.verdict >= Verdict::Inconclusive
                && without_rate(&run.name) == search.point
                && point.is_some_and(|point| {
                    point.repetition == search.repetition
                        && Some(point.rate_tps) == search.missed_tps
                })
        });
        if let Some(run) = limit {
            say(
                Verdict::Inconclusive,
                format!(
                    "{of}: the probe {} says nothing of the system: its capacity may be higher",
                    run.name
                ),
            );
        }
    }
    reasons
}

/// The verdict of a probe as a part of its campaign.
pub(crate) fn weight(run: &RunJudgement) -> Verdict {
    let is_probe = run
        .point
        .as_ref()
        .is_some_and(|point| point.load.capacity.is_some());
    match run.verdict {
        Verdict::Diverged => Verdict::Diverged,
        _ if is_probe => Verdict::Pass,
        verdict => verdict,
    }
}

/// One line per search.
pub(crate) fn text(search: &Capacity) -> String {
    let tps = |rate: Option<f64>| rate.map_or("none".to_owned(), |rate| format!("{rate} tx/s"));
    let p99 = search.held_p99_ns.map_or(String::new(), |ns| {
        format!(" (p99 {:.1} ms)", ns as f64 * 1e-6)
    });
    let missed = match (&search.missed_tps, &search.missed_because) {
        (Some(_), Some(why)) => format!("{} not: {why}", tps(search.missed_tps)),
        _ => "nothing was too much".into(),
    };
    format!(
        "capacity of {}, repetition {}: {}{p99} kept up with, {missed}; {} probes\n",
        search.point,
        search.repetition,
        tps(search.held_tps),
        search.probes
    )
}
