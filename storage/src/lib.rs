//! The replica's journal: an append-only log of opaque records, durable before anything that depends
//! on it leaves the machine.
//!
//! A record is `(kind, key, bytes)`; what it means is not known here. The life of a record:
//! staged ([`Journal::append`]) → submitted ([`Journal::sync`]) → synced ([`Journal::synced`]).
//!
//! * [`FileJournal`] — preallocated segments, checksums, group commit, torn-tail recovery.
//! * [`MemoryJournal`] — the `memory` durability axis: nothing is written, tokens complete at once.
//! * [`FaultyJournal`] — a simulated disk for the seeded simulator: no threads, no clock, no files.
//!
//! Start with [`open`] or [`SimDisk::open`]; the format on disk is described in `frame.rs`.
mod error;
mod faulty;
mod file;
mod folder;
mod frame;
mod journal;
mod log;
mod memory;
mod record;
mod recovery;
mod scan;
mod sim_store;
mod store;
#[cfg(test)]
mod testing;

pub use error::StorageError;
pub use faulty::{FaultyJournal, SimDisk};
pub use file::{FileJournal, open};
pub use journal::{Journal, Options, Stats, SyncToken, Usage, Waker};
pub use memory::MemoryJournal;
pub use record::{Parts, RECORD_BYTES_MAX, Record};
pub use recovery::{Dropped, Recovery};
