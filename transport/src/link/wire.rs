//! Sealed bytes on their way into a socket: small things coalesced, large ones shared.

use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::io::IoSlice;

/// Pieces up to this length are copied together; longer ones travel by reference count.
const COPY_MAX: usize = 4 << 10;
const STAGE_LEN: usize = 64 << 10;

/// An ordered queue of byte segments.
#[derive(Default)]
pub(crate) struct Wire {
    segments: VecDeque<Bytes>,
    /// The open tail, always behind `segments`.
    stage: BytesMut,
    len: usize,
}

impl Wire {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies; for headers, tags, small heads.
    pub(crate) fn append_small(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.stage.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Copies if short, shares if long.
    pub(crate) fn append(&mut self, bytes: &Bytes) {
        if bytes.len() <= COPY_MAX {
            return self.append_small(bytes);
        }
        self.close_stage();
        self.segments.push_back(bytes.clone());
        self.len += bytes.len();
    }

    /// Appends `len` bytes that `fill` writes in place.
    pub(crate) fn append_with(&mut self, len: usize, fill: impl FnOnce(&mut BytesMut)) {
        self.reserve(len);
        let before = self.stage.len();
        fill(&mut self.stage);
        debug_assert_eq!(self.stage.len() - before, len);
        self.len += self.stage.len() - before;
    }

    fn reserve(&mut self, len: usize) {
        if self.stage.capacity() - self.stage.len() < len {
            self.close_stage();
            self.stage.reserve(len.max(STAGE_LEN));
        }
    }

    fn close_stage(&mut self) {
        if !self.stage.is_empty() {
            self.segments.push_back(self.stage.split().freeze());
        }
    }

    /// The front of the queue for one vectored write; returns how many slices were set.
    pub(crate) fn gather<'a>(&'a mut self, slices: &mut [IoSlice<'a>]) -> usize {
        self.close_stage();
        let count = self.segments.len().min(slices.len());
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(segment);
        }
        count
    }

    /// Clones of the front of the queue, for back ends that own what they write.
    pub(crate) fn gather_owned(&mut self, count_max: usize) -> Vec<Bytes> {
        self.close_stage();
        self.segments.iter().take(count_max).cloned().collect()
    }

    /// `len` bytes went to the kernel.
    pub(crate) fn advance(&mut self, mut len: usize) {
        debug_assert!(len <= self.len);
        self.len -= len.min(self.len);
        while len > 0 {
            let Some(front) = self.segments.front_mut() else {
                return;
            };
            if front.len() > len {
                *front = front.slice(len..);
                return;
            }
            len -= front.len();
            self.segments.pop_front();
        }
    }
}
