//! What can go wrong: what was expected, what was found, what to do.
use std::{fmt::Write as _, io, path::PathBuf, sync::Arc};

use crate::RECORD_BYTES_MAX;

/// Every error of this room. Cloneable, since an I/O error is sticky and reported again on every call.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StorageError {
    /// A record above the limit; nothing was written.
    #[error(
        "record of kind {kind} has {len_bytes} bytes, at most {RECORD_BYTES_MAX} are allowed: split it"
    )]
    RecordTooLarge { kind: u8, len_bytes: usize },

    /// No room (`ENOSPC`, `EDQUOT`, `EFBIG`). Nothing after the last completed token was acknowledged.
    #[error(
        "disk full: {op} {path}: {source}; nothing unsynced was acknowledged: free space (or raise the quota), then start again"
    )]
    DiskFull {
        op: &'static str,
        path: PathBuf,
        source: Arc<io::Error>,
    },

    /// Any other I/O error; fatal, since after a failed `fsync` nobody knows what is on the disk.
    #[error("{op} {path}: {source}; the journal is closed: check the disk, then start again")]
    Io {
        op: &'static str,
        path: PathBuf,
        source: Arc<io::Error>,
    },

    /// Another process has the folder open.
    #[error(
        "journal {dir} is locked by another process: stop it, or give this node a folder of its own"
    )]
    Locked { dir: PathBuf },

    /// The folder belongs to another cluster or replica.
    #[error(
        "journal {path} belongs to owner {found}, expected {expected}: wrong data folder, cluster id or replica id in the config"
    )]
    WrongOwner {
        path: PathBuf,
        expected: String,
        found: String,
    },

    /// Not a journal of this format.
    #[error(
        "{path} is no journal segment of format {expected}: found {found}; move it away or use the matching version"
    )]
    WrongFormat {
        path: PathBuf,
        expected: u32,
        found: String,
    },

    /// Bytes which had been durable are damaged or missing. Never skipped: a replica that forgets what it
    /// signed may contradict itself.
    #[error(
        "journal {path} is damaged at byte {offset}: {reason}; do not delete it and go on, for this replica could contradict what it signed: restore the folder from a copy, or replace the replica under a new key"
    )]
    Corrupt {
        path: PathBuf,
        offset: u64,
        reason: String,
    },

    /// An option outside its range.
    #[error("option {name} is {found}, expected {expected}")]
    BadOption {
        name: &'static str,
        found: u64,
        expected: &'static str,
    },
}

impl StorageError {
    /// Sorts an I/O error of `op` on `path`.
    pub(crate) fn io(op: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        let path = path.into();
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let source = Arc::new(source);
        if full {
            Self::DiskFull { op, path, source }
        } else {
            Self::Io { op, path, source }
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}
