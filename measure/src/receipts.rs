//! `receipts.bin`: what a generator was told about every transaction, in the order in which it was
//! told, so that somebody can check afterwards that nothing was lost and nothing counts twice.
//! All integers little endian:
//!
//! ```text
//! "RFRECPT2" sessions:u32 { id[16] }*sessions
//! { kind:u8 session:u32 seq:u64 at_ns:u64 epoch[8] block[8] height:u64 position:u32 outcome[2] }*
//! ```
//!
//! `epoch` and `block` are the first eight bytes of the ids; `outcome` is as in the codec. A torn
//! tail shows in the length (51 bytes per record).

use std::path::Path;

use crate::files::{MeasureError, io_error};

/// First bytes of the file.
pub const MAGIC: &[u8; 8] = b"RFRECPT2";
/// Bytes of one record.
pub const RECORD_LEN_BYTES: usize = 51;

/// Why a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptKind {
    /// A receipt whose block was proven final.
    Proven,
    /// A place that was told without a proof (the transaction was ordered before).
    Told,
    /// An earlier receipt stands elsewhere now, or has another outcome.
    Moved,
}

/// One record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptRecord {
    /// Why it was written.
    pub kind: ReceiptKind,
    /// Index of the session.
    pub session: u32,
    /// Sequence number in the session.
    pub seq: u64,
    /// When it was told, `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// First eight bytes of the epoch's id.
    pub epoch: [u8; 8],
    /// First eight bytes of the block's id; zero where it was not told.
    pub block: [u8; 8],
    /// Height of the block.
    pub height: u64,
    /// Place in the block, from 0.
    pub position: u32,
    /// Tag and code as in the codec: 0 applied, 1 rejected, 2 duplicate, 3 sequence reused,
    /// 4 below the window.
    pub outcome: [u8; 2],
}

impl ReceiptRecord {
    /// The record's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_LEN_BYTES] {
        let mut out = [0; RECORD_LEN_BYTES];
        out[0] = self.kind as u8;
        out[1..5].copy_from_slice(&self.session.to_le_bytes());
        out[5..13].copy_from_slice(&self.seq.to_le_bytes());
        out[13..21].copy_from_slice(&self.at_ns.to_le_bytes());
        out[21..29].copy_from_slice(&self.epoch);
        out[29..37].copy_from_slice(&self.block);
        out[37..45].copy_from_slice(&self.height.to_le_bytes());
        out[45..49].copy_from_slice(&self.position.to_le_bytes());
        out[49..51].copy_from_slice(&self.outcome);
        out
    }

    fn decode(bytes: &[u8; RECORD_LEN_BYTES]) -> Option<Self> {
        let kinds = [ReceiptKind::Proven, ReceiptKind::Told, ReceiptKind::Moved];
        Some(Self {
            kind: *kinds.get(usize::from(bytes[0]))?,
            session: u32::from_le_bytes(field(bytes, 1)),
            seq: u64::from_le_bytes(field(bytes, 5)),
            at_ns: u64::from_le_bytes(field(bytes, 13)),
            epoch: field(bytes, 21),
            block: field(bytes, 29),
            height: u64::from_le_bytes(field(bytes, 37)),
            position: u32::from_le_bytes(field(bytes, 45)),
            outcome: field(bytes, 49),
        })
    }

    /// Whether the transaction had an effect: at this place, or at the earlier one that it names.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        matches!(self.outcome[0], 0 | 2)
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// Everything in a `receipts.bin`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    /// Ids of the sessions.
    pub sessions: Vec<[u8; 16]>,
    /// In the order in which they were told.
    pub records: Vec<ReceiptRecord>,
}

impl Receipts {
    /// The header of a file.
    #[must_use]
    pub fn header(sessions: &[[u8; 16]]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&(sessions.len() as u32).to_le_bytes());
        sessions.iter().for_each(|id| out.extend_from_slice(id));
        out
    }

    /// Reads a file; a torn last record is dropped.
    ///
    /// # Errors
    /// [`MeasureError`] when it is missing or no list of receipts.
    pub fn read(path: &Path) -> Result<Self, MeasureError> {
        let bytes = std::fs::read(path).map_err(io_error("read", path))?;
        Self::parse(&bytes).ok_or_else(|| MeasureError::Malformed {
            path: path.to_path_buf(),
            expected: "list of receipts",
            found: format!("{} bytes that are none", bytes.len()),
        })
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let len = (u32::from_le_bytes(*count) as usize).checked_mul(16)?;
        let (ids, rest) = rest.split_at_checked(len)?;
        let (records, _) = rest.as_chunks::<RECORD_LEN_BYTES>();
        Some(Self {
            sessions: ids.as_chunks::<16>().0.to_vec(),
            records: records
                .iter()
                .map(ReceiptRecord::decode)
                .collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: ReceiptKind) -> ReceiptRecord {
        ReceiptRecord {
            kind,
            session: 1,
            seq: 0x0203,
            at_ns: 9,
            epoch: [4; 8],
            block: [5; 8],
            height: 6,
            position: 7,
            outcome: [1, 8],
        }
    }

    #[test]
    fn the_bytes_are_pinned_and_a_torn_tail_is_dropped() {
        let mut file = Receipts::header(&[[1; 16], [2; 16]]);
        let kinds = [ReceiptKind::Proven, ReceiptKind::Told, ReceiptKind::Moved];
        for kind in kinds {
            file.extend_from_slice(&record(kind).encode());
        }
        let hex: String = record(ReceiptKind::Moved)
            .encode()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            hex,
            "0201000000030200000000000009000000000000000404040404040404\
             0505050505050505060000000000000007000000\
             0108"
        );
        file.extend_from_slice(&[0; 50]);
        let read = Receipts::parse(&file).unwrap();
        assert_eq!(read.sessions, [[1; 16], [2; 16]]);
        assert_eq!(read.records, kinds.map(record));
        assert!(!read.records[0].has_effect());
        // A record of an unknown kind is no torn tail.
        file[8 + 4 + 32] = 3;
        assert_eq!(Receipts::parse(&file), None);
        assert_eq!(Receipts::parse(b"RFRECPT1\0\0\0\0"), None);
    }
}
