//! Pure ordering: every transaction is applied and leaves nothing behind.

use bytes::Bytes;
use types::Digest;
use types::batch::SessionId;
use types::client::Outcome;

use crate::app::Application;
use crate::parts::{Input, Parts, RestoreError};

/// The application without a state.
#[derive(Debug, Clone, Copy, Default)]
pub struct Null;

impl Application for Null {
    type Op<'a> = ();

    fn name(&self) -> &'static str {
        "null"
    }
    fn read(&self, _payload: &[u8]) {}
    fn execute(&mut self, _session: &SessionId, _op: &()) -> Outcome {
        Outcome::Applied
    }
    fn query(&self, _query: &[u8]) -> Bytes {
        Bytes::new()
    }
}

impl Parts for Null {
    fn parts(&self) -> usize {
        0
    }
    fn part_len_bytes(&self, _part: usize) -> usize {
        0
    }
    fn stripe_parts(&self) -> usize {
        1
    }
    fn stripe_digest(&self, _stripe: usize) -> Digest {
        Digest::ZERO
    }
    fn encode_part(&self, _part: usize, _out: &mut Vec<u8>) {}
    fn restore_part(&mut self, _part: usize, _input: &mut Input<'_>) -> Result<(), RestoreError> {
        Ok(())
    }
}
