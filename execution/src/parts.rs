//! State as a list of parts, the unit of copying and of transfer; some parts in a row are a stripe, the
//! unit of digests.

use thiserror::Error;
use types::Digest;

/// Why a snapshot cannot be restored.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    #[error(
        "{what}: needs {needed} bytes, {left} are left: fetch the snapshot again from another replica"
    )]
    Short {
        what: &'static str,
        needed: usize,
        left: usize,
    },
    #[error("{what}: {why}: the sender is faulty, fetch the snapshot from another replica")]
    Malformed {
        what: &'static str,
        why: &'static str,
    },
    #[error("snapshot of {found} bytes, expected at most {limit}")]
    TooLong { found: u64, limit: u64 },
    #[error("expected state {expected}, the snapshot holds {found}: fetch it from another replica")]
    Digest { expected: Digest, found: Digest },
}

/// A piece of replicated state, cut into a fixed number of parts.
pub trait Parts {
    /// Number of parts; the same at every replica.
    fn parts(&self) -> usize;
    /// Length of [`Parts::encode_part`] in bytes, without encoding it.
    fn part_len_bytes(&self, part: usize) -> usize;
    /// Parts of a stripe; [`Parts::parts`] is a multiple.
    fn stripe_parts(&self) -> usize;
    /// Digest of one stripe's content; zero for an empty one. Kept until one of its parts changes.
    fn stripe_digest(&self, stripe: usize) -> Digest;
    /// Appends the canonical encoding of one part.
    fn encode_part(&self, part: usize, out: &mut Vec<u8>);
    /// Number of stripes.
    fn stripes(&self) -> usize {
        self.parts() / self.stripe_parts()
    }
    /// Fills one part of a fresh state from its encoding. Memory taken is linear in the input, or
    /// bounded by the state's own limits.
    fn restore_part(&mut self, part: usize, input: &mut Input<'_>) -> Result<(), RestoreError>;
}

/// A cursor over the bytes of a snapshot.
#[derive(Debug)]
pub struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { bytes }
    }

    pub fn left(&self) -> usize {
        self.bytes.len()
    }

    pub fn slice(&mut self, what: &'static str, len: usize) -> Result<&'a [u8], RestoreError> {
        let (head, tail) = self
            .bytes
            .split_at_checked(len)
            .ok_or(RestoreError::Short {
                what,
                needed: len,
                left: self.bytes.len(),
            })?;
        self.bytes = tail;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], RestoreError> {
        let mut out = [0; N];
        out.copy_from_slice(self.slice(what, N)?);
        Ok(out)
    }

    pub fn u32(&mut self, what: &'static str) -> Result<u32, RestoreError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub fn u64(&mut self, what: &'static str) -> Result<u64, RestoreError> {
        self.array(what).map(u64::from_le_bytes)
    }
}

/// `Err(Malformed)` unless `holds`.
pub(crate) fn ensure(
    holds: bool,
    what: &'static str,
    why: &'static str,
) -> Result<(), RestoreError> {
    match holds {
        true => Ok(()),
        false => Err(RestoreError::Malformed { what, why }),
    }
}
