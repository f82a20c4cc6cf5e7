//! A real process that lies in one way: an honest node whose own proposals do not reach everybody.
//! What it says is never false, so that no check of the others can turn it away.

mod double;
mod split;

use crypto::Job;
use node::platform::{ClientId, Platform};
use node::{Real, RealPlatform};
use storage::{Record, SyncToken};
use types::client::Response;
use types::{Epoch, Message, ReplicaId, SignerSet};

use crate::acts::Act;

pub use double::DoubleVoter;
pub use split::{SplitOrder, two_faced};

/// The acts that a process can commit.
pub const ACTS: [Act; 2] = [Act::ProposalToTwo, Act::SilentLeader];

/// The act of that name, if a process can commit it.
pub fn act_from_name(name: &str) -> Option<Act> {
    ACTS.into_iter().find(|act| act.name() == name)
}

/// A platform that hands everything through, but its own proposals to two replicas at most.
#[derive(Debug)]
pub struct ToTwo<P> {
    inner: P,
    me: ReplicaId,
    reached: SignerSet,
}

impl<P> ToTwo<P> {
    /// `seats`: size of the committee. `act`: one of [`ACTS`]; any other act bends nothing.
    pub fn new(inner: P, me: ReplicaId, seats: usize, act: Act) -> ToTwo<P> {
        let after = |step: usize| ReplicaId(((me.index() + step) % seats) as u16);
        let reached = match act {
            Act::ProposalToTwo => SignerSet::from_iter([after(1), after(2)]),
            Act::SilentLeader => SignerSet::EMPTY,
            _ => SignerSet::all(seats),
        };
        ToTwo { inner, me, reached }
    }

    pub fn inner(&mut self) -> &mut P {
        &mut self.inner
    }

    /// Who of `to` gets the message.
    fn reached(&self, to: SignerSet, message: &Message) -> SignerSet {
        match message {
            Message::Proposal(own) if own.header.proposer == self.me => {
                to.intersection(self.reached)
            }
            _ => to,
        }
    }
}

impl<P: Platform> Platform for ToTwo<P> {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        if self
            .reached(SignerSet::from_iter([to]), message)
            .contains(to)
        {
            self.inner.send(to, message);
        }
    }

    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        let to = self.reached(to, message);
        if !to.is_empty() {
            self.inner.broadcast(to, message);
        }
    }

    fn reply(&mut self, client: ClientId, response: &Response) {
        self.inner.reply(client, response);
    }
    fn append(&mut self, record: Record) {
        self.inner.append(record);
    }
    fn sync(&mut self) -> SyncToken {
        self.inner.sync()
    }
    fn rotate(&mut self, base: Vec<Record>) {
        self.inner.rotate(base);
    }
    fn journal_bytes(&self) -> u64 {
        self.inner.journal_bytes()
    }
    fn submit(&mut self, tag: u64, epoch: &Epoch, job: Job) {
        self.inner.submit(tag, epoch, job);
    }
}

impl Real for ToTwo<RealPlatform> {
    fn real(&mut self) -> &mut RealPlatform {
        &mut self.inner
    }
}
