//! `connections.jsonl`: every connection made or lost, every fail-over and every bad receipt, with
//! its time. Nothing that bent the load is hidden in a latency.

use std::path::Path;

use measure::MeasureError;
use measure::files::JsonLines;
use serde::{Deserialize, Serialize};

/// Lines kept; what exceeds them is counted (a broken cluster must not fill the disk).
const NOTES_MAX: u64 = 100_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// The connection is up and the replica said a fitting hello.
    Connected,
    /// As `Connected`, after it had been lost.
    Reconnected,
    /// A connection ended or could not be made.
    Disconnected,
    /// The replica is another one, of another cluster or in another epoch than expected.
    WrongHello,
    /// Unanswered requests while other connections get receipts.
    Silent,
    /// The replica says that it admits nothing for a while.
    Unavailable,
    /// A silent or unavailable replica is used again.
    Resumed,
    /// The sessions of a connection moved to others.
    Failover,
    /// Receipts that prove nothing, or a frame that is no response.
    BadReceipt,
    /// Two proven blocks of one height.
    Conflict,
    /// The replica is in another mode than before.
    Mode,
    /// An epoch was split and goes on as another one, or a replica says so without proof.
    Epoch,
    /// Receipts stand elsewhere now, or have another outcome.
    Moved,
}

/// One line of `connections.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// `CLOCK_MONOTONIC`.
    pub monotonic_ns: u64,
    /// What happened.
    pub kind: NoteKind,
    /// Index of the connection.
    pub connection: usize,
    /// Index of the replica.
    pub replica: usize,
    /// The reason, or numbers.
    pub detail: String,
}

/// Writes notes.
#[derive(Debug)]
pub struct Notes {
    lines: JsonLines,
    left: u64,
    /// The first failure to write; the run ends with it.
    failure: Option<MeasureError>,
}

impl Notes {
    /// Opens the file.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn create(path: &Path) -> Result<Notes, MeasureError> {
        Ok(Notes {
            lines: JsonLines::open(path)?,
            left: NOTES_MAX,
            failure: None,
        })
    }

    /// Adds a line.
    pub fn add(&mut self, note: &Note) {
        if self.left == 0 || self.failure.is_some() {
            return;
        }
        self.left -= 1;
        self.failure = self.lines.append(note).err();
    }

    /// The first failure to write.
    ///
    /// # Errors
    /// That failure.
    pub fn check(&mut self) -> Result<(), MeasureError> {
        self.failure.take().map_or(Ok(()), Err)
    }
}
