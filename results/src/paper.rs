//! The figures that ours are shown beside: data, with their source.

use serde::{Deserialize, Serialize};

/// Where all of them are from.
pub const SOURCE: &str = "Gong et al., Recover from Excessive Faults in Partially-Synchronous BFT \
                          SMR, USENIX Security 2025";

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PaperFigure {
    /// As a ratio, `1.1287` for +12.87 %.
    pub ratio: f64,
    /// True when the article says "at most that much worse".
    pub is_bound: bool,
    /// In the article's terms.
    pub text: String,
    /// [`SOURCE`].
    pub source: String,
}

fn figure(ratio: f64, is_bound: bool, text: &str) -> Option<PaperFigure> {
    Some(PaperFigure {
        ratio,
        is_bound,
        text: text.into(),
        source: SOURCE.into(),
    })
}

/// Latency of a system that is ready to recover against its baseline, without any attack.
#[must_use]
pub fn ready_latency(replicas: u32) -> Option<PaperFigure> {
    match replicas {
        7 => figure(1.1287, false, "+12.87 % latency"),
        30 => figure(1.0885, false, "+8.85 % latency"),
        _ => None,
    }
}

/// Throughput after a recovery of `replicas` against a fresh committee of the size that is left.
#[must_use]
pub fn post_throughput(replicas: u32) -> Option<PaperFigure> {
    match replicas {
        7 => figure(1.0, false, "equal throughput"),
        30 => figure(0.957, true, "at most 4.3 % less throughput"),
        _ => None,
    }
}
