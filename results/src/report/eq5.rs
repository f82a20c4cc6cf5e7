//! The terms of Eq. 5 as bars, one below the other.

use maud::{Markup, html};

use super::data::Data;
use super::figure::{Unit, drawn};
use super::plot::{Frame, Range, c};
use crate::drill::DrillReport;

/// Bars that are drawn; the table has the rest.
const BARS_MAX: usize = 60;
const ROW: f64 = 22.0;
/// A segment narrower than this has no room for its number.
const NUMBER_WIDTH: f64 = 25.0;

pub(super) fn plot(data: &Data, drills: &[(usize, usize, &DrillReport)]) -> Markup {
    let told = |(_, _, drill): &&(usize, usize, &DrillReport)| drill.terms.converge_ns.is_some();
    let bars: Vec<_> = drills.iter().filter(told).take(BARS_MAX).collect();
    let longest = bars
        .iter()
        .filter_map(|(_, _, d)| d.terms.converge_ns)
        .max()
        .unwrap_or(0);
    let frame = Frame {
        left: 52.0,
        top: 4.0,
        width: 330.0,
        height: ROW * bars.len() as f64,
        x: Range::from_zero(longest as f64 * 1e-6),
        y: Range::between(0.0, 1.0),
    };
    html! {
        svg viewBox={ "0 0 440 " (c(frame.bottom() + 36.0)) } role="img" aria-label="terms of Eq. 5 per drill" {
            (frame.x_axis(&frame.x_numbers(6.0), "milliseconds from t0"))
            @for (at, (run, attack, drill)) in bars.iter().enumerate() {
                (bar(data, &frame, frame.top + ROW * at as f64, *run, *attack, drill))
            }
        }
    }
}

fn bar(
    data: &Data,
    frame: &Frame,
    y: f64,
    run: usize,
    attack: usize,
    drill: &DrillReport,
) -> Markup {
    let path = |key: &str| format!("/summary/runs/{run}/drills/{attack}/terms/{key}_ns");
    let judged = &data.summary.runs[run];
    let index = judged
        .point
        .as_ref()
        .map_or(run as u32, |point| point.index);
    let mut segments = Vec::new();
    let mut at_ms = 0.0;
    for (name, ns) in drill.terms.named().into_iter().take(4) {
        let ns = ns.unwrap_or(0) as f64;
        let from = frame.at_x(at_ms);
        at_ms += ns * 1e-6;
        segments.push((name, ns, from, frame.at_x(at_ms)));
    }
    let end = frame.at_x(at_ms);
    html! {
        text.label x=(c(frame.left - 6.0)) y=(c(y + 15.0)) text-anchor="end" {
            "#" (drawn(&format!("/summary/runs/{run}/point/index"), f64::from(index), Unit::Plain)) @if judged.drills.len() > 1 { "." (drill.attack) }
            title { (judged.name) }
        }
        @for (name, ns, from, until) in segments {
            rect class={ "term " (name) } x=(c(from)) y=(c(y + 3.0)) width=(c((until - from).max(0.0))) height=(c(ROW - 6.0)) {
                title { "T_" (name) }
            }
            @if until - from >= NUMBER_WIDTH {
                text class={ "in " (name) } x=(c((from + until) / 2.0)) y=(c(y + 15.0)) text-anchor="middle" {
                    (drawn(&path(name), ns, Unit::Ms))
                }
            }
        }
        @if let Some(ns) = drill.terms.converge_ns {
            text.sum x=(c(end + 5.0)) y=(c(y + 15.0)) { (drawn(&path("converge"), ns as f64, Unit::Ms)) }
        }
    }
}
