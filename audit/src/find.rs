//! Which files to judge, and by which keys.

use std::path::{Path, PathBuf};

use measure::{Evidence, folder};

use crate::AuditError;

/// Evidence files under `path`, in the order of their names.
pub fn evidence(path: &Path) -> Result<Vec<PathBuf>, AuditError> {
    let mut found = Vec::new();
    if path.is_file() {
        found.push(path.to_path_buf());
    } else if path.join(folder::EVIDENCE).is_file() {
        found.push(path.join(folder::EVIDENCE));
    } else if path.is_dir() {
        let failed = |source| AuditError::List {
            path: path.to_path_buf(),
            source,
        };
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path().join(folder::EVIDENCE);
            if file.is_file() {
                found.push(file);
            }
        }
        found.sort();
    }
    match found.is_empty() {
        true => Err(AuditError::NoEvidence {
            path: path.to_path_buf(),
        }),
        false => Ok(found),
    }
}

/// The nearest committee file: in `path`, or in a folder above it, as a run folder has it.
pub fn committee(path: &Path) -> Result<PathBuf, AuditError> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute
        .ancestors()
        .take(3)
        .map(|folder| folder.join(folder::COMMITTEE))
        .find(|file| file.is_file())
        .ok_or_else(|| AuditError::NoCommittee {
            path: path.to_path_buf(),
        })
}

/// Reads all of them, each under its name relative to `path`.
pub fn read(path: &Path, files: &[PathBuf]) -> Result<Vec<(String, Evidence)>, AuditError> {
    let name = |file: &PathBuf| {
        let relative = file.strip_prefix(path).ok();
        let relative = relative.filter(|name| !name.as_os_str().is_empty());
        relative.unwrap_or(file).display().to_string()
    };
    let read = |file: &PathBuf| Ok((name(file), Evidence::read(file)?));
    files.iter().map(read).collect()
}
