//! Delay, jitter and bandwidth of one direction of a link.
//!
//! Two stages, as in a real path: a serialiser that takes the next frame (control first) when the
//! line is free, then a delay line that keeps order.

use super::outbox::{Queue, pop_queue};
use crate::{Class, Frame, Shape};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Depth of the token bucket.
const BUCKET: Duration = Duration::from_millis(2);

pub(crate) struct Shaper {
    shape: Shape,
    random: SplitMix64,
    now: Instant,
    /// When the serialiser has sent what it took.
    free_at: Instant,
    line: VecDeque<InFlight>,
}

struct InFlight {
    release_at: Instant,
    class: Class,
    frame: Frame,
}

impl Shaper {
    pub(crate) fn new(shape: Shape, seed: u64, now: Instant) -> Self {
        let random = SplitMix64(seed);
        Self {
            shape,
            random,
            now,
            free_at: now,
            line: VecDeque::new(),
        }
    }

    /// What is in the delay line gets the new delay if that ends earlier.
    pub(crate) fn set_shape(&mut self, shape: Shape, now: Instant) {
        self.shape = shape;
        self.now = now;
        self.free_at = now;
        let latest = now + shape.delay + shape.jitter;
        for in_flight in &mut self.line {
            in_flight.release_at = in_flight.release_at.min(latest);
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.shape.is_transparent() && self.line.is_empty()
    }

    /// Moves frames as far as `now` allows; returns the next moment at which that changes.
    pub(super) fn tick(&mut self, now: Instant, queues: &mut [Queue; 2]) -> Option<Instant> {
        self.now = now;
        while self.free_at <= now {
            let Some((class, frame)) = pop_queue(queues) else {
                break;
            };
            self.enter(class, frame);
        }
        let waiting = queues.iter().any(|queue| !queue.frames.is_empty());
        let serialiser = waiting.then_some(self.free_at);
        let ready = self
            .line
            .partition_point(|in_flight| in_flight.release_at <= now);
        let line = self.line.get(ready).map(|in_flight| in_flight.release_at);
        [serialiser, line].into_iter().flatten().min()
    }

    fn enter(&mut self, class: Class, frame: Frame) {
        // The bucket: idle time is saved up only so far that late timers cost no bandwidth.
        let start = self
            .free_at
            .max(self.now.checked_sub(BUCKET).unwrap_or(self.now));
        let line_time = self
            .shape
            .bandwidth_bytes_per_s
            .map_or(Duration::ZERO, |bandwidth| {
                Duration::from_secs_f64(frame.len() as f64 / bandwidth.max(1) as f64)
            });
        self.free_at = start + line_time;
        let jitter_ns = self.shape.jitter.as_nanos() as u64;
        let jitter = Duration::from_nanos(self.random.below(jitter_ns.saturating_add(1)));
        let release_at = self.free_at.max(self.now) + self.shape.delay + jitter;
        let last = self
            .line
            .back()
            .map_or(release_at, |in_flight| in_flight.release_at);
        self.line.push_back(InFlight {
            release_at: release_at.max(last),
            class,
            frame,
        });
    }

    pub(crate) fn has_ready(&self) -> bool {
        self.line
            .front()
            .is_some_and(|in_flight| in_flight.release_at <= self.now)
    }

    pub(crate) fn pop_ready(&mut self) -> Option<(Class, Frame)> {
        if !self.has_ready() {
            return None;
        }
        self.line
            .pop_front()
            .map(|in_flight| (in_flight.class, in_flight.frame))
    }
}

/// Vigna's SplitMix64: a seedable generator for jitter; nothing secret depends on it.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(pub u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound` (0 for 0), with a bias below `bound / 2^64`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
