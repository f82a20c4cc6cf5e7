//! One seat's machine: a disk that outlives its processes, and the process that runs on it.

use adversary::Acts;
use node::replica::Counters;
use storage::{Options, SimDisk};

use crate::process::Process;

/// See the module.
pub struct Host {
    pub disk: SimDisk,
    pub process: Option<Process>,
    /// Number of the process that runs or ran last.
    pub life: u32,
    /// When the timer that is set goes off, if one is set.
    pub wake_ns: Option<u64>,
    /// The crypto thread is busy until then.
    pub busy_ns: u64,
    pub disk_ns: u64,
    pub disk_busy_ns: u64,
    /// Clock: rate beside the true one in parts per million, and offset.
    pub ppm: i64,
    pub offset_ns: u64,
    /// Counters of the lives that ended.
    pub past: Vec<Counters>,
    pub acts: Acts,
    /// Turns in a row that did not move the deadline.
    pub spins: u32,
}

impl Host {
    pub fn new(seat: usize, seed: u64, disk_ns: u64, (ppm, offset_ns): (i64, u64)) -> Host {
        let options = Options {
            segment_bytes: 128 << 10,
            ..Options::new([seat as u8; 32])
        };
        Host {
            disk: SimDisk::new(options, seed),
            process: None,
            life: 0,
            wake_ns: None,
            busy_ns: 0,
            disk_ns,
            disk_busy_ns: 0,
            ppm,
            offset_ns,
            past: Vec::new(),
            acts: Acts::default(),
            spins: 0,
        }
    }

    /// What this machine's clock shows at the true time `now_ns`.
    pub fn clock(&self, now_ns: u64) -> u64 {
        let drift = i128::from(now_ns) * i128::from(self.ppm) / 1_000_000;
        self.offset_ns + (i128::from(now_ns) + drift) as u64
    }

    /// The first true time, not before `now_ns`, at which the clock shows at least `local_ns`.
    pub fn true_time(&self, local_ns: u64, now_ns: u64) -> u64 {
        let since = i128::from(local_ns.saturating_sub(self.offset_ns));
        let guess = since * 1_000_000 / i128::from(1_000_000 + self.ppm);
        let mut at = (guess as u64).max(now_ns);
        while self.clock(at) < local_ns {
            at += 1;
        }
        at
    }

    /// All counters, of the present life and those before it, in order.
    pub fn counters(&self) -> Vec<Counters> {
        let now = self.process.as_ref().map(Process::counters);
        self.past.iter().copied().chain(now).collect()
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}
