//! What one load generator leaves behind: `load.json`, three `.hlog` files and `series.jsonl`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clock::WallAnchor;
use crate::files::{JsonLines, MeasureError};
use crate::folder;
use crate::hdr::{IntervalRecorder, Percentiles, Phase};
use crate::seen::{ModeName, RecoverySeen};
use crate::usage::Usage;

/// How the load was made; everything that changes the meaning of a number is named here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadOptions {
    /// Offered rate of this generator in transactions per second.
    pub rate_tps: f64,
    /// `poisson` or `constant`; `closed` when the next send waits for an answer.
    pub arrival: String,
    /// Payload size of one transaction in bytes.
    pub size_bytes: u32,
    /// Length of the measured phase in seconds.
    pub duration_s: f64,
    /// Length of the warm-up in seconds.
    pub warmup_s: f64,
    /// Length of the cool-down in seconds.
    pub cooldown_s: f64,
    /// Connections to the committee.
    pub connections: u32,
    /// Logical client sessions over these connections.
    pub sessions: u32,
    /// `put`, `transfer` or `mix`.
    pub workload: String,
    /// Size of the key space.
    pub keys: u64,
    /// Seed of schedule and payloads.
    pub seed: u64,
    /// Client authentication: `none` or `signed`.
    pub auth: String,
    /// True when one unchecked reply counts as finished; weakens the meaning of every figure.
    pub trust_unchecked: bool,
    /// A request finished later than this after its intended time counts as late, in ms.
    pub late_after_ms: u64,
}

/// Counts of requests by fate. `offered = finished + refused + failed + unfinished`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Requests whose intended send time lies in the window.
    pub offered: u64,
    /// Of these, handed to a connection at least once.
    pub sent: u64,
    /// Of these, finished: a receipt is held (and verified, unless `trust_unchecked`).
    pub finished: u64,
    /// Of the finished ones, those later than `late_after_ms`; not part of the goodput.
    pub late: u64,
    /// Refused by the system, by reason (`queue-full`, `too-large`, …).
    pub refused: BTreeMap<String, u64>,
    /// Ended by an error (connection lost without an answer, bad receipt, …).
    pub failed: u64,
    /// Without any answer when the generator stopped; recorded in the distribution with the
    /// time waited so far, a lower bound.
    pub unfinished: u64,
}

impl Outcomes {
    /// Refused requests of all reasons.
    #[must_use]
    pub fn refused_total(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Requests finished in time.
    #[must_use]
    pub fn good(&self) -> u64 {
        self.finished.saturating_sub(self.late)
    }

    /// True when every offered request has exactly one fate.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.offered == self.finished + self.refused_total() + self.failed + self.unfinished
            && self.late <= self.finished
    }

    /// Adds another generator's counts.
    pub fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.sent += other.sent;
        self.finished += other.finished;
        self.late += other.late;
        self.failed += other.failed;
        self.unfinished += other.unfinished;
        for (reason, count) in &other.refused {
            *self.refused.entry(reason.clone()).or_default() += count;
        }
    }
}

/// `load.json`: the generator's own summary, written once at its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadResult {
    /// [`crate::SCHEMA_VERSION`].
    pub schema: u32,
    /// The generator's index `k`.
    pub generator: u32,
    /// How the load was made.
    pub options: LoadOptions,
    /// First intended send time, on both clocks.
    pub start: WallAnchor,
    /// Start of the measured phase, monotonic.
    pub measure_start_ns: u64,
    /// End of the measured phase, monotonic.
    pub measure_end_ns: u64,
    /// True when the schedule was not run to its end (stopped by a signal).
    pub interrupted: bool,
    /// Requests of the measured phase.
    pub measured: Outcomes,
    /// Requests of all phases.
    pub total: Outcomes,
    /// Replies for a request that was finished already.
    pub duplicates: u64,
    /// Receipts checked against their commit certificate.
    pub receipts_checked: u64,
    /// Receipts that did not hold; any is a reason for alarm.
    pub receipts_bad: u64,
    /// Connections made again to the same replica.
    pub reconnects: u64,
    /// Sessions moved to another replica.
    pub failovers: u64,
    /// Requests sent again after a reconnect or fail-over.
    pub resent: u64,
    /// Largest delay between an intended and the actual send, nanoseconds.
    pub lag_max_ns: u64,
    /// True when the generator itself was the bottleneck; voids the run.
    pub saturated: bool,
    /// Why, when `saturated`.
    pub saturated_reason: Option<String>,
    /// From intended send time to verified receipt, measured phase; includes the lower bounds
    /// of failed and unfinished requests.
    pub corrected: Percentiles,
    /// From actual send to verified receipt, measured phase.
    pub service: Percentiles,
    /// From intended to actual send, measured phase.
    pub lag: Percentiles,
    /// Bytes written to and read from sockets.
    pub bytes_out: u64,
    /// Bytes read from sockets.
    pub bytes_in: u64,
    /// The generator's own use of the machine.
    pub usage: Usage,
    /// Errors by kind, with their counts.
    pub errors: BTreeMap<String, u64>,
    /// What was seen of recoveries; absent in older records.
    #[serde(default)]
    pub recovery: RecoverySeen,
}

/// Counts of one second, by the time they happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondCounts {
    /// Requests whose intended time fell into this second.
    pub offered: u64,
    /// Requests actually sent.
    pub sent: u64,
    /// Requests finished.
    pub finished: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests failed.
    pub failed: u64,
    /// Receipts reported as moved or with another outcome.
    #[serde(default)]
    pub moved: u64,
    /// Requests waiting for an answer at the end of the second.
    pub in_flight: u64,
    /// Connections open at the end of the second.
    pub connected: u64,
}

/// One line of `series.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// End of the interval, seconds after the first intended send.
    pub t_s: f64,
    /// The same moment, monotonic.
    pub monotonic_ns: u64,
    /// Length of the interval in seconds.
    pub interval_s: f64,
    /// What happened in it.
    #[serde(flatten)]
    pub counts: SecondCounts,
    /// Median corrected latency of what ended in the interval.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
    /// Largest of the same.
    pub max_ns: u64,
    /// 99th percentile of the send lag in the interval.
    pub lag_p99_ns: u64,
    /// The worst mode that any connection told of in the interval.
    #[serde(default)]
    pub mode: ModeName,
}

/// The three recorders of a generator and its one-second series, in one folder.
#[derive(Debug)]
pub struct LoadRecorder {
    corrected: IntervalRecorder,
    service: IntervalRecorder,
    lag: IntervalRecorder,
    series: JsonLines,
    start_ns: u64,
    tick_ns: u64,
    lag_ns_max: u64,
}

impl LoadRecorder {
    /// Creates `corrected.hlog`, `service.hlog`, `lag.hlog` and `series.jsonl` in `dir`;
    /// `start` is the first intended send time.
    ///
    /// # Errors
    /// [`MeasureError::Io`], also when one of the logs exists already.
    pub fn create(dir: &Path, start: WallAnchor) -> Result<Self, MeasureError> {
        let recorder = |file: &str, title| IntervalRecorder::create(&dir.join(file), title, start);
        Ok(Self {
            corrected: recorder(folder::CORRECTED_HLOG, "latency from the intended send")?,
            service: recorder(folder::SERVICE_HLOG, "latency from the actual send")?,
            lag: recorder(folder::LAG_HLOG, "delay of the actual send")?,
            series: JsonLines::open(&dir.join(folder::SERIES))?,
            start_ns: start.monotonic_ns,
            tick_ns: start.monotonic_ns,
            lag_ns_max: 0,
        })
    }

    /// A request was sent `lag_ns` after its intended time.
    pub fn sent(&mut self, phase: Phase, lag_ns: u64) {
        self.lag.record(phase, lag_ns);
        self.lag_ns_max = self.lag_ns_max.max(lag_ns);
    }

    /// A request finished.
    pub fn finished(&mut self, phase: Phase, corrected_ns: u64, service_ns: u64) {
        self.corrected.record(phase, corrected_ns);
        self.service.record(phase, service_ns);
    }

    /// A request was refused or failed, or is still unfinished at the end: it stays in the
    /// corrected distribution with the time it has waited.
    pub fn lost(&mut self, phase: Phase, waited_ns: u64) {
        self.corrected.record(phase, waited_ns);
    }

    /// Closes an interval (call once a second, and at the end).
    ///
    /// # Errors
    /// [`MeasureError`] when a file cannot be written.
    pub fn tick(
        &mut self,
        now_ns: u64,
        counts: SecondCounts,
        mode: ModeName,
    ) -> Result<SeriesRow, MeasureError> {
        let corrected = self.corrected.tick(now_ns)?;
        self.service.tick(now_ns)?;
        let lag = self.lag.tick(now_ns)?;
        let seconds = |from_ns: u64| now_ns.saturating_sub(from_ns) as f64 * 1e-9;
        let row = SeriesRow {
            t_s: seconds(self.start_ns),
            monotonic_ns: now_ns,
            interval_s: seconds(self.tick_ns),
            counts,
            p50_ns: corrected.p50_ns,
            p99_ns: corrected.p99_ns,
            max_ns: corrected.max_ns,
            lag_p99_ns: lag.p99_ns,
            mode,
        };
        self.tick_ns = now_ns;
        self.series.append(&row)?;
        Ok(row)
    }

    /// Corrected, service and lag percentiles of one phase, over all closed intervals.
    #[must_use]
    pub fn percentiles(&self, phase: Phase) -> (Percentiles, Percentiles, Percentiles) {
        (
            self.corrected.percentiles(phase),
            self.service.percentiles(phase),
            self.lag.percentiles(phase),
        )
    }

    /// Largest send lag seen so far, nanoseconds.
    #[must_use]
    pub fn lag_ns_max(&self) -> u64 {
        self.lag_ns_max
    }
}

#[cfg(test)]
mod tests;
