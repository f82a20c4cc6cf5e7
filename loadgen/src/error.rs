//! Why a load run could not be made at all. What goes wrong *during* a run is counted, not raised.

use std::path::PathBuf;

/// A load run that could not begin or could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The configuration file cannot be read.
    #[error("cannot read load configuration {path}: {source}")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The configuration is no TOML, has an unknown key or a value of the wrong type.
    #[error("bad load configuration: {0}")]
    ConfigSyntax(#[from] toml::de::Error),
    /// A value is out of its range or contradicts another.
    #[error("bad load configuration: {key}: expected {expected}, found {found}")]
    ConfigValue {
        /// The key.
        key: &'static str,
        /// Its range.
        expected: &'static str,
        /// The value.
        found: String,
    },
    /// The committee file cannot be used.
    #[error("cannot use committee {path}: {found}")]
    Committee {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A client address of the committee is no address.
    #[error(
        "replica {replica} has the client address {addr:?}, which does not resolve ({found}); \
         expected host:port, correct the committee file"
    )]
    Address {
        /// The replica's index.
        replica: usize,
        /// What the committee file says.
        addr: String,
        /// The resolver's reason.
        found: String,
    },
    /// No replica answered in time.
    #[error(
        "no replica accepted a client connection and said hello within {waited_s} s ({found}); \
         start the replicas first, or raise connect_timeout_s"
    )]
    NoReplica {
        /// How long was waited.
        waited_s: f64,
        /// The reasons of the last attempts.
        found: String,
    },
    /// The agreed start has passed already.
    #[error(
        "start_at lies {late_ms} ms in the past; expected a CLOCK_MONOTONIC time in nanoseconds \
         that leaves time to connect, choose a later one"
    )]
    StartPassed {
        /// By how much.
        late_ms: u64,
    },
    /// The sockets failed as such (never because of one peer).
    #[error("transport: {0}")]
    Transport(#[from] transport::TransportError),
    /// The record cannot be written.
    #[error("record: {0}")]
    Record(#[from] measure::MeasureError),
    /// A file of the output folder cannot be written.
    #[error("cannot write {path}: {source}")]
    Output {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The thread that checks proofs ended; nothing can be called finished any more.
    #[error("the thread which checks commit proofs ended before the run did; see its log")]
    CheckerGone,
}
