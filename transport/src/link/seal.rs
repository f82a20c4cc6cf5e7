//! Sealing of frames: `header (8) | payload | tag` with a MAC, or AES-GCM in chunks.
//!
//! The header is `len u32 | head_len u16 | 0 u16`, little endian. The keys come from Noise's split
//! (two independent secrets, used for nothing else), each through BLAKE3's key derivation with a
//! context per use. The counter is never sent: replay, loss and reordering fail the tag.

use crate::DownReason;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

pub(crate) const HEADER_LEN: usize = 8;
pub(crate) const TAG_LEN: usize = 16;
/// Plaintext bytes of one AEAD chunk: opened as soon as they are here, while they are in cache.
pub(crate) const CHUNK_LEN: usize = 64 << 10;

const MAC_CONTEXT: &str = "reforge 2026-11 transport link frame mac v1";
const AEAD_CONTEXT: &str = "reforge 2026-11 transport link frame aes-128-gcm v1";

/// Lengths of a frame as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub len: u32,
    pub head_len: u16,
}

impl Header {
    pub(crate) fn encode(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&self.len.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.head_len.to_le_bytes());
        bytes
    }

    /// Checks every bound before anything is allocated.
    pub(crate) fn decode(bytes: &[u8; HEADER_LEN], len_max: usize) -> Result<Self, DownReason> {
        let len = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let head_len = u16::from_le_bytes([bytes[4], bytes[5]]);
        if len as usize > len_max {
            return Err(DownReason::Oversized);
        }
        if u32::from(head_len) > len || bytes[6..] != [0, 0] {
            return Err(DownReason::BadFrame);
        }
        Ok(Self { len, head_len })
    }

    pub(crate) fn has_body(self) -> bool {
        u32::from(self.head_len) < self.len
    }
}

/// Chunks that a payload is sealed in; an empty one still needs its tag.
pub(crate) fn chunks(len: usize) -> usize {
    len.div_ceil(CHUNK_LEN).max(1)
}

/// Sends: one key, one counter.
pub(crate) enum Sealer {
    Mac {
        key: [u8; 32],
        sequence: u64,
    },
    Aead {
        key: Box<LessSafeKey>,
        sequence: u64,
    },
}

/// Receives: the same, mirrored.
pub(crate) type Opener = Sealer;

impl Sealer {
    pub(crate) fn new(secret: &[u8; 32], encryption: bool) -> Self {
        if !encryption {
            return Sealer::Mac {
                key: blake3::derive_key(MAC_CONTEXT, secret),
                sequence: 0,
            };
        }
        let key = blake3::derive_key(AEAD_CONTEXT, secret);
        let key = UnboundKey::new(&AES_128_GCM, &key[..AES_128_GCM.key_len()]);
        // ring refuses only keys of another length.
        let key = Box::new(LessSafeKey::new(key.expect("an AES-128 key has 16 bytes")));
        Sealer::Aead { key, sequence: 0 }
    }

    /// Bytes on the wire behind the header.
    pub(crate) fn sealed_len(&self, len: usize) -> usize {
        match self {
            Sealer::Mac { .. } => len + TAG_LEN,
            Sealer::Aead { .. } => len + TAG_LEN * chunks(len),
        }
    }

    /// The MAC of the next frame: over header, sequence, head, and the hash of the body if there
    /// is one (hash-then-MAC: BLAKE3 is collision resistant, so one hash serves all receivers).
    pub(crate) fn mac(
        key: &[u8; 32],
        sequence: u64,
        header: Header,
        head: &[u8],
        body_hash: Option<&[u8; 32]>,
    ) -> [u8; TAG_LEN] {
        let mut prefix = [0; HEADER_LEN + 8];
        prefix[..HEADER_LEN].copy_from_slice(&header.encode());
        prefix[HEADER_LEN..].copy_from_slice(&sequence.to_le_bytes());
        let mut hasher = blake3::Hasher::new_keyed(key);
        hasher.update(&prefix).update(head);
        if let Some(hash) = body_hash {
            hasher.update(hash);
        }
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(&hasher.finalize().as_bytes()[..TAG_LEN]);
        tag
    }

    /// Encrypts one chunk in place. Every chunk takes a fresh counter, so their order is proven.
    pub(crate) fn seal_chunk(
        key: &LessSafeKey,
        sequence: &mut u64,
        header: Header,
        chunk: &mut [u8],
    ) -> [u8; TAG_LEN] {
        let aad = Aad::from(header.encode());
        let tag = key.seal_in_place_separate_tag(nonce(sequence), aad, chunk);
        // It fails only beyond 2^36 bytes; a chunk has at most CHUNK_LEN.
        let tag = tag.expect("a chunk is shorter than the limit of AES-GCM");
        let mut bytes = [0; TAG_LEN];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Decrypts `buffer[shift..]` (ciphertext and tag) to the front of `buffer`.
    pub(crate) fn open_chunk(
        key: &LessSafeKey,
        sequence: &mut u64,
        header: Header,
        buffer: &mut [u8],
        shift: usize,
    ) -> Result<(), DownReason> {
        let aad = Aad::from(header.encode());
        let opened = key.open_within(nonce(sequence), aad, buffer, shift..);
        opened.map(|_| ()).map_err(|_| DownReason::BadMac)
    }
}

/// 2^64 chunks are out of reach, so a counter never wraps.
fn nonce(sequence: &mut u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&sequence.to_le_bytes());
    *sequence += 1;
    Nonce::assume_unique_for_key(bytes)
}
