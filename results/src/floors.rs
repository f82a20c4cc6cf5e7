//! Floors under ratios of one campaign: both sides come from one machine and one hour, so that they mean
//! something where wall-clock figures of different days do not.

use measure::{RunRecord, Thresholds};

use crate::judgement::{Reason, RunJudgement};
use crate::overhead::{Figure, Overhead, PAIRS_MIN, Question, point};
use crate::verdict::Verdict;

/// Every floor that the specs of recovery-ready runs declare, held against the medians of the pairs.
#[must_use]
pub(crate) fn check(runs: &[RunJudgement], overhead: &[Overhead]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let mut done = Vec::new();
    let points = runs.iter().filter_map(|run| run.point.as_ref());
    for run in points.filter(|run| run.configuration() == "recovery-ready") {
        let at = (point(run), run.replicas);
        if done.contains(&at) {
            continue;
        }
        done.push(at);
        for (figure, bound) in bounds(&run.thresholds) {
            reasons.extend(judge(run, figure, bound, overhead));
        }
    }
    reasons
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    Least(f64),
    Largest(f64),
}

fn bounds(thresholds: &Thresholds) -> impl Iterator<Item = (Figure, Bound)> {
    let throughput = thresholds.ready_throughput_min.map(Bound::Least);
    let latency = thresholds.ready_p50_max.map(Bound::Largest);
    let all = [
        (Figure::Throughput, throughput),
        (Figure::LatencyP50, latency),
    ];
    all.into_iter()
        .filter_map(|(figure, bound)| Some((figure, bound?)))
}

fn judge(run: &RunRecord, figure: Figure, bound: Bound, overhead: &[Overhead]) -> Option<Reason> {
    let what = match figure {
        Figure::Throughput => "throughput",
        Figure::LatencyP50 | Figure::LatencyP99 => "median latency",
    };
    let at = (Question::Ready, figure, point(run), run.replicas);
    let found = overhead
        .iter()
        .find(|o| (o.question, o.figure, &o.point, o.replicas) == (at.0, at.1, &at.2, at.3));
    let pairs = found.map_or(0, |o| o.ratios.len());
    let Some(median) = found
        .filter(|_| pairs >= PAIRS_MIN)
        .and_then(|o| Some(o.estimate?.median))
    else {
        return Some(Reason {
            verdict: Verdict::Inconclusive,
            text: format!(
                "a bound on the {what} beside the baseline needs {PAIRS_MIN} usable pairs, found {pairs} ({})",
                at.2
            ),
        });
    };
    let (is_kept, side, bound) = match bound {
        Bound::Least(bound) => (median >= bound, "below", bound),
        Bound::Largest(bound) => (median <= bound, "above", bound),
    };
    (!is_kept).then(|| Reason {
        verdict: Verdict::ThresholdFailed,
        text: format!(
            "recovery-ready {what} is {median:.3} of the baseline, {side} {bound} (median of {pairs} pairs, {})",
            at.2
        ),
    })
}
