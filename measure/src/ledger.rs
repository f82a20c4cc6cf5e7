//! `ledger.bin`: one fixed-size record per block a replica has executed.
//!
//! `results` compares these files between replicas; nothing else in a run folder can prove that
//! two replicas executed the same history. Layout, all integers little endian:
//!
//! ```text
//! header  16 bytes: "RFLEDGR1", record length u32, reserved u32 (zero)
//! record  96 bytes: height u64, view u64, epoch [8], block id [32], ledger digest [32],
//!                   txs u32, check u32 (first 4 bytes of blake3 over the 92 before it)
//! ```
//!
//! Heights rise by one within one life of a replica; after a restart they may repeat, with the
//! same contents. A marker (view of all ones, block of zeros) says that everything above its height
//! was undone by a recovery.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::files::{MeasureError, io_error};

/// Bytes before the first record.
pub const HEADER_LEN_BYTES: usize = 16;
/// Bytes of one record.
pub const RECORD_LEN_BYTES: usize = 96;
const MAGIC: &[u8; 8] = b"RFLEDGR1";
/// Records are handed to the kernel in pieces of at most this size.
const BUFFER_LEN_BYTES: usize = 64 * RECORD_LEN_BYTES;

/// One executed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerRecord {
    /// Position in the committed chain.
    pub height: u64,
    /// View in which the block was proposed.
    pub view: u64,
    /// First eight bytes of the epoch's id.
    pub epoch: [u8; 8],
    /// The block's id.
    pub block: [u8; 32],
    /// Cumulative digest of everything executed up to and with this block.
    pub digest: [u8; 32],
    /// Transactions executed by this block, duplicates not counted.
    pub txs: u32,
}

impl LedgerRecord {
    /// A marker: whatever was executed above `height` is undone; what follows replaces it.
    #[must_use]
    pub fn rollback(height: u64, epoch: [u8; 8]) -> Self {
        Self {
            height,
            view: u64::MAX,
            epoch,
            block: [0; 32],
            digest: [0; 32],
            txs: 0,
        }
    }

    /// True for what [`LedgerRecord::rollback`] makes.
    #[must_use]
    pub fn is_rollback(&self) -> bool {
        self.view == u64::MAX && self.block == [0; 32]
    }

    /// The record's 96 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_LEN_BYTES] {
        let mut bytes = [0; RECORD_LEN_BYTES];
        bytes[0..8].copy_from_slice(&self.height.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.view.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.epoch);
        bytes[24..56].copy_from_slice(&self.block);
        bytes[56..88].copy_from_slice(&self.digest);
        bytes[88..92].copy_from_slice(&self.txs.to_le_bytes());
        let check = check(&bytes[..92]);
        bytes[92..96].copy_from_slice(&check);
        bytes
    }

    /// The record of these bytes, or nothing if the check does not fit.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_LEN_BYTES]) -> Option<Self> {
        if bytes[92..96] != check(&bytes[..92]) {
            return None;
        }
        Some(Self {
            height: u64::from_le_bytes(field(bytes, 0)),
            view: u64::from_le_bytes(field(bytes, 8)),
            epoch: field(bytes, 16),
            block: field(bytes, 24),
            digest: field(bytes, 56),
            txs: u32::from_le_bytes(field(bytes, 88)),
        })
    }
}

fn check(bytes: &[u8]) -> [u8; 4] {
    field(blake3::hash(bytes).as_bytes(), 0)
}

/// `N` bytes at a constant offset; callers stay within the fixed lengths.
fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Appends records; what was flushed survives `kill -9`.
#[derive(Debug)]
pub struct LedgerWriter {
    file: File,
    path: PathBuf,
    /// Length with everything flushed.
    len_bytes: u64,
    buffer: Vec<u8>,
}

impl LedgerWriter {
    /// Opens `path` for appending after its last whole record; a torn tail is cut off.
    ///
    /// # Errors
    /// [`MeasureError::Io`], or [`MeasureError::Malformed`] when the file is not a ledger.
    pub fn open(path: &Path) -> Result<Self, MeasureError> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io_error("open", path))?;
        let len_bytes = file.metadata().map_err(io_error("stat", path))?.len();
        let keep_bytes = if len_bytes < HEADER_LEN_BYTES as u64 {
            file.set_len(0).map_err(io_error("truncate", path))?;
            file.write_all(&header())
                .map_err(io_error("write header of", path))?;
            HEADER_LEN_BYTES as u64
        } else {
            let ledger = Ledger::read(path)?;
            (HEADER_LEN_BYTES + ledger.records.len() * RECORD_LEN_BYTES) as u64
        };
        file.set_len(keep_bytes)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(io_error("position in", path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            len_bytes: keep_bytes,
            buffer: Vec::with_capacity(BUFFER_LEN_BYTES),
        })
    }

    /// Adds one record; it reaches the kernel at the next [`Self::flush`], or when 64 wait.
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    pub fn append(&mut self, record: &LedgerRecord) -> Result<(), MeasureError> {
        self.buffer.extend_from_slice(&record.encode());
        if self.buffer.len() >= BUFFER_LEN_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands everything appended to the kernel (no sync: a crash of the host is not survived).
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    pub fn flush(&mut self) -> Result<(), MeasureError> {
        if let Err(error) = self.file.write_all(&self.buffer) {
            // A full disk took a part of it: whoever tries again must not append to half a record.
            let start = SeekFrom::Start(self.len_bytes);
            let _ = self.file.set_len(self.len_bytes);
            let _ = self.file.seek(start);
            return Err(io_error("append to", &self.path)(error));
        }
        self.len_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl Drop for LedgerWriter {
    fn drop(&mut self) {
        // The last chance for buffered records; a reader notices what is missing.
        let _ = self.flush();
    }
}

fn header() -> [u8; HEADER_LEN_BYTES] {
    let mut bytes = [0; HEADER_LEN_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&(RECORD_LEN_BYTES as u32).to_le_bytes());
    bytes
}

/// A ledger as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    /// Whole, intact records in file order.
    pub records: Vec<LedgerRecord>,
    /// Bytes after the last intact record.
    pub torn_bytes: u64,
    /// True when an intact record follows a broken one: the file was damaged, not torn.
    pub damaged: bool,
}

impl Ledger {
    /// Reads a ledger; a torn tail is reported, not an error.
    ///
    /// # Errors
    /// [`MeasureError::Io`], or [`MeasureError::Malformed`] when the header is not a ledger's.
    pub fn read(path: &Path) -> Result<Self, MeasureError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(io_error("read", path))?;
        if bytes.len() < HEADER_LEN_BYTES || bytes[..HEADER_LEN_BYTES] != header() {
            return Err(MeasureError::Malformed {
                path: path.to_path_buf(),
                expected: "ledger (16-byte header RFLEDGR1, 96-byte records)",
                found: format!("{} bytes with another header", bytes.len()),
            });
        }
        let (whole, rest) = bytes[HEADER_LEN_BYTES..].as_chunks::<RECORD_LEN_BYTES>();
        let records: Vec<_> = whole.iter().map_while(LedgerRecord::decode).collect();
        let torn_bytes = ((whole.len() - records.len()) * RECORD_LEN_BYTES + rest.len()) as u64;
        // An intact record behind a broken one cannot come from a torn append.
        let damaged = whole
            .iter()
            .skip(records.len())
            .any(|chunk| LedgerRecord::decode(chunk).is_some());
        Ok(Self {
            records,
            torn_bytes,
            damaged,
        })
    }

    /// What stands in the end, by height: everything above a marker's height is undone, and what
    /// follows the marker replaces it.
    #[must_use]
    pub fn chain(&self) -> BTreeMap<u64, LedgerRecord> {
        let mut chain = BTreeMap::new();
        for record in &self.records {
            match record.is_rollback() {
                true => drop(chain.split_off(&record.height.saturating_add(1))),
                false => drop(chain.insert(record.height, *record)),
            }
        }
        chain
    }
}

#[cfg(test)]
mod tests;
