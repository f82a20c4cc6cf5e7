//! The layout of a run folder, and its seal.
//!
//! ```text
//! run.json  spec.toml  fingerprint.json  events.jsonl  summary.json  B3SUMS
//! replica-<i>/  config.toml  stderr.log  status.json  ledger.bin  [evidence.bin  incidents.jsonl]
//! load-<k>/     config.toml  stderr.log  load.json  series.jsonl  {corrected,service,lag}.hlog
//!               [receipts.bin]
//! ```
//!
//! A campaign folder holds `campaign.json`, `spec.toml` and one run folder per run. `B3SUMS`
//! (readable by `b3sum --check`) covers every file of a run but itself and `summary.json`, which
//! is derived from the others and can be made again.

use std::path::{Path, PathBuf};

use crate::files::{MeasureError, io_error, read_json, write_atomic};
use crate::run::RunRecord;

/// The point that was run.
pub const RUN: &str = "run.json";
/// The plan of a campaign.
pub const CAMPAIGN: &str = "campaign.json";
/// The resolved experiment spec.
pub const SPEC: &str = "spec.toml";
/// The host.
pub const FINGERPRINT: &str = "fingerprint.json";
/// Phases, faults, process starts and ends.
pub const EVENTS: &str = "events.jsonl";
/// What dissemination alone reached just before the run, where the spec asks for it.
pub const BOUND: &str = "bound.json";
/// The judgement.
pub const SUMMARY: &str = "summary.json";
/// The judgement as a page, derived like [`SUMMARY`].
pub const REPORT: &str = "report.html";
/// Checksums of everything else.
pub const SUMS: &str = "B3SUMS";
/// A process's configuration.
pub const CONFIG: &str = "config.toml";
/// A process's standard error.
pub const STDERR: &str = "stderr.log";
/// A replica's report.
pub const STATUS: &str = "status.json";
/// A replica's executed blocks.
pub const LEDGER: &str = "ledger.bin";
/// A replica's evidence against others; absent where there is none.
pub const EVIDENCE: &str = "evidence.bin";
/// The same and the rest of the incident timeline, for readers.
pub const INCIDENTS: &str = "incidents.jsonl";
/// Public keys and parameters of the cluster.
pub const COMMITTEE: &str = "committee.toml";
/// A generator's result.
pub const LOAD: &str = "load.json";
/// A generator's one-second series.
pub const SERIES: &str = "series.jsonl";
/// A generator's receipts, where it was asked to keep them.
pub const RECEIPTS: &str = "receipts.bin";
/// Latency from the intended send.
pub const CORRECTED_HLOG: &str = "corrected.hlog";
/// Latency from the actual send.
pub const SERVICE_HLOG: &str = "service.hlog";
/// Delay of the actual send.
pub const LAG_HLOG: &str = "lag.hlog";

/// Paths into one run folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    root: PathBuf,
}

/// What the checksums say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealState {
    /// No `B3SUMS`: the run was cut off before its end.
    Unsealed,
    /// Every file is as it was sealed.
    Intact,
    /// Files that changed, went missing or appeared since, relative to the folder.
    Broken(Vec<String>),
}

impl RunFolder {
    /// Creates a folder with its parents; it must not hold a run already.
    ///
    /// # Errors
    /// [`MeasureError`] when it cannot be created or is taken.
    pub fn create(root: &Path) -> Result<Self, MeasureError> {
        std::fs::create_dir_all(root).map_err(io_error("create folder", root))?;
        if root.join(RUN).exists() {
            return Err(MeasureError::Malformed {
                path: root.to_path_buf(),
                expected: "new run folder",
                found: "a run is in it already; choose another --out".into(),
            });
        }
        Ok(Self::open(root))
    }

    /// Names an existing folder; nothing is read.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file directly in the folder, by one of the names of this module.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The part of replica `index`.
    #[must_use]
    pub fn replica(&self, index: u32) -> PathBuf {
        self.root.join(format!("replica-{index}"))
    }

    /// The part of generator `index`.
    #[must_use]
    pub fn load(&self, index: u32) -> PathBuf {
        self.root.join(format!("load-{index}"))
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`MeasureError`].
    pub fn read_run(&self) -> Result<RunRecord, MeasureError> {
        read_json(&self.path(RUN), "run record")
    }

    /// Writes `B3SUMS` over everything that is there now; a second seal replaces the first.
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    pub fn seal(&self) -> Result<(), MeasureError> {
        let mut text = String::new();
        for name in self.sealed_files()? {
            let hash = hash_file(&self.root.join(&name))?;
            text.push_str(&format!("{hash}  {name}\n"));
        }
        write_atomic(&self.path(SUMS), text.as_bytes())
    }

    /// Compares the folder with its seal.
    ///
    /// # Errors
    /// [`MeasureError`] when the folder cannot be read or the sums are malformed.
    pub fn seal_state(&self) -> Result<SealState, MeasureError> {
        let path = self.path(SUMS);
        if !path.exists() {
            return Ok(SealState::Unsealed);
        }
        let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let mut broken = Vec::new();
        let mut listed = std::collections::BTreeSet::new();
        for line in text.lines() {
            let Some((hash, name)) = line.split_once("  ") else {
                return Err(MeasureError::Malformed {
                    path,
                    expected: "list of checksums",
                    found: format!("the line {line:?}"),
                });
            };
            listed.insert(name.to_owned());
            if hash_file(&self.root.join(name)).ok().as_deref() != Some(hash) {
                broken.push(name.to_owned());
            }
        }
        let present = self.sealed_files()?;
        broken.extend(present.into_iter().filter(|name| !listed.contains(name)));
        Ok(if broken.is_empty() {
            SealState::Intact
        } else {
            SealState::Broken(broken)
        })
    }

    /// Relative names of all files the seal covers, sorted.
    fn sealed_files(&self) -> Result<Vec<String>, MeasureError> {
        let mut names = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(io_error("list", &folder))? {
                let entry = entry.map_err(io_error("list", &folder))?;
                let kind = entry.file_type().map_err(io_error("stat", &folder))?;
                let path = entry.path();
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file()
                    && let Ok(relative) = path.strip_prefix(&self.root)
                {
                    names.push(relative.to_string_lossy().into_owned());
                }
            }
        }
        let derived = [SUMS, SUMMARY, REPORT];
        names.retain(|name| !derived.contains(&name.as_str()) && !name.contains(".tmp-"));
        names.sort();
        Ok(names)
    }
}

/// blake3 of a file, hex.
///
/// # Errors
/// [`MeasureError::Io`].
pub fn hash_file(path: &Path) -> Result<String, MeasureError> {
    let mut hasher = blake3::Hasher::new();
    let mut file = std::fs::File::open(path).map_err(io_error("open", path))?;
    std::io::copy(&mut file, &mut hasher).map_err(io_error("read", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests;
