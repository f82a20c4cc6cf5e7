//! Rates from counters that were read twice.

use crate::live::Replica;

/// What counters are called.
const COUNTER: &str = "_total";

/// Growth per second of a counter of one replica. None if it did not answer both times, and if its process is
/// another one than before: that one's counters began at zero again.
pub fn per_second(before: Option<&Replica>, now: &Replica, counter: &str) -> Option<f64> {
    let before = before?;
    if began_again(before, now) {
        return None;
    }
    let grown = now.figures.get(counter)? - before.figures.get(counter)?;
    let elapsed_ns = now.at_ns.checked_sub(before.at_ns).filter(|ns| *ns > 0)?;
    Some(grown / (elapsed_ns as f64 * 1e-9))
}

/// Any counter tells: one of a busy replica may be larger than before a second after its start, that of its
/// CPU time is not.
fn began_again(before: &Replica, now: &Replica) -> bool {
    let counters = before
        .figures
        .iter()
        .filter(|(name, _)| name.ends_with(COUNTER));
    counters
        .filter_map(|(name, value)| Some((value, now.figures.get(name)?)))
        .any(|(before, now)| now < before)
}

#[cfg(test)]
mod tests;
