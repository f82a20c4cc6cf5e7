//! One fate per request, and what it costs the distribution.
//!
//! * finished: counted with the arrival of its receipt, once the receipt's block is proven;
//! * refused, failed, unfinished: never finished, so they enter the corrected distribution with the
//!   time from their intended send to the *end of the run*: a lower bound of infinity. A fast
//!   refusal therefore makes the percentiles worse, not better.

use std::collections::BTreeMap;

use measure::{LoadRecorder, MeasureError, ModeName, Outcomes, Phase, SecondCounts, SeriesRow};
use types::client::Refusal;

use crate::session::InFlight;

/// The moments of a run, `CLOCK_MONOTONIC` nanoseconds, and its bounds.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// First intended send.
    pub start_ns: u64,
    /// End of the warm-up.
    pub measure_start_ns: u64,
    /// End of the schedule.
    pub measure_end_ns: u64,
    /// Nobody waits for answers after this.
    pub end_ns: u64,
    /// A corrected latency above this is late.
    pub late_ns: u64,
    /// Bound on the generator's own lag.
    pub own_lag_ns_max: u64,
}

impl Plan {
    fn phase(&self, intended_ns: u64) -> Phase {
        match intended_ns < self.measure_start_ns {
            true => Phase::Warmup,
            false => Phase::Measure,
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    offered: u64,
    sent: u64,
    finished: u64,
    late: u64,
    refused: [u64; Refusal::ALL.len()],
    failed: u64,
    unfinished: u64,
}

impl Tally {
    fn outcomes(&self) -> Outcomes {
        let reasons = Refusal::ALL.into_iter().zip(self.refused);
        Outcomes {
            offered: self.offered,
            sent: self.sent,
            finished: self.finished,
            late: self.late,
            refused: reasons
                .filter(|(_, count)| *count > 0)
                .map(|(reason, count)| (reason.name().to_owned(), count))
                .collect(),
            failed: self.failed,
            unfinished: self.unfinished,
        }
    }
}

/// All counts and recorders of a run.
#[derive(Debug)]
pub struct Account {
    plan: Plan,
    recorder: LoadRecorder,
    warmup: Tally,
    measured: Tally,
    second: SecondCounts,
    errors: BTreeMap<&'static str, u64>,
    /// Measured requests whose turn came later than the bound.
    own_lag_above: u64,
    own_lag_ns_max: u64,
}

impl Account {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(plan: Plan, recorder: LoadRecorder) -> Account {
        Account {
            plan,
            recorder,
            warmup: Tally::default(),
            measured: Tally::default(),
            second: SecondCounts::default(),
            errors: BTreeMap::new(),
            own_lag_above: 0,
            own_lag_ns_max: 0,
        }
    }

    fn tally(&mut self, phase: Phase) -> &mut Tally {
        match phase {
            Phase::Warmup => &mut self.warmup,
            Phase::Measure | Phase::Cooldown => &mut self.measured,
        }
    }

    /// The intended time of a request has come; the generator noticed at `turn_ns`. What passes
    /// between is its own doing, whatever the system does.
    pub fn offered(&mut self, intended_ns: u64, turn_ns: u64) {
        let phase = self.plan.phase(intended_ns);
        self.tally(phase).offered += 1;
        self.second.offered += 1;
        let own_lag_ns = turn_ns.saturating_sub(intended_ns);
        self.own_lag_ns_max = self.own_lag_ns_max.max(own_lag_ns);
        if own_lag_ns > self.plan.own_lag_ns_max && phase == Phase::Measure {
            self.own_lag_above += 1;
        }
    }

    /// A request was handed to a connection for the first time.
    pub fn sent(&mut self, intended_ns: u64, now_ns: u64) {
        let phase = self.plan.phase(intended_ns);
        self.tally(phase).sent += 1;
        self.second.sent += 1;
        self.recorder
            .sent(phase, now_ns.saturating_sub(intended_ns));
    }

    /// A request's receipt arrived at `arrival_ns`, and holds.
    pub fn finished(&mut self, request: InFlight, arrival_ns: u64) {
        let phase = self.plan.phase(request.intended_ns);
        let corrected_ns = arrival_ns.saturating_sub(request.intended_ns);
        let late = corrected_ns > self.plan.late_ns;
        let tally = self.tally(phase);
        tally.finished += 1;
        tally.late += u64::from(late);
        self.second.finished += 1;
        let service_ns = arrival_ns.saturating_sub(request.sent_ns);
        self.recorder.finished(phase, corrected_ns, service_ns);
    }

    /// A request was refused.
    pub fn refused(&mut self, request: InFlight, reason: Refusal) {
        let phase = self.plan.phase(request.intended_ns);
        self.tally(phase).refused[reason as usize] += 1;
        self.second.refused += 1;
        self.never(phase, request.intended_ns);
    }

    /// A request ended by an error.
    pub fn failed(&mut self, request: InFlight, why: &'static str) {
        let phase = self.plan.phase(request.intended_ns);
        self.tally(phase).failed += 1;
        self.second.failed += 1;
        self.count(why, 1);
        self.never(phase, request.intended_ns);
    }

    fn never(&mut self, phase: Phase, intended_ns: u64) {
        let waited_ns = self.plan.end_ns.saturating_sub(intended_ns);
        self.recorder.lost(phase, waited_ns);
    }

    /// The run ended at `now_ns` without an answer to a request.
    pub fn unfinished(&mut self, intended_ns: u64, now_ns: u64) {
        let phase = self.plan.phase(intended_ns);
        self.tally(phase).unfinished += 1;
        self.recorder
            .lost(phase, now_ns.saturating_sub(intended_ns));
    }

    /// A receipt was reported as moved.
    pub fn moved(&mut self) {
        self.second.moved += 1;
    }

    /// Counts something that is no fate of a request.
    pub fn count(&mut self, kind: &'static str, by: u64) {
        *self.errors.entry(kind).or_default() += by;
    }

    /// How often something was counted.
    #[must_use]
    pub fn counted(&self, kind: &str) -> u64 {
        self.errors.get(kind).copied().unwrap_or(0)
    }

    /// Closes a second.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn tick(
        &mut self,
        now_ns: u64,
        in_flight: u64,
        connected: u64,
        mode: ModeName,
    ) -> Result<SeriesRow, MeasureError> {
        let counts = SecondCounts {
            in_flight,
            connected,
            ..std::mem::take(&mut self.second)
        };
        self.recorder.tick(now_ns, counts, mode)
    }

    /// Why the generator itself was the bottleneck, if it was.
    #[must_use]
    pub fn saturated(&self) -> Option<String> {
        let offered = self.measured.offered;
        (self.own_lag_above * 100 > offered).then(|| {
            format!(
                "the generator noticed {} of {offered} measured requests more than {:.1} ms after \
                 their intended time (at most 1 % allowed; worst {:.1} ms): give it more CPU, or \
                 lower the rate",
                self.own_lag_above,
                self.plan.own_lag_ns_max as f64 * 1e-6,
                self.own_lag_ns_max as f64 * 1e-6,
            )
        })
    }

    /// Largest delay between an intended time and the turn that noticed it.
    #[must_use]
    pub fn own_lag_ns_max(&self) -> u64 {
        self.own_lag_ns_max
    }

    /// Fates of the measured requests, and of all.
    #[must_use]
    pub fn outcomes(&self) -> (Outcomes, Outcomes) {
        let measured = self.measured.outcomes();
        let mut total = self.warmup.outcomes();
        total.add(&measured);
        (measured, total)
    }

    /// The recorders.
    #[must_use]
    pub fn recorder(&self) -> &LoadRecorder {
        &self.recorder
    }

    /// The moments.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Errors by kind.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<String, u64> {
        let named = self.errors.iter();
        named.map(|(kind, n)| ((*kind).to_owned(), *n)).collect()
    }
}

#[cfg(test)]
mod tests;
