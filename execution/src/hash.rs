//! Two hashes of a key: a fixed one which all replicas share, and a private one against flooding. And
//! the digest of bytes that lie in pieces.
//!
//! The fixed one is XXH3 from two crates: `xxhash-rust` takes 20 instructions for a key of 8 bytes and
//! `twox-hash` 42, but for a payload of 512 bytes 435 and 283, because it finds AVX2 at run time.

use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use foldhash::fast::RandomState;
use twox_hash::XxHash3_64;
use types::Digest;
use xxhash_rust::xxh3::xxh3_64;

/// Private to this process. Whoever cannot read our memory cannot aim keys at one slot of a table.
static SLOTS: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Part of the state that holds `key`, of `parts` (a power of two). The same at every replica, so
/// anyone can aim keys at one part: that makes one part's copy and digest as dear as the whole
/// state's, and no lookup slower.
pub(crate) fn part_of(key: &[u8], parts: usize) -> usize {
    xxh3_64(key) as usize & (parts - 1)
}

/// Slot of `key` inside of a table; must never become observable.
#[inline]
pub(crate) fn slot_hash(key: &[u8]) -> u64 {
    let mut hasher = SLOTS.build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// The same of a number.
#[inline]
pub(crate) fn slot_hash_of(number: u64) -> u64 {
    let mut hasher = SLOTS.build_hasher();
    hasher.write_u64(number);
    hasher.finish()
}

/// Fingerprint of a payload for the seen-set. Not cryptographic: a client that builds two payloads
/// with one fingerprint and sends both under one number is told `Duplicate` for the second where
/// `SequenceReused` would be exact; neither is executed twice, and no other client is touched.
pub(crate) fn fingerprint(payload: &[u8]) -> u64 {
    XxHash3_64::oneshot(payload)
}

/// Where an encoding goes.
pub(crate) trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Bytes that are hashed at once: a power of two of BLAKE3's chunks (1024 bytes), enough for the widest
/// vectors (16 chunks), and small enough to stay in the first caches.
const STEP_LEN_BYTES: usize = 32 << 10;

/// Gathers pieces and hashes them in steps, because few chunks at once cost twice as much per byte as
/// many.
pub(crate) struct Digester {
    hasher: blake3::Hasher,
    step: Vec<u8>,
}

impl Digester {
    pub(crate) fn new(domain: &str) -> Digester {
        Digester {
            hasher: blake3::Hasher::new_derive_key(domain),
            step: Vec::with_capacity(STEP_LEN_BYTES),
        }
    }

    /// What [`Digest::of`] the domain and all bytes is.
    pub(crate) fn finish(mut self) -> Digest {
        self.hasher.update(&self.step);
        Digest(*self.hasher.finalize().as_bytes())
    }

    /// Room for no more than a part of the piece is left.
    fn put_steps(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(STEP_LEN_BYTES - self.step.len());
        self.step.extend_from_slice(head);
        self.hasher.update(&self.step);
        self.step.clear();
        let (steps, rest) = rest.as_chunks::<STEP_LEN_BYTES>();
        steps.iter().for_each(|step| {
            self.hasher.update(step);
        });
        self.step.extend_from_slice(rest);
    }
}

impl Sink for Digester {
    fn put(&mut self, bytes: &[u8]) {
        match bytes.len() <= STEP_LEN_BYTES - self.step.len() {
            true => self.step.extend_from_slice(bytes),
            false => self.put_steps(bytes),
        }
    }
}

#[cfg(test)]
mod tests;
