//! A figure in the page carries the path of the value that it shows, so that a test can compare both.

use maud::{Markup, html};

/// How a value is shown; `data-unit` in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// As it is.
    Plain,
    /// Nanoseconds as milliseconds.
    Ms,
    /// A share in percent.
    Percent,
    /// A ratio as its distance from 1, in percent.
    Change,
    /// Bytes, in millions.
    Mb,
    /// Bytes, in thousand millions.
    Gb,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "1",
            Self::Ms => "ms",
            Self::Percent => "%",
            Self::Change => "±%",
            Self::Mb => "MB",
            Self::Gb => "GB",
        }
    }

    fn text(self, value: f64) -> String {
        match self {
            Self::Plain => number(value),
            Self::Ms => number(value * 1e-6),
            Self::Percent => format!("{:.2}", value * 100.0),
            Self::Change => format!("{:+.2}", (value - 1.0) * 100.0),
            Self::Mb => number(value * 1e-6),
            Self::Gb => format!("{:.1}", value * 1e-9),
        }
    }
}

/// Three significant digits or so, thousands apart; whole numbers as they are.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        _ if value.fract() == 0.0 => 0,
        v if v < 0.1 => 3,
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.digits$}");
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (&text[..], None),
    };
    let (sign, whole) = match whole.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", whole),
    };
    let mut spaced = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 && whole.len() > 4 {
            spaced.push('\u{202f}');
        }
        spaced.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{spaced}.{fraction}"),
        None => format!("{sign}{spaced}"),
    }
}

/// A number in a table or a sentence.
pub(super) fn figure(path: &str, value: f64, unit: Unit) -> Markup {
    html! { span.f data-path=(path) data-unit=(unit.name()) { (unit.text(value)) } }
}

/// The same where the value may be absent.
pub(super) fn maybe(path: &str, value: Option<f64>, unit: Unit) -> Markup {
    match value {
        Some(value) => figure(path, value, unit),
        None => html! { span.none { "–" } },
    }
}

/// The same inside a drawing.
pub(super) fn drawn(path: &str, value: f64, unit: Unit) -> Markup {
    html! { tspan data-path=(path) data-unit=(unit.name()) { (unit.text(value)) } }
}

/// How many there are of what stands at `path`.
pub(super) fn count(path: &str, len: usize) -> Markup {
    html! { span.f data-path=(path) data-unit="count" { (number(len as f64)) } }
}

/// Words from a file.
pub(super) fn words(path: &str, text: &str) -> Markup {
    html! { span data-path=(path) data-unit="text" { (text) } }
}

/// Replicas by index.
pub(super) fn indices(path: &str, values: &[u32]) -> Markup {
    html! {
        @if values.is_empty() { "nobody" }
        @for (at, value) in values.iter().enumerate() {
            @if at > 0 { ", " }
            (figure(&format!("{path}/{at}"), f64::from(*value), Unit::Plain))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_thousands_stand_apart() {
        let shown = [
            0.0,
            0.0123,
            1.234,
            22.04,
            999.6,
            4321.4,
            54_321.9,
            -1_234_567.8,
        ]
        .map(number);
        let spaced = [
            "0",
            "0.012",
            "1.23",
            "22.0",
            "1000",
            "4321",
            "54 322",
            "-1 234 568",
        ];
        assert_eq!(shown, spaced.map(|text| text.replace(' ', "\u{202f}")));
    }
}
