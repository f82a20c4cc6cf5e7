//! From requests to Submit frames: one group per session and turn, signed where asked.

use bytes::Bytes;
use crypto::ClientKey;
use transport::{Body, Frame};
use types::ClusterId;
use types::batch::{GroupBuilder, SessionId};

use crate::workload::Workload;

/// A frame is closed at this many bytes (one transaction may exceed it).
pub const FRAME_LEN_BYTES: usize = 256 << 10;
/// Below this length a copy is cheaper than the separate hash of a body.
const HEAD_ONLY_LEN_BYTES: usize = 16 << 10;
/// Tag of `Request::Submit`; a test holds it to the codec.
const SUBMIT: u8 = 0;
/// Sequence number and length before each payload.
const TX_OVERHEAD_BYTES: usize = 12;

/// Builds the frame of one connection and turn.
#[derive(Debug)]
pub struct FrameBuilder {
    cluster: ClusterId,
    group: GroupBuilder,
    scratch: Vec<u8>,
    out: Vec<u8>,
}

impl FrameBuilder {
    /// A builder for a cluster's clients.
    #[must_use]
    pub fn new(cluster: ClusterId) -> FrameBuilder {
        FrameBuilder {
            cluster,
            group: GroupBuilder::new(),
            scratch: Vec::with_capacity(1024),
            out: Vec::new(),
        }
    }

    /// Whether another payload of `payload_len` bytes fits.
    #[must_use]
    pub fn fits(&self, payload_len: usize) -> bool {
        let len = self.out.len() + self.group.len_bytes();
        (self.out.is_empty() && self.group.count() == 0)
            || len + payload_len + TX_OVERHEAD_BYTES <= FRAME_LEN_BYTES
    }

    /// Adds a transaction to the open group.
    pub fn push(&mut self, workload: &Workload, session: u32, seq: u64) {
        self.scratch.clear();
        workload.write(session, seq, &mut self.scratch);
        self.group.push(seq, &self.scratch);
    }

    /// Ends the open group, if it holds anything.
    pub fn end_group(&mut self, session: &SessionId, key: Option<&ClientKey>) {
        if self.group.count() == 0 {
            return;
        }
        if self.out.is_empty() {
            self.out.reserve(self.group.len_bytes() + 256);
            self.out.push(SUBMIT);
        }
        match key {
            None => self.group.finish(session, &mut self.out),
            Some(key) => self.group.finish_signed(
                &self.cluster,
                key.public(),
                |statement| key.sign(statement),
                &mut self.out,
            ),
        }
    }

    /// The frame of all ended groups; nothing if there are none.
    pub fn finish(&mut self) -> Option<Frame> {
        if self.out.is_empty() {
            return None;
        }
        let bytes = Bytes::from(std::mem::take(&mut self.out));
        Some(match bytes.len() {
            0..=HEAD_ONLY_LEN_BYTES => Frame::new(bytes),
            _ => Frame::with_body(bytes.slice(..1), Body::new([bytes.slice(1..)])),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::WorkloadKind;
    use transport::Received;
    use types::Wire;
    use types::batch;
    use types::client::Request;

    #[test]
    fn small_and_large_frames_are_submissions_of_whole_groups() {
        let workload = Workload::new(WorkloadKind::Put, 10, 512, 1);
        for count in [1u64, 20, 400] {
            let mut frames = FrameBuilder::new(ClusterId::ZERO);
            for session in 0..2u32 {
                (0..count / 2 + 1).for_each(|seq| frames.push(&workload, session, seq + 1));
                frames.end_group(&[session as u8; 16], None);
            }
            let frame = frames.finish().unwrap();
            let received = Received::from_frame(&frame);
            let Request::Submit(groups) = Request::decode(received.bytes).unwrap() else {
                panic!("not a submission");
            };
            assert_eq!(batch::validate(&groups), Ok(2 * (count / 2 + 1) as u32));
            let sessions: Vec<u8> = batch::groups(&groups).map(|g| g.session[0]).collect();
            assert_eq!(sessions, [0, 1]);
            assert!(frames.finish().is_none());
        }
    }

    #[test]
    fn a_frame_ends_at_its_limit_but_takes_any_single_transaction() {
        let mut frames = FrameBuilder::new(ClusterId::ZERO);
        assert!(frames.fits(10 * FRAME_LEN_BYTES));
        let workload = Workload::new(WorkloadKind::Put, 10, 512, 1);
        let mut count = 0;
        while frames.fits(512) {
            frames.push(&workload, 0, count + 1);
            count += 1;
        }
        frames.end_group(&[0; 16], None);
        let len = frames.finish().unwrap().len();
        assert!(
            len <= FRAME_LEN_BYTES + 64 && len > FRAME_LEN_BYTES - 1024,
            "{len}"
        );
    }
}
