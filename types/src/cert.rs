//! Certificates: what a quorum said, with the names of those who said it.

use bytes::Bytes;

use crate::codec::{CodecError, Reader, Wire, put_bytes, put_list};
use crate::committee::Epoch;
use crate::ids::{BlockId, CarId, Digest, EpochId, Height, ReplicaId, View};
use crate::limits::{MULTISIG_LEN_MAX, REPLICAS_MAX};
use crate::signers::SignerSet;
use crate::wire_struct;

/// Signatures of several replicas over one statement: an aggregate or a list, as the scheme has it,
/// in the order of the signers' indices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Multisig {
    pub signers: SignerSet,
    pub bytes: Bytes,
}

impl Multisig {
    /// What one replica signed. None for an index that no committee has.
    pub fn alone(signer: ReplicaId, bytes: Bytes) -> Option<Multisig> {
        (signer.index() < REPLICAS_MAX).then(|| Multisig {
            signers: [signer].into_iter().collect(),
            bytes,
        })
    }
}

impl Wire for Multisig {
    fn put(&self, out: &mut Vec<u8>) {
        self.signers.put(out);
        put_bytes(out, &self.bytes);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(Multisig {
            signers: Wire::take(reader)?,
            bytes: reader.byte_string("multisig", MULTISIG_LEN_MAX)?,
        })
    }
}

/// Quorum certificate: `q` replicas voted for `block` at `view`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qc {
    pub epoch: EpochId,
    pub view: View,
    pub block: BlockId,
    /// `B` of the block, which every vote states beside it: whose votes do not count, and so how
    /// many are enough. Nobody in an ordinary epoch.
    pub excluded: SignerSet,
    pub votes: Multisig,
}
wire_struct!(Qc {
    epoch,
    view,
    block,
    excluded,
    votes
});

impl Qc {
    /// The certificate of the epoch's root, which nobody signs.
    pub fn root(epoch: &Epoch) -> Qc {
        Qc {
            epoch: epoch.id,
            view: View(0),
            block: epoch.root(),
            excluded: SignerSet::EMPTY,
            votes: Multisig::default(),
        }
    }

    /// True for the one value that needs no signatures.
    pub fn is_root(&self, epoch: &Epoch) -> bool {
        self.view == View(0) && *self == Qc::root(epoch)
    }
}

/// One signer's part of a timeout certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeoutClaim {
    pub replica: ReplicaId,
    pub high_qc_view: View,
    /// Ed25519 over `statement::timeout`.
    pub signature: [u8; 64],
}
wire_struct!(TimeoutClaim {
    replica,
    high_qc_view,
    signature
});

/// Timeout certificate: `q` replicas gave up on `view`, each naming its newest certificate's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tc {
    pub epoch: EpochId,
    pub view: View,
    /// `B` that whoever put this together declares: no claim depends on it, so that timeouts carry
    /// over when `B` grows. Nobody in an ordinary epoch.
    pub excluded: SignerSet,
    /// Ascending by replica, each once.
    pub claims: Vec<TimeoutClaim>,
}

impl Tc {
    pub fn signers(&self) -> SignerSet {
        self.claims.iter().map(|c| c.replica).collect()
    }

    /// Highest `high_qc_view` that any signer states.
    pub fn high_qc_view(&self) -> View {
        self.claims
            .iter()
            .map(|c| c.high_qc_view)
            .max()
            .unwrap_or_default()
    }
}

impl Wire for Tc {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        self.view.put(out);
        self.excluded.put(out);
        put_list(out, &self.claims);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let tc = Tc {
            epoch: Wire::take(reader)?,
            view: Wire::take(reader)?,
            excluded: Wire::take(reader)?,
            claims: reader.list::<TimeoutClaim>("timeout claims", REPLICAS_MAX)?,
        };
        let ascending = tc
            .claims
            .windows(2)
            .all(|pair| pair[0].replica < pair[1].replica);
        let in_range = tc.claims.iter().all(|c| c.replica.index() < REPLICAS_MAX);
        match ascending && in_range {
            true => Ok(tc),
            false => Err(CodecError::NotCanonical {
                what: "timeout claims",
                why: "order of replicas",
            }),
        }
    }
}

/// Certificate of availability: `q` replicas hold car `car` of `lane` and its whole prefix.
/// Ed25519 list over `statement::ack`. In a cut it may be [bare](CarCert::bare).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarCert {
    pub epoch: EpochId,
    pub lane: ReplicaId,
    pub index: u64,
    pub car: CarId,
    pub acks: Multisig,
}
wire_struct!(CarCert {
    epoch,
    lane,
    index,
    car,
    acks
});

impl CarCert {
    /// A lane's end that nobody vouches for: a voter accepts it only if it holds the car itself, so
    /// that the block's certificate stands for the data.
    pub fn bare(epoch: EpochId, lane: ReplicaId, index: u64, car: CarId) -> CarCert {
        CarCert {
            epoch,
            lane,
            index,
            car,
            acks: Multisig::default(),
        }
    }

    /// Whether it claims no acknowledgement at all.
    pub fn is_bare(&self) -> bool {
        self.acks == Multisig::default()
    }
}

/// `q` replicas executed up to `block` at `height` and all arrived at `state`. Ed25519 list over
/// `statement::checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointCert {
    pub epoch: EpochId,
    pub height: Height,
    pub block: BlockId,
    pub state: Digest,
    pub signatures: Multisig,
}
wire_struct!(CheckpointCert {
    epoch,
    height,
    block,
    state,
    signatures
});
