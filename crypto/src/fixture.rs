//! Committees for tests: deterministic keys, one engine per replica, and values that are valid until a
//! test spoils them.

use bytes::Bytes;
use types::message::NewView;
use types::{
    BlockId, Car, CarCert, CarId, Checkpoint, CheckpointCert, CommitProof, CommitRule, Committee,
    Digest, Epoch, EpochId, Header, Height, Proposal, Qc, ReplicaId, Tc, Timeout, TimeoutClaim,
    View,
};

use crate::engine::Engine;
use crate::error::Reject;
use crate::job::{Done, Job};
use crate::keys::{Addresses, Secrets, committee_of};
use crate::scheme::VoteScheme;

pub(crate) struct World<S: VoteScheme> {
    pub secrets: Vec<Secrets>,
    pub committee: Committee,
    pub epoch: Epoch,
    pub engines: Vec<Engine<S>>,
    /// Knows the committee and nothing else: nothing is cached in it yet.
    pub verifier: Engine<S>,
}

pub(crate) fn secrets(n: usize, salt: u8) -> Vec<Secrets> {
    let seed = |seat: usize, key: u8| {
        let mut seed = [salt; 32];
        // Not the first byte: X25519 ignores its lowest bits.
        (seed[4], seed[5]) = (seat as u8, key);
        seed
    };
    (0..n)
        .map(|seat| Secrets::from_seeds(seed(seat, 1), seed(seat, 2), seed(seat, 3)))
        .collect()
}

pub(crate) fn addresses(n: usize) -> Vec<Addresses> {
    (0..n)
        .map(|seat| Addresses {
            peer: format!("127.0.0.1:{}", 7000 + seat),
            client: format!("127.0.0.1:{}", 8000 + seat),
        })
        .collect()
}

pub(crate) fn block(i: u8) -> BlockId {
    BlockId(Digest([i; 32]))
}

/// What a check makes of a value: the reason of its refusal, as a reader sees it.
pub(crate) fn verdict<T>(checked: Result<T, Reject>) -> String {
    checked.err().map_or("ok".into(), |why| why.to_string())
}

/// Why a spoiled value must be refused, and how it is spoiled.
pub(crate) type Spoil<'a, T> = (&'a str, &'a dyn Fn(&mut T));

/// Spoils a valid value in every listed way, and wants the reason to contain the text beside it.
pub(crate) fn refuses<T: Clone>(valid: &T, check: impl Fn(T) -> String, spoils: &[Spoil<'_, T>]) {
    assert_eq!(check(valid.clone()), "ok");
    for (why, spoil) in spoils {
        let mut spoiled = valid.clone();
        spoil(&mut spoiled);
        let verdict = check(spoiled);
        assert!(verdict.contains(why), "expected `{why}`, found `{verdict}`");
    }
    assert_eq!(check(valid.clone()), "ok", "refusals are not remembered");
}

pub(crate) fn flip(bytes: &bytes::Bytes) -> bytes::Bytes {
    let mut bytes = bytes.to_vec();
    bytes[20] ^= 1;
    bytes.into()
}

pub(crate) fn other_epoch() -> EpochId {
    EpochId(Digest([5; 32]))
}

impl<S: VoteScheme> World<S> {
    pub fn new(n: usize) -> World<S> {
        World::salted(n, 7)
    }

    /// Another salt is another cluster.
    pub fn salted(n: usize, salt: u8) -> World<S> {
        let secrets = secrets(n, salt);
        let committee = committee_of::<S>(&secrets, CommitRule::TwoChain, &addresses(n)).unwrap();
        let engine = |(seat, secrets): (usize, &Secrets)| {
            let me = Some((ReplicaId(seat as u16), secrets.clone()));
            Engine::new(&committee, me).unwrap()
        };
        World {
            engines: secrets.iter().enumerate().map(engine).collect(),
            verifier: Engine::new(&committee, None).unwrap(),
            epoch: committee.genesis(),
            committee,
            secrets,
        }
    }

    /// Votes of these replicas as evidence.
    pub fn votes(&self, epoch: &Epoch, seats: &[usize], header: &Header) -> Qc {
        let shares = seats
            .iter()
            .map(|&seat| {
                let excluded = header.excluded_set();
                self.engines[seat].sign_vote(epoch, header.view, header.id(), excluded)
            })
            .map(|vote| (vote.voter, vote.share))
            .collect::<Vec<_>>();
        let excluded = header.excluded_set();
        let statement = types::statement::vote(epoch, header.view, header.id(), excluded);
        Qc {
            epoch: epoch.id,
            view: header.view,
            block: header.id(),
            excluded,
            votes: S::aggregate(&self.verifier.ring, &statement, &shares).multisig,
        }
    }

    /// The last two of these headers are certified by `seats`, which commits the one before the last.
    pub fn proof(&self, epoch: &Epoch, seats: &[usize], headers: &[Header]) -> CommitProof {
        let certs = headers[headers.len() - 2..].iter();
        CommitProof {
            chain: headers.iter().map(Header::core).collect(),
            certs: certs.map(|h| self.votes(epoch, seats, h)).collect(),
        }
    }

    pub fn shares(&self, view: u64, block: BlockId) -> Vec<(ReplicaId, Bytes)> {
        self.engines
            .iter()
            .map(|engine| engine.sign_vote(&self.epoch, View(view), block, types::SignerSet::EMPTY))
            .map(|vote| (vote.voter, vote.share))
            .collect()
    }

    /// Signed by the first `q` replicas.
    pub fn qc(&self, view: u64, block: BlockId) -> Qc {
        let mut shares = self.shares(view, block);
        shares.truncate(self.epoch.quorum());
        let job = Job::AggregateVotes {
            view: View(view),
            block,
            excluded: types::SignerSet::EMPTY,
            shares,
        };
        match self.engines[0].run(&self.epoch, job) {
            Done::Votes { qc: Some(qc), .. } => qc.into_inner(),
            other => panic!("{other:?}"),
        }
    }

    pub fn timeout(&self, replica: usize, view: u64, high_qc: Qc) -> Timeout {
        self.engines[replica].sign_timeout(&self.epoch, View(view), high_qc, None)
    }

    pub fn tc(&self, view: u64, high_qc: &Qc) -> Tc {
        let claim = |replica| {
            let timeout = self.timeout(replica, view, high_qc.clone());
            TimeoutClaim {
                replica: timeout.replica,
                high_qc_view: high_qc.view,
                signature: timeout.signature,
            }
        };
        Tc {
            epoch: self.epoch.id,
            view: View(view),
            excluded: types::SignerSet::EMPTY,
            claims: (0..self.epoch.quorum()).map(claim).collect(),
        }
    }

    pub fn header(&self, view: u64, height: u64, justify: Qc, tc: Option<Tc>) -> Header {
        Header {
            epoch: self.epoch.id,
            view: View(view),
            height: Height(height),
            justify,
            tc,
            cut: vec![],
            payload: Digest::ZERO,
            proposer: ReplicaId(1),
            checkpoint: Checkpoint::default(),
            excluded: None,
        }
    }

    pub fn propose(&self, header: Header) -> Proposal {
        self.engines[header.proposer.index()].sign_proposal(&self.epoch, header)
    }

    /// At view 5, over a certificate of view 2, so that there is a timeout certificate of view 4.
    pub fn proposal(&self) -> Proposal {
        let qc = self.qc(2, block(2));
        let tc = self.tc(4, &qc);
        let mut header = self.header(5, 3, qc, Some(tc));
        header.cut = vec![self.car_cert(0, 4)];
        self.propose(header)
    }

    pub fn new_view(&self) -> NewView {
        let high_qc = self.qc(2, block(2));
        NewView {
            tc: Some(self.tc(4, &high_qc)),
            high_qc,
        }
    }

    pub fn car(&self, lane: u16, index: u64) -> Car {
        let prev = match index {
            1 => CarId::ZERO,
            _ => CarId(Digest([3; 32])),
        };
        let car = Car {
            epoch: self.epoch.id,
            lane: ReplicaId(lane),
            index,
            prev,
            batches: vec![],
            signature: [0; 64],
        };
        self.engines[usize::from(lane)].sign_car(&self.epoch, car)
    }

    pub fn acks(&self, lane: u16, index: u64, car: CarId) -> Vec<(ReplicaId, [u8; 64])> {
        self.engines
            .iter()
            .map(|engine| engine.sign_ack(&self.epoch, ReplicaId(lane), index, car))
            .map(|ack| (ack.replica, ack.signature))
            .collect()
    }

    pub fn car_cert(&self, lane: u16, index: u64) -> CarCert {
        let car = CarId(Digest([9; 32]));
        let job = Job::AggregateAcks {
            lane: ReplicaId(lane),
            index,
            car,
            shares: self.acks(lane, index, car),
        };
        match self.engines[0].run(&self.epoch, job) {
            Done::Acks {
                cert: Some(cert), ..
            } => cert.into_inner(),
            other => panic!("{other:?}"),
        }
    }

    pub fn checkpoint_cert(&self, height: u64) -> CheckpointCert {
        let (height, block, state) = (Height(height), block(1), Digest([4; 32]));
        let shares = self
            .engines
            .iter()
            .map(|engine| engine.sign_checkpoint(&self.epoch, height, block, state))
            .map(|share| (share.replica, share.signature))
            .collect();
        let job = Job::AggregateCheckpoint {
            height,
            block,
            state,
            shares,
        };
        match self.engines[0].run(&self.epoch, job) {
            Done::CheckpointVotes {
                cert: Some(cert), ..
            } => cert.into_inner(),
            other => panic!("{other:?}"),
        }
    }

    /// Headers at heights and views `1..=len` over the epoch's root.
    pub fn chain(&self, len: u64) -> Vec<Header> {
        let mut justify = Qc::root(&self.epoch);
        (1..=len)
            .map(|at| {
                let header = self.header(at, at, justify.clone(), None);
                justify = self.qc(at, header.id());
                header
            })
            .collect()
    }
}
