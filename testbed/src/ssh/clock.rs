//! How far the clock of a host is off: the round trip that took least tells most.

use serde::{Deserialize, Serialize};

use super::connection::Connection;
use super::protocol::{Answer, Ask};
use crate::error::TestbedError;

const ROUND_TRIPS: usize = 30;

/// What our monotonic clock shows more than the host's, and how far that may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shift {
    pub shift_ns: i64,
    /// Half of the round trip: the answer was given somewhere in it.
    pub error_ns: u64,
}

/// Asked at `sent_ns`, answered with `there_ns`, heard at `heard_ns`.
fn of_round_trip(sent_ns: u64, there_ns: u64, heard_ns: u64) -> Shift {
    let middle_ns = sent_ns.midpoint(heard_ns);
    Shift {
        shift_ns: middle_ns.cast_signed().wrapping_sub(there_ns.cast_signed()),
        // Rounded up.
        error_ns: heard_ns.saturating_sub(sent_ns).div_ceil(2),
    }
}

/// The best of some round trips.
pub(super) fn measure(connection: &mut Connection) -> Result<Shift, TestbedError> {
    let mut best: Option<Shift> = None;
    for _ in 0..ROUND_TRIPS {
        let sent_ns = measure::host_monotonic_ns();
        let answer = connection.ask(Ask::Clock)?;
        let heard_ns = measure::host_monotonic_ns();
        let Answer::Clock { monotonic_ns } = answer else {
            return Err(connection.error("expected the time, found another answer"));
        };
        let shift = of_round_trip(sent_ns, monotonic_ns, heard_ns);
        if best.is_none_or(|best| shift.error_ns < best.error_ns) {
            best = Some(shift);
        }
    }
    best.ok_or_else(|| connection.error("told no time"))
}

#[cfg(test)]
mod tests;
