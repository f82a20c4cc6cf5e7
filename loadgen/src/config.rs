//! What a load run is asked to do: one TOML file, unknown keys refused.

use std::path::{Path, PathBuf};

use measure::RateShape;
use serde::{Deserialize, Serialize};
use transport::Backend;
use types::limits::TX_LEN_MAX;

use crate::error::LoadError;
use crate::schedule::Arrival;
use crate::workload::{SIZE_BYTES_MIN, WorkloadKind};

/// How groups of transactions are authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Unsigned, as in every peer.
    #[default]
    None,
    /// One Ed25519 signature of the session's key per group.
    Signed,
}

impl Auth {
    /// The name in configs and records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Auth::None => "none",
            Auth::Signed => "signed",
        }
    }
}

/// Configuration of one generator. Paths are relative to the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadConfig {
    /// The committee file (public keys and client addresses).
    pub committee: PathBuf,
    /// Where the record goes; created if missing, must not hold a record already.
    pub out_dir: PathBuf,
    /// Offered rate of this generator, transactions per second, `> 0`.
    pub rate: f64,
    /// Length of the measured phase in seconds, `> 0`.
    pub duration_s: f64,
    /// Length of the warm-up before it, in seconds.
    #[serde(default)]
    pub warmup_s: f64,
    /// Longest wait for unfinished requests after the last send, in seconds; it ends early when
    /// nothing is unfinished. No load is made in it.
    #[serde(default = "defaults::cooldown_s")]
    pub cooldown_s: f64,
    /// Spacing of the intended send times.
    #[serde(default)]
    pub arrival: Arrival,
    /// With `arrival = "closed"`: requests that wait for an answer at any time. `rate` has no meaning then.
    #[serde(default)]
    pub in_flight: Option<u32>,
    /// Ramp and bursts.
    #[serde(default)]
    pub shape: RateShape,
    /// Payload of one `put` in bytes (a `transfer` has 25, whatever stands here).
    #[serde(default = "defaults::size_bytes")]
    pub size_bytes: u32,
    /// Connections; absent: one per replica. Connection `i` goes to replica `i mod n`.
    #[serde(default)]
    pub connections: Option<u32>,
    /// Indices of the replicas to connect to; absent: all. Connections are shared out among them.
    #[serde(default)]
    pub replicas: Option<Vec<u32>>,
    /// Sessions per connection, `1..=4096`.
    #[serde(default = "defaults::sessions")]
    pub sessions: u32,
    /// What the transactions do.
    #[serde(default)]
    pub workload: WorkloadKind,
    /// Number of different keys (or accounts), `>= 2`.
    #[serde(default = "defaults::keys")]
    pub keys: u64,
    /// Seed of schedule and payloads.
    #[serde(default = "defaults::seed")]
    pub seed: u64,
    /// Client authentication.
    #[serde(default)]
    pub auth: Auth,
    /// A request is finished with one unchecked receipt; weakens every figure and is named in it.
    #[serde(default)]
    pub trust_unchecked: bool,
    /// First intended send as `CLOCK_MONOTONIC` nanoseconds, so that several generators of one
    /// host begin together; absent: as soon as the connections are up.
    #[serde(default)]
    pub start_at: Option<u64>,
    /// Whether frames are sealed; must be the replicas' setting.
    #[serde(default)]
    pub encryption: bool,
    /// `epoll`, `tokio-uring` or `io-uring`.
    #[serde(default = "defaults::backend")]
    pub backend: String,
    /// End the run, with a record, when standard input is closed.
    #[serde(default)]
    pub stop_on_stdin_eof: bool,
    /// Index of this generator among those of the run.
    #[serde(default)]
    pub generator: u32,
    /// A request which finishes later than this after its intended time is late, in ms.
    #[serde(default = "defaults::late_after_ms")]
    pub late_after_ms: u64,
    /// A connection with unanswered requests and without a receipt for this long, while others
    /// get receipts, loses its sessions to the others; in ms.
    #[serde(default = "defaults::failover_ms")]
    pub failover_ms: u64,
    /// Sends are gathered for this long at most, in microseconds; absent: chosen from the rate
    /// (0 below 2 k tx/s, a hundredth of the rate's figure, at most 1000).
    #[serde(default)]
    pub coalesce_us: Option<u64>,
    /// A generator whose own lag exceeds this in more than 1 % of the measured requests was
    /// saturated; in ms.
    #[serde(default = "defaults::lag_p99_ms_max")]
    pub lag_p99_ms_max: f64,
    /// Commit proofs are gathered for this long and checked together, in ms.
    #[serde(default = "defaults::verify_every_ms")]
    pub verify_every_ms: u64,
    /// Wait for the first connections, in seconds.
    #[serde(default = "defaults::connect_timeout_s")]
    pub connect_timeout_s: f64,
    /// Hand pairs of receipts that contradict each other to the replicas.
    #[serde(default = "defaults::hand_in")]
    pub hand_in: bool,
    /// Also write every receipt to `receipts.bin`.
    #[serde(default)]
    pub receipts_log: bool,
}

mod defaults {
    pub fn cooldown_s() -> f64 {
        2.0
    }
    pub fn size_bytes() -> u32 {
        512
    }
    pub fn sessions() -> u32 {
        64
    }
    pub fn keys() -> u64 {
        100_000
    }
    pub fn seed() -> u64 {
        1
    }
    pub fn backend() -> String {
        "epoll".into()
    }
    pub fn late_after_ms() -> u64 {
        5_000
    }
    pub fn failover_ms() -> u64 {
        1_000
    }
    pub fn lag_p99_ms_max() -> f64 {
        20.0
    }
    pub fn verify_every_ms() -> u64 {
        100
    }
    pub fn hand_in() -> bool {
        true
    }
    pub fn connect_timeout_s() -> f64 {
        10.0
    }
}

/// Most sessions per connection.
pub const SESSIONS_MAX: u32 = 4_096;
/// Most connections of one generator.
pub const CONNECTIONS_MAX: u32 = 1_024;
/// Proofs of a closed loop are gathered for this long at most.
const CLOSED_VERIFY_NS_MAX: u64 = 2_000_000;
/// Most requests of a closed loop.
const IN_FLIGHT_MAX: u32 = 1_000_000;
/// Longest phase.
const PHASE_S_MAX: f64 = 86_400.0;

impl LoadConfig {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`LoadError`], naming the key and what was expected.
    pub fn load(path: &Path) -> Result<LoadConfig, LoadError> {
        let text = std::fs::read_to_string(path).map_err(|source| LoadError::ConfigFile {
            path: path.to_path_buf(),
            source,
        })?;
        LoadConfig::from_toml(&text)
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// As [`LoadConfig::load`].
    pub fn from_toml(text: &str) -> Result<LoadConfig, LoadError> {
        let config: LoadConfig = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`LoadError::ConfigValue`].
    pub fn check(&self) -> Result<(), LoadError> {
        let within = |key, value: f64, low: f64, high: f64, expected| {
            let fits = value.is_finite() && value >= low && value <= high;
            must(fits, key, expected, value)
        };
        within("rate", self.rate, 1e-3, 1e8, "0.001 to 1e8 tx/s")?;
        let phase = "seconds, at most a day";
        within("duration_s", self.duration_s, 1e-3, PHASE_S_MAX, phase)?;
        within("warmup_s", self.warmup_s, 0.0, PHASE_S_MAX, phase)?;
        within("cooldown_s", self.cooldown_s, 0.0, PHASE_S_MAX, phase)?;
        within(
            "connect_timeout_s",
            self.connect_timeout_s,
            0.0,
            3600.0,
            "seconds, at most an hour",
        )?;
        within(
            "lag_p99_ms_max",
            self.lag_p99_ms_max,
            0.0,
            1e6,
            "milliseconds",
        )?;
        let sizes = SIZE_BYTES_MIN..=TX_LEN_MAX as u32;
        let size = "16 to 262144 bytes";
        must(
            sizes.contains(&self.size_bytes),
            "size_bytes",
            size,
            self.size_bytes,
        )?;
        let sessions = (1..=SESSIONS_MAX).contains(&self.sessions);
        must(sessions, "sessions", "1 to 4096", self.sessions)?;
        let connections = self.connections.unwrap_or(1);
        let fits = (1..=CONNECTIONS_MAX).contains(&connections);
        must(fits, "connections", "1 to 1024", connections)?;
        let closed = self.arrival == Arrival::Closed;
        must(
            closed == self.in_flight.is_some() && (!closed || self.shape.is_steady()),
            "in_flight",
            "a number with arrival = \"closed\" and no shape, and none without it",
            format!("{:?} with {}", self.in_flight, self.arrival.name()),
        )?;
        let in_flight = self.in_flight.unwrap_or(1);
        let fits = (1..=IN_FLIGHT_MAX).contains(&in_flight);
        must(fits, "in_flight", "1 to 1000000", in_flight)?;
        let replicas = self.replicas.as_ref().is_none_or(|list| !list.is_empty());
        must(replicas, "replicas", "at least one index", "an empty list")?;
        must(self.keys >= 2, "keys", "at least 2", self.keys)?;
        must(
            self.failover_ms >= 1,
            "failover_ms",
            "at least 1",
            self.failover_ms,
        )?;
        let coalesce_us = self.coalesce_us.unwrap_or(0);
        must(
            coalesce_us <= 1_000_000,
            "coalesce_us",
            "at most 1000000",
            coalesce_us,
        )?;
        must(
            self.verify_every_ms <= 10_000,
            "verify_every_ms",
            "at most 10000",
            self.verify_every_ms,
        )?;
        self.backend().map(drop)
    }

    /// The back end by its type.
    ///
    /// # Errors
    /// [`LoadError::ConfigValue`] for an unknown name.
    pub fn backend(&self) -> Result<Backend, LoadError> {
        self.backend.parse().map_err(|_| LoadError::ConfigValue {
            key: "backend",
            expected: "epoll, tokio-uring or io-uring",
            found: format!("{:?}", self.backend),
        })
    }

    /// How long proofs are gathered, in nanoseconds. A closed loop waits for their check: what is gained by
    /// gathering would be lost by waiting.
    #[must_use]
    pub fn verify_every_ns(&self) -> u64 {
        let asked_ns = self.verify_every_ms * 1_000_000;
        match self.in_flight {
            Some(_) => asked_ns.min(CLOSED_VERIFY_NS_MAX),
            None => asked_ns,
        }
    }

    /// How long sends are gathered, in nanoseconds: nothing where single sends are affordable, and
    /// at most 1 ms where their system calls would be the load.
    #[must_use]
    pub fn coalesce_ns(&self) -> u64 {
        let chosen_us = match self.rate {
            _ if self.in_flight.is_some() => 0,
            rate if rate < 2_000.0 => 0,
            rate => (rate / 100.0).min(1_000.0) as u64,
        };
        self.coalesce_us.unwrap_or(chosen_us) * 1_000
    }
}

fn must(
    fits: bool,
    key: &'static str,
    expected: &'static str,
    found: impl ToString,
) -> Result<(), LoadError> {
    match fits {
        true => Ok(()),
        false => Err(LoadError::ConfigValue {
            key,
            expected,
            found: found.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests;
