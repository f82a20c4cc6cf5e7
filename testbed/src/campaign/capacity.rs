//! The highest rate that a system keeps up with: bisection over runs. Which rate comes next depends on how
//! the runs before it ended, so that such a campaign has no plan, only a bound on its length.

use std::path::Path;

use measure::CapacityGoal;

use crate::error::TestbedError;
use crate::spec::{Point, Spec, probe};

/// Says of a sealed run whether the system kept up. What run folders mean is not for this room.
pub trait Judge: std::fmt::Debug {
    /// True if goodput and latency are within the goal.
    fn keeps_up(&self, run_root: &Path) -> bool;
}

/// Where a search stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bisection {
    goal: CapacityGoal,
    held: Option<f64>,
    missed: Option<f64>,
}

impl Bisection {
    pub(crate) fn new(goal: CapacityGoal) -> Self {
        Self {
            goal,
            held: None,
            missed: None,
        }
    }

    /// The rate to be tried next; nothing once the search is over.
    pub(crate) fn next(&self) -> Option<f64> {
        let goal = &self.goal;
        match (self.held, self.missed) {
            (None, None) => Some(goal.low_tps),
            (None, Some(_)) => None,
            (Some(held), None) => (held < goal.high_tps).then_some(goal.high_tps),
            (Some(held), Some(missed)) => {
                let middle = rounded((held * missed).sqrt());
                let open = missed / held > 1.0 + goal.resolution;
                (open && held < middle && middle < missed).then_some(middle)
            }
        }
    }

    pub(crate) fn tell(&mut self, rate_tps: f64, held: bool) {
        match held {
            true => self.held = Some(rate_tps),
            false => self.missed = Some(rate_tps),
        }
    }
}

/// Most probes of one search: both ends, then halves of what lies between, on a logarithmic scale.
pub(crate) fn probes_max(goal: &CapacityGoal) -> u32 {
    let span = (goal.high_tps / goal.low_tps).ln() / (1.0 + goal.resolution).ln();
    2 + span.max(1.0).log2().ceil() as u32
}

/// Three digits: names stay short, and the same everywhere.
fn rounded(rate: f64) -> f64 {
    let unit = 10f64.powf(rate.log10().floor() - 2.0);
    match unit >= 1.0 {
        true => (rate / unit).round() * unit.round(),
        false => (rate / unit).round() * unit,
    }
}

/// Searches for every point in every repetition. `make` runs a probe unless it is there already, and tells
/// whether the search may go on.
pub(super) fn search(
    spec: &Spec,
    goal: CapacityGoal,
    judge: &dyn Judge,
    root: &Path,
    mut make: impl FnMut(&Point) -> Result<bool, TestbedError>,
) -> Result<(), TestbedError> {
    let mut index = 0;
    for point in spec.points() {
        let mut bisection = Bisection::new(goal);
        while let Some(rate_tps) = bisection.next() {
            let probe = probe(&point, index, rate_tps);
            if !make(&probe)? {
                return Ok(());
            }
            index += 1;
            bisection.tell(rate_tps, judge.keeps_up(&root.join(&probe.name)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
