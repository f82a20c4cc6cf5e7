//! The contract of every journal, and the figures it shows.
use std::fmt;

use crate::{Record, StorageError};

/// Called after every completed (or failed) sync, possibly from another thread: wake the loop, which
/// then calls [`Journal::synced`]. It must be cheap and must not call the journal.
pub type Waker = Box<dyn Fn() + Send>;

/// A point in the order of appends: everything before it is covered. Monotonic within one journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SyncToken(pub(crate) u64);

impl SyncToken {
    /// The token before the first append; complete from the start.
    pub const START: Self = Self(0);

    /// How many appends and rotations of this process it covers.
    pub fn count(self) -> u64 {
        self.0
    }
}

/// An append-only log with group commit. The order of appends is the order on disk and at recovery.
pub trait Journal {
    /// Stages one record. It is not durable before a later [`Journal::sync`] completes.
    ///
    /// Never loses a record and never fails: at the hard bound ([`Options::staged_bytes_max`]) it blocks
    /// until the disk has caught up, so watch [`Journal::staged_bytes`] and stop admitting before.
    /// After an I/O error it drops the record: no token completes any more.
    fn append(&mut self, record: Record);

    /// Asks for durability of everything appended so far, without waiting, and returns the token that
    /// stands for it. Without a new append since the last call it costs nothing and returns the same token.
    fn sync(&mut self) -> SyncToken;

    /// The newest completed token: everything before it survives a power cut. Call it after each
    /// wake-up; it also passes on what an earlier `sync` could not hand over to a busy disk.
    ///
    /// # Errors
    /// Any I/O error is fatal and sticky: the same error for ever after, and the token never advances.
    fn synced(&mut self) -> Result<SyncToken, StorageError>;

    /// Compaction: from here on the journal is `base`, in this order, followed by later appends;
    /// everything older is deleted, but only after `base` is durable. Either all of `base` or
    /// nothing of it is found by a recovery. Submitted at once, covered by the next [`Journal::sync`].
    fn rotate(&mut self, base: Vec<Record>);

    /// Bytes appended or rotated in but not yet durable, framing included.
    fn staged_bytes(&self) -> u64;

    /// What lies on disk, as of the last completed sync.
    fn usage(&self) -> Usage;

    /// Counters since opening.
    fn stats(&self) -> Stats;
}

/// Room taken by the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Size of all segment files, preallocated room included.
    pub disk_bytes: u64,
    /// Bytes written since (and with) the newest base: what a recovery has to read.
    pub live_bytes: u64,
    /// Written part of the current segment.
    pub segment_used_bytes: u64,
    /// Size of the current segment.
    pub segment_bytes: u64,
    /// Number of segment files.
    pub segments: u64,
}

/// Counters since opening; all monotonic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Completed groups: one write and one `fdatasync` each.
    pub syncs: u64,
    /// Records written, those of bases included.
    pub records: u64,
    /// Bytes written, framing included.
    pub bytes: u64,
    /// Completed rotations.
    pub rotations: u64,
    /// Sum over all groups of the time from first write to end of `fdatasync`, in nanoseconds.
    pub sync_ns_total: u64,
    /// Largest such time, in nanoseconds.
    pub sync_ns_max: u64,
}

/// How to open a journal.
#[derive(Clone)]
pub struct Options {
    /// Written into every segment and compared on opening: say, a hash of cluster id and replica id.
    pub owner: [u8; 32],
    /// Preallocated size of a segment in bytes, 8 KiB to 16 GiB; default 64 MiB. A segment is made
    /// larger when a base or a single record needs it.
    pub segment_bytes: u64,
    /// Hard bound on [`Journal::staged_bytes`]; default 256 MiB. It may be exceeded by one record or one base.
    pub staged_bytes_max: u64,
}

impl Options {
    /// The defaults, for this owner.
    pub fn new(owner: [u8; 32]) -> Self {
        Self {
            owner,
            segment_bytes: 64 << 20,
            staged_bytes_max: 256 << 20,
        }
    }

    pub(crate) fn check(&self) -> Result<(), StorageError> {
        let (name, expected) = ("segment_bytes", "8 KiB to 16 GiB");
        if !(8 << 10..=16 << 30).contains(&self.segment_bytes) {
            return Err(StorageError::BadOption {
                name,
                found: self.segment_bytes,
                expected,
            });
        }
        let (name, expected) = ("staged_bytes_max", "at least 64 KiB");
        if self.staged_bytes_max < 64 << 10 {
            return Err(StorageError::BadOption {
                name,
                found: self.staged_bytes_max,
                expected,
            });
        }
        Ok(())
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("owner", &crate::error::hex(&self.owner))
            .field("segment_bytes", &self.segment_bytes)
            .field("staged_bytes_max", &self.staged_bytes_max)
            .finish()
    }
}
