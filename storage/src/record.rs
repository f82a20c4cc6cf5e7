//! A record: an opaque kind and key, and bytes that the journal shares with whoever made them.
use std::fmt;

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

use crate::StorageError;
use crate::error::hex;

/// Largest payload of one record, in bytes; checked on write and, before allocating, on recovery.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// The payload as shared pieces: written one after the other by one vectored write, never joined.
pub type Parts = SmallVec<[Bytes; 3]>;

/// One record. Equality is equality of content, however it is cut into parts.
#[derive(Clone)]
pub struct Record {
    kind: u8,
    key: [u8; 32],
    parts: Parts,
    len_bytes: u32,
}

impl Record {
    /// A record whose payload is the concatenation of `parts`.
    ///
    /// # Errors
    /// [`StorageError::RecordTooLarge`] above [`RECORD_BYTES_MAX`].
    pub fn new(
        kind: u8,
        key: [u8; 32],
        parts: impl IntoIterator<Item = Bytes>,
    ) -> Result<Self, StorageError> {
        // Empty parts carry nothing and would cost an entry of the I/O vector each.
        let parts: Parts = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let len = parts
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()));
        if len > RECORD_BYTES_MAX {
            return Err(StorageError::RecordTooLarge {
                kind,
                len_bytes: len,
            });
        }
        Ok(Self {
            kind,
            key,
            parts,
            len_bytes: len as u32,
        })
    }

    /// The caller's own tag; any value.
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// The caller's own key; any value, not unique.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The payload's pieces, in order, none of them empty.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// Length of the payload in bytes, at most [`RECORD_BYTES_MAX`].
    pub fn len_bytes(&self) -> usize {
        self.len_bytes as usize
    }

    /// The payload in one piece: free for records with one part (every recovered record), a copy otherwise.
    pub fn bytes(&self) -> Bytes {
        match self.parts.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut joined = BytesMut::with_capacity(self.len_bytes());
                many.iter().for_each(|part| joined.extend_from_slice(part));
                joined.freeze()
            }
        }
    }
}

impl fmt::Debug for Record {
    /// Without the payload, which may be huge.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = hex(&self.key[..8]);
        write!(
            f,
            "Record(kind {}, key {key}.., {} bytes)",
            self.kind, self.len_bytes
        )
    }
}

impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.key == other.key && self.bytes() == other.bytes()
    }
}

impl Eq for Record {}
