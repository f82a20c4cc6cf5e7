//! Committees of simulated replicas; the same for every seed, made once per thread.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use adversary::Forge;
use crypto::{Addresses, Done, Engine, Job, Secrets, VoteScheme, committee_of};
use types::{CommitRule, Committee, Epoch, ReplicaId};

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

/// The keys of one seat. `gullible` makes the mutant that believes every certificate.
pub fn keys_of(scheme: Scheme, made: &Made, seat: usize, gullible: bool) -> Arc<dyn Keys> {
    let me = Some((ReplicaId(seat as u16), made.1[seat].clone()));
    let fits = "the secrets of this seat";
    match (scheme, gullible) {
        (Scheme::Fake, true) => Arc::new(Engine::<Gullible>::new(&made.0, me).expect(fits)),
        (Scheme::Fake, false) => Arc::new(Engine::<FakeScheme>::new(&made.0, me).expect(fits)),
        (Scheme::HalfReal, _) => Arc::new(Engine::<HalfRealScheme>::new(&made.0, me).expect(fits)),
    }
}
