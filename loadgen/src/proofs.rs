//! Receipts frames on their way to "finished": each block is proven once per process, frames wait
//! for the verdict, and two final blocks of one height are kept as evidence.

use std::collections::{HashMap, VecDeque};

use types::client::Entry;
use types::limits::RECEIPTS_MAX;
use types::{BlockId, CodecError, CommitProof, EpochId, Height, Mode, Reader, Wire};

use crate::blocks::{EpochBlocks, Known};
use crate::claims::{Claim, Verdict};

/// Proven blocks remembered.
const FINAL_MAX: usize = 1 << 16;
/// Proofs kept for a conflict with a later receipt.
const EVIDENCE_MAX: usize = 4_096;
/// Frames that may wait for verdicts or for their epoch, in bytes.
const WAITING_BYTES_MAX: usize = 256 << 20;

/// A receipts frame whose header was read; `rest` holds the sessions.
#[derive(Debug)]
pub struct ReceiptsFrame {
    /// Connection it came on.
    pub slot: usize,
    /// When.
    pub arrival_ns: u64,
    /// The epoch of the block.
    pub epoch: EpochId,
    /// The block.
    pub block: BlockId,
    height: Height,
    /// The replica's mode.
    pub mode: Mode,
    proof: CommitProof,
    rest: Reader,
}

impl ReceiptsFrame {
    /// Reads all but the sessions; `reader` stands behind the response's tag.
    ///
    /// # Errors
    /// [`CodecError`] if it is no receipts frame.
    pub fn take(
        mut reader: Reader,
        slot: usize,
        arrival_ns: u64,
    ) -> Result<ReceiptsFrame, CodecError> {
        Ok(ReceiptsFrame {
            slot,
            arrival_ns,
            epoch: Wire::take(&mut reader)?,
            block: Wire::take(&mut reader)?,
            height: Wire::take(&mut reader)?,
            mode: Wire::take(&mut reader)?,
            proof: Wire::take(&mut reader)?,
            rest: reader,
        })
    }

    /// Gives every entry with its session to `each`, without a list in between.
    ///
    /// # Errors
    /// [`CodecError`] where the frame stops making sense; entries before that were given.
    pub fn entries(
        &self,
        mut each: impl FnMut(&types::batch::SessionId, Entry),
    ) -> Result<(), CodecError> {
        let mut reader = self.rest.clone();
        for _ in 0..reader.length("receipt sessions", RECEIPTS_MAX)? {
            let session = reader.array("session")?;
            for _ in 0..reader.length("receipt entries", RECEIPTS_MAX)? {
                each(&session, Entry::take(&mut reader)?);
            }
        }
        reader.finish()
    }
}

/// Two proven blocks of one height.
#[derive(Debug, Clone)]
pub struct Conflict {
    /// The epoch that is split.
    pub epoch: EpochId,
    /// The height.
    pub height: u64,
    /// The block that was known, with its proof if it is still kept.
    pub first: (BlockId, Option<CommitProof>),
    /// The block that contradicts it.
    pub second: (BlockId, Option<CommitProof>),
}

/// What is to be done with a frame.
#[derive(Debug)]
pub enum Ruling {
    /// Its receipts hold.
    Good(ReceiptsFrame),
    /// They prove nothing.
    Bad(ReceiptsFrame, String),
}

#[derive(Debug)]
enum State {
    /// Proven, at this height.
    Final(Height),
    /// The first frame's proof is being checked.
    Checking(Vec<ReceiptsFrame>),
}

/// All blocks that receipts named.
#[derive(Debug)]
pub struct ProofBook {
    trust_unchecked: bool,
    states: HashMap<BlockId, State>,
    finals: VecDeque<BlockId>,
    claims: Vec<Claim>,
    /// Claims given out and not yet answered.
    asked: usize,
    waiting_bytes: usize,
    /// Receipts of epochs whose beginning is being checked.
    parked: HashMap<EpochId, Vec<ReceiptsFrame>>,
    /// Height to block, over the whole run.
    pub blocks: EpochBlocks,
    evidence: VecDeque<(u64, BlockId, CommitProof)>,
    conflicts: Vec<Conflict>,
    /// Verdicts by their own signatures, by descent, and bad ones.
    pub verdicts: [u64; 3],
}

impl ProofBook {
    /// A book for receipts of one epoch, and of those that are made known later.
    #[must_use]
    pub fn new(epoch: EpochId, trust_unchecked: bool) -> ProofBook {
        ProofBook {
            trust_unchecked,
            states: HashMap::new(),
            finals: VecDeque::new(),
            claims: Vec::new(),
            asked: 0,
            waiting_bytes: 0,
            parked: HashMap::new(),
            blocks: EpochBlocks::new(epoch),
            evidence: VecDeque::new(),
            conflicts: Vec::new(),
            verdicts: [0; 3],
        }
    }

    /// Receipts of this epoch may come before it is known to be one: they wait for
    /// [`ProofBook::begin`] or [`ProofBook::give_up`].
    pub fn expect(&mut self, epoch: EpochId) {
        if !self.blocks.knows(epoch) {
            self.parked.entry(epoch).or_default();
        }
    }

    /// The epoch is one: what waited for it is taken in.
    pub fn begin(&mut self, epoch: EpochId, rulings: &mut Vec<Ruling>) {
        self.blocks.begin(epoch);
        for frame in self.unpark(epoch) {
            rulings.extend(self.admit(frame));
        }
    }

    /// The epoch is none: what waited for it proves nothing.
    pub fn give_up(&mut self, epoch: EpochId, why: &str, rulings: &mut Vec<Ruling>) {
        let bad = |frame| Ruling::Bad(frame, format!("its epoch does not hold: {why}"));
        rulings.extend(self.unpark(epoch).into_iter().map(bad));
    }

    fn unpark(&mut self, epoch: EpochId) -> Vec<ReceiptsFrame> {
        let frames = self.parked.remove(&epoch).unwrap_or_default();
        self.waiting_bytes -= frames.iter().map(|f| f.rest.left()).sum::<usize>();
        frames
    }

    /// Takes a frame in: a ruling if there is one already.
    pub fn admit(&mut self, frame: ReceiptsFrame) -> Option<Ruling> {
        let is_full = self.waiting_bytes + frame.rest.left() > WAITING_BYTES_MAX;
        if !self.blocks.knows(frame.epoch) {
            return match self.parked.get_mut(&frame.epoch) {
                Some(parked) if !is_full => {
                    self.waiting_bytes += frame.rest.left();
                    parked.push(frame);
                    None
                }
                _ => {
                    let why = format!("receipt of the unknown epoch {}", frame.epoch);
                    Some(Ruling::Bad(frame, why))
                }
            };
        }
        if matches!(frame.mode, Mode::DegradedSafe | Mode::RecoveryInProgress) {
            let why = format!("receipt given in mode {}", frame.mode.name());
            return Some(Ruling::Bad(frame, why));
        }
        if self.trust_unchecked {
            self.note_final(frame.epoch, frame.height.0, frame.block, None);
            return Some(Ruling::Good(frame));
        }
        match self.states.get_mut(&frame.block) {
            Some(State::Final(height)) => {
                let height = *height;
                Some(rule_on_final(frame, height))
            }
            _ if is_full => Some(Ruling::Bad(
                frame,
                "too many receipts wait for the check of their proofs".into(),
            )),
            Some(State::Checking(frames)) => {
                self.waiting_bytes += frame.rest.left();
                frames.push(frame);
                None
            }
            None => {
                self.claims.push(claim_of(&frame));
                self.waiting_bytes += frame.rest.left();
                let block = frame.block;
                self.states.insert(block, State::Checking(vec![frame]));
                None
            }
        }
    }

    /// Claims which nobody checks yet.
    pub fn take_claims(&mut self) -> Vec<Claim> {
        self.asked += self.claims.len();
        std::mem::take(&mut self.claims)
    }

    /// Whether [`ProofBook::take_claims`] has something.
    #[must_use]
    pub fn has_claims(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Whether any verdict is still to come.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.claims.is_empty() && self.asked == 0
    }

    /// Enters one verdict; frames whose fate it decides go to `rulings`.
    pub fn settle(&mut self, claim: Claim, verdict: Verdict, rulings: &mut Vec<Ruling>) {
        self.asked = self.asked.saturating_sub(1);
        let Some(State::Checking(mut frames)) = self.states.remove(&claim.block) else {
            return;
        };
        let why = match verdict {
            Verdict::Signed => {
                self.verdicts[0] += 1;
                None
            }
            Verdict::Linked => {
                self.verdicts[1] += 1;
                None
            }
            Verdict::Bad(why) => {
                self.verdicts[2] += 1;
                Some(why)
            }
        };
        let Some(why) = why else {
            self.waiting_bytes -= frames.iter().map(|f| f.rest.left()).sum::<usize>();
            self.note_final(claim.epoch, claim.height.0, claim.block, Some(claim.proof));
            self.states.insert(claim.block, State::Final(claim.height));
            self.finals.push_back(claim.block);
            if self.finals.len() > FINAL_MAX
                && let Some(oldest) = self.finals.pop_front()
            {
                self.states.remove(&oldest);
            }
            for frame in frames {
                rulings.push(rule_on_final(frame, claim.height));
            }
            return;
        };
        // Another replica may have sent a better proof of the same block.
        let first = frames.remove(0);
        self.waiting_bytes -= first.rest.left();
        rulings.push(Ruling::Bad(first, why));
        if let Some(next) = frames.first() {
            self.claims.push(claim_of(next));
            self.states.insert(claim.block, State::Checking(frames));
        }
    }

    fn note_final(
        &mut self,
        epoch: EpochId,
        height: u64,
        block: BlockId,
        proof: Option<CommitProof>,
    ) {
        match (self.blocks.insert(epoch, height, block), proof) {
            (Known::New, Some(proof)) => {
                self.evidence.push_back((height, block, proof));
                if self.evidence.len() > EVIDENCE_MAX {
                    self.evidence.pop_front();
                }
            }
            (Known::Conflict(known), proof) => {
                let kept = self.evidence.iter().find(|(_, block, _)| *block == known);
                self.conflicts.push(Conflict {
                    epoch,
                    height,
                    first: (known, kept.map(|(_, _, proof)| proof.clone())),
                    second: (block, proof),
                });
            }
            _ => {}
        }
    }

    /// Conflicts found since the last call.
    pub fn take_conflicts(&mut self) -> Vec<Conflict> {
        std::mem::take(&mut self.conflicts)
    }
}

/// The block is final, so only the height can be wrong. Whether another block is final there as well
/// is a conflict, and no fault of this receipt.
fn rule_on_final(frame: ReceiptsFrame, height: Height) -> Ruling {
    match frame.height == height {
        true => Ruling::Good(frame),
        false => {
            let why = format!("block {} is not at height {}", frame.block, frame.height);
            Ruling::Bad(frame, why)
        }
    }
}

fn claim_of(frame: &ReceiptsFrame) -> Claim {
    Claim {
        epoch: frame.epoch,
        block: frame.block,
        height: frame.height,
        proof: frame.proof.clone(),
    }
}

#[cfg(test)]
mod tests;
