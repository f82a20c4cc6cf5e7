//! Errors of this room: what was expected, what was found, what to do.

use std::path::PathBuf;

use measure::MeasureError;

/// Why a spec was refused or a campaign could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// The spec is not valid TOML, has unknown keys or values of another type.
    #[error("{origin}: {message}")]
    SpecSyntax {
        /// File name, or `<embedded>`.
        origin: String,
        /// The parser's message with line and column.
        message: String,
    },
    /// The spec contradicts itself.
    #[error("{origin}{}: {key}: {message}", line.map(|l| format!(":{l}")).unwrap_or_default())]
    SpecContradiction {
        /// File name, or `<embedded>`.
        origin: String,
        /// Line of the key, unless it came from a default or an override.
        line: Option<usize>,
        /// Dotted path of the key.
        key: String,
        /// Expected, found, what to do.
        message: String,
    },
    /// `--set` could not be applied.
    #[error("--set {argument}: {message}")]
    Override {
        /// The argument as given.
        argument: String,
        /// Expected, found, what to do.
        message: String,
    },
    /// A file of this room could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A process could not be started or signalled.
    #[error("cannot {action} {name}: {source}")]
    Process {
        /// What was attempted.
        action: &'static str,
        /// `replica-<i>`, `load-<k>`, `keygen`.
        name: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A replica did not do what its control socket was told.
    #[error("control socket {}: {found}; is the replica alive?", socket.display())]
    Control {
        /// The socket.
        socket: PathBuf,
        /// What went wrong.
        found: String,
    },
    /// The system under test did not come up.
    #[error("{0}")]
    Setup(String),
    /// A part of the run folder failed.
    #[error(transparent)]
    Measure(#[from] MeasureError),
}
