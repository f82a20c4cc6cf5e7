//! `evidence.bin`: what a replica holds against others, as bytes that this room does not understand.
//!
//! Judged offline by `audit`; the layout is pinned in `docs/evidence.md`. All integers little endian:
//!
//! ```text
//! header  16 bytes: "RFEVIDN1", reserved u64 (zero)
//! record  body length u32, check [16], body: kind u8, monotonic time u64, payload
//! ```
//!
//! A check is the first half of blake3 over the check before it (the header for the first) and the
//! body: nothing in the middle can be changed, left out or put in without all later checks failing.
//! What was cut off at the end leaves no trace.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::files::{MeasureError, io_error};

/// Bytes before the first record.
pub const HEADER_LEN_BYTES: usize = 16;
/// Longest body; a record holds at most what fits into one frame between replicas.
pub const BODY_LEN_MAX: usize = 5 << 20;
const MAGIC: &[u8; 8] = b"RFEVIDN1";
const CHECK_LEN: usize = 16;
/// Kind and time.
const PREFIX_LEN: usize = 9;

/// What a record is about. The payload is the canonical encoding of the type named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// `Conflict`: two commit proofs that exclude each other.
    Conflict,
    /// `Fraud`: a proof of fraud.
    Fraud,
    /// `ForkReport`: where a replica stood when its epoch was split.
    Report,
    /// `Resumption`: how the epoch goes on, with the proof that this is final.
    Resumption,
    /// `Mode` and `EpochId`: what the replica's mode became, and in which epoch. Its own word.
    Mode,
}

impl EvidenceKind {
    /// All of them; the byte of a kind is its place, from 1.
    pub const ALL: [EvidenceKind; 5] = [
        EvidenceKind::Conflict,
        EvidenceKind::Fraud,
        EvidenceKind::Report,
        EvidenceKind::Resumption,
        EvidenceKind::Mode,
    ];

    /// Name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EvidenceKind::Conflict => "conflict",
            EvidenceKind::Fraud => "fraud",
            EvidenceKind::Report => "report",
            EvidenceKind::Resumption => "resumption",
            EvidenceKind::Mode => "mode",
        }
    }

    fn byte(self) -> u8 {
        1 + self as u8
    }

    fn of(byte: u8) -> Option<EvidenceKind> {
        let at = usize::from(byte).checked_sub(1)?;
        EvidenceKind::ALL.get(at).copied()
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceRecord {
    /// What the payload is.
    pub kind: EvidenceKind,
    /// When the replica learnt of it, `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// Canonical encoding.
    pub payload: Vec<u8>,
}

fn header() -> [u8; HEADER_LEN_BYTES] {
    let mut bytes = [0; HEADER_LEN_BYTES];
    bytes[..8].copy_from_slice(MAGIC);
    bytes
}

fn check_of(before: &[u8], body: &[u8]) -> [u8; CHECK_LEN] {
    let hash = *blake3::Hasher::new()
        .update(before)
        .update(body)
        .finalize()
        .as_bytes();
    let mut check = [0; CHECK_LEN];
    check.copy_from_slice(&hash[..CHECK_LEN]);
    check
}

/// Appends records; what was appended survives `kill -9`.
#[derive(Debug)]
pub struct EvidenceWriter {
    file: File,
    path: PathBuf,
    /// Check of the last record, or the header.
    last: [u8; CHECK_LEN],
}

impl EvidenceWriter {
    /// Opens `path` for appending after its last whole record; a torn tail is cut off.
    ///
    /// # Errors
    /// [`MeasureError::Io`], or [`MeasureError::Malformed`] when the file holds no evidence or was
    /// damaged: then it is left as it is.
    pub fn open(path: &Path) -> Result<Self, MeasureError> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(io_error("open", path))?;
        let len_bytes = file.metadata().map_err(io_error("stat", path))?.len();
        let (keep_bytes, last) = if len_bytes < HEADER_LEN_BYTES as u64 {
            file.set_len(0).map_err(io_error("truncate", path))?;
            file.write_all(&header())
                .map_err(io_error("write header of", path))?;
            (HEADER_LEN_BYTES as u64, header())
        } else {
            let evidence = Evidence::read(path)?;
            if evidence.damaged {
                return Err(malformed(path, "a record that was changed".into()));
            }
            (evidence.intact_bytes, evidence.last)
        };
        file.set_len(keep_bytes)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(io_error("position in", path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            last,
        })
    }

    /// Hands one record to the kernel, in one write.
    ///
    /// # Errors
    /// [`MeasureError::Io`]; [`MeasureError::Malformed`] for a payload that no reader would take.
    pub fn append(&mut self, record: &EvidenceRecord) -> Result<(), MeasureError> {
        let body_len = PREFIX_LEN + record.payload.len();
        if body_len > BODY_LEN_MAX {
            let found = format!("a record of {body_len} bytes, at most {BODY_LEN_MAX} are read");
            return Err(malformed(&self.path, found));
        }
        let mut body = Vec::with_capacity(body_len);
        body.push(record.kind.byte());
        body.extend_from_slice(&record.at_ns.to_le_bytes());
        body.extend_from_slice(&record.payload);
        let check = check_of(&self.last, &body);
        let mut bytes = Vec::with_capacity(4 + CHECK_LEN + body_len);
        bytes.extend_from_slice(&(body_len as u32).to_le_bytes());
        bytes.extend_from_slice(&check);
        bytes.extend_from_slice(&body);
        self.file
            .write_all(&bytes)
            .map_err(io_error("append to", &self.path))?;
        self.last = check;
        Ok(())
    }
}

fn malformed(path: &Path, found: String) -> MeasureError {
    MeasureError::Malformed {
        path: path.to_path_buf(),
        expected: "evidence file (16-byte header RFEVIDN1, chained records)",
        found,
    }
}

/// An evidence file as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Whole, intact records in file order.
    pub records: Vec<EvidenceRecord>,
    /// Bytes after the last intact record.
    pub torn_bytes: u64,
    /// True when what follows the last intact record is no torn append: a whole record whose check
    /// fails, or a kind or length that no writer makes.
    pub damaged: bool,
    intact_bytes: u64,
    last: [u8; CHECK_LEN],
}

impl Evidence {
    /// Reads a file; a torn tail is reported, not an error.
    ///
    /// # Errors
    /// [`MeasureError::Io`], or [`MeasureError::Malformed`] when the header is not that of evidence.
    pub fn read(path: &Path) -> Result<Self, MeasureError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .map_err(io_error("read", path))?;
        let Some(mut rest) = bytes.strip_prefix(&header()) else {
            let found = format!("{} bytes with another header", bytes.len());
            return Err(malformed(path, found));
        };
        let (mut records, mut last) = (Vec::new(), header());
        let damaged = loop {
            match take(rest, &last) {
                Taken::Record(record, check, behind) => {
                    records.push(record);
                    (last, rest) = (check, behind);
                }
                Taken::Torn => break false,
                Taken::Damaged => break true,
            }
        };
        Ok(Evidence {
            records,
            torn_bytes: rest.len() as u64,
            damaged,
            intact_bytes: (bytes.len() - rest.len()) as u64,
            last,
        })
    }
}

enum Taken<'a> {
    Record(EvidenceRecord, [u8; CHECK_LEN], &'a [u8]),
    /// Fewer bytes than a record: the end, or the start of an append that was cut off.
    Torn,
    Damaged,
}

fn take<'a>(bytes: &'a [u8], last: &[u8; CHECK_LEN]) -> Taken<'a> {
    let Some((len, rest)) = bytes.split_first_chunk::<4>() else {
        return Taken::Torn;
    };
    let len = u32::from_le_bytes(*len) as usize;
    if !(PREFIX_LEN..=BODY_LEN_MAX).contains(&len) {
        return Taken::Damaged;
    }
    let Some((check, rest)) = rest.split_first_chunk::<CHECK_LEN>() else {
        return Taken::Torn;
    };
    let Some((body, behind)) = rest.split_at_checked(len) else {
        return Taken::Torn;
    };
    let Some((kind, timed)) = body.split_first() else {
        return Taken::Damaged;
    };
    let (Some(kind), Some((at_ns, payload))) =
        (EvidenceKind::of(*kind), timed.split_first_chunk::<8>())
    else {
        return Taken::Damaged;
    };
    if *check != check_of(last, body) {
        return Taken::Damaged;
    }
    let record = EvidenceRecord {
        kind,
        at_ns: u64::from_le_bytes(*at_ns),
        payload: payload.to_vec(),
    };
    Taken::Record(record, *check, behind)
}

#[cfg(test)]
mod tests;
