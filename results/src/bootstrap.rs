//! The median of a few ratios and how sure it is: a percentile bootstrap with a fixed seed, so that the
//! same ratios give the same interval.

use serde::{Deserialize, Serialize};

/// Samples drawn with replacement.
const RESAMPLES: usize = 10_000;
const SEED: u64 = 0x5265_666f_7267_6531;

/// A median with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Median.
    pub median: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Nothing for an empty list. The order of the values does not matter.
#[must_use]
pub fn estimate(values: &[f64]) -> Option<Estimate> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = median_of_sorted(&sorted)?;
    let mut random = SplitMix(SEED);
    let mut medians = Vec::with_capacity(RESAMPLES);
    let mut drawn = vec![0.0; sorted.len()];
    for _ in 0..RESAMPLES {
        for value in &mut drawn {
            *value = sorted[random.below(sorted.len())];
        }
        drawn.sort_by(f64::total_cmp);
        medians.extend(median_of_sorted(&drawn));
    }
    medians.sort_by(f64::total_cmp);
    let at = |share: f64| medians[((medians.len() - 1) as f64 * share).round() as usize];
    Some(Estimate {
        median,
        low: at(0.025),
        high: at(0.975),
    })
}

/// The middle one, or the mean of the two in the middle.
fn median_of_sorted(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    match sorted.len() % 2 {
        1 => Some(upper),
        _ => Some((sorted[half - 1] + upper) / 2.0),
    }
}

/// Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
pub(crate) struct SplitMix(pub u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// `0..len`; the bias is below 2^-50 for the few values there are.
    fn below(&mut self, len: usize) -> usize {
        ((u128::from(self.next()) * len as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_repeatable_and_holds_the_median() {
        let values = [1.03, 1.01, 1.05, 1.02, 1.04, 1.03, 1.06];
        let one = estimate(&values).unwrap();
        let mut reversed = values;
        reversed.reverse();
        assert_eq!(estimate(&reversed), Some(one));
        assert_eq!(one.median, 1.03);
        assert!(one.low >= 1.01 && one.low <= one.median);
        assert!(one.high <= 1.06 && one.high >= one.median);
        assert_eq!(estimate(&[]), None);
        let single = estimate(&[2.0]).unwrap();
        assert_eq!((single.low, single.median, single.high), (2.0, 2.0, 2.0));
        assert_eq!(estimate(&[1.0, 2.0]).unwrap().median, 1.5);
    }

    #[test]
    fn about_ninety_five_of_a_hundred_intervals_hold_the_truth() {
        // Ten values of a known median, 400 times over. With so few the coverage is only near 95 %.
        let mut random = SplitMix(7);
        let mut held = 0;
        for _ in 0..400 {
            let values: Vec<f64> = (0..10)
                .map(|_| 1.0 + (random.next() >> 11) as f64 / (1u64 << 53) as f64 - 0.5)
                .collect();
            let interval = estimate(&values).unwrap();
            held += u32::from(interval.low <= 1.0 && 1.0 <= interval.high);
        }
        assert!((360..=396).contains(&held), "{held} of 400");
    }
}
