//! Committees of simulated replicas; the same for every seed, made once per thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use adversary::Forge;
use crypto::{Addresses, Done, Engine, Job, Secrets, VoteScheme, committee_of};
use node::replica::Signer;
use types::{
    Ack, BlockId, Car, CarId, CheckpointShare, CommitProof, CommitRule, Committee, Digest, Epoch,
    ForkReport, Header, Height, Proposal, Qc, ReplicaId, Timeout, View, Vote,
};

use crate::scheme::{FakeScheme, Gullible, HalfRealScheme};

/// All that a replica's keys can do, whatever the scheme.
pub trait Keys: Forge {
    fn run(&self, epoch: &Epoch, job: Job) -> Done;
}

impl<S: VoteScheme> Keys for Engine<S> {
    fn run(&self, epoch: &Epoch, job: Job) -> Done {
        Engine::run(self, epoch, job)
    }
}

/// Which scheme a world uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    Fake,
    /// Real Ed25519 identities.
    HalfReal,
}

type Made = (Arc<Committee>, Arc<Vec<Secrets>>);

thread_local! {
    static MADE: RefCell<HashMap<(Scheme, usize, CommitRule), Made>> = RefCell::default();
}

fn make<S: VoteScheme>(n: usize, rule: CommitRule) -> Made {
    let seed = |seat: usize, what: u8| {
        let mut seed = [what; 32];
        seed[4] = seat as u8;
        seed
    };
    let secrets: Vec<Secrets> = (0..n)
        .map(|seat| Secrets::from_seeds(seed(seat, 1), seed(seat, 2), seed(seat, 3)))
        .collect();
    let nowhere = Addresses {
        peer: "sim".into(),
        client: "sim".into(),
    };
    let committee = committee_of::<S>(&secrets, rule, &vec![nowhere; n])
        .expect("keys from constants make a committee");
    (Arc::new(committee), Arc::new(secrets))
}

/// The committee for a world.
pub fn committee(scheme: Scheme, n: usize, rule: CommitRule) -> Made {
    MADE.with_borrow_mut(|made| {
        made.entry((scheme, n, rule))
            .or_insert_with(|| match scheme {
                Scheme::Fake => make::<FakeScheme>(n, rule),
                Scheme::HalfReal => make::<HalfRealScheme>(n, rule),
            })
            .clone()
    })
}

/// What a replica takes on trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// Nothing.
    Proven,
    /// A mutant: every certificate of votes.
    Everything,
    /// A mutant: certificates in fork reports, and in values made of them.
    Reports,
}

/// The keys of one seat.
pub fn keys_of(scheme: Scheme, made: &Made, seat: usize, belief: Belief) -> Arc<dyn Keys> {
    let me = Some((ReplicaId(seat as u16), made.1[seat].clone()));
    let fits = "the secrets of this seat";
    let proven = |me| Engine::<FakeScheme>::new(&made.0, me).expect(fits);
    let gullible = |me| Engine::<Gullible>::new(&made.0, me).expect(fits);
    match (scheme, belief) {
        (Scheme::Fake, Belief::Everything) => Arc::new(gullible(me)),
        (Scheme::Fake, Belief::Reports) => Arc::new(Trusting {
            reports: gullible(me.clone()),
            rest: proven(me),
        }),
        (Scheme::Fake, Belief::Proven) => Arc::new(proven(me)),
        (Scheme::HalfReal, _) => Arc::new(Engine::<HalfRealScheme>::new(&made.0, me).expect(fits)),
    }
}

/// See [`Belief::Reports`].
struct Trusting {
    reports: Engine<Gullible>,
    rest: Engine<FakeScheme>,
}

impl Keys for Trusting {
    fn run(&self, epoch: &Epoch, job: Job) -> Done {
        match job {
            Job::Report(_) | Job::Value(_) | Job::Resumption(_) => self.reports.run(epoch, job),
            _ => self.rest.run(epoch, job),
        }
    }
}

impl Forge for Trusting {
    fn vote(&self, epoch: &Epoch, view: View, block: BlockId) -> Vote {
        Forge::vote(&self.rest, epoch, view, block)
    }
}

impl Signer for Trusting {
    fn proposal(&self, epoch: &Epoch, header: Header) -> Proposal {
        self.rest.proposal(epoch, header)
    }
    fn timeout(&self, epoch: &Epoch, view: View, qc: Qc, last: Option<Vote>) -> Timeout {
        self.rest.timeout(epoch, view, qc, last)
    }
    fn car(&self, epoch: &Epoch, car: Car) -> Car {
        self.rest.car(epoch, car)
    }
    fn ack(&self, epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Ack {
        self.rest.ack(epoch, lane, index, car)
    }
    fn checkpoint(
        &self,
        epoch: &Epoch,
        height: Height,
        block: BlockId,
        state: Digest,
    ) -> CheckpointShare {
        self.rest.checkpoint(epoch, height, block, state)
    }
    fn report(
        &self,
        epoch: &Epoch,
        height: Height,
        tip: BlockId,
        proof: Option<CommitProof>,
    ) -> ForkReport {
        self.rest.report(epoch, height, tip, proof)
    }
}
