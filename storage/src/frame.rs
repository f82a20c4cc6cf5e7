//! The format on disk, version 1. All integers little-endian.
//!
//! A segment begins with a head in a block of its own, so that no append ever rewrites it:
//! ```text
//! 0 magic 8 | 8 version u32 | 12 is_base u32 | 16 owner 32 | 48 segment u64 | 56 salt u64
//! 64 first_seq u64 | 72 prev u64 | 80 base_records u64 | 88 checksum u64 | 96 zeros to 4096
//! ```
//! Frames follow from byte 4096 on, each padded with zeros to 8 bytes:
//! ```text
//! 0 checksum u64 | 8 prev u64 | 16 seq u64 | 24 durable_lag u32 | 28 len u32 | 32 kind u8 | 33 zeros 3
//! 36 head_check u32 | 40 key 32 | 72 payload
//! ```
//! * Checksums are XXH3-64 seeded with the segment's random `salt`: about 10 GB/s here against 5 for
//!   BLAKE3, and 64 bits against the 32 of CRC-32C. They find accidents, not forgers: who can write the
//!   file can write anything. The salt keeps a payload from containing a frame that would pass.
//! * `prev` is the checksum of the preceding frame (or head): with `seq` it makes the log a chain, so no
//!   left-over frame can follow a different predecessor than its own.
//! * `head_check` covers the fields before it, so that `len` is trusted before anything is allocated.
//! * `durable_lag` says that every frame up to `seq - durable_lag` was on disk before this one was written.
//!   It tells a torn tail from damage (after Alagappan et al., "Protocol-Aware Recovery", FAST '18).
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::{RECORD_BYTES_MAX, Record};

pub(crate) const VERSION: u32 = 1;
pub(crate) const MAGIC: [u8; 8] = *b"RFJOURNL";
/// Where the first frame starts.
pub(crate) const SEGMENT_HEAD_BYTES: u64 = 4096;
/// The part of the segment head that is not padding.
pub(crate) const SEGMENT_HEAD_USED: usize = 96;
pub(crate) const FRAME_HEAD_BYTES: usize = 72;
/// Frames start at multiples of this.
pub(crate) const ALIGN: u64 = 8;
/// `durable_lag` of a frame that says nothing about its predecessors.
const LAG_UNKNOWN: u32 = u32::MAX;

pub(crate) type FrameBytes = [u8; FRAME_HEAD_BYTES];

/// Room that a record takes, padding included.
pub(crate) fn frame_bytes(len_bytes: usize) -> u64 {
    ((FRAME_HEAD_BYTES + len_bytes) as u64).next_multiple_of(ALIGN)
}

/// The head of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub owner: [u8; 32],
    pub segment: u64,
    pub salt: u64,
    /// Number of the first frame in it.
    pub first_seq: u64,
    /// Checksum of the last frame of the segment before.
    pub prev: u64,
    /// `Some(n)`: the first `n` frames replace everything older.
    pub base_records: Option<u64>,
}

/// Why a segment head is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeadError {
    Magic,
    Version(u32),
    Checksum,
    Owner([u8; 32]),
}

impl SegmentHead {
    /// The bytes, and their checksum: where the chain of the segment starts.
    pub fn encode(&self) -> ([u8; SEGMENT_HEAD_USED], u64) {
        let mut out = [0; SEGMENT_HEAD_USED];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&u32::from(self.base_records.is_some()).to_le_bytes());
        out[16..48].copy_from_slice(&self.owner);
        out[48..56].copy_from_slice(&self.segment.to_le_bytes());
        out[56..64].copy_from_slice(&self.salt.to_le_bytes());
        out[64..72].copy_from_slice(&self.first_seq.to_le_bytes());
        out[72..80].copy_from_slice(&self.prev.to_le_bytes());
        out[80..88].copy_from_slice(&self.base_records.unwrap_or(0).to_le_bytes());
        let checksum = xxh3_64_with_seed(&out[..88], self.salt);
        out[88..96].copy_from_slice(&checksum.to_le_bytes());
        (out, checksum)
    }

    /// Reads a head that must belong to `owner`.
    pub fn decode(bytes: &[u8; SEGMENT_HEAD_USED], owner: &[u8; 32]) -> Result<Self, HeadError> {
        if bytes[0..8] != MAGIC {
            return Err(HeadError::Magic);
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            return Err(HeadError::Version(version));
        }
        let salt = u64_at(bytes, 56);
        let is_base = u32_at(bytes, 12);
        if xxh3_64_with_seed(&bytes[..88], salt) != u64_at(bytes, 88) || is_base > 1 {
            return Err(HeadError::Checksum);
        }
        let found = key_at(bytes, 16);
        if found != *owner {
            return Err(HeadError::Owner(found));
        }
        Ok(Self {
            owner: found,
            segment: u64_at(bytes, 48),
            salt,
            first_seq: u64_at(bytes, 64),
            prev: u64_at(bytes, 72),
            base_records: (is_base == 1).then(|| u64_at(bytes, 80)),
        })
    }
}

/// The head of a frame whose `head_check` holds; its payload is still to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub checksum: u64,
    pub prev: u64,
    pub seq: u64,
    /// Frames up to this number were durable when this one was written.
    pub durable_seq: u64,
    pub len_bytes: usize,
    pub kind: u8,
    pub key: [u8; 32],
}

/// The head for `record` as number `seq`, and its checksum.
pub(crate) fn encode_frame(
    record: &Record,
    salt: u64,
    prev: u64,
    seq: u64,
    durable_seq: u64,
) -> (FrameBytes, u64) {
    let lag = u32::try_from(seq - durable_seq).unwrap_or(LAG_UNKNOWN);
    let mut out = [0; FRAME_HEAD_BYTES];
    out[8..16].copy_from_slice(&prev.to_le_bytes());
    out[16..24].copy_from_slice(&seq.to_le_bytes());
    out[24..28].copy_from_slice(&lag.to_le_bytes());
    out[28..32].copy_from_slice(&(record.len_bytes() as u32).to_le_bytes());
    out[32] = record.kind();
    let check = head_check(&out, salt);
    out[36..40].copy_from_slice(&check.to_le_bytes());
    out[40..72].copy_from_slice(record.key());
    let payload_hash = match record.parts() {
        [] => xxh3_64_with_seed(&[], salt),
        [one] => xxh3_64_with_seed(one, salt),
        many => {
            let mut hasher = Xxh3::with_seed(salt);
            many.iter().for_each(|part| hasher.update(part));
            hasher.digest()
        }
    };
    let checksum = frame_checksum(&out, payload_hash);
    out[0..8].copy_from_slice(&checksum.to_le_bytes());
    (out, checksum)
}

/// Reads a frame head; `None` if it is none of this segment.
pub(crate) fn decode_frame_head(bytes: &FrameBytes, salt: u64) -> Option<FrameHead> {
    let (seq, lag, len_bytes) = (
        u64_at(bytes, 16),
        u32_at(bytes, 24),
        u32_at(bytes, 28) as usize,
    );
    if seq == 0 || len_bytes > RECORD_BYTES_MAX || u32_at(bytes, 36) != head_check(bytes, salt) {
        return None;
    }
    Some(FrameHead {
        checksum: u64_at(bytes, 0),
        prev: u64_at(bytes, 8),
        seq,
        durable_seq: if lag == LAG_UNKNOWN {
            0
        } else {
            seq.checked_sub(u64::from(lag))?
        },
        len_bytes,
        kind: bytes[32],
        key: key_at(bytes, 40),
    })
}

/// Whether `payload` is what the head was written for.
pub(crate) fn payload_matches(bytes: &FrameBytes, payload: &[u8], salt: u64) -> bool {
    frame_checksum(bytes, xxh3_64_with_seed(payload, salt)) == u64_at(bytes, 0)
}

fn frame_checksum(bytes: &FrameBytes, payload_hash: u64) -> u64 {
    // The payload's hash is itself seeded with the salt, so the head needs no second seed.
    xxh3_64_with_seed(&bytes[8..], payload_hash)
}

fn head_check(bytes: &FrameBytes, salt: u64) -> u32 {
    xxh3_64_with_seed(&bytes[8..36], salt) as u32
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut out = [0; 4];
    out.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(out)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(out)
}

fn key_at(bytes: &[u8], at: usize) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(&bytes[at..at + 32]);
    out
}

#[cfg(test)]
mod tests;
