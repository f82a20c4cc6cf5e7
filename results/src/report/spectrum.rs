//! Percentile spectra: the share of slower requests shrinks tenfold from one line to the next.

use maud::{Markup, html};

use super::data::{Data, Point, Quantile};
use super::figure::{Unit, figure};
use super::plot::{Frame, Range, key};

pub(super) fn section(data: &Data) -> Markup {
    let drawn = || {
        let points = data.points.iter().enumerate();
        points.filter(|(_, point)| !point.spectrum.corrected.is_empty())
    };
    if drawn().next().is_none() {
        return html! {};
    }
    let all = || drawn().flat_map(|(_, p)| p.spectrum.corrected.iter().chain(&p.spectrum.service));
    let y = Range::log(all().map(|q| ms(q.ns)));
    let decades = all().map(|q| q.one_in).fold(1.0, f64::max).log10().ceil();
    html! {
        section #spectrum {
            h2 { "Percentile spectrum" }
            p.legend {
                (key("line corrected", false, "corrected: from the intended send"))
                (key("line service dash", false, "service time: from the actual send"))
            }
            div.grid2 {
                @for (index, point) in drawn() {
                    figure {
                        figcaption { b { (point.label) } (caption(index, point)) }
                        (plot(point, y, decades.max(2.0)))
                    }
                }
            }
            p.note { "From the merged histograms of the measured phase, all repetitions and generators. The scales are the same everywhere." }
        }
    }
}

fn caption(index: usize, point: &Point) -> Markup {
    let path = |key: &str| format!("/points/{index}/corrected/{key}");
    let p = &point.corrected;
    html! {
        span.sub {
            (figure(&path("count"), p.count as f64, Unit::Plain)) " requests: p50 "
            (figure(&path("p50_ns"), p.p50_ns as f64, Unit::Ms)) ", p99 "
            (figure(&path("p99_ns"), p.p99_ns as f64, Unit::Ms)) ", p99.9 "
            (figure(&path("p999_ns"), p.p999_ns as f64, Unit::Ms)) ", max "
            (figure(&path("max_ns"), p.max_ns as f64, Unit::Ms)) " ms"
        }
    }
}

fn plot(point: &Point, y: Range, decades: f64) -> Markup {
    let frame = Frame {
        left: 46.0,
        top: 26.0,
        width: 358.0,
        height: 176.0,
        x: Range::between(0.0, decades),
        y,
    };
    let line = |quantiles: &[Quantile]| {
        let places = quantiles.iter().map(|q| Some((q.one_in.log10(), ms(q.ns))));
        places.collect::<Vec<_>>()
    };
    let mut ticks = vec![(2f64.log10(), "50".to_owned())];
    // Where decades are narrow the first two would touch.
    if decades <= 5.0 {
        ticks.push((0.0, "0 %".into()));
    }
    ticks.extend((1..=decades as i32).map(|d| (f64::from(d), percentile(d))));
    html! {
        svg viewBox="0 0 440 238" role="img" aria-label={ "percentile spectrum of " (point.label) } {
            (frame.y_axis(5.0, "latency, ms"))
            (frame.x_axis(&ticks, "percentile"))
            (frame.line("line corrected", &line(&point.spectrum.corrected)))
            (frame.line("line service dash", &line(&point.spectrum.service)))
        }
    }
}

/// 90, 99, 99.9, ….
fn percentile(decade: i32) -> String {
    match decade {
        1 => "90".into(),
        2 => "99".into(),
        more => format!("99.{}", "9".repeat((more - 2) as usize)),
    }
}

fn ms(ns: u64) -> f64 {
    ns as f64 * 1e-6
}
