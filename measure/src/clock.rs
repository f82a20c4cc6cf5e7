//! One time axis for all processes of one host: `CLOCK_MONOTONIC` in nanoseconds.
//!
//! On one host every process reads the same monotonic clock, so intended send times, faults and
//! phases of different processes can be laid over each other without any adjustment.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Nanoseconds of `CLOCK_MONOTONIC`, comparable between processes of one host since its boot.
///
/// Costs about 25 ns (vDSO, no system call).
#[must_use]
pub fn monotonic_ns() -> u64 {
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
