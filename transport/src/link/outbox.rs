//! What is to be sent on one link: two bounded queues, shaped, then sealed a little ahead.

use super::seal::{CHUNK_LEN, Header, Sealer, TAG_LEN};
use super::shaper::Shaper;
use super::wire::Wire;
use crate::{Class, Frame, SendError, Shape};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::time::Instant;

/// Sealed bytes kept ahead of the socket. Small, so that control frames overtake; large enough for
/// one good vectored write.
const WIRE_TARGET: usize = 256 << 10;
/// What a queued frame costs besides its payload, so that tiny frames are bounded too.
const FRAME_COST: usize = 64;

#[derive(Clone, Copy, Debug)]
pub(crate) struct QueueLimits {
    pub control_bytes: usize,
    pub bulk_bytes: usize,
    /// Longest payload that may be sent.
    pub frame_bytes: usize,
}

pub(crate) struct Outbox {
    sealer: Sealer,
    limits: QueueLimits,
    queues: [Queue; 2],
    shaper: Option<Box<Shaper>>,
    /// AEAD only: a frame sealed in part, and how far.
    sealing: Option<(Frame, usize)>,
    drained: bool,
    pub sent: Sent,
}

/// Counted here, moved to the statistics by the owner.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub frames: u64,
    pub bytes: u64,
}

#[derive(Default)]
pub(super) struct Queue {
    pub frames: VecDeque<Frame>,
    /// Of `frames`, and of what the shaper still holds.
    pub bytes: usize,
    refused: bool,
}

impl Outbox {
    pub(crate) fn new(sealer: Sealer, limits: QueueLimits) -> Self {
        let (queues, sent) = (Default::default(), Sent::default());
        Self {
            sealer,
            limits,
            queues,
            shaper: None,
            sealing: None,
            drained: false,
            sent,
        }
    }

    pub(crate) fn push(&mut self, class: Class, frame: Frame) -> Result<(), SendError> {
        if frame.len() > self.limits.frame_bytes {
            return Err(SendError::TooLarge);
        }
        let limit = self.limit(class);
        let queue = &mut self.queues[class as usize];
        let cost = cost(&frame);
        // An empty queue takes any frame that is legal: no configuration can wedge a link.
        if queue.bytes > 0 && queue.bytes + cost > limit {
            queue.refused = true;
            return Err(SendError::Full);
        }
        queue.bytes += cost;
        queue.frames.push_back(frame);
        Ok(())
    }

    fn limit(&self, class: Class) -> usize {
        match class {
            Class::Control => self.limits.control_bytes,
            Class::Bulk => self.limits.bulk_bytes,
        }
    }

    pub(crate) fn queued_bytes(&self, class: Class) -> usize {
        self.queues[class as usize].bytes
    }

    /// True once after a refusing queue has become half empty.
    pub(crate) fn take_drained(&mut self) -> bool {
        std::mem::take(&mut self.drained)
    }

    /// Changes the shaping, also of frames in the delay line.
    pub(crate) fn set_shape(&mut self, shape: Shape, seed: u64, now: Instant) {
        match &mut self.shaper {
            Some(shaper) => shaper.set_shape(shape, now),
            None if shape.is_transparent() => {}
            None => self.shaper = Some(Box::new(Shaper::new(shape, seed, now))),
        }
    }

    /// Tells the shaper the time; returns when it next has something to do.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<Instant> {
        let shaper = self.shaper.as_mut()?;
        let next = shaper.tick(now, &mut self.queues);
        if shaper.is_idle() {
            self.shaper = None;
        }
        next
    }

    pub(crate) fn is_shaped(&self) -> bool {
        self.shaper.is_some()
    }

    /// Whether there is something to seal now.
    pub(crate) fn has_ready(&self) -> bool {
        self.sealing.is_some()
            || match &self.shaper {
                Some(shaper) => shaper.has_ready(),
                None => self.queues.iter().any(|queue| !queue.frames.is_empty()),
            }
    }

    fn pop(&mut self) -> Option<Frame> {
        let (class, frame) = match &mut self.shaper {
            Some(shaper) => shaper.pop_ready()?,
            None => pop_queue(&mut self.queues)?,
        };
        let limit = self.limit(class);
        let queue = &mut self.queues[class as usize];
        queue.bytes -= cost(&frame);
        if queue.refused && queue.bytes <= limit / 2 {
            queue.refused = false;
            self.drained = true;
        }
        self.sent.frames += u64::from(!frame.is_empty());
        self.sent.bytes += frame.len() as u64;
        Some(frame)
    }

    /// The initiator's empty first frame: proves that it is alive now.
    pub(crate) fn confirm(&mut self) {
        self.queues[0]
            .frames
            .push_front(Frame::new(bytes::Bytes::new()));
    }

    /// Seals frames until the wire has enough, or nothing is left.
    pub(crate) fn fill(&mut self, wire: &mut Wire) {
        while wire.len() < WIRE_TARGET {
            if let Some((frame, from)) = self.sealing.take() {
                self.seal_aead(frame, from, wire);
            } else if let Some(frame) = self.pop() {
                match &self.sealer {
                    Sealer::Mac { .. } => self.seal_mac(&frame, wire),
                    Sealer::Aead { .. } => self.seal_aead(frame, 0, wire),
                }
            } else {
                return;
            }
        }
    }

    fn seal_mac(&mut self, frame: &Frame, wire: &mut Wire) {
        let Sealer::Mac { key, sequence } = &mut self.sealer else {
            return;
        };
        let header = header_of(frame);
        let body_hash = frame.body.as_ref().map(|body| body.hash());
        let tag = Sealer::mac(key, *sequence, header, &frame.head, body_hash.as_ref());
        *sequence += 1;
        wire.append_small(&header.encode());
        wire.append(&frame.head);
        for piece in frame.body.iter().flat_map(|body| body.pieces()) {
            wire.append(piece);
        }
        wire.append_small(&tag);
    }

    /// Seals one chunk, or a whole small frame; keeps the rest for later.
    fn seal_aead(&mut self, frame: Frame, from: usize, wire: &mut Wire) {
        let Sealer::Aead { key, sequence } = &mut self.sealer else {
            return;
        };
        let header = header_of(&frame);
        if from == 0 {
            wire.append_small(&header.encode());
        }
        let to = frame.len().min(from + CHUNK_LEN);
        wire.append_with(to - from + TAG_LEN, |stage| {
            let start = stage.len();
            copy_range(&frame, from, to, stage);
            let tag = Sealer::seal_chunk(key, sequence, header, &mut stage[start..]);
            stage.extend_from_slice(&tag);
        });
        if to < frame.len() {
            self.sealing = Some((frame, to));
        }
    }
}

pub(super) fn pop_queue(queues: &mut [Queue; 2]) -> Option<(Class, Frame)> {
    let [control, bulk] = queues;
    match control.frames.pop_front() {
        Some(frame) => Some((Class::Control, frame)),
        None => bulk.frames.pop_front().map(|frame| (Class::Bulk, frame)),
    }
}

/// The confirmation is ours, not the owner's: it costs nothing.
fn cost(frame: &Frame) -> usize {
    if frame.is_empty() {
        0
    } else {
        frame.len() + FRAME_COST
    }
}

fn header_of(frame: &Frame) -> Header {
    // `push` bounds the payload, `Frame::new` the head.
    Header {
        len: frame.len() as u32,
        head_len: frame.head.len() as u16,
    }
}

/// Copies `from..to` of the payload.
fn copy_range(frame: &Frame, from: usize, to: usize, into: &mut BytesMut) {
    let pieces = frame.body.iter().flat_map(|body| body.pieces());
    let mut start = 0;
    for piece in std::iter::once(&frame.head).chain(pieces) {
        let end = start + piece.len();
        if start < to && end > from {
            into.extend_from_slice(&piece[from.max(start) - start..to.min(end) - start]);
        }
        start = end;
    }
}
