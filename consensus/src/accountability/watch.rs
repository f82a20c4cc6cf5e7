//! The open-box detector online: remembers what each replica said lately, and notices when it says
//! something else. Best effort in bounded memory: a replica that floods its own window hides its older
//! statements, and what a split needs is found in the branches whatever was seen here.

use std::collections::{BTreeMap, VecDeque};

use types::{
    Ack, Car, CarCert, Epoch, Fraud, Proposal, Qc, ReplicaId, SignedCore, Timeout, View, Vote,
};

/// Statements remembered per replica and kind.
const WINDOW: usize = 64;
/// Cars weigh more.
const CARS: usize = 32;

/// See the module. What comes out still has to be verified: shares of votes and acknowledgements are
/// checked by nobody before they are added up.
#[derive(Debug)]
pub struct Watch {
    epoch: Epoch,
    proposals: Memory<View, SignedCore>,
    votes: Memory<View, Qc>,
    cars: Memory<u64, Car>,
    acks: Memory<(ReplicaId, u64), CarCert>,
}

impl Watch {
    pub fn new(epoch: &Epoch) -> Watch {
        Watch {
            epoch: *epoch,
            proposals: Memory::new(WINDOW),
            votes: Memory::new(WINDOW),
            cars: Memory::new(CARS),
            acks: Memory::new(WINDOW),
        }
    }

    /// `E1`
    pub fn proposal(&mut self, proposal: &Proposal) -> Option<Fraud> {
        let core = proposal.header.core();
        self.is_ours(core.proposer, core.epoch == self.epoch.id)?;
        let (by, view) = (core.proposer, core.view);
        let second = SignedCore {
            core,
            signature: proposal.signature,
        };
        let first = self.proposals.recall(by, view, &second)?;
        (first.core != second.core).then_some(Fraud::Equivocation { first, second })
    }

    /// `E2`
    pub fn vote(&mut self, vote: &Vote) -> Option<Fraud> {
        self.is_ours(vote.voter, vote.epoch == self.epoch.id)?;
        let second = vote.alone()?;
        let first = self.votes.recall(vote.voter, vote.view, &second)?;
        let said = |votes: &Qc| (votes.block, votes.excluded);
        (said(&first) != said(&second)).then_some(Fraud::DoubleVote { first, second })
    }

    /// `E2` by the last vote that a timeout carries.
    pub fn timeout(&mut self, timeout: &Timeout) -> Option<Fraud> {
        timeout.last_vote.as_ref().and_then(|vote| self.vote(vote))
    }

    /// `E6`
    pub fn car(&mut self, second: &Car) -> Option<Fraud> {
        self.is_ours(second.lane, second.epoch == self.epoch.id)?;
        let first = self.cars.recall(second.lane, second.index, second)?;
        (first.id() != second.id()).then(|| Fraud::LaneEquivocation {
            first,
            second: second.clone(),
        })
    }

    /// `E7`
    pub fn ack(&mut self, ack: &Ack) -> Option<Fraud> {
        self.is_ours(ack.replica, ack.epoch == self.epoch.id)?;
        let second = ack.alone()?;
        let at = (ack.lane, ack.index);
        let first = self.acks.recall(ack.replica, at, &second)?;
        (first.car != second.car).then_some(Fraud::DoubleAck { first, second })
    }

    fn is_ours(&self, by: ReplicaId, of_epoch: bool) -> Option<()> {
        (of_epoch && self.epoch.members.contains(by)).then_some(())
    }
}

/// The last statements of each replica, oldest first, by what each is about.
#[derive(Debug)]
struct Memory<K, V> {
    of: BTreeMap<ReplicaId, VecDeque<(K, V)>>,
    most: usize,
}

impl<K: PartialEq, V: Clone> Memory<K, V> {
    fn new(most: usize) -> Memory<K, V> {
        Memory {
            of: BTreeMap::new(),
            most,
        }
    }

    /// What `by` said about `about` before; if nothing, remembers `what`.
    fn recall(&mut self, by: ReplicaId, about: K, what: &V) -> Option<V> {
        let said = self.of.entry(by).or_default();
        if let Some((_, first)) = said.iter().rev().find(|(key, _)| *key == about) {
            return Some(first.clone());
        }
        if said.len() >= self.most {
            said.pop_front();
        }
        said.push_back((about, what.clone()));
        None
    }
}
