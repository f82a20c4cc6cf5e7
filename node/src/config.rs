//! The configuration of one replica: TOML, typed, unknown keys and odd values refused with their
//! line. Every key is described in `docs/config.md`.

mod checked;
mod file;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;
use transport::Backend;
use types::CommitRule;
use types::limits::BATCH_LEN_MAX;

pub use file::ConfigError;

/// A whole configuration. Relative paths are meant from the folder of the file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Public file of the cluster: members, keys, addresses, scheme, rule.
    pub committee: PathBuf,
    /// Private keys of this replica; they name its seat by their public halves.
    pub keys: PathBuf,
    /// Folder of the journal; needed unless durability is `memory`.
    pub data_dir: Option<PathBuf>,
    #[serde(default)]
    pub durability: Durability,
    /// Must equal the committee's, if given: a guard against mixed-up files.
    #[serde(default, deserialize_with = "checked::rule")]
    pub rule: Option<CommitRule>,
    /// Where `/metrics` and `/healthz` are served; absent: nowhere.
    pub metrics_addr: Option<SocketAddr>,
    /// Where `status.json` and `ledger.bin` go; absent: nowhere.
    pub report_dir: Option<PathBuf>,
    /// Stop gracefully when standard input ends, so that a replica never outlives its starter.
    #[serde(default)]
    pub stop_on_stdin_eof: bool,
    #[serde(default)]
    pub transport: TransportSection,
    #[serde(default)]
    pub app: AppSection,
    #[serde(default)]
    pub clients: ClientsSection,
    #[serde(default)]
    pub timing: TimingSection,
    #[serde(default)]
    pub lanes: LanesSection,
    #[serde(default)]
    pub journal: JournalSection,
    #[serde(default)]
    pub crypto: CryptoSection,
    #[serde(default)]
    pub admission: AdmissionSection,
    #[serde(default)]
    pub recovery: RecoverySection,
    #[serde(default)]
    pub log: LogSection,
    /// Fault injection; off unless present.
    pub control: Option<ControlSection>,
    /// CPU profile of a window; off unless present.
    pub profile: Option<ProfileSection>,
}

/// What must have happened before a message leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Everything the message depends on is on disk.
    #[default]
    Strict,
    /// Nothing: heap only, nothing is written. For comparison, and named in every result.
    Memory,
}

impl Durability {
    pub fn name(self) -> &'static str {
        match self {
            Durability::Strict => "strict",
            Durability::Memory => "memory",
        }
    }
}

/// `[transport]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransportSection {
    #[serde(deserialize_with = "checked::backend")]
    pub backend: Backend,
    /// AES-GCM on every link; off: a MAC per frame. All replicas and clients must agree.
    pub encryption: bool,
    /// `TCP_CONGESTION` of every socket; absent: the system's default.
    pub congestion: Option<String>,
    /// Bind here instead of at the committee's address (behind an address translation, say).
    pub peer_listen: Option<SocketAddr>,
    pub client_listen: Option<SocketAddr>,
    /// `io-uring` only: try zero-copy sends, keep them where the kernel reports that they pay.
    pub zero_copy: bool,
    /// Shaping of the links *from* this replica.
    pub shape: Vec<ShapeSection>,
}

impl Default for TransportSection {
    fn default() -> Self {
        Self {
            backend: Backend::Epoll,
            encryption: false,
            congestion: None,
            peer_listen: None,
            client_listen: None,
            zero_copy: false,
            shape: Vec::new(),
        }
    }
}

/// `[[transport.shape]]`: how the link to one replica, or to all of them, behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShapeSection {
    /// Index of the other replica; absent: all of them. Later entries replace earlier ones.
    pub to: Option<u16>,
    #[serde(deserialize_with = "checked::millis::<_, 60_000>")]
    pub delay_ms: f64,
    /// Uniform on top of `delay_ms`.
    #[serde(deserialize_with = "checked::millis::<_, 60_000>")]
    pub jitter_ms: f64,
    #[serde(deserialize_with = "checked::optional::<_, 1, { u64::MAX }>")]
    pub bandwidth_bytes_per_s: Option<u64>,
    /// Probability per frame that the connection breaks, 0 to 1.
    #[serde(deserialize_with = "checked::probability")]
    pub loss: f64,
}

/// `[app]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSection {
    pub kind: AppKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppKind {
    /// Put, get and transfers between accounts, with a state digest.
    #[default]
    Kv,
    /// Orders and forgets.
    Null,
}

impl AppKind {
    pub fn name(self) -> &'static str {
        match self {
            AppKind::Kv => "kv",
            AppKind::Null => "null",
        }
    }
}

/// `[clients]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientsSection {
    pub auth: ClientAuth,
    /// Connections of clients; further ones are refused.
    #[serde(deserialize_with = "checked::ranged::<_, 1, 1_000_000>")]
    pub max: u64,
}

impl Default for ClientsSection {
    fn default() -> Self {
        Self {
            auth: ClientAuth::None,
            max: 4096,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientAuth {
    /// As every peer measures.
    #[default]
    None,
    /// One Ed25519 signature of the session's key per group, checked by every replica.
    Signed,
}

impl ClientAuth {
    pub fn name(self) -> &'static str {
        match self {
            ClientAuth::None => "none",
            ClientAuth::Signed => "signed",
        }
    }
}

/// `[timing]`, all in milliseconds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingSection {
    /// First timeout of a view; it backs off from there and shrinks back to it.
    #[serde(deserialize_with = "checked::ranged::<_, 1, 600_000>")]
    pub view_timeout_ms: u64,
    /// How long a leader with nothing to order waits before it proposes an empty block. Must stay
    /// below `view_timeout_ms`.
    #[serde(deserialize_with = "checked::ranged::<_, 0, 600_000>")]
    pub idle_view_ms: u64,
    /// Least time between two proposals while there is something to order: a view costs signatures,
    /// not bytes.
    #[serde(deserialize_with = "checked::millis::<_, 60_000>")]
    pub pace_ms: f64,
}

impl Default for TimingSection {
    fn default() -> Self {
        Self {
            view_timeout_ms: 250,
            idle_view_ms: 80,
            pace_ms: 4.0,
        }
    }
}

/// `[lanes]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanesSection {
    /// A batch is cut at this size at the latest.
    #[serde(deserialize_with = "checked::ranged::<_, 1024, { BATCH_LEN_MAX as u64 }>")]
    pub batch_bytes: u64,
    /// Own cars that may wait for their certificates at the same time.
    #[serde(deserialize_with = "checked::ranged::<_, 1, 1024>")]
    pub cars_in_flight: u64,
    /// Least time between own cars within one view, in milliseconds; slow views stretch it.
    #[serde(deserialize_with = "checked::millis::<_, 10_000>")]
    pub car_interval_ms: f64,
    /// Own bytes sent but not committed, above which the lane stops admitting.
    #[serde(deserialize_with = "checked::ranged::<_, 65_536, { 1 << 40 }>")]
    pub window_bytes: u64,
    /// Executed batches kept in memory for replicas that lag.
    #[serde(deserialize_with = "checked::ranged::<_, 0, { 1 << 40 }>")]
    pub retention_bytes: u64,
    /// Most blocks between two checkpoints.
    #[serde(deserialize_with = "checked::ranged::<_, 1, 1_000_000_000>")]
    pub checkpoint_interval: u64,
    /// After so many bytes of batches a checkpoint is due sooner. Both must be alike at all replicas.
    #[serde(deserialize_with = "checked::ranged::<_, 65_536, { 1 << 40 }>")]
    pub checkpoint_bytes: u64,
}

impl Default for LanesSection {
    fn default() -> Self {
        Self {
            batch_bytes: 256 << 10,
            cars_in_flight: 16,
            car_interval_ms: 4.0,
            window_bytes: 16 << 20,
            retention_bytes: 128 << 20,
            checkpoint_interval: 128,
            checkpoint_bytes: 64 << 20,
        }
    }
}

/// `[journal]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalSection {
    /// The journal is rewritten when it holds more bytes than this.
    #[serde(deserialize_with = "checked::ranged::<_, { 1 << 20 }, { 1 << 40 }>")]
    pub rewrite_bytes: u64,
}

impl Default for JournalSection {
    fn default() -> Self {
        Self {
            rewrite_bytes: 1 << 30,
        }
    }
}

/// `[crypto]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CryptoSection {
    /// Helper threads; 0 does everything on the replica's own thread.
    #[serde(deserialize_with = "checked::ranged::<_, 0, 64>")]
    pub threads: u64,
}

impl Default for CryptoSection {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

/// `[admission]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionSection {
    /// Most transactions admitted here per second; absent: no cap.
    #[serde(deserialize_with = "checked::optional::<_, 1, { u64::MAX }>")]
    pub tx_per_s: Option<u64>,
}

/// `[recovery]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RecoverySection {
    /// Off: the `baseline`; a replica that sees two conflicting commits halts.
    pub enabled: bool,
    /// Shortest distance of commit notices under load, in milliseconds.
    #[serde(deserialize_with = "checked::millis::<_, 60_000>")]
    pub notice_ms: f64,
    /// Eq. 6: detector confidence and precision from which recovery needs no operator.
    #[serde(deserialize_with = "checked::probability")]
    pub theta_detect: f64,
    #[serde(deserialize_with = "checked::probability")]
    pub theta_precision: f64,
    /// Eq. 2: largest tolerated probability of misclassification.
    #[serde(deserialize_with = "checked::probability")]
    pub tau_ops: f64,
    /// Admission while degraded: least detector confidence, most verifications waiting.
    #[serde(deserialize_with = "checked::probability")]
    pub admission_confidence: f64,
    #[serde(deserialize_with = "checked::ranged::<_, 0, { i64::MAX as u64 }>")]
    pub admission_backlog: u64,
}

impl Default for RecoverySection {
    fn default() -> Self {
        let policy = crate::replica::RecoveryConfig::default();
        Self {
            enabled: true,
            notice_ms: policy.notice_ns as f64 / 1e6,
            theta_detect: policy.theta_detect,
            theta_precision: policy.theta_precision,
            tau_ops: policy.tau_ops,
            admission_confidence: policy.admission_confidence,
            admission_backlog: policy.admission_backlog,
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    pub format: LogFormat,
    /// As `tracing` filters read: `info`, `warn,transport=debug`. `REFORGE_LOG` overrides it.
    pub filter: String,
}

impl Default for LogSection {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// `[control]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlSection {
    /// Path of the Unix socket (mode 0600); it must not exist, or be one nobody listens on.
    pub socket: PathBuf,
}

/// `[profile]`: also started and stopped by SIGUSR2.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSection {
    /// Seconds from the start to the window; absent: only SIGUSR2 begins one.
    #[serde(default, deserialize_with = "checked::optional::<_, 0, 86_400>")]
    pub after_s: Option<u64>,
    /// Length of the window in seconds.
    #[serde(
        default = "ten_seconds",
        deserialize_with = "checked::ranged::<_, 1, 3600>"
    )]
    pub duration_s: u64,
    /// Samples per second of CPU time.
    #[serde(
        default = "samples_per_s",
        deserialize_with = "checked::ranged::<_, 1, 10_000>"
    )]
    pub hz: u64,
    /// Folder of `profile-<k>.svg` and `profile-<k>.folded`; absent: `report_dir`.
    pub dir: Option<PathBuf>,
}

fn ten_seconds() -> u64 {
    10
}

fn samples_per_s() -> u64 {
    499
}

#[cfg(test)]
mod tests;
