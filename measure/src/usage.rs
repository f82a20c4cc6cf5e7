//! What the calling process has used so far, as the kernel counts it.

use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// Resources used by one process since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// User CPU time in seconds, all threads.
    pub cpu_user_s: f64,
    /// System CPU time in seconds, all threads.
    pub cpu_system_s: f64,
    /// Largest resident set so far, in bytes.
    pub rss_bytes_max: u64,
    /// Context switches forced on the process.
    pub switches_involuntary: u64,
    /// Context switches the process asked for by waiting.
    pub switches_voluntary: u64,
}

impl Usage {
    /// Usage of the calling process; zeros if the kernel refuses the question.
    #[must_use]
    pub fn of_this_process() -> Self {
        let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else {
            return Self::default();
        };
        let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 * 1e-6;
        let count = |c: i64| u64::try_from(c).unwrap_or(0);
        Self {
            cpu_user_s: seconds(usage.user_time()),
            cpu_system_s: seconds(usage.system_time()),
            // Linux counts ru_maxrss in KiB.
            rss_bytes_max: count(usage.max_rss()) * 1024,
            switches_involuntary: count(usage.involuntary_context_switches()),
            switches_voluntary: count(usage.voluntary_context_switches()),
        }
    }

    /// User and system CPU time together, in seconds.
    #[must_use]
    pub fn cpu_s(&self) -> f64 {
        self.cpu_user_s + self.cpu_system_s
    }
}
