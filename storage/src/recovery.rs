//! What opening a journal finds.
use crate::Record;

/// The surviving journal: everything that was ever synced since (and with) the newest base, in the order
/// of appends, followed perhaps by some records that were appended but never synced. All of it is durable now.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// The records; the first `base_records` of them are the newest base. Each owns its own bytes, so
    /// that dropping one frees it.
    pub records: Vec<Record>,
    /// How many of `records` stem from [`crate::Journal::rotate`].
    pub base_records: usize,
    /// Segment files read.
    pub segments: usize,
    /// The torn tail, if there was one.
    pub dropped: Option<Dropped>,
}

/// A tail that was being written when the machine stopped: never synced, hence never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Number of the segment.
    pub segment: u64,
    /// Offset of the first dropped byte in it.
    pub offset: u64,
    /// From there to the last byte that is not zero.
    pub bytes: u64,
    /// What the scan met at `offset`.
    pub reason: String,
}
