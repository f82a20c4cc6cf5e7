//! When every request is meant to be sent: fixed by rate and seed before the first answer.

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// Spacing of intended send times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrival {
    /// Exponential gaps: independent clients.
    #[default]
    Poisson,
    /// Equal gaps.
    Constant,
}

impl Arrival {
    /// The name in configs and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arrival::Poisson => "poisson",
            Arrival::Constant => "constant",
        }
    }
}

/// Intended send times in nanoseconds after the start, ascending; a pure function of its
/// arguments. Nothing in it can be told what the system answered.
#[derive(Debug, Clone)]
pub struct Schedule {
    arrival: Arrival,
    gap_ns: f64,
    end_ns: u64,
    rng: Rng,
    /// Number of times already given.
    index: u64,
    /// Sum of the gaps so far (`f64`: exact to well below 1 ns for days).
    at_ns: f64,
    next_ns: Option<u64>,
}

impl Schedule {
    /// All times below `end_ns` at `rate` per second.
    #[must_use]
    pub fn new(arrival: Arrival, rate: f64, end_ns: u64, seed: u64) -> Schedule {
        let mut schedule = Schedule {
            arrival,
            gap_ns: 1e9 / rate,
            end_ns,
            rng: Rng::new(seed ^ 0x7363_6865_6475_6c65),
            index: 0,
            at_ns: 0.0,
            next_ns: None,
        };
        schedule.next_ns = schedule.draw();
        schedule
    }

    /// The next time, without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<u64> {
        self.next_ns
    }

    /// Takes the next time if it is not after `now_ns`.
    pub fn take_due(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.next_ns.filter(|&at_ns| at_ns <= now_ns)?;
        self.next_ns = self.draw();
        Some(due_ns)
    }

    fn draw(&mut self) -> Option<u64> {
        self.at_ns = match self.arrival {
            // A product instead of a sum: no error accumulates, and no rate is rounded to a gap
            // of whole nanoseconds.
            Arrival::Constant => self.index as f64 * self.gap_ns,
            Arrival::Poisson => self.at_ns - self.rng.unit_open().ln() * self.gap_ns,
        };
        self.index += 1;
        let at_ns = self.at_ns as u64;
        (at_ns < self.end_ns).then_some(at_ns)
    }
}

#[cfg(test)]
mod tests;
