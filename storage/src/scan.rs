//! Reading one segment, frame by frame, with bounded memory.
use std::fmt;

use bytes::Bytes;

use crate::frame::{
    ALIGN, FRAME_HEAD_BYTES, FrameBytes, FrameHead, SEGMENT_HEAD_BYTES, SegmentHead,
    decode_frame_head, frame_bytes, payload_matches,
};
use crate::store::Store;
use crate::{Record, StorageError};

const WINDOW_BYTES: u64 = 1 << 20;

/// Why a scan ended.
#[derive(Debug)]
pub(crate) enum Stop {
    /// No frame was ever written there.
    Clean,
    /// Something is there, but not the next frame.
    Invalid(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("end of the written part"),
            Self::Invalid(what) => f.write_str(what),
        }
    }
}

/// What lies behind the end of the last segment.
#[derive(Debug)]
pub(crate) struct Tear {
    /// End of the last byte that is not zero.
    pub dirty_end: u64,
    /// A valid later frame that was written after the missing one had become durable.
    pub durable_by: Option<u64>,
}

/// A reader with a window of 1 MiB; larger payloads are read straight into the record.
pub(crate) struct Scan<'a, S> {
    store: &'a S,
    head: SegmentHead,
    len_bytes: u64,
    window: Vec<u8>,
    window_start: u64,
    /// Where the next frame is expected.
    pub offset: u64,
    pub next_seq: u64,
    pub chain: u64,
}

impl<'a, S: Store> Scan<'a, S> {
    pub fn new(store: &'a S, head: SegmentHead, len_bytes: u64, chain: u64) -> Self {
        let next_seq = head.first_seq;
        let offset = SEGMENT_HEAD_BYTES;
        Self {
            store,
            head,
            len_bytes,
            window: Vec::new(),
            window_start: 0,
            offset,
            next_seq,
            chain,
        }
    }

    /// Reads records up to the first place without a valid next frame.
    pub fn records(&mut self, out: &mut Vec<Record>) -> Result<Stop, StorageError> {
        loop {
            let Some(bytes) = self.frame_head(self.offset)? else {
                return Ok(Stop::Clean);
            };
            if bytes.iter().all(|byte| *byte == 0) {
                return Ok(Stop::Clean);
            }
            let head = match self.check_head(&bytes) {
                Ok(head) => head,
                Err(what) => return Ok(Stop::Invalid(what)),
            };
            let payload = self.payload(self.offset, head.len_bytes)?;
            if !payload_matches(&bytes, &payload, self.head.salt) {
                let what = format!("record {} with a wrong checksum", head.seq);
                return Ok(Stop::Invalid(what));
            }
            out.push(Record::new(head.kind, head.key, [Bytes::from(payload)])?);
            self.offset += frame_bytes(head.len_bytes);
            self.next_seq += 1;
            self.chain = head.checksum;
        }
    }

    /// Looks at everything behind the end. `None` if all of it is zero.
    pub fn tear(&mut self, stop: &Stop) -> Result<Option<Tear>, StorageError> {
        let mut dirty_end = self.offset;
        let mut durable_by = None;
        let mut at = self.offset;
        while at < self.len_bytes {
            let step = self.fill(at, ALIGN.min(self.len_bytes - at))?;
            let word = self.view(at, step);
            if let Some(last) = word.iter().rposition(|byte| *byte != 0) {
                dirty_end = at + last as u64 + 1;
                if durable_by.is_none() {
                    durable_by = self.proof_at(at)?;
                }
            }
            at += step;
        }
        debug_assert!(dirty_end > self.offset || matches!(stop, Stop::Clean));
        Ok((dirty_end > self.offset).then_some(Tear {
            dirty_end,
            durable_by,
        }))
    }

    /// The number of the frame at `at`, if it is valid and says that frame `next_seq` was durable before.
    fn proof_at(&mut self, at: u64) -> Result<Option<u64>, StorageError> {
        let Some(bytes) = self.frame_head(at)? else {
            return Ok(None);
        };
        let Some(head) = decode_frame_head(&bytes, self.head.salt) else {
            return Ok(None);
        };
        if head.durable_seq < self.next_seq || !self.fits(at, &head) {
            return Ok(None);
        }
        let payload = self.payload(at, head.len_bytes)?;
        Ok(payload_matches(&bytes, &payload, self.head.salt).then_some(head.seq))
    }

    fn check_head(&self, bytes: &FrameBytes) -> Result<FrameHead, String> {
        let expected = self.next_seq;
        let Some(head) = decode_frame_head(bytes, self.head.salt) else {
            return Err(format!(
                "no valid record head where record {expected} should start"
            ));
        };
        if head.seq != expected {
            return Err(format!(
                "record {} where record {expected} should start",
                head.seq
            ));
        }
        if head.prev != self.chain {
            return Err(format!("record {expected} of another history"));
        }
        if !self.fits(self.offset, &head) {
            return Err(format!("record {expected} reaches beyond the segment"));
        }
        Ok(head)
    }

    fn fits(&self, at: u64, head: &FrameHead) -> bool {
        frame_bytes(head.len_bytes) <= self.len_bytes - at
    }

    /// The bytes at `at`, unless the segment ends before.
    fn frame_head(&mut self, at: u64) -> Result<Option<FrameBytes>, StorageError> {
        if self.len_bytes - at < FRAME_HEAD_BYTES as u64 {
            return Ok(None);
        }
        self.fill(at, FRAME_HEAD_BYTES as u64)?;
        let mut bytes = [0; FRAME_HEAD_BYTES];
        bytes.copy_from_slice(self.view(at, FRAME_HEAD_BYTES as u64));
        Ok(Some(bytes))
    }

    /// The payload of the frame at `at`; `len_bytes` has been checked against limit and segment.
    fn payload(&mut self, at: u64, len_bytes: usize) -> Result<Vec<u8>, StorageError> {
        let (from, len) = (at + FRAME_HEAD_BYTES as u64, len_bytes as u64);
        if len <= WINDOW_BYTES / 4 {
            self.fill(from, len)?;
            return Ok(self.view(from, len).to_vec());
        }
        let mut out = vec![0; len_bytes];
        self.store.read_at(self.head.segment, from, &mut out)?;
        Ok(out)
    }

    /// Brings `at .. at + need` into the window; returns `need`.
    fn fill(&mut self, at: u64, need: u64) -> Result<u64, StorageError> {
        let end = self.window_start + self.window.len() as u64;
        if at < self.window_start || at + need > end {
            let len = (self.len_bytes - at).min(WINDOW_BYTES);
            self.window.resize(len as usize, 0);
            self.window_start = at;
            self.store
                .read_at(self.head.segment, at, &mut self.window)?;
        }
        Ok(need)
    }

    fn view(&self, at: u64, len: u64) -> &[u8] {
        let from = (at - self.window_start) as usize;
        &self.window[from..from + len as usize]
    }
}
