//! Attackers as real processes: an honest node whose own proposals do not reach everybody, and one of
//! the split coalition. Nothing that they say is false by itself, so that no check of the others can
//! turn it away.

mod double;

use bytes::Bytes;
use crypto::Job;
use measure::LedgerRecord;
use node::incident::Incident;
use node::platform::{ClientId, NodeEvent, Platform};
use node::replica::{Counters, Replica, ReplicaConfig};
use node::{NodeError, Parts, Process, Real, RealPlatform};
use storage::{Record, SyncToken};
use types::client::Response;
use types::{Epoch, Message, Mode, ReplicaId, SignerSet};

use crate::acts::Act;
use crate::byzantine::{Byzantine, RawLink};
use crate::split::{FacePlatform, Maker, SplitPlan, TwoFaced};

pub use double::DoubleVoter;

/// Tagged frames above this go the way of batches.
const BULK_BYTES_MIN: usize = 4096;

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

/// One of the split coalition as a process; the times of `plan` count from now. Its faces keep what they write in memory: a restarted
/// attacker has forgotten everything.
///
/// # Errors
/// As `Replica::new`.
pub fn two_faced(
    plan: SplitPlan,
    parts: Parts,
    me: ReplicaId,
) -> Result<TwoFaced<RealPlatform>, NodeError> {
    let Parts {
        config,
        rule,
        signer,
        platform,
        ..
    } = parts;
    let config = ReplicaConfig {
        durable: true,
        ..config
    };
    let start_ns = measure::monotonic_ns();
    let plan = SplitPlan {
        allies: without(plan.allies, me),
        split_ns: start_ns.saturating_add(plan.split_ns),
        heal_ns: start_ns.saturating_add(plan.heal_ns),
        ..plan
    };
    let make: Maker = Box::new(move |records, now_ns| {
        let platform = Byzantine::honest(FacePlatform::new(records.clone()));
        let rules = node::start::rules(rule);
        Replica::new(
            config.clone(),
            rules,
            signer.clone(),
            records,
            platform,
            now_ns,
        )
    });
    TwoFaced::new(plan, platform, make, start_ns)
}

fn without(mut set: SignerSet, me: ReplicaId) -> SignerSet {
    set.remove(me);
    set
}

impl RawLink for RealPlatform {
    fn send_frame(&mut self, to: ReplicaId, frame: Bytes) {
        // A batch in its envelope is as heavy as without.
        let is_bulk = frame.len() > BULK_BYTES_MIN;
        self.send_raw(to, frame, is_bulk);
    }
}

impl Process for TwoFaced<RealPlatform> {
    fn handle(&mut self, now_ns: u64, event: NodeEvent) {
        self.handle(now_ns, event);
    }
    fn turn(&mut self, now_ns: u64) {
        self.turn(now_ns);
    }
    fn deadline_ns(&self) -> Option<u64> {
        self.deadline_ns()
    }
    fn fatal(&self) -> Option<&str> {
        self.fatal()
    }
    fn begin_stop(&mut self) {
        self.begin_stop();
    }
    fn real(&mut self) -> &mut RealPlatform {
        self.platform()
    }
    fn mode(&self) -> Mode {
        self.mode()
    }
    fn counters(&self) -> Counters {
        self.counters()
    }
    fn take_ledger(&mut self) -> Vec<LedgerRecord> {
        self.take_ledger()
    }
    fn take_incidents(&mut self) -> Vec<Incident> {
        self.take_incidents()
    }
}
