//! One time axis for all processes of one host: `CLOCK_MONOTONIC` in nanoseconds.
//!
//! On one host every process reads the same monotonic clock, so intended send times, faults and
//! phases of different processes can be laid over each other without any adjustment. A process on another
//! host is told how far that host's clock is off, and shifts what it reads.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Environment variable: what the orchestrator's clock shows more than this host's, in nanoseconds.
pub const CLOCK_SHIFT: &str = "REFORGE_CLOCK_SHIFT_NS";

/// Read once: the axis of a process does not move.
static SHIFT_NS: LazyLock<i64> = LazyLock::new(|| shift_of(std::env::var(CLOCK_SHIFT).ok()));

/// Whoever sets it sets a number; anything else is as if nothing were set.
fn shift_of(text: Option<String>) -> i64 {
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Nanoseconds of `CLOCK_MONOTONIC` of the orchestrating host, comparable between all processes of a run.
/// Started by hand, a process has its own host's clock.
///
/// Costs about 25 ns (vDSO, no system call).
#[must_use]
pub fn monotonic_ns() -> u64 {
    host_monotonic_ns().saturating_add_signed(*SHIFT_NS)
}

/// Nanoseconds of this host's own `CLOCK_MONOTONIC`.
#[must_use]
pub fn host_monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)
        .expect("CLOCK_MONOTONIC exists on every kernel this project runs on");
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let subsec_ns = u64::try_from(now.tv_nsec()).unwrap_or(0);
    seconds * 1_000_000_000 + subsec_ns
}

/// One moment read on both clocks, so that monotonic stamps can be shown as wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WallAnchor {
    /// `CLOCK_MONOTONIC` at the moment of the anchor.
    pub monotonic_ns: u64,
    /// The same moment as nanoseconds since the Unix epoch.
    pub unix_ns: u64,
}

impl WallAnchor {
    /// Reads both clocks, one directly after the other.
    #[must_use]
    pub fn now() -> Self {
        let monotonic_ns = monotonic_ns();
        let unix_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
        Self {
            monotonic_ns,
            unix_ns,
        }
    }

    /// Unix nanoseconds of a monotonic stamp, also of one before the anchor.
    #[must_use]
    pub fn unix_ns_at(&self, monotonic_ns: u64) -> u64 {
        if monotonic_ns >= self.monotonic_ns {
            self.unix_ns + (monotonic_ns - self.monotonic_ns)
        } else {
            self.unix_ns
                .saturating_sub(self.monotonic_ns - monotonic_ns)
        }
    }
}
