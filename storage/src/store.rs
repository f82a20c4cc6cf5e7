//! What the log needs from a disk: a handful of segments, of which the newest is being written.
use std::{io::IoSlice, path::PathBuf};

use crate::StorageError;

/// A folder of segments: real ([`crate::folder::Folder`]) or simulated ([`crate::sim_store::SimStore`]).
/// Every error is fatal: the caller must not go on writing.
pub(crate) trait Store {
    /// Numbers of the visible segments, ascending.
    fn list(&self) -> Result<Vec<u64>, StorageError>;
    /// Size of a visible segment in bytes.
    fn len_bytes(&self, segment: u64) -> Result<u64, StorageError>;
    /// Fills `out` from a visible segment.
    fn read_at(&self, segment: u64, offset: u64, out: &mut [u8]) -> Result<(), StorageError>;
    /// How errors name a segment.
    fn path(&self, segment: u64) -> PathBuf;

    /// Makes a visible segment the one that is written.
    fn resume(&mut self, segment: u64) -> Result<(), StorageError>;
    /// Makes a new segment of zeros, invisible to a recovery, the one that is written.
    fn begin(&mut self, segment: u64, len_bytes: u64) -> Result<(), StorageError>;
    /// Writes all slices one after the other; may leave them empty.
    fn write(&mut self, offset: u64, slices: &mut [IoSlice<'_>]) -> Result<(), StorageError>;
    /// Makes what was written durable.
    fn sync(&mut self) -> Result<(), StorageError>;
    /// Makes the begun segment durable and only then visible, durably so.
    fn publish(&mut self) -> Result<(), StorageError>;
    /// Deletes visible segments, durably.
    fn remove(&mut self, segments: &[u64]) -> Result<(), StorageError>;
}
