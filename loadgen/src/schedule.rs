//! When every request is meant to be sent: fixed by rate and seed before the first answer.

use serde::{Deserialize, Serialize};

use std::collections::VecDeque;

use measure::RateShape;

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
    /// The next send waits for an answer: no rate, a number of requests in flight.
    Closed,
}

impl Arrival {
    /// The name in configs and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arrival::Poisson => "poisson",
            Arrival::Constant => "constant",
            Arrival::Closed => "closed",
        }
    }
}

/// Intended send times in nanoseconds after the start, ascending; a pure function of its
/// arguments, to which nobody tells what the system answered. A closed loop is the exception: there a request
/// is meant to be sent when the one before it has ended.
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
    /// Ramp and bursts, and where on their axis the start is.
    shape: Option<(RateShape, f64)>,
    /// In a closed loop: when the requests that may be sent became free.
    free: VecDeque<u64>,
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
            shape: None,
            free: VecDeque::new(),
        };
        schedule.next_ns = schedule.draw();
        schedule
    }

    /// At most `in_flight` requests at a time until `end_ns`.
    #[must_use]
    pub fn closed(in_flight: u32, end_ns: u64) -> Schedule {
        let mut schedule = Schedule::new(Arrival::Closed, 1.0, end_ns, 0);
        schedule.free = vec![0; in_flight as usize].into();
        schedule.next_ns = schedule.draw();
        schedule
    }

    /// The same with ramp and bursts, which count from `measure_start_s` after the start.
    #[must_use]
    pub fn shaped(mut self, shape: RateShape, measure_start_s: f64) -> Schedule {
        if !shape.is_steady() && self.arrival != Arrival::Closed {
            self.shape = Some((shape, -measure_start_s));
            (self.index, self.at_ns) = (0, 0.0);
            self.next_ns = self.draw();
        }
        self
    }

    /// In a closed loop: a request has ended, another one may be sent from `at_ns` on. A pause after a refusal keeps
    /// a loop from spinning.
    pub fn release(&mut self, at_ns: u64) {
        if self.arrival == Arrival::Closed {
            let at = self.free.partition_point(|free_ns| *free_ns <= at_ns);
            self.free.insert(at, at_ns);
            // Not once the end was seen.
            if self.next_ns.is_some() {
                self.next_ns = self.draw();
            }
        }
    }

    /// The next time, without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<u64> {
        self.next_ns
    }

    /// Takes the next time if it is not after `now_ns`.
    pub fn take_due(&mut self, now_ns: u64) -> Option<u64> {
        let due_ns = self.next_ns.filter(|&at_ns| at_ns <= now_ns)?;
        if self.arrival == Arrival::Closed {
            if due_ns >= self.end_ns || now_ns >= self.end_ns {
                self.next_ns = None;
                return None;
            }
            self.free.pop_front();
        }
        self.next_ns = self.draw();
        Some(due_ns)
    }

    fn draw(&mut self) -> Option<u64> {
        if let Some((shape, start_s)) = self.shape {
            return self.draw_shaped(&shape, start_s);
        }
        self.at_ns = match self.arrival {
            // Without a free one nothing is due but the end.
            Arrival::Closed => {
                let free_ns = self.free.front().copied();
                return Some(free_ns.map_or(self.end_ns, |free_ns| free_ns.min(self.end_ns)));
            }
            // A product instead of a sum: no error accumulates, and no rate is rounded to a gap
            // of whole nanoseconds.
            Arrival::Constant => self.index as f64 * self.gap_ns,
            Arrival::Poisson => self.at_ns - self.rng.unit_open().ln() * self.gap_ns,
        };
        self.index += 1;
        let at_ns = self.at_ns as u64;
        (at_ns < self.end_ns).then_some(at_ns)
    }

    /// The same gaps, in a time that passes faster where the rate is higher.
    fn draw_shaped(&mut self, shape: &RateShape, start_s: f64) -> Option<u64> {
        let gap_ns = match self.arrival {
            Arrival::Constant if self.index == 0 => 0.0,
            Arrival::Constant | Arrival::Closed => self.gap_ns,
            Arrival::Poisson => -self.rng.unit_open().ln() * self.gap_ns,
        };
        self.index += 1;
        let end_s = self.end_ns as f64 * 1e-9 + start_s;
        let at_s = shape.advance(start_s + self.at_ns * 1e-9, gap_ns * 1e-9, end_s);
        self.at_ns = (at_s - start_s) * 1e9;
        let at_ns = self.at_ns as u64;
        (at_s < end_s && at_ns < self.end_ns).then_some(at_ns)
    }
}

#[cfg(test)]
mod tests;
