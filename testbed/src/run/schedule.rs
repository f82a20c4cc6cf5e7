//! What happens when during the load: phases and faults on one monotonic axis.

use std::collections::VecDeque;

use measure::{Phase, PlannedFault};

use crate::spec::LoadSpec;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    Phase(Phase),
    Fault(PlannedFault),
}

/// Actions in the order of their times.
#[derive(Debug)]
pub(super) struct Schedule {
    actions: VecDeque<(u64, Action)>,
    end_ns: u64,
}

impl Schedule {
    /// `start_ns` is the first intended send; fault times count from the measured phase.
    pub(super) fn new(load: &LoadSpec, faults: &[PlannedFault], start_ns: u64) -> Self {
        let at = |after_s: f64| start_ns.saturating_add_signed((after_s * 1e9) as i64);
        let measure_s = load.warmup_s;
        let cooldown_s = measure_s + load.duration_s;
        let mut actions = vec![
            (at(0.0), Action::Phase(Phase::Warmup)),
            (at(measure_s), Action::Phase(Phase::Measure)),
            (at(cooldown_s), Action::Phase(Phase::Cooldown)),
        ];
        actions.extend(
            faults
                .iter()
                .map(|fault| (at(measure_s + fault.at_s), Action::Fault(fault.clone()))),
        );
        // Stable: a phase comes before a fault of the same moment.
        actions.sort_by_key(|(at_ns, _)| *at_ns);
        Self {
            actions: actions.into(),
            end_ns: at(cooldown_s + load.cooldown_s),
        }
    }

    /// The next action whose time has come.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<Action> {
        let (_, action) = self.actions.pop_front_if(|(at_ns, _)| *at_ns <= now_ns)?;
        Some(action)
    }

    /// When the next action is due.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.actions.front().map(|(at_ns, _)| *at_ns)
    }

    /// When the load should have ended.
    pub(super) fn end_ns(&self) -> u64 {
        self.end_ns
    }
}

#[cfg(test)]
mod tests;
