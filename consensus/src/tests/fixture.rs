use std::sync::Arc;

use bytes::Bytes;
use types::{
    BlockId, CarCert, CarId, Checkpoint, ClusterId, Digest, Epoch, EpochId, Header, Height,
    Multisig, Qc, ReplicaId, SignerSet, Tc, TimeoutClaim, View,
};

use crate::core::{Core, Recovered};
use crate::effect::{Config, Timing};
use crate::lanes::LanesConfig;
use crate::rules::TwoChain;

pub fn epoch(n: usize) -> Epoch {
    Epoch {
        cluster: ClusterId(Digest([1; 32])),
        id: EpochId(Digest([2; 32])),
        n,
        members: SignerSet::all(n),
        standbys: types::SignerSet::EMPTY,
        kind: types::EpochKind::Ordinary,
        envelope: types::committee::envelope(n),
        root_height: Height(0),
    }
}

pub fn qc(epoch: &Epoch, view: u64, block: BlockId) -> Qc {
    let signers = epoch.members.iter().take(epoch.quorum()).collect();
    Qc {
        epoch: epoch.id,
        view: View(view),
        block,
        excluded: SignerSet::EMPTY,
        votes: Multisig {
            signers,
            bytes: Bytes::new(),
        },
    }
}

pub fn header(epoch: &Epoch, view: u64, height: u64, justify: Qc) -> Arc<Header> {
    Arc::new(Header {
        epoch: epoch.id,
        view: View(view),
        height: Height(height),
        justify,
        tc: None,
        cut: Vec::new(),
        payload: Digest::ZERO,
        proposer: ReplicaId((view % epoch.n as u64) as u16),
        checkpoint: Checkpoint::default(),
        excluded: None,
    })
}

/// Headers at `views`, each justified by a certificate for the one before, from the root on.
pub fn chain(epoch: &Epoch, views: &[u64]) -> Vec<Arc<Header>> {
    let mut out: Vec<Arc<Header>> = Vec::new();
    for (at, view) in views.iter().enumerate() {
        let justify = match out.last() {
            None => Qc::root(epoch),
            Some(parent) => qc(epoch, parent.view.0, parent.id()),
        };
        out.push(header(epoch, *view, at as u64 + 1, justify));
    }
    out
}

pub fn tc(epoch: &Epoch, view: u64, claims: &[u64]) -> Tc {
    let claims = claims.iter().enumerate().map(|(at, claim)| TimeoutClaim {
        replica: ReplicaId(at as u16),
        high_qc_view: View(*claim),
        signature: [0; 64],
    });
    Tc {
        epoch: epoch.id,
        view: View(view),
        excluded: SignerSet::EMPTY,
        claims: claims.collect(),
    }
}

/// A replica of four that has seen nothing yet.
pub fn core(me: u16) -> Core {
    let config = Config {
        me: ReplicaId(me),
        epoch: epoch(4),
        timing: Timing::default(),
        lanes: LanesConfig::default(),
        checkpoint_step: 100,
        notices: None,
    };
    Core::new(config, Box::new(TwoChain), Recovered::default(), 0).0
}

pub fn car_cert(epoch: &Epoch, lane: u16, index: u64, car: u8) -> CarCert {
    CarCert {
        epoch: epoch.id,
        lane: ReplicaId(lane),
        index,
        car: CarId(Digest([car; 32])),
        acks: Multisig {
            signers: epoch.members,
            bytes: Bytes::new(),
        },
    }
}
