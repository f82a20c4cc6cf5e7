//! What must be true, said without any predicate of the consensus room.

pub mod finality;
pub mod ledger;
pub mod receipts;
pub mod signed;

use std::collections::{HashMap, HashSet};

use crypto::{Done, Job};
use measure::LedgerRecord;
use types::{BatchDigest, BlockId, CommitRule, Epoch, Message, ReplicaId, batch};

use crate::event::Seat;
use finality::Finality;
use ledger::Ledger;
use receipts::Receipts;
use signed::Signed;

/// A check that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the check.
    pub check: &'static str,
    pub what: String,
}

pub(crate) type Verdict = Result<(), Violation>;

pub(crate) fn violation(check: &'static str, what: String) -> Verdict {
    Err(Violation { check, what })
}

/// Sees everything; remembers what it needs. See the module.
#[derive(Debug)]
pub struct Oracle {
    honest: Vec<bool>,
    pub finality: Finality,
    pub signed: Signed,
    pub ledger: Ledger,
    pub receipts: Receipts,
    /// Bytes that each replica ever had.
    held: Vec<HashSet<BatchDigest>>,
    cars: HashMap<types::CarId, Vec<BatchDigest>>,
    pub first: Option<Violation>,
    /// Histories may part: what is final, and in which order, is judged elsewhere.
    pub split: bool,
}

impl Oracle {
    pub fn new(epoch: Epoch, rule: CommitRule, honest: Vec<bool>) -> Oracle {
        let n = honest.len();
        Oracle {
            finality: Finality::new(epoch.root(), rule.chain_len()),
            signed: Signed::new(epoch, rule, honest.clone()),
            ledger: Ledger::new(n),
            receipts: Receipts::default(),
            held: vec![HashSet::new(); n],
            cars: HashMap::new(),
            first: None,
            split: false,
            honest,
        }
    }

    pub fn is_honest(&self, seat: Seat) -> bool {
        self.honest[seat]
    }

    /// Keeps the first violation: what follows from it is noise.
    pub fn note(&mut self, verdict: Verdict) {
        if let Err(violation) = verdict
            && self.first.is_none()
        {
            self.first = Some(violation);
        }
    }

    /// A message that left `from`: it was durable there.
    pub fn sent(&mut self, from: Seat, message: &Message) {
        if let Message::Car(car) = message {
            let batches = car.batches.iter().map(|b| b.digest).collect();
            self.cars.insert(car.id(), batches);
        }
        if let Message::Batch(bytes) = message {
            self.held[from].insert(batch::digest(bytes));
        }
        if !self.honest[from] {
            return;
        }
        if let Message::Proposal(p) = message {
            self.header(&p.header);
        }
        let verdict = self.signed.said(ReplicaId(from as u16), message);
        self.note(verdict);
        if let Message::Ack(ack) = message {
            let held = &self.held[from];
            let lacks = self
                .cars
                .get(&ack.car)
                .and_then(|batches| batches.iter().find(|digest| !held.contains(digest)));
            if let Some(digest) = lacks {
                let what = format!(
                    "replica {from} acknowledged car {:?} of lane {} without batch {digest:?}",
                    ack.car, ack.lane
                );
                self.note(violation("acknowledged-without-data", what));
            }
        }
    }

    /// `at` asks its crypto threads for something.
    pub fn asked(&mut self, at: Seat, job: &Job) {
        if let Job::SignVote { view, .. } = job
            && self.honest[at]
        {
            let verdict = self.signed.decided(ReplicaId(at as u16), *view);
            self.note(verdict);
        }
    }

    /// A frame that reached `to`.
    pub fn received(&mut self, to: Seat, frame: &[u8]) {
        if let Some((4 | 13, bytes)) = frame.split_first().map(|(tag, rest)| (*tag, rest)) {
            self.held[to].insert(batch::digest(bytes));
        }
    }

    /// An answer of `at`'s crypto threads.
    pub fn done(&mut self, at: Seat, done: &Done) {
        match done {
            Done::Proposal(Ok(p)) if self.honest[at] => self.header(&p.header),
            Done::Chain(Ok(chain)) if self.honest[at] => {
                // Without a certificate the last header is whatever its sender likes.
                let sure = chain.headers.len()
                    - usize::from(chain.tip.is_none() && !chain.headers.is_empty());
                chain.headers[..sure]
                    .iter()
                    .for_each(|header| self.header(header));
            }
            Done::Votes { qc: Some(qc), .. } => {
                self.signed.certified(qc);
                if !self.split {
                    let verdict = self.finality.certified(qc.block);
                    self.note(verdict);
                }
            }
            Done::VoteSigned(vote) => self.signed.signed_vote(vote),
            _ => {}
        }
    }

    fn header(&mut self, header: &types::Header) {
        self.signed.header(header);
        if self.split {
            return;
        }
        let verdict = self.finality.header(header);
        self.note(verdict);
    }

    /// Blocks that `at` executed since the last call.
    pub fn executed(&mut self, at: Seat, records: &[LedgerRecord]) {
        if !self.honest[at] || self.split {
            return;
        }
        for record in records {
            let verdict = self.ledger.executed(at, record);
            self.note(verdict);
            let block = BlockId(types::Digest(record.block));
            if !self.finality.is_final(block) {
                let what = format!(
                    "replica {at} executed block {block:?} at height {}, which no chain of certificates makes final",
                    record.height
                );
                self.note(violation("executed-not-final", what));
            }
        }
    }
}
