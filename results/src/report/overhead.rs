//! What recovery costs, beside the article's figures.

use maud::{Markup, html};

use super::data::Data;
use super::figure::{Unit, count, figure, maybe, words};
use super::plot::{Frame, Range, c, key, tick_text};
use super::table::{Column, table};
use crate::overhead::{Conclusion, Figure, Overhead, Question};

const COLUMNS: &[Column] = &[
    Column("", "compared", "compared", false),
    Column("", "figure", "figure", false),
    Column("", "n", "n", true),
    Column("", "point", "point", false),
    Column("", "pairs", "pairs", true),
    Column("ours, %", "median", "median %", true),
    Column("ours, %", "95 % from", "95 % from %", true),
    Column("ours, %", "to", "95 % to %", true),
    Column("", "says", "says", false),
    Column("the article, %", "figure", "article %", true),
    Column("the article, %", "in its words", "article says", false),
];
const ROW: f64 = 48.0;
/// Comparisons that are drawn.
const DRAWN_MAX: usize = 24;

pub(super) fn section(data: &Data) -> Markup {
    let all = &data.summary.overhead;
    if all.is_empty() {
        return html! {};
    }
    let source = all
        .iter()
        .enumerate()
        .find_map(|(at, o)| Some((at, o.paper.as_ref()?)));
    html! {
        section #overhead {
            h2 { "What recovery costs" }
            (table(COLUMNS, all.iter().enumerate().map(|(at, o)| row(at, o)).collect()))
            @if all.iter().any(|o| o.estimate.is_some()) {
                figure.wide {
                    (plot(all))
                    figcaption {
                        (key("interval", false, "ours: median and 95 % interval"))
                        @if source.is_some() { (key("paper", true, "the article")) }
                    }
                }
            }
            p.note {
                "Ratios of interleaved pairs on one machine, as the distance from equality; the interval is a bootstrap of the median with a fixed seed. "
                "Fewer than 5 pairs are inconclusive; an interval that holds 0 or an effect below 1 % is no difference."
                @if let Some((at, paper)) = source {
                    " The article: " (words(&format!("/summary/overhead/{at}/paper/source"), &paper.source)) "."
                }
            }
        }
    }
}

fn compared(overhead: &Overhead) -> (&'static str, &'static str) {
    let question = match overhead.question {
        Question::Ready => "recovery-ready against baseline",
        Question::Post => "post-recovery against fresh",
    };
    let figure = match overhead.figure {
        Figure::LatencyP50 => "latency p50",
        Figure::LatencyP99 => "latency p99",
        Figure::Throughput => "throughput",
    };
    (question, figure)
}

fn row(at: usize, overhead: &Overhead) -> Vec<Markup> {
    let path = |key: &str| format!("/summary/overhead/{at}/{key}");
    let (question, name) = compared(overhead);
    let says = match overhead.conclusion {
        Conclusion::Inconclusive => "inconclusive",
        Conclusion::NoDifference => "no difference",
        Conclusion::Higher => "higher",
        Conclusion::Lower => "lower",
    };
    let estimate = overhead.estimate;
    let paper = overhead.paper.as_ref();
    vec![
        html! { (question) },
        html! { (name) },
        figure(&path("replicas"), f64::from(overhead.replicas), Unit::Plain),
        words(&path("point"), &overhead.point),
        count(&path("ratios"), overhead.ratios.len()),
        maybe(
            &path("estimate/median"),
            estimate.map(|e| e.median),
            Unit::Change,
        ),
        maybe(&path("estimate/low"), estimate.map(|e| e.low), Unit::Change),
        maybe(
            &path("estimate/high"),
            estimate.map(|e| e.high),
            Unit::Change,
        ),
        html! { (says) },
        maybe(&path("paper/ratio"), paper.map(|p| p.ratio), Unit::Change),
        match paper {
            Some(paper) => words(&path("paper/text"), &paper.text),
            None => html! { span.none { "–" } },
        },
    ]
}

/// Intervals on one scale; a diamond where the article has a figure.
fn plot(all: &[Overhead]) -> Markup {
    let drawn: Vec<&Overhead> = all
        .iter()
        .filter(|o| o.estimate.is_some())
        .take(DRAWN_MAX)
        .collect();
    let change = |ratio: f64| (ratio - 1.0) * 100.0;
    let ends = drawn.iter().flat_map(|o| {
        let estimate = o.estimate.iter().flat_map(|e| [e.low, e.high]);
        estimate.chain(o.paper.iter().map(|p| p.ratio))
    });
    let (low, high) = ends
        .map(change)
        .fold((-2.0, 2.0), |(low, high): (f64, f64), v| {
            (low.min(v), high.max(v))
        });
    let room = (high - low) * 0.06;
    let frame = Frame {
        left: 12.0,
        top: 6.0,
        width: 416.0,
        height: ROW * drawn.len() as f64,
        x: Range::between(low - room, high + room),
        y: Range::between(0.0, 1.0),
    };
    let ticks = frame.x.ticks(7.0).into_iter().map(|tick| {
        let sign = if tick > 0.0 { "+" } else { "" };
        (tick, format!("{sign}{}", tick_text(tick)))
    });
    let ticks: Vec<_> = ticks.collect();
    let row = |at: usize, overhead: &Overhead| {
        let y = frame.top + ROW * at as f64;
        let (question, name) = compared(overhead);
        let label = format!("{name}: {question}");
        let point = format!("n = {}, {}", overhead.replicas, overhead.point);
        let estimate = overhead.estimate?;
        let x = |ratio: f64| frame.at_x(change(ratio));
        Some(html! {
            text.label x=(c(frame.left + 2.0)) y=(c(y + 12.0)) { (label) }
            text.label.point x=(c(frame.left + 2.0)) y=(c(y + 25.0)) { (point) }
            line.interval x1=(c(x(estimate.low))) x2=(c(x(estimate.high))) y1=(c(y + 36.0)) y2=(c(y + 36.0)) {}
            @for end in [estimate.low, estimate.high] {
                line.interval x1=(c(x(end))) x2=(c(x(end))) y1=(c(y + 32.0)) y2=(c(y + 40.0)) {}
            }
            circle.median cx=(c(x(estimate.median))) cy=(c(y + 36.0)) r="4" {}
            @if let Some(paper) = &overhead.paper {
                rect.paper x=(c(x(paper.ratio) - 4.5)) y=(c(y + 31.5)) width="9" height="9"
                    transform={ "rotate(45 " (c(x(paper.ratio))) " " (c(y + 36.0)) ")" } { title { (paper.text) } }
            }
        })
    };
    html! {
        svg viewBox={ "0 0 440 " (c(frame.bottom() + 38.0)) } role="img" aria-label="overhead with intervals" {
            (frame.x_axis(&ticks, "change, %"))
            line.zero x1=(c(frame.at_x(0.0))) x2=(c(frame.at_x(0.0))) y1=(c(frame.top)) y2=(c(frame.bottom())) {}
            @for (at, overhead) in drawn.iter().enumerate() {
                @if let Some(row) = row(at, overhead) { (row) }
            }
        }
    }
}
