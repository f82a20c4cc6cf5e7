//! What leaves an evil platform, message by message.

use std::sync::Arc;

use bytes::Bytes;
use crypto::{Addresses, Ed25519Lists, Engine, Job, Secrets, committee_of};
use node::platform::{ClientId, Platform};
use storage::{Record, SyncToken};
use types::client::Response;
use types::{
    Checkpoint, CommitRule, Digest, Epoch, Header, Height, Message, Qc, ReplicaId, SignerSet, View,
    Wire,
};

use crate::process::{self, ToTwo};
use crate::{Act, Byzantine, Forge, Plan, RawLink};

#[derive(Default)]
struct Wire4 {
    sent: Vec<(SignerSet, Message)>,
    raw: Vec<Bytes>,
}

impl Platform for Wire4 {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        self.sent
            .push((SignerSet::from_iter([to]), message.clone()));
    }
    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        self.sent.push((to, message.clone()));
    }
    fn reply(&mut self, _: ClientId, _: &Response) {}
    fn append(&mut self, _: Record) {}
    fn sync(&mut self) -> SyncToken {
        SyncToken::START
    }
    fn rotate(&mut self, _: Vec<Record>) {}
    fn journal_bytes(&self) -> u64 {
        0
    }
    fn submit(&mut self, _: u64, _: &Epoch, _: Job) {}
}

impl RawLink for Wire4 {
    fn send_frame(&mut self, _: ReplicaId, frame: Bytes) {
        self.raw.push(frame);
    }
}

struct World {
    epoch: Epoch,
    engine: Arc<Engine<Ed25519Lists>>,
}

fn world() -> World {
    let seed = |seat: u8, what: u8| {
        let mut seed = [what; 32];
        seed[4] = seat;
        seed
    };
    let secrets: Vec<Secrets> = (0..4)
        .map(|seat| Secrets::from_seeds(seed(seat, 1), seed(seat, 2), seed(seat, 3)))
        .collect();
    let nowhere = Addresses {
        peer: "a".into(),
        client: "b".into(),
    };
    let committee =
        committee_of::<Ed25519Lists>(&secrets, CommitRule::TwoChain, &vec![nowhere; 4]).unwrap();
    let engine = Engine::new(&committee, Some((ReplicaId(0), secrets[0].clone()))).unwrap();
    World {
        epoch: committee.genesis(),
        engine: Arc::new(engine),
    }
}

impl World {
    fn evil(&self, plan: Plan) -> Byzantine<Wire4> {
        let forge: Arc<dyn Forge> = self.engine.clone();
        Byzantine::evil(Wire4::default(), ReplicaId(0), self.epoch, forge, plan, 9)
    }

    fn proposal(&self) -> Message {
        let header = Header {
            epoch: self.epoch.id,
            view: View(1),
            height: Height(1),
            justify: Qc::root(&self.epoch),
            tc: None,
            cut: vec![],
            payload: Digest::ZERO,
            proposer: ReplicaId(0),
            checkpoint: Checkpoint::default(),
            excluded: None,
        };
        Message::Proposal(self.engine.sign_proposal(&self.epoch, header))
    }

    fn others(&self) -> SignerSet {
        let mut others = self.epoch.members;
        others.remove(ReplicaId(0));
        others
    }
}

#[test]
fn an_honest_wrapper_hands_everything_through() {
    let world = world();
    let mut platform = Byzantine::honest(Wire4::default());
    platform.broadcast(world.others(), &world.proposal());
    assert_eq!(
        platform.inner().sent,
        vec![(world.others(), world.proposal())]
    );
    assert_eq!(platform.take_acts().total(), 0);
}

/// Both headers of an equivocation pass every check of signatures: only together do they convict.
#[test]
fn an_equivocation_is_two_valid_proposals_of_one_view() {
    let world = world();
    let mut platform = world.evil(Plan::honest().with(Act::EquivocatingProposal, 100));
    for _ in 0..8 {
        platform.broadcast(world.others(), &world.proposal());
    }
    assert_eq!(platform.take_acts().of(Act::EquivocatingProposal), 8);
    let mut ids = std::collections::BTreeSet::new();
    let mut reached = SignerSet::EMPTY;
    for (to, message) in &platform.inner().sent {
        let Message::Proposal(p) = message else {
            panic!("{message:?}")
        };
        assert_eq!(p.header.view, View(1));
        world
            .engine
            .check_proposal(&world.epoch, p.clone())
            .expect("valid by itself");
        ids.insert(p.header.id());
        reached = reached.union(*to);
    }
    assert_eq!(ids.len(), 2);
    assert_eq!(reached, world.others());
}

#[test]
fn a_proposal_to_two_reaches_two() {
    let world = world();
    let mut platform = world.evil(Plan::honest().with(Act::ProposalToTwo, 100));
    platform.broadcast(world.others(), &world.proposal());
    let sent = &platform.inner().sent;
    assert_eq!((sent.len(), sent[0].0.len()), (1, 2));
}

#[test]
fn a_silent_leader_says_nothing() {
    let world = world();
    let mut platform = world.evil(Plan::honest().with(Act::SilentLeader, 100));
    platform.broadcast(world.others(), &world.proposal());
    assert!(platform.inner().sent.is_empty());
    assert_eq!(platform.take_acts().of(Act::SilentLeader), 1);
}

/// A bad share is refused; a second vote for another header of the view is not: it is an offence.
#[test]
fn votes_are_spoiled_or_given_twice() {
    let world = world();
    let Message::Proposal(p) = world.proposal() else {
        return;
    };
    let vote = world.engine.vote(&world.epoch, View(1), p.header.id());
    let next = SignerSet::from_iter([ReplicaId(1)]);
    let mut platform = world.evil(Plan::honest().with(Act::BadShare, 100));
    platform.broadcast(next, &Message::Vote(vote.clone()));
    let Message::Vote(bad) = &platform.inner().sent[0].1 else {
        panic!()
    };
    assert!(world.engine.check_vote(&world.epoch, bad.clone()).is_err());

    let mut platform = world.evil(Plan::honest().with(Act::DoubleVote, 100));
    let mut other = p.clone();
    other.header.checkpoint.height = Height(7);
    platform.observe(&Message::Proposal(other).encode());
    platform.broadcast(next, &Message::Vote(vote));
    let votes: Vec<_> = platform
        .inner()
        .sent
        .iter()
        .map(|(_, m)| m.clone())
        .collect();
    assert_eq!(votes.len(), 2);
    for message in &votes {
        let Message::Vote(vote) = message else {
            panic!()
        };
        assert!(world.engine.check_vote(&world.epoch, vote.clone()).is_ok());
    }
    assert_ne!(votes[0], votes[1]);
}

/// A vote for the block of view 4 locks view 2: the lie is the certificate below it.
#[test]
fn a_timeout_below_the_lock_claims_what_no_locked_voter_follows() {
    let world = world();
    let mut platform = world.evil(Plan::honest().with(Act::TimeoutBelowLock, 100));
    let Message::Proposal(mut p) = world.proposal() else {
        return;
    };
    p.header.proposer = ReplicaId(1);
    for view in 2..=4 {
        let justify = Qc {
            view: p.header.view,
            block: p.header.id(),
            ..p.header.justify.clone()
        };
        platform.observe(&Message::Proposal(p.clone()).encode());
        (p.header.view, p.header.height) = (View(view), Height(view));
        p.header.justify = justify;
    }
    platform.observe(&Message::Proposal(p.clone()).encode());
    let forge: &dyn Forge = world.engine.as_ref();
    let truth = forge.timeout(&world.epoch, View(5), p.header.justify.clone(), None);
    platform.broadcast(world.others(), &Message::Timeout(truth));
    let Message::Timeout(lie) = &platform.inner().sent[0].1 else {
        panic!()
    };
    assert_eq!((lie.view, lie.high_qc.view), (View(5), View(1)));
    assert_eq!(platform.take_acts().of(Act::TimeoutBelowLock), 1);
}

#[test]
fn garbage_and_replays_come_as_raw_frames() {
    let world = world();
    let mut platform = world.evil(
        Plan::honest()
            .with(Act::Garbage, 100)
            .with(Act::Replay, 100),
    );
    platform.observe(&world.proposal().encode());
    for _ in 0..20 {
        platform.broadcast(world.others(), &world.proposal());
    }
    assert_eq!(platform.inner().raw.len(), 40);
    assert!(
        platform
            .inner()
            .raw
            .iter()
            .any(|frame| Message::decode(frame.clone()).is_err())
    );
    assert!(platform.inner().raw.contains(&world.proposal().encode()));
}

#[test]
fn a_process_hides_its_own_proposals_and_nothing_else() {
    let world = world();
    let ids = |ids: &[u16]| SignerSet::from_iter(ids.iter().map(|&id| ReplicaId(id)));
    for (act, reached) in [
        (Act::ProposalToTwo, ids(&[1, 2])),
        (Act::SilentLeader, ids(&[])),
    ] {
        assert_eq!(process::act_from_name(act.name()), Some(act));
        let mut platform = ToTwo::new(Wire4::default(), ReplicaId(0), 4, act);
        platform.broadcast(world.others(), &world.proposal());
        for to in world.others().iter() {
            platform.send(to, &world.proposal());
        }
        let sent = |platform: &mut ToTwo<Wire4>| std::mem::take(&mut platform.inner().sent);
        let wanted: Vec<SignerSet> = match reached.is_empty() {
            true => vec![],
            false => vec![reached, ids(&[1]), ids(&[2])],
        };
        let found: Vec<SignerSet> = sent(&mut platform).into_iter().map(|s| s.0).collect();
        assert_eq!(found, wanted);

        // Somebody else's proposal, handed on, is not bent.
        let mut other = ToTwo::new(Wire4::default(), ReplicaId(3), 4, act);
        other.broadcast(world.others(), &world.proposal());
        assert_eq!(sent(&mut other), vec![(world.others(), world.proposal())]);
    }
    assert_eq!(process::act_from_name("replay"), None);
}
