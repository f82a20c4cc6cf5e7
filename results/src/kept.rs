//! What is kept of a run for good: figures and facts without the bulk, one line of an index.
//!
//! A kept folder holds no ledgers, so that it cannot be judged again: its judgement is the one that was
//! made when it was kept, and `kept.json` has its checksum.

mod keep;
mod paths;

use std::path::Path;

use measure::files::read_json;
use measure::{MeasureError, RunFolder, SealState, folder};
use serde::{Deserialize, Serialize};

use crate::judgement::Judgement;
pub use keep::{NotKept, Request, keep};

/// Marks a kept folder.
pub const KEPT: &str = "kept.json";

/// `kept.json`, and a line of `index.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptRecord {
    /// [`measure::SCHEMA_VERSION`].
    pub schema: u32,
    /// `<date>-<name>`: the folder beside the index.
    pub folder: String,
    /// When the campaign was begun, `2026-11-24`.
    pub date: String,
    /// Name of the experiment.
    pub experiment: Option<String>,
    /// blake3 of the resolved spec.
    pub spec_hash: Option<String>,
    /// The command that repeats it.
    pub command: Option<String>,
    /// Commit of the program, `-dirty` appended.
    pub commit: Option<String>,
    /// blake3 of the program.
    pub binary_hash: Option<String>,
    /// CPU, cores, kernel in one line.
    pub machine: String,
    /// `Pass`, …
    pub verdict: crate::Verdict,
    /// Number of runs.
    pub runs: usize,
    /// blake3 of `summary.json`.
    pub summary_hash: String,
    /// What it shows, in the words of whoever kept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// The judgement of a kept folder; nothing for any other folder.
///
/// # Errors
/// [`MeasureError`] when a part is unreadable, or is not what was kept.
pub fn read(root: &Path) -> Result<Option<Judgement>, MeasureError> {
    let path = root.join(KEPT);
    if !path.exists() {
        return Ok(None);
    }
    let record: KeptRecord = read_json(&path, "record of a kept folder")?;
    let summary = root.join(folder::SUMMARY);
    let changed = |found: String| MeasureError::Malformed {
        path: root.to_path_buf(),
        expected: "kept folder as it was kept",
        found,
    };
    match RunFolder::open(root).seal_state()? {
        SealState::Intact => {}
        SealState::Unsealed => return Err(changed("no checksums".into())),
        SealState::Broken(files) => {
            return Err(changed(format!("changes in {}", files.join(", "))));
        }
    }
    if folder::hash_file(&summary)? != record.summary_hash {
        return Err(changed(format!("another {}", folder::SUMMARY)));
    }
    read_json(&summary, "judgement").map(Some)
}
