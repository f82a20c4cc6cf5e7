//! Two hashes of a key: a fixed one which all replicas share, and a private one against flooding.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Private to this process. Whoever cannot read our memory cannot aim keys at one slot of a table.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0u64));

/// Part of the state that holds `key`, of `parts` (a power of two). The same at every replica, so
/// anyone can aim keys at one part: that makes one part's copy and digest as dear as the whole
/// state's, and no lookup slower.
pub(crate) fn part_of(key: &[u8], parts: usize) -> usize {
    xxh3_64(key) as usize & (parts - 1)
}

/// Slot of `key` inside of a table; must never become observable.
pub(crate) fn slot_hash(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, *SEED)
}

/// Fingerprint of a payload for the seen-set. Not cryptographic: a client that builds two payloads
/// with one fingerprint and sends both under one number is told `Duplicate` for the second where
/// `SequenceReused` would be exact; neither is executed twice, and no other client is touched.
pub(crate) fn fingerprint(payload: &[u8]) -> u64 {
    xxh3_64(payload)
}
