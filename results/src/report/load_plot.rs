//! Latency against throughput: a line per series of points that differ in their load only.

use maud::{Markup, html};

use super::data::{Data, Point};
use super::missing::{has_loads, is_plotted};
use super::plot::{Frame, Range, c, key};

/// Series with a colour of their own; further ones share the last.
pub(super) const COLOURS: usize = 7;

pub(super) fn section(data: &Data) -> Markup {
    if !has_loads(data) {
        return html! {};
    }
    let all = series(data);
    html! {
        section #load {
            h2 { "Latency against throughput" }
            figure.wide {
                (plot(&all))
                figcaption {
                    @for (index, (name, _)) in all.iter().enumerate() {
                        (key(&format!("line s{}", index.min(COLOURS - 1)), false, name))
                    }
                    (key("line p50key", false, "p50 (solid, discs)"))
                    (key("line p99key dash", false, "p99 (dashed, squares)"))
                }
            }
            p.note { "Corrected latency, from the intended send; repetitions of a point are merged. Both scales are logarithmic." }
        }
    }
}

type Series<'a> = (String, Vec<&'a Point>);

fn series(data: &Data) -> Vec<Series<'_>> {
    let mut all: Vec<Series<'_>> = Vec::new();
    for point in data.points.iter().filter(|point| is_plotted(point)) {
        match all.iter_mut().find(|(name, _)| *name == point.series) {
            Some((_, points)) => points.push(point),
            None => all.push((point.series.clone(), vec![point])),
        }
    }
    for (_, points) in &mut all {
        points.sort_by(|a, b| a.offered_tps.total_cmp(&b.offered_tps));
    }
    all
}

fn plot(all: &[Series<'_>]) -> Markup {
    let points = || all.iter().flat_map(|(_, points)| points);
    let ms = |ns: u64| ns as f64 * 1e-6;
    let values = points().flat_map(|p| [ms(p.corrected.p50_ns), ms(p.corrected.p99_ns)]);
    let frame = Frame {
        left: 46.0,
        top: 28.0,
        width: 370.0,
        height: 220.0,
        x: Range::log(points().map(|p| p.achieved_tps)),
        y: Range::log(values),
    };
    let line = |points: &[&Point], of: fn(&Point) -> u64| {
        let places = points.iter().map(|p| Some((p.achieved_tps, ms(of(p)))));
        places.collect::<Vec<_>>()
    };
    html! {
        svg viewBox="0 0 440 284" role="img" aria-label="latency against throughput" {
            (frame.y_axis(5.0, "latency, ms"))
            (frame.x_axis(&frame.x_numbers(5.0), "achieved throughput, transactions per second"))
            @for (index, (_, points)) in all.iter().enumerate() {
                @let colour = format!("s{}", index.min(COLOURS - 1));
                (frame.line(&format!("line {colour}"), &line(points, |p| p.corrected.p50_ns)))
                (frame.line(&format!("line dash {colour}"), &line(points, |p| p.corrected.p99_ns)))
                @for point in points {
                    (marker(&frame, &colour, point))
                }
            }
        }
    }
}

fn marker(frame: &Frame, colour: &str, point: &Point) -> Markup {
    let x = frame.at_x(point.achieved_tps);
    let at = |ns: u64| frame.at_y(ns as f64 * 1e-6);
    let (p50, p99) = (at(point.corrected.p50_ns), at(point.corrected.p99_ns));
    html! {
        circle class={ "mark " (colour) } cx=(c(x)) cy=(c(p50)) r="3.6" { title { (point.label) ": p50" } }
        rect class={ "mark open " (colour) } x=(c(x - 3.4)) y=(c(p99 - 3.4)) width="6.8" height="6.8" {
            title { (point.label) ": p99" }
        }
    }
}
