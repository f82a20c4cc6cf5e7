//! What recovery costs: interleaved pairs of runs that differ in one thing only, as ratios.
//!
//! A *pair* is two runs of one round of a campaign, which ran side by side in alternating order. Of
//! runs whose figures mean nothing (the harness failed, replicas diverged, data is missing) none is used.

use std::collections::BTreeMap;

use measure::RunRecord;
use serde::{Deserialize, Serialize};

use crate::bootstrap::{Estimate, estimate};
use crate::judgement::RunJudgement;
use crate::paper::{self, PaperFigure};
use crate::verdict::Verdict;

/// Fewer pairs than this say nothing.
pub const PAIRS_MIN: usize = 5;
/// A difference below this is none in practice, however sure it is.
pub const FLOOR: f64 = 0.01;

/// What is compared with what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// `recovery-ready` over `baseline`.
    Ready,
    /// The epoch after a recovery over a fresh committee of the size that is left.
    Post,
}

/// Which figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Median corrected latency.
    LatencyP50,
    /// 99th percentile of it.
    LatencyP99,
    /// Finished requests per second.
    Throughput,
}

/// What a ratio comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conclusion {
    /// Too few pairs.
    Inconclusive,
    /// The interval holds 1, or the effect is below the practical floor.
    NoDifference,
    /// More than without, for sure.
    Higher,
    /// Less than without, for sure.
    Lower,
}

/// One ratio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overhead {
    /// What is compared with what.
    pub question: Question,
    /// Which figure.
    pub figure: Figure,
    /// The point in words: rule, scheme, rate, delay, ….
    pub point: String,
    /// Size of the committee that was measured (before a drill).
    pub replicas: u32,
    /// Pairs that were used, `a / b` each, in their order.
    pub ratios: Vec<f64>,
    /// Median and interval; absent without any pair.
    pub estimate: Option<Estimate>,
    /// What it comes to.
    pub conclusion: Conclusion,
    /// The article's figure for the same, where it has one.
    pub paper: Option<PaperFigure>,
}

/// All comparisons that a campaign's runs allow for.
#[must_use]
pub(crate) fn compare(runs: &[RunJudgement]) -> Vec<Overhead> {
    let mut ratios: BTreeMap<(Question, String, u32, Figure), Vec<f64>> = BTreeMap::new();
    for (a, a_run) in runs.iter().filter_map(usable) {
        let question = match a_run.configuration() {
            "recovery-ready" => Question::Ready,
            "post-recovery" => Question::Post,
            _ => continue,
        };
        let partner = |(_, b): &(&RunJudgement, &RunRecord)| is_partner(question, a, a_run, b);
        let all = runs.iter().filter_map(usable);
        // A comparison exists when its partners were planned, even if too few are usable.
        let planned = runs
            .iter()
            .filter_map(|run| Some((run, run.point.as_ref()?)));
        if !planned.into_iter().any(|b| partner(&b)) {
            continue;
        }
        let b = all.into_iter().find(partner).map(|(b, _)| b);
        for (figure, ratio) in figures(question, a, b) {
            let key = (question, point(a_run), a_run.replicas, figure);
            ratios.entry(key).or_default().extend(ratio);
        }
    }
    ratios
        .into_iter()
        .map(|((question, point, replicas, figure), ratios)| {
            let estimate = estimate(&ratios);
            Overhead {
                question,
                figure,
                point,
                replicas,
                conclusion: conclude(ratios.len(), estimate, FLOOR),
                ratios,
                estimate,
                paper: match (question, figure) {
                    (Question::Ready, Figure::LatencyP50) => paper::ready_latency(replicas),
                    (Question::Post, Figure::Throughput) => paper::post_throughput(replicas),
                    _ => None,
                },
            }
        })
        .collect()
}

/// The figures of a run can be compared.
fn usable(run: &RunJudgement) -> Option<(&RunJudgement, &RunRecord)> {
    let means_something = matches!(run.verdict, Verdict::Pass | Verdict::ThresholdFailed);
    Some((run, run.point.as_ref()?)).filter(|_| means_something)
}

/// Of the same round, and different in what is asked only.
fn is_partner(question: Question, a: &RunJudgement, a_run: &RunRecord, b: &RunRecord) -> bool {
    let same_load = a_run.repetition == b.repetition && point(a_run) == point(b);
    let (configuration, replicas) = match question {
        Question::Ready => ("baseline", a_run.replicas),
        Question::Post => ("recovery-ready", left(a)),
    };
    same_load && b.configuration() == configuration && b.replicas == replicas
}

/// Members after all attacks.
fn left(run: &RunJudgement) -> u32 {
    let out: usize = run.drills.iter().map(|drill| drill.convicted.len()).sum();
    let replicas = run.point.as_ref().map_or(0, |point| point.replicas);
    replicas.saturating_sub(out as u32)
}

/// Everything that has to be alike but the size of the committee, in words.
pub(crate) fn point(run: &RunRecord) -> String {
    let mut text = format!(
        "{}, {}, {}, {}{}, {} B, {} tx/s",
        run.rule,
        run.scheme,
        run.durability,
        run.backend,
        if run.encryption { "+enc" } else { "" },
        run.size_bytes,
        run.rate_tps,
    );
    if run.delay_ms > 0.0 {
        text.push_str(&format!(", {} ms links", run.delay_ms));
    }
    text
}

/// One ratio per figure; nothing where one of the two is missing or nil.
fn figures(
    question: Question,
    a: &RunJudgement,
    b: Option<&RunJudgement>,
) -> Vec<(Figure, Option<f64>)> {
    let ratio = |of: fn(&RunJudgement) -> Option<f64>, a: Option<f64>| {
        let (a, b) = (a?, of(b?)?);
        (a > 0.0 && b > 0.0).then(|| a / b)
    };
    let p50 = |run: &RunJudgement| Some(run.corrected.p50_ns as f64);
    let p99 = |run: &RunJudgement| Some(run.corrected.p99_ns as f64);
    let tps = |run: &RunJudgement| Some(run.achieved_tps);
    let seconds_p50 = |run: &RunJudgement| run.seconds_p50_ns.map(|ns| ns as f64);
    let after = a.drills.last().map(|drill| &drill.clients);
    match question {
        Question::Ready => vec![
            (Figure::LatencyP50, ratio(p50, p50(a))),
            (Figure::LatencyP99, ratio(p99, p99(a))),
            (Figure::Throughput, ratio(tps, tps(a))),
        ],
        // After a drill only a part of the run counts, and the histograms are of the whole of it:
        // medians of seconds on both sides.
        Question::Post => vec![
            (
                Figure::LatencyP50,
                ratio(
                    seconds_p50,
                    after.and_then(|c| c.after_p50_ns).map(|ns| ns as f64),
                ),
            ),
            (
                Figure::Throughput,
                ratio(tps, after.and_then(|c| c.after_tps)),
            ),
        ],
    }
}

/// An effect counts if its interval excludes 1 and it exceeds the practical floor.
pub(crate) fn conclude(pairs: usize, estimate: Option<Estimate>, floor: f64) -> Conclusion {
    let Some(Estimate { median, low, high }) = estimate else {
        return Conclusion::Inconclusive;
    };
    let is_sure = low > 1.0 || high < 1.0;
    match () {
        () if pairs < PAIRS_MIN => Conclusion::Inconclusive,
        () if !is_sure || (median - 1.0).abs() < floor => Conclusion::NoDifference,
        () if median > 1.0 => Conclusion::Higher,
        () => Conclusion::Lower,
    }
}
