//! What must be true, said without any predicate of the consensus room.

pub mod finality;
pub mod ledger;
pub mod receipts;
pub mod signed;

use std::collections::{BTreeMap, HashMap, HashSet};

use crypto::{Done, Job};
use measure::LedgerRecord;
use types::{BatchDigest, BlockId, CommitRule, Epoch, EpochId, Message, ReplicaId, batch};

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
    /// What was signed in each epoch: offences never cross from one to another.
    signed: BTreeMap<EpochId, Signed>,
    rule: CommitRule,
    pub ledger: Ledger,
    pub receipts: Receipts,
    /// Bytes that each replica ever had.
    held: Vec<HashSet<BatchDigest>>,
    cars: HashMap<types::CarId, Vec<BatchDigest>>,
    /// Cars that each block names without a certificate.
    bare: HashMap<types::BlockId, Vec<(ReplicaId, types::CarId)>>,
    pub first: Option<Violation>,
    /// Histories may part: what is final, and in which order, is judged elsewhere.
    pub split: bool,
}

impl Oracle {
    pub fn new(epoch: Epoch, rule: CommitRule, honest: Vec<bool>) -> Oracle {
        let n = honest.len();
        let mut oracle = Oracle {
            finality: Finality::new(epoch.root(), rule.chain_len()),
            signed: BTreeMap::new(),
            rule,
            ledger: Ledger::new(n),
            receipts: Receipts::default(),
            held: vec![HashSet::new(); n],
            cars: HashMap::new(),
            bare: HashMap::new(),
            first: None,
            split: false,
            honest,
        };
        oracle.knows(&epoch);
        oracle
    }

    /// An epoch that somebody works in, with its recovery.
    pub fn knows(&mut self, epoch: &Epoch) {
        for epoch in [*epoch, epoch.recovery()] {
            let (rule, honest) = (self.rule, &self.honest);
            self.signed
                .entry(epoch.id)
                .or_insert_with(|| Signed::new(epoch, rule, honest.clone()));
        }
    }

    /// Histories part in this world.
    pub fn expect_split(&mut self) {
        self.split = true;
        self.finality.may_fork = true;
    }

    /// The blocks of `epoch` from its root, exclusively, up to `tip`; none while a header is unknown.
    pub fn path(&self, epoch: &Epoch, tip: BlockId) -> Option<Vec<BlockId>> {
        let signed = self.signed.get(&epoch.id)?;
        let mut path = Vec::new();
        let mut block = tip;
        while block != epoch.root() {
            path.push(block);
            block = signed.parent(block)?;
        }
        path.reverse();
        Some(path)
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
        let cars = match message {
            Message::Car(car) => std::slice::from_ref(car),
            Message::Cars(cars) => cars,
            _ => &[],
        };
        for car in cars {
            let batches = car.batches.iter().map(|b| b.digest).collect();
            self.cars.insert(car.id(), batches);
        }
        if let Message::Batch(bytes) = message {
            self.held[from].insert(batch::digest(bytes));
        }
        if !self.honest[from] {
            // Whoever proposes: a block is what its header says, and final by certificates alone.
            if let Message::Proposal(p) = message {
                let verdict = self.finality.header(&p.header);
                self.note(verdict);
            }
            return;
        }
        if let Message::Proposal(p) = message {
            self.header(&p.header);
        }
        let signed = message.epoch().and_then(|id| self.signed.get_mut(&id));
        if let Some(signed) = signed {
            let verdict = signed.said(ReplicaId(from as u16), message);
            self.note(verdict);
        }
        if let Message::Vote(vote) = message {
            let held = &self.held[from];
            // An own car may have left nobody yet, after a restart.
            let has = |(lane, car): &(ReplicaId, types::CarId)| {
                let batches = self.cars.get(car);
                lane.index() == from
                    || batches.is_some_and(|all| all.iter().all(|digest| held.contains(digest)))
            };
            let named = self.bare.get(&vote.block);
            if let Some((_, car)) = named.and_then(|cars| cars.iter().find(|car| !has(car))) {
                let what = format!("replica {from} voted for car {car:?}, which it does not hold");
                self.note(violation("voted-without-data", what));
            }
        }
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
    pub fn asked(&mut self, at: Seat, epoch: &Epoch, job: &Job) {
        self.knows(epoch);
        if let Job::SignVote { view, .. } = job
            && let Some(signed) = self.signed.get(&epoch.id).filter(|_| self.honest[at])
        {
            let verdict = signed.decided(ReplicaId(at as u16), *view);
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
                // Without a certificate, here or from before, the last header is whatever its sender likes.
                let sure = |last: &types::Header| {
                    chain.tip.is_some() || self.finality.is_certified(last.id())
                };
                let headers = match chain.headers.split_last() {
                    Some((last, before)) if !sure(last) => before,
                    _ => &chain.headers,
                };
                headers.iter().for_each(|header| self.header(header));
            }
            Done::Votes { qc: Some(qc), .. } => {
                if let Some(signed) = self.signed.get_mut(&qc.epoch) {
                    signed.certified(qc);
                }
                let verdict = self.finality.certified(qc.block);
                self.note(verdict);
            }
            Done::VoteSigned(vote) => {
                if let Some(signed) = self.signed.get_mut(&vote.epoch) {
                    signed.signed_vote(vote);
                }
            }
            _ => {}
        }
    }

    fn header(&mut self, header: &types::Header) {
        if let Some(signed) = self.signed.get_mut(&header.epoch) {
            signed.header(header);
        }
        let bare = header.cut.iter().filter(|cert| cert.is_bare());
        let bare: Vec<_> = bare.map(|cert| (cert.lane, cert.car)).collect();
        self.bare.insert(header.id(), bare);
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
