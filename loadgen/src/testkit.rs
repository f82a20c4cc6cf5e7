//! A chain of blocks with commit proofs for tests: real structure, signatures that say "good".

use bytes::Bytes;
use types::committee::CommitRule;
use types::header::Checkpoint;
use types::ids::*;
use types::{
    CommitProof, Committee, Epoch, EpochChange, HeaderCore, Member, Multisig, Qc, SchemeName,
    SignerSet,
};

use crate::claims::ProofEngine;

pub const RULE: CommitRule = CommitRule::TwoChain;

/// Four members with keys that nobody can use.
pub fn committee() -> Committee {
    let member = |i: u8| Member {
        vote_key: vec![i; 96],
        possession: vec![],
        identity_key: [i; 32],
        link_key: [i; 32],
        peer_addr: "127.0.0.1:1".into(),
        client_addr: format!("127.0.0.1:{}", 100 + u16::from(i)),
    };
    Committee {
        envelope: 2,
        standbys: 0,
        members: (1..=4).map(member).collect(),
        scheme: SchemeName::Ed25519,
        rule: RULE,
    }
}

pub fn epoch() -> Epoch {
    committee().genesis()
}

/// Headers at heights 1, 2, …; `salt` makes chains differ from height `fork` on.
pub struct Chain {
    pub epoch: Epoch,
    pub cores: Vec<HeaderCore>,
}

impl Chain {
    pub fn new(len: u64, fork: u64, salt: u8) -> Chain {
        Chain::of(epoch(), len, fork, salt)
    }

    pub fn of(epoch: Epoch, len: u64, fork: u64, salt: u8) -> Chain {
        let mut cores: Vec<HeaderCore> = Vec::new();
        for height in 1..=len {
            let parent = cores.last().map_or(epoch.root(), HeaderCore::id);
            let cut = if height >= fork { salt } else { 0 };
            cores.push(HeaderCore {
                epoch: epoch.id,
                view: View(height),
                height: Height(height),
                justify_view: View(height - 1),
                parent,
                certificates: Digest::ZERO,
                cut: Digest([cut; 32]),
                payload: Digest::ZERO,
                proposer: ReplicaId(0),
                checkpoint: Checkpoint::default(),
                excluded: None,
            });
        }
        Chain { epoch, cores }
    }

    pub fn id(&self, height: u64) -> BlockId {
        self.cores[height as usize - 1].id()
    }

    /// The two-chain proof of `height`; `signature` is "good" or anything else.
    pub fn proof(&self, height: u64, signature: &'static str) -> CommitProof {
        let at = height as usize - 1;
        let chain = self.cores[at..at + 2].to_vec();
        let cert = |core: &HeaderCore| Qc {
            epoch: self.epoch.id,
            view: core.view,
            block: core.id(),
            excluded: SignerSet::EMPTY,
            votes: Multisig {
                signers: SignerSet::all(3),
                bytes: Bytes::from_static(signature.as_bytes()),
            },
        };
        CommitProof {
            certs: chain.iter().map(cert).collect(),
            chain,
        }
    }
}

/// Believes signatures that say "good"; counts what it was asked.
#[derive(Default)]
pub struct FakeEngine {
    pub asked: std::sync::atomic::AtomicUsize,
}

impl ProofEngine for FakeEngine {
    fn check(&self, _: &Epoch, proofs: &[(BlockId, &CommitProof)]) -> Vec<Result<(), String>> {
        let asked = proofs.len();
        self.asked
            .fetch_add(asked, std::sync::atomic::Ordering::Relaxed);
        let good = |proof: &CommitProof| proof.certs.iter().all(|c| &c.votes.bytes[..] == b"good");
        let one = |(_, proof): &(BlockId, &CommitProof)| match good(proof) {
            true => Ok(()),
            false => Err("bad signature".to_owned()),
        };
        proofs.iter().map(one).collect()
    }

    /// Believes changes whose proof says "good".
    fn check_epoch_change(&self, of: &Epoch, change: &EpochChange) -> Result<Epoch, String> {
        let mut certs = change.proof.certs.iter();
        if !certs.all(|cert| &cert.votes.bytes[..] == b"good") {
            return Err("bad signature".into());
        }
        let core = &change.core;
        let (excluded, standbys) = (core.excluded, core.standbys);
        let block = change.proof.block().unwrap();
        if block.epoch == of.id {
            return Ok(of.evicted(block.id(), excluded, standbys, block.height.next()));
        }
        let recovery = of.recovery();
        Ok(recovery.resumed(core.digest(), excluded, standbys, core.root_height))
    }
}
