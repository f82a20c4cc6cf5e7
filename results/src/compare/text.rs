//! A comparison for the terminal.

use super::{Compared, Comparison};
use crate::overhead::{Conclusion, Figure, PAIRS_MIN};
use crate::table::plain;

const HEADER: &[&str] = &["point", "figure", "pairs", "A / B", "95 %", "comes to"];

/// One row per point and figure, what is missing below, the verdict last.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut text = String::new();
    for (name, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        let short = |hash: &Option<String>| {
            let hash = hash.as_deref().unwrap_or("unknown");
            hash.get(..12).unwrap_or(hash).to_owned()
        };
        let (commit, binary) = (short(&side.commit), short(&side.binary_hash));
        text.push_str(&format!(
            "{name}: {} (commit {commit}, binary {binary})\n",
            side.folder
        ));
    }
    let has_verdict = comparison.unlike_machines.is_empty();
    let rows = comparison.figures.iter().map(|of| row(of, has_verdict));
    text.push_str(&plain(HEADER, 2..=4, rows.collect()).to_string());
    text.push('\n');
    for missing in &comparison.missing {
        text.push_str(&format!("no pair: {missing}\n"));
    }
    for note in &comparison.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    if !has_verdict {
        let unlike = comparison.unlike_machines.join("; ");
        text.push_str(&format!("no verdict: unlike machines ({unlike})\n"));
    }
    text.push_str(&format!("verdict: {}\n", comparison.verdict.name()));
    text
}

fn row(of: &Compared, has_verdict: bool) -> Vec<String> {
    let figure = match of.figure {
        Figure::Throughput => "throughput",
        Figure::LatencyP50 => "p50",
        Figure::LatencyP99 => "p99",
    };
    let (ratio, interval) = of.estimate.map_or(("-".into(), "-".into()), |e| {
        (
            format!("{:.3}", e.median),
            format!("{:.3}..{:.3}", e.low, e.high),
        )
    });
    vec![
        of.point.clone(),
        figure.into(),
        of.ratios.len().to_string(),
        ratio,
        interval,
        match has_verdict {
            true => words(of),
            false => "not judged".into(),
        },
    ]
}

/// `A is slower by 3.1 % (2.2..3.9)`
pub(super) fn words(of: &Compared) -> String {
    let Some(estimate) = of.estimate else {
        return format!("inconclusive: no pair, expected {PAIRS_MIN}");
    };
    let percent = |ratio: f64| (ratio - 1.0) * 100.0;
    let (low, high) = (percent(estimate.low), percent(estimate.high));
    let effect = percent(estimate.median).abs();
    match of.conclusion {
        Conclusion::Inconclusive => format!(
            "inconclusive: {} pairs, expected {PAIRS_MIN}",
            of.ratios.len()
        ),
        Conclusion::NoDifference => {
            format!("no difference ({low:+.1}..{high:+.1} %)")
        }
        Conclusion::Higher | Conclusion::Lower => {
            let word = if of.is_worse() { "slower" } else { "faster" };
            let (near, far) = match low > 0.0 {
                true => (low, high),
                false => (-high, -low),
            };
            format!("A is {word} by {effect:.1} % ({near:.1}..{far:.1})")
        }
    }
}
