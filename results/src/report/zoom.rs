//! One recovery at close range: the mode of every correct replica, in milliseconds from `t0`.

use maud::{Markup, html};
use measure::incident::mode;

use super::data::{Recovery, ReplicaModes};
use super::plot::{Frame, Range, c, key};
use crate::drill::Terms;

const ROW: f64 = 17.0;
const MODES: [(&str, &str); 4] = [
    (mode::NOMINAL, "nominal"),
    (mode::DEGRADED_SAFE, "degraded"),
    (mode::RECOVERY_IN_PROGRESS, "in-progress"),
    (mode::SAFE_RESUMED, "safe-resumed"),
];

pub(super) fn legend() -> Markup {
    html! {
        @for (mode, class) in MODES { (key(&format!("area {class}"), true, mode)) }
    }
}

fn class(mode: &str) -> &'static str {
    let found = MODES.iter().find(|(name, _)| *name == mode);
    found.map_or("nominal", |(_, class)| class)
}

pub(super) fn plot(recovery: &Recovery, terms: &Terms) -> Markup {
    let total_ms = terms.converge_ns.unwrap_or(0) as f64 * 1e-6;
    let total_ms = total_ms.max(1.0);
    let frame = Frame {
        left: 62.0,
        top: 16.0,
        width: 368.0,
        height: ROW * recovery.replicas.len() as f64 + 4.0,
        x: Range::between(-0.15 * total_ms, 1.35 * total_ms),
        y: Range::between(0.0, 1.0),
    };
    let mut borders = vec![0.0];
    for (_, ns) in terms.named().into_iter().take(4) {
        let at = borders[borders.len() - 1] + ns.unwrap_or(0) as f64 * 1e-6;
        borders.push(at);
    }
    let names = ["detect", "attribute", "reconfigure", "resync"];
    html! {
        svg viewBox={ "0 0 440 " (c(frame.bottom() + 36.0)) } role="img" aria-label="modes of the replicas" {
            (frame.x_axis(&frame.x_numbers(6.0), "milliseconds from t0"))
            @for (at, replica) in recovery.replicas.iter().enumerate() {
                (modes(&frame, frame.top + 3.0 + ROW * at as f64, replica))
            }
            @for (pair, name) in borders.windows(2).zip(names) {
                @let from = frame.at_x(pair[0]);
                rect class={ "term " (name) } x=(c(from)) y="5" width=(c(frame.at_x(pair[1]) - from)) height="8" {
                    title { "T_" (name) }
                }
            }
            @for border in &borders {
                line.border x1=(c(frame.at_x(*border))) x2=(c(frame.at_x(*border))) y1="3" y2=(c(frame.bottom())) {}
            }
        }
    }
}

/// Until it says otherwise a replica is in `NOMINAL`.
fn modes(frame: &Frame, y: f64, replica: &ReplicaModes) -> Markup {
    let mut spans = Vec::new();
    let mut at = (frame.x.min, mode::NOMINAL);
    for (ms, mode) in &replica.modes {
        spans.push((at.0, *ms, at.1));
        at = (*ms, mode);
    }
    spans.push((at.0, frame.x.max, at.1));
    html! {
        text.label x=(c(frame.left - 6.0)) y=(c(y + 11.0)) text-anchor="end" { "replica " (replica.replica) }
        @for (from, until, mode) in spans {
            @let (from, until) = (frame.at_x(from), frame.at_x(until));
            @if until > from {
                rect class={ "area " (class(mode)) } x=(c(from)) y=(c(y)) width=(c(until - from)) height=(c(ROW - 3.0)) {
                    title { (mode) }
                }
            }
        }
    }
}
