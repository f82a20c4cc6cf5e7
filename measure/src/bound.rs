//! `bound.json`: what dissemination alone reached on the machine, written by `reforge limits`.

use serde::{Deserialize, Serialize};

/// The part of the file that concerns throughput; what else was measured stands beside it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundRecord {
    /// One per size of the committee.
    pub dissemination: Vec<DisseminationBound>,
}

/// Transactions per second that all replicas of one committee held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisseminationBound {
    /// Committee size.
    pub replicas: u32,
    /// The median window.
    pub tps: f64,
    /// Window by window.
    pub windows_tps: Vec<f64>,
}

/// The middle one of `values`; zero of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
