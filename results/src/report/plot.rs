//! Scales, axes and grids, drawn by hand as inline SVG: text stays text, colours come from the page's
//! style sheet, and a figure can carry the path of its value.

use maud::{Markup, html};

use super::figure::number;

/// From values to a length between 0 and 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub min: f64,
    pub max: f64,
    is_log: bool,
}

impl Range {
    /// From zero to a round number.
    pub(super) fn from_zero(max: f64) -> Range {
        let max = if max > 0.0 && max.is_finite() {
            max
        } else {
            1.0
        };
        let step = step(max, 4.0);
        Range {
            min: 0.0,
            max: (max * 1.02 / step).ceil() * step,
            is_log: false,
        }
    }

    /// Exactly these ends.
    pub(super) fn between(min: f64, max: f64) -> Range {
        Range {
            min,
            max: if max > min { max } else { min + 1.0 },
            is_log: false,
        }
    }

    /// Round numbers around all positive values, a factor of five or more apart.
    pub(super) fn log(values: impl Iterator<Item = f64>) -> Range {
        let (mut low, mut high) = (f64::MAX, f64::MIN);
        for value in values.filter(|v| *v > 0.0 && v.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (1.0, 10.0);
        }
        let (mut min, mut max) = (round_down(low), round_up(high));
        while max / min < 4.9 {
            (min, max) = (round_down(min * 0.99), round_up(max * 1.01));
        }
        Range {
            min,
            max,
            is_log: true,
        }
    }

    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.is_log {
            (value.max(self.min) / self.min).ln() / (self.max / self.min).ln()
        } else {
            (value - self.min) / (self.max - self.min)
        };
        share.clamp(0.0, 1.0)
    }

    pub(super) fn ticks(&self, about: f64) -> Vec<f64> {
        if !self.is_log {
            let step = step(self.max - self.min, about);
            let first = (self.min / step - 1e-9).ceil() as i64;
            let last = (self.max / step + 1e-9).floor() as i64;
            return (first..=last).map(|at| at as f64 * step).collect();
        }
        let decades = (self.max / self.min).log10();
        let factors: &[f64] = match decades {
            d if d <= 2.4 => &[1.0, 2.0, 5.0],
            d if d <= 3.4 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let first = self.min.log10().floor() as i32;
        let last = self.max.log10().ceil() as i32;
        let all = (first..=last).flat_map(|e| factors.iter().map(move |f| f * 10f64.powi(e)));
        all.filter(|v| *v >= self.min * 0.999 && *v <= self.max * 1.001)
            .collect()
    }
}

fn step(length: f64, about: f64) -> f64 {
    let rough = length / about;
    let power = 10f64.powf(rough.log10().floor());
    let factor = match rough / power {
        f if f <= 1.0 => 1.0,
        f if f <= 2.0 => 2.0,
        f if f <= 5.0 => 5.0,
        _ => 10.0,
    };
    factor * power
}

fn round_down(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let factors = [5.0, 2.0, 1.0];
    let found = factors.into_iter().find(|f| f * power <= value * 1.000_001);
    found.unwrap_or(1.0) * power
}

fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let factors = [1.0, 2.0, 5.0];
    let found = factors.into_iter().find(|f| f * power >= value * 0.999_999);
    found.unwrap_or(10.0) * power
}

/// The rectangle that values are drawn in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
    pub x: Range,
    pub y: Range,
}

impl Frame {
    pub(super) fn at_x(&self, value: f64) -> f64 {
        self.left + self.width * self.x.place(value)
    }

    pub(super) fn at_y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - self.y.place(value))
    }

    pub(super) fn bottom(&self) -> f64 {
        self.top + self.height
    }

    pub(super) fn right(&self) -> f64 {
        self.left + self.width
    }

    /// Horizontal lines with their numbers, and what they are above them.
    pub(super) fn y_axis(&self, about: f64, title: &str) -> Markup {
        html! {
            @for tick in self.y.ticks(about) {
                line.grid x1=(c(self.left)) x2=(c(self.right())) y1=(c(self.at_y(tick))) y2=(c(self.at_y(tick))) {}
                text.tick x=(c(self.left - 5.0)) y=(c(self.at_y(tick) + 4.0)) text-anchor="end" { (tick_text(tick)) }
            }
            text.title x="2" y=(c(self.top - 9.0)) { (title) }
        }
    }

    /// Vertical lines at `ticks` with their texts; what they are is below.
    pub(super) fn x_axis(&self, ticks: &[(f64, String)], title: &str) -> Markup {
        html! {
            @for (tick, text) in ticks {
                line.grid x1=(c(self.at_x(*tick))) x2=(c(self.at_x(*tick))) y1=(c(self.top)) y2=(c(self.bottom())) {}
                text.tick x=(c(self.at_x(*tick))) y=(c(self.bottom() + 15.0)) text-anchor="middle" { (text) }
            }
            line.axis x1=(c(self.left)) x2=(c(self.right())) y1=(c(self.bottom())) y2=(c(self.bottom())) {}
            text.title x=(c(self.right())) y=(c(self.bottom() + 31.0)) text-anchor="end" { (title) }
        }
    }

    pub(super) fn x_numbers(&self, about: f64) -> Vec<(f64, String)> {
        let ticks = self.x.ticks(about).into_iter();
        ticks.map(|tick| (tick, tick_text(tick))).collect()
    }

    /// A line through all points; a gap where there is none.
    pub(super) fn line(&self, class: &str, points: &[Option<(f64, f64)>]) -> Markup {
        let runs = points.split(Option::is_none);
        let path = |run: &[Option<(f64, f64)>]| {
            let places = run.iter().flatten();
            let texts = places.map(|(x, y)| format!("{},{}", c(self.at_x(*x)), c(self.at_y(*y))));
            texts.collect::<Vec<_>>().join(" ")
        };
        html! {
            @for run in runs.filter(|run| run.len() > 1) {
                polyline class=(class) points=(path(run)) {}
            }
            @for (x, y) in points.split(Option::is_none).filter(|run| run.len() == 1).flatten().flatten() {
                circle class={ (class) " dot" } cx=(c(self.at_x(*x))) cy=(c(self.at_y(*y))) r="2" {}
            }
        }
    }
}

/// A coordinate: a tenth of a unit is fine enough.
pub(super) fn c(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Ticks are round: no more digits than they have.
pub(super) fn tick_text(value: f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    match rounded.abs() {
        v if v >= 10_000.0 && v % 1000.0 == 0.0 => format!("{}k", number(rounded / 1000.0)),
        v if v >= 1.0 && v.fract() != 0.0 => format!("{rounded}"),
        v if v < 1.0 => format!("{rounded}"),
        _ => number(rounded),
    }
}

/// One entry of a legend, with its key.
pub(super) fn key(class: &str, is_area: bool, text: &str) -> Markup {
    html! {
        span.key {
            svg viewBox="0 0 26 12" width="26" height="12" aria-hidden="true" {
                @if is_area {
                    rect class=(class) x="1" y="1" width="24" height="10" {}
                } @else {
                    line class=(class) x1="1" x2="25" y1="6" y2="6" {}
                }
            }
            (text)
        }
    }
}

#[cfg(test)]
mod tests;
