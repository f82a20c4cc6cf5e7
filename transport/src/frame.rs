//! Frames: what is sent (shared by reference count) and what was received (one allocation).

use bytes::Bytes;
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock};

/// Longest head of a frame; a body may be as long as the limit of the link allows.
pub const HEAD_LEN_MAX: usize = u16::MAX as usize;

/// A frame to send: a small head and, optionally, a large body that is never copied.
///
/// The receiver gets head and body as one contiguous payload and is told where the body starts.
/// Cloning costs two reference counts.
#[derive(Clone, Debug)]
pub struct Frame {
    pub(crate) head: Bytes,
    pub(crate) body: Option<Arc<Body>>,
}

impl Frame {
    /// A frame of a head alone: right for votes, requests, receipts.
    ///
    /// # Panics
    /// If `head` is longer than [`HEAD_LEN_MAX`]; use [`Frame::with_body`].
    pub fn new(head: impl Into<Bytes>) -> Self {
        let head = head.into();
        assert!(
            head.len() <= HEAD_LEN_MAX,
            "head of {} bytes: put it into a body",
            head.len()
        );
        Self { head, body: None }
    }

    /// A frame of a head and a shared body.
    ///
    /// # Panics
    /// If `head` is longer than [`HEAD_LEN_MAX`].
    pub fn with_body(head: impl Into<Bytes>, body: Arc<Body>) -> Self {
        Self {
            body: (!body.is_empty()).then_some(body),
            ..Self::new(head)
        }
    }

    /// Bytes of the payload: head and body.
    pub fn len(&self) -> usize {
        self.head.len() + self.body.as_ref().map_or(0, |body| body.len())
    }

    /// Whether the payload is empty; such frames are not sent to anybody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The large part of a frame: pieces in order, and their BLAKE3 hash once somebody needed it.
///
/// With encryption off, the MAC of a link covers the hash of the body, so one hash serves all
/// receivers; give it if it is known (a batch is named by it), and nothing is hashed at all.
#[derive(Debug)]
pub struct Body {
    pieces: SmallVec<[Bytes; 4]>,
    len: usize,
    hash: OnceLock<[u8; 32]>,
}

impl Body {
    pub fn new(pieces: impl IntoIterator<Item = Bytes>) -> Arc<Self> {
        let pieces: SmallVec<[Bytes; 4]> = pieces.into_iter().filter(|p| !p.is_empty()).collect();
        let len = pieces.iter().map(Bytes::len).sum();
        Arc::new(Self {
            pieces,
            len,
            hash: OnceLock::new(),
        })
    }

    /// As [`Body::new`], with `hash` = BLAKE3 (plain, unkeyed) over the concatenated pieces. A
    /// wrong hash makes every receiver close the link.
    pub fn with_hash(pieces: impl IntoIterator<Item = Bytes>, hash: [u8; 32]) -> Arc<Self> {
        let body = Self::new(pieces);
        let _ = body.hash.set(hash);
        body
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// BLAKE3 over the body; computed at most once.
    pub fn hash(&self) -> [u8; 32] {
        *self.hash.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            for piece in &self.pieces {
                hasher.update(piece);
            }
            *hasher.finalize().as_bytes()
        })
    }
}

/// A received frame: one payload of contiguous bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Head and body.
    pub bytes: Bytes,
    /// Where the body starts; the length of `bytes` if there is none.
    pub head_len: usize,
    /// BLAKE3 of the body, if the link had to compute it anyway (encryption off). It was computed
    /// here from the received bytes, so it may be trusted as if the caller had computed it.
    pub body_hash: Option<[u8; 32]>,
}

impl Received {
    /// What a receiver of `frame` gets; for simulated networks.
    pub fn from_frame(frame: &Frame) -> Self {
        let Some(body) = &frame.body else {
            return Self {
                bytes: frame.head.clone(),
                head_len: frame.head.len(),
                body_hash: None,
            };
        };
        let mut bytes = Vec::with_capacity(frame.len());
        bytes.extend_from_slice(&frame.head);
        body.pieces()
            .iter()
            .for_each(|piece| bytes.extend_from_slice(piece));
        Self {
            bytes: bytes.into(),
            head_len: frame.head.len(),
            body_hash: Some(body.hash()),
        }
    }

    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head_len]
    }

    /// The body, sharing the frame's allocation.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(self.head_len..)
    }
}
