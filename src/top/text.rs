//! Figures as short text.

/// At most six characters for anything below a million millions.
pub fn short(value: f64) -> String {
    let scaled = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")];
    match scaled.iter().find(|(from, _)| value >= *from) {
        Some((1e4, unit)) => format!("{:.1}{unit}", value / 1e3),
        Some((from, unit)) => format!("{:.1}{unit}", value / from),
        None => format!("{value:.0}"),
    }
}

pub fn latency(ns: u64) -> String {
    let ms = ns as f64 * 1e-6;
    match ms {
        // Nothing finished in that second.
        0.0 => "-".to_owned(),
        _ if ms < 10.0 => format!("{ms:.2}ms"),
        _ if ms < 10_000.0 => format!("{ms:.0}ms"),
        _ => format!("{:.1}s", ms * 1e-3),
    }
}

/// Minutes and seconds, hours if there are any.
pub fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests;
