//! Why a replica cannot start or go on.

use std::io;
use std::path::PathBuf;

use storage::StorageError;
use transport::TransportError;

/// Every error ends the process: nothing after it is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The configuration, by file and line.
    #[error("{0}")]
    Config(#[from] crate::config::ConfigError),

    /// A key or committee file.
    #[error("{0}")]
    Keys(String),

    #[error("{0}")]
    Transport(#[from] TransportError),

    #[error("{0}")]
    Storage(#[from] StorageError),

    /// The recovered journal does not make a replica: expected, found, what to do.
    #[error("recovery: {0}")]
    Recovery(String),

    /// The replica itself says that it must not go on.
    #[error("replica: {0}")]
    Replica(String),

    /// A part of the run folder.
    #[error("{0}")]
    Report(#[from] measure::MeasureError),

    /// Anything else which the operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },

    /// A listener of ours that is no transport's.
    #[error("cannot listen on {addr} for {what}: {source}; choose a free address of this host")]
    Listen {
        what: &'static str,
        addr: String,
        source: io::Error,
    },

    /// A helper thread ended by itself.
    #[error("thread {name} {why}; this is a defect, please report it with the log")]
    Thread { name: &'static str, why: String },
}

impl NodeError {
    /// Names the failed action and the path beside the system's reason.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> NodeError {
        let path = path.into();
        move |source| NodeError::Io {
            action,
            path,
            source,
        }
    }
}
