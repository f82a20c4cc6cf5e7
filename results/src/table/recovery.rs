//! Drills term by term, what clients saw, what moved, and what recovery costs beside the article.

use super::{milliseconds, plain};
use crate::drill::DrillReport;
use crate::judgement::{Judgement, RunJudgement};
use crate::overhead::{Conclusion, Figure, Overhead, Question};
use crate::tx_check::TxCheck;

const DRILL_HEADER: &[&str] = &[
    "#",
    "attack",
    "by",
    "left out",
    "T_detect",
    "T_attribute",
    "T_reconfigure",
    "T_resync",
    "T_converge",
    "first commit",
    "outage s",
    "before/s",
    "after/s",
    "undone",
    "moved",
    "lost effect",
    "Lambda",
];
const DRILL_NUMBERS: std::ops::RangeInclusive<usize> = 4..=16;

const OVERHEAD_HEADER: &[&str] = &[
    "n",
    "what",
    "figure",
    "pairs",
    "ratio",
    "95 % interval",
    "says",
    "article",
    "point",
];
const OVERHEAD_NUMBERS: std::ops::RangeInclusive<usize> = 3..=5;

pub(super) fn append(text: &mut String, judgement: &Judgement) {
    let drills: Vec<Vec<String>> = judgement
        .runs
        .iter()
        .flat_map(|run| run.drills.iter().map(move |drill| drill_row(run, drill)))
        .collect();
    if !drills.is_empty() {
        text.push_str("\ndrills: Eq. 5 in ms from t0, on one clock\n");
        let table = plain(DRILL_HEADER, DRILL_NUMBERS, drills);
        text.push_str(&format!("{table}\n"));
    }
    for run in &judgement.runs {
        if let Some(check) = &run.transactions {
            text.push_str(&transactions(run, check));
        }
    }
    let many = judgement.drills.iter().filter(|stats| stats.runs > 1);
    for stats in many {
        let term = |(name, term): (&String, &crate::TermStats)| {
            let (p50, p99) = (milliseconds(term.p50_ns), milliseconds(term.p99_ns));
            format!("{name} {p50} / {p99}")
        };
        let terms: Vec<String> = stats.terms.iter().map(term).collect();
        text.push_str(&format!(
            "{} attack {}: {} of {} passed; ms p50 / p99: {}\n",
            stats.point,
            stats.attack,
            stats.passed,
            stats.runs,
            terms.join(", ")
        ));
    }
    if !judgement.overhead.is_empty() {
        text.push_str("\nwhat recovery costs: ratios of interleaved pairs\n");
        let rows = judgement.overhead.iter().map(overhead_row).collect();
        let table = plain(OVERHEAD_HEADER, OVERHEAD_NUMBERS, rows);
        text.push_str(&format!("{table}\n"));
        if judgement.overhead.iter().any(|o| o.paper.is_some()) {
            text.push_str(&format!("article: {}\n", crate::paper::SOURCE));
        }
    }
}

fn drill_row(run: &RunJudgement, drill: &DrillReport) -> Vec<String> {
    let index = run.point.as_ref().map_or(0, |point| point.index);
    let number = |value: Option<f64>, digits: usize| {
        value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let mut cells = vec![
        index.to_string(),
        format!("{} {}", drill.kind, drill.attack),
        format!("{:?}", drill.attackers),
        format!("{:?}", drill.convicted),
    ];
    let terms = drill.terms.named().into_iter().map(|(_, ns)| ns);
    let times = terms.chain([drill.clients.first_commit_ns]);
    cells.extend(times.map(|ns| ns.map_or("-".to_owned(), milliseconds)));
    cells.extend([
        format!("{:.0}", drill.clients.outage_s),
        number(drill.clients.before_tps, 0),
        number(drill.clients.after_tps, 0),
        drill.blocks_undone_max.to_string(),
        drill.moved_max.to_string(),
        drill.invalidated_max.to_string(),
        number(drill.lambda, 3),
    ]);
    cells
}

fn transactions(run: &RunJudgement, check: &TxCheck) -> String {
    let index = run.point.as_ref().map_or(0, |point| point.index);
    let executed = check.executed.map_or("?".into(), |txs| txs.to_string());
    format!(
        "#{index} receipts: {} held, {} standing, {} moved, {} without effect, {} told; {} lost, {} twice \
         (executed {executed} of {} sent)\n",
        check.receipted,
        check.standing,
        check.moved,
        check.without_effect,
        check.told,
        check.lost,
        check.same_place + check.executed_twice(),
        check.sent,
    )
}

fn overhead_row(overhead: &Overhead) -> Vec<String> {
    let what = match overhead.question {
        Question::Ready => "recovery-ready / baseline",
        Question::Post => "post-recovery / fresh",
    };
    let figure = match overhead.figure {
        Figure::LatencyP50 => "latency p50",
        Figure::LatencyP99 => "latency p99",
        Figure::Throughput => "throughput",
    };
    let percent = |ratio: f64| format!("{:+.2} %", (ratio - 1.0) * 100.0);
    let (median, interval) = match overhead.estimate {
        None => ("-".into(), "-".into()),
        Some(estimate) => (
            percent(estimate.median),
            format!("{} to {}", percent(estimate.low), percent(estimate.high)),
        ),
    };
    let says = match overhead.conclusion {
        Conclusion::Inconclusive => "inconclusive",
        Conclusion::NoDifference => "no difference",
        Conclusion::Higher => "higher",
        Conclusion::Lower => "lower",
    };
    vec![
        overhead.replicas.to_string(),
        what.into(),
        figure.into(),
        overhead.ratios.len().to_string(),
        median,
        interval,
        says.into(),
        overhead
            .paper
            .as_ref()
            .map_or("-".into(), |paper| paper.text.clone()),
        overhead.point.clone(),
    ]
}
