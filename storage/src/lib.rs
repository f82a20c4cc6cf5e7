//! The replica's journal: an append-only log of opaque records, durable before anything that depends
//! on it leaves the machine.
//!
//! A record is `(kind, key, bytes)`; what it means is not known here. The life of a record:
//! staged ([`Journal::append`]) → submitted ([`Journal::sync`]) → synced ([`Journal::synced`]).
//!
//! * `FileJournal` — preallocated segments, checksums, group commit, torn-tail recovery.
//! * [`MemoryJournal`] — the `memory` durability axis: nothing is written, tokens complete at once.
//! * `FaultyJournal` — a simulated disk for the seeded simulator: no threads, no clock, no files.
//!
//! `open(dir, Options, Waker) -> Result<(FileJournal, Recovery), StorageError>` opens a folder.
mod error;
mod journal;
mod memory;
mod record;
mod recovery;

pub use error::StorageError;
pub use journal::{Journal, Options, Stats, SyncToken, Usage, Waker};
pub use memory::MemoryJournal;
pub use record::{Parts, RECORD_BYTES_MAX, Record};
pub use recovery::{Dropped, Recovery};
