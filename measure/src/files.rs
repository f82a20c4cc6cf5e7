//! Whole files appear atomically; growing files are appended to and never rewritten.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why a part of a run folder could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No room (`ENOSPC`, `EDQUOT`, `EFBIG`).
    #[error(
        "disk full: cannot {action} {path}: {source}; free space (or raise the quota), then start again"
    )]
    DiskFull {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The bytes are not what the schema says.
    #[error("{path} is not a readable {expected}: {found}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the schema asks for.
        expected: &'static str,
        /// What was found instead.
        found: String,
    },
    /// The file was written by a newer version of this program.
    #[error(
        "{path} has schema version {found}, this program reads up to {newest}: \
         read it with the program that wrote it, or update"
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
        /// The newest version understood here.
        newest: u32,
    },
    /// A histogram could not be encoded or decoded.
    #[error("histogram in {path}: {found}")]
    Histogram {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        found: String,
    },
}

/// Names the failed action and the path beside the system's reason.
pub(crate) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> MeasureError {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let path = path.to_path_buf();
    move |source| match source.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => MeasureError::DiskFull {
            action,
            path,
            source,
        },
        _ => MeasureError::Io {
            action,
            path,
            source,
        },
    }
}

/// Writes `bytes` to `path` so that a reader sees the old file or the new one, never a part.
///
/// # Errors
/// [`MeasureError::Io`] when the temporary file cannot be written or renamed.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), MeasureError> {
    // The process id keeps two writers from tearing each other's temporary file.
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".tmp-{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary).map_err(io_error("create", &temporary))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    if let Err(error) = written {
        // On a full disk a half of a file that nobody reads is the last thing to keep.
        let _ = std::fs::remove_file(&temporary);
        return Err(io_error("write", &temporary)(error));
    }
    std::fs::rename(&temporary, path).map_err(io_error("rename into place", path))
}

/// [`write_atomic`] of pretty JSON with a final newline.
///
/// # Errors
/// As [`write_atomic`]; [`MeasureError::Malformed`] when the value has no JSON form.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), MeasureError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|e| MeasureError::Malformed {
        path: path.to_path_buf(),
        expected: "JSON value",
        found: e.to_string(),
    })?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// Reads one JSON part and refuses a `schema` newer than [`crate::SCHEMA_VERSION`].
///
/// # Errors
/// [`MeasureError`] when the file is missing, malformed or newer.
pub fn read_json<T: DeserializeOwned>(
    path: &Path,
    expected: &'static str,
) -> Result<T, MeasureError> {
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let malformed = |e: serde_json::Error| MeasureError::Malformed {
        path: path.to_path_buf(),
        expected,
        found: e.to_string(),
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(malformed)?;
    if let Some(found) = value.get("schema").and_then(serde_json::Value::as_u64)
        && found > u64::from(crate::SCHEMA_VERSION)
    {
        return Err(MeasureError::NewerSchema {
            path: path.to_path_buf(),
            found,
            newest: crate::SCHEMA_VERSION,
        });
    }
    serde_json::from_value(value).map_err(malformed)
}

/// An append-only file of JSON lines; every line is handed to the kernel in one write, so that a
/// killed process loses at most the line it was writing.
#[derive(Debug)]
pub struct JsonLines {
    file: File,
    path: PathBuf,
}

impl JsonLines {
    /// Opens `path` for appending, creating it if missing.
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    pub fn open(path: &Path) -> Result<Self, MeasureError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(io_error("open for appending", path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }

    /// Appends one value as one line.
    ///
    /// # Errors
    /// [`MeasureError`] when the value has no JSON form or the write fails.
    pub fn append<T: Serialize>(&mut self, value: &T) -> Result<(), MeasureError> {
        let mut line = serde_json::to_vec(value).map_err(|e| MeasureError::Malformed {
            path: self.path.clone(),
            expected: "JSON value",
            found: e.to_string(),
        })?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .map_err(io_error("append to", &self.path))
    }
}

/// Reads a file of JSON lines; an unfinished last line (a crash) is dropped, any other bad line
/// is an error that names its number.
///
/// # Errors
/// [`MeasureError`] when the file is missing or a line before the last is malformed.
pub fn read_json_lines<T: DeserializeOwned>(
    path: &Path,
    expected: &'static str,
) -> Result<Vec<T>, MeasureError> {
    let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
    let mut values = Vec::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        match serde_json::from_str(line) {
            Ok(value) => values.push(value),
            Err(_) if !line.ends_with('\n') => break,
            Err(e) => {
                return Err(MeasureError::Malformed {
                    path: path.to_path_buf(),
                    expected,
                    found: format!("line {}: {e}", index + 1),
                });
            }
        }
    }
    Ok(values)
}
