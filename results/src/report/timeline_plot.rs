//! Throughput and 99th percentile second by second, with what happened shaded and marked.

use maud::{Markup, html};
use measure::ModeName;

use super::data::{Data, Mark, Row, Span, Timeline};
use super::figure::{Unit, figure, words};
use super::plot::{Frame, Range, c, key};

/// Circles of marks stand in as many rows as they need, up to this.
const MARK_ROWS: usize = 4;
const MARK_WIDTH: f64 = 17.0;

pub(super) fn section(data: &Data) -> Markup {
    if data.timelines.is_empty() {
        return html! {};
    }
    html! {
        section #timeline {
            h2 { "Timeline" }
            p.legend {
                (key("line tps", false, "finished per second"))
                (key("line offered dash", false, "offered per second"))
                (key("line p99", false, "p99 of what ended in the second"))
                (key("outside", true, "before and after the measured phase"))
            }
            (span_legend(data))
            div.grid2 {
                @for (index, timeline) in data.timelines.iter().enumerate() {
                    figure {
                        figcaption { b { (data.summary.runs[timeline.run].name) } }
                        (plot(timeline))
                        (marks(index, timeline))
                    }
                }
            }
            p.note {
                "Seconds after the start of the measured phase. Of several generators rates are added, and the largest p99 is shown."
                @let per_row = data.timelines.iter().map(|t| t.seconds_per_row).max().unwrap_or(1);
                @if per_row > 1 { " Long series are thinned: up to " (per_row) " seconds are one step, with their mean rate and largest p99." }
            }
        }
    }
}

fn span_legend(data: &Data) -> Markup {
    let has = |what: &str| {
        data.timelines
            .iter()
            .any(|t| t.spans.iter().any(|s| s.what == what))
    };
    let told = |mode: ModeName| {
        let mut rows = data.timelines.iter().flat_map(|t| &t.rows);
        rows.any(|row| row.mode == mode)
    };
    let spans = [
        ("split", "attack until t0"),
        ("detect", "detect"),
        ("attribute", "attribute"),
        ("reconfigure", "reconfigure"),
        ("resync", "resync"),
    ];
    let modes = [
        ModeName::DegradedSafe,
        ModeName::RecoveryInProgress,
        ModeName::SafeResumed,
    ];
    html! {
        @if spans.iter().any(|(what, _)| has(what)) || modes.iter().any(|mode| told(*mode)) {
            p.legend {
                @for (what, text) in spans.into_iter().filter(|(what, _)| has(what)) {
                    (key(&format!("area {what}"), true, text))
                }
                @for mode in modes.into_iter().filter(|mode| told(*mode)) {
                    (key(&format!("area {}", mode_class(mode)), true, &format!("mode {} told to clients", mode_text(mode))))
                }
            }
        }
    }
}

pub(super) fn mode_text(mode: ModeName) -> &'static str {
    use measure::incident::mode::*;
    match mode {
        ModeName::Nominal => NOMINAL,
        ModeName::SafeResumed => SAFE_RESUMED,
        ModeName::RecoveryInProgress => RECOVERY_IN_PROGRESS,
        ModeName::DegradedSafe => DEGRADED_SAFE,
    }
}

/// Class in the style sheet.
pub(super) fn mode_class(mode: ModeName) -> &'static str {
    match mode {
        ModeName::Nominal => "nominal",
        ModeName::SafeResumed => "safe-resumed",
        ModeName::RecoveryInProgress => "in-progress",
        ModeName::DegradedSafe => "degraded",
    }
}

fn plot(timeline: &Timeline) -> Markup {
    let rows = &timeline.rows;
    let first = rows.first().map_or(0.0, |row| row.t_s - row.interval_s);
    let last = rows.last().map_or(1.0, |row| row.t_s);
    let x = Range::between(first.min(0.0), last.max(timeline.measured_s));
    let (places, mark_rows) = mark_places(&timeline.marks, x);
    let top = 26.0 + 15.0 * mark_rows as f64;
    let frame = |top: f64, height: f64, y: Range| Frame {
        left: 46.0,
        top,
        width: 384.0,
        height,
        x,
        y,
    };
    let fastest = rows
        .iter()
        .map(|r| r.finished_tps.max(r.offered_tps))
        .fold(0.0, f64::max);
    let tps = frame(top, 96.0, Range::from_zero(fastest));
    let p99_ms = |row: &Row| row.p99_ns.map(|ns| ns as f64 * 1e-6);
    let p99 = frame(
        top + 130.0,
        96.0,
        Range::log(rows.iter().filter_map(p99_ms)),
    );
    let strip = p99.bottom() + 3.0;
    let axis = Frame {
        height: 105.0,
        ..p99
    };
    let points = |of: &dyn Fn(&Row) -> Option<f64>| {
        // The middle of what a row stands for.
        let place = |row: &Row| Some((row.t_s - row.interval_s / 2.0, of(row)?));
        rows.iter().map(place).collect::<Vec<_>>()
    };
    let height = axis.bottom() + 36.0;
    html! {
        svg viewBox={ "0 0 440 " (c(height)) } role="img" aria-label="throughput and latency over time" {
            (outside(timeline, &tps)) (outside(timeline, &p99))
            @for span in &timeline.spans { (shade(span, &tps)) (shade(span, &p99)) }
            (tps.y_axis(4.0, "transactions per second"))
            (axis.x_axis(&axis.x_numbers(8.0), "seconds after the start of the measured phase"))
            (p99.y_axis(4.0, "p99 corrected latency, ms"))
            @for row in rows.iter().filter(|row| row.mode != ModeName::Nominal) {
                @let from = axis.at_x(row.t_s - row.interval_s);
                rect class={ "area " (mode_class(row.mode)) } x=(c(from)) y=(c(strip))
                    width=(c((axis.at_x(row.t_s) - from).max(1.0))) height="6" {
                    title { (mode_text(row.mode)) }
                }
            }
            (tps.line("line offered dash", &points(&|row| Some(row.offered_tps))))
            (tps.line("line tps", &points(&|row| Some(row.finished_tps))))
            (p99.line("line p99", &points(&p99_ms)))
            @for (number, (mark, (place, level))) in timeline.marks.iter().zip(&places).enumerate() {
                @let y = top - 24.0 - 15.0 * *level as f64;
                @let class = if mark.is_fault { "event fault" } else { "event" };
                line class=(class) x1=(c(*place)) x2=(c(*place)) y1=(c(y)) y2=(c(p99.bottom())) {}
                circle class=(class) cx=(c(*place)) cy=(c(y)) r="7" { title { (mark.text) } }
                text class=(class) x=(c(*place)) y=(c(y + 3.5)) text-anchor="middle" { (number + 1) }
            }
        }
    }
}

/// Where the circles stand: beside each other, or one row up.
fn mark_places(marks: &[Mark], x: Range) -> (Vec<(f64, usize)>, usize) {
    let mut ends = [f64::MIN; MARK_ROWS];
    let mut rows = 0;
    let place = |mark: &Mark| {
        let at = 46.0 + 384.0 * x.place(mark.t_s);
        let free = ends.iter().position(|end| *end + MARK_WIDTH <= at);
        let row = free.unwrap_or(MARK_ROWS - 1);
        ends[row] = at;
        rows = rows.max(row + 1);
        (at, row)
    };
    (marks.iter().map(place).collect(), rows)
}

fn outside(timeline: &Timeline, frame: &Frame) -> Markup {
    let (start, end) = (frame.at_x(0.0), frame.at_x(timeline.measured_s));
    html! {
        @for (from, until) in [(frame.left, start), (end, frame.right())] {
            @if until > from {
                rect.outside x=(c(from)) y=(c(frame.top)) width=(c(until - from)) height=(c(frame.height)) {}
            }
        }
    }
}

fn shade(span: &Span, frame: &Frame) -> Markup {
    let (from, until) = (frame.at_x(span.from_s), frame.at_x(span.until_s));
    html! {
        rect class={ "area " (span.what) } x=(c(from)) y=(c(frame.top)) width=(c((until - from).max(1.0)))
            height=(c(frame.height)) { title { (span.what) } }
    }
}

fn marks(index: usize, timeline: &Timeline) -> Markup {
    html! {
        @if !timeline.marks.is_empty() {
            ol.marks {
                @for (number, mark) in timeline.marks.iter().enumerate() {
                    li class=[mark.is_fault.then_some("fault")] {
                        (words(&format!("/timelines/{index}/marks/{number}/text"), &mark.text)) " at "
                        (figure(&format!("/timelines/{index}/marks/{number}/t_s"), mark.t_s, Unit::Plain)) " s"
                    }
                }
            }
        }
    }
}
