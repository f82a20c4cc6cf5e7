//! How a load differs from a steady one: a ramp, bursts, a closed loop. Shared by those who ask for it,
//! make it and judge it.

use serde::{Deserialize, Serialize};

/// What multiplies the rate at a moment. Time counts from the start of the measured phase and is negative in
/// the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateShape {
    /// Grows to the rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Exceeds the rate now and then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
}

/// From a share of the rate to all of it, in a straight line. The warm-up has the share.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Share of the rate to begin with.
    pub from: f64,
    /// Seconds until the whole rate is reached.
    pub over_s: f64,
}

/// A multiple of the rate for a short time, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// From the beginning of one to that of the next; the first one begins so long after the start.
    pub every_s: f64,
    /// How long one lasts.
    pub length_s: f64,
    /// What the rate is multiplied by.
    pub factor: f64,
}

/// How the load of a run was asked for, beside its rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadPlan {
    /// Requests that wait for an answer at any time, of all generators together; absent: an open loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// Ramp and bursts.
    #[serde(default)]
    pub shape: RateShape,
    /// What a probe of a capacity search has to keep; absent in other runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityGoal>,
}

/// Within which rates the highest one is searched that a system keeps up with, and when it does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapacityGoal {
    /// The first rate that is tried.
    pub low_tps: f64,
    /// The second one; nothing above it is tried.
    pub high_tps: f64,
    /// The search ends when the lowest rate that is too much exceeds the highest that is not by this share.
    #[serde(default = "resolution")]
    pub resolution: f64,
    /// Least share of the offered requests that finish in time.
    #[serde(default = "goodput_min")]
    pub goodput_min: f64,
    /// Largest corrected 99th percentile in milliseconds.
    pub p99_ms_max: f64,
}

fn resolution() -> f64 {
    0.05
}

fn goodput_min() -> f64 {
    0.99
}

impl RateShape {
    /// A steady rate.
    #[must_use]
    pub fn is_steady(&self) -> bool {
        *self == Self::default()
    }

    fn ramp_at(&self, t_s: f64) -> f64 {
        self.ramp.map_or(1.0, |Ramp { from, over_s }| {
            from + (1.0 - from) * (t_s / over_s).clamp(0.0, 1.0)
        })
    }

    /// The factor of a piece without a break, by a moment within it.
    fn burst_at(&self, t_s: f64) -> f64 {
        self.burst.map_or(1.0, |burst| {
            let bursts = t_s >= burst.every_s && t_s.rem_euclid(burst.every_s) < burst.length_s;
            if bursts { burst.factor } else { 1.0 }
        })
    }

    /// The next moment after `t_s` at which the shape is not a straight line.
    fn next_break(&self, t_s: f64) -> f64 {
        /// Moments nearer than this are one.
        const SAME_S: f64 = 1e-9;
        let ramp = self.ramp.iter().flat_map(|ramp| [0.0, ramp.over_s]);
        let bursts = self.burst.iter().flat_map(|burst| {
            let round = (t_s / burst.every_s).floor().max(0.0);
            let begins = |k: f64| (round + k) * burst.every_s;
            // Of this round its end, of the next its begin, and one more for a moment at a border.
            let ends = |k: f64| begins(k) + burst.length_s;
            [begins(1.0), begins(2.0), ends(0.0), ends(1.0)]
        });
        ramp.chain(bursts)
            .filter(|at| *at > t_s + SAME_S)
            .fold(f64::INFINITY, f64::min)
    }

    /// Seconds of the whole rate that lie between two moments.
    #[must_use]
    pub fn work_s(&self, from_s: f64, to_s: f64) -> f64 {
        let (mut t_s, mut sum) = (from_s, 0.0);
        while t_s < to_s {
            let end_s = self.next_break(t_s).min(to_s);
            let mean = (self.ramp_at(t_s) + self.ramp_at(end_s)) / 2.0;
            sum += mean * self.burst_at((t_s + end_s) / 2.0) * (end_s - t_s);
            t_s = end_s;
        }
        sum
    }

    /// The moment by which `work_s` more seconds of the whole rate have passed since `t_s`, or `until_s` if that
    /// comes first.
    #[must_use]
    pub fn advance(&self, t_s: f64, work_s: f64, until_s: f64) -> f64 {
        let (mut t_s, mut left) = (t_s, work_s);
        while t_s < until_s && left > 0.0 {
            let end_s = self.next_break(t_s).min(until_s);
            let burst = self.burst_at((t_s + end_s) / 2.0);
            let (first, last) = (self.ramp_at(t_s) * burst, self.ramp_at(end_s) * burst);
            let piece = (first + last) / 2.0 * (end_s - t_s);
            if piece >= left {
                // first * x + slope / 2 * x * x = left, in the form that needs no division by a small slope.
                let slope = (last - first) / (end_s - t_s);
                let root = (first * first + 2.0 * slope * left).max(0.0).sqrt();
                return t_s + 2.0 * left / (first + root);
            }
            left -= piece;
            t_s = end_s;
        }
        t_s
    }
}

#[cfg(test)]
mod tests;
