//! What the benches have in common: committees with deterministic keys, and their signatures.

pub mod costs;

use bytes::Bytes;
use crypto::{Addresses, Engine, Secrets, VoteScheme, committee_of};
use types::{BlockId, CommitRule, Committee, Digest, Epoch, Multisig, ReplicaId, View};
use types::{committee, statement};

/// A committee of `n` with everything that its members can do.
pub struct World<S: VoteScheme> {
    pub committee: Committee,
    pub epoch: Epoch,
    pub ring: S::Ring,
    pub engines: Vec<Engine<S>>,
    votes: Vec<S::Secret>,
}

impl<S: VoteScheme> std::fmt::Debug for World<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

/// The block of a statement by number.
pub fn block(i: u64) -> BlockId {
    BlockId(Digest::of("reforge bench block", &i.to_le_bytes()))
}

impl<S: VoteScheme> World<S> {
    /// With `signers` engines, of which each takes as long to make as all keys to check.
    pub fn new(n: usize, signers: usize) -> World<S> {
        let seed = |seat: usize, key: u8| {
            let mut seed = [key; 32];
            seed[8] = seat as u8;
            seed
        };
        let secrets: Vec<Secrets> = (0..n)
            .map(|seat| Secrets::from_seeds(seed(seat, 1), seed(seat, 2), seed(seat, 3)))
            .collect();
        let addresses = vec![
            Addresses {
                peer: String::new(),
                client: String::new()
            };
            n
        ];
        let committee = committee_of::<S>(&secrets, CommitRule::TwoChain, &addresses)
            .expect("an address for each");
        let engine = |seat: usize| {
            let me = Some((ReplicaId(seat as u16), secrets[seat].clone()));
            Engine::new(&committee, me).expect("valid keys")
        };
        World {
            epoch: committee.genesis(),
            ring: S::ring(&committee.members).expect("valid keys"),
            engines: (0..signers).map(engine).collect(),
            votes: secrets.iter().map(|s| S::secret(s.vote_seed())).collect(),
            committee,
        }
    }

    pub fn statement(&self, i: u64) -> Vec<u8> {
        statement::vote(&self.epoch, View(i), block(i), types::SignerSet::EMPTY)
    }

    /// A quorum's shares for statement `i`; those of the first `bad` seats are of another one.
    pub fn shares(&self, i: u64, bad: usize) -> Vec<(ReplicaId, Bytes)> {
        let share = |seat: usize| {
            let about = if seat < bad { i + 1_000_000 } else { i };
            let share = S::sign(&self.votes[seat], &self.statement(about));
            (ReplicaId(seat as u16), share)
        };
        (0..committee::quorum(self.votes.len()))
            .map(share)
            .collect()
    }

    /// A quorum's certificate of statement `i`.
    pub fn multisig(&self, i: u64) -> Multisig {
        S::aggregate(&self.ring, &self.statement(i), &self.shares(i, 0)).multisig
    }

    pub fn sign(&self, i: u64) -> Bytes {
        S::sign(&self.votes[0], &self.statement(i))
    }
}
