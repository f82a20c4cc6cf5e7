//! Blocks. A block is its header: ordering agrees on a cut of the lanes, never on bytes.

use bytes::Bytes;

use crate::cert::{CarCert, Multisig, Qc, Tc};
use crate::codec::{CodecError, Reader, Wire, put_bytes, put_list};
use crate::ids::{BlockId, Digest, EpochId, Height, ReplicaId, View};
use crate::limits::{REPLICAS_MAX, SIGNATURE_LEN_MAX};
use crate::signers::SignerSet;
use crate::wire_struct;

/// A height whose state a quorum agrees on; default: the root of the first epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Checkpoint {
    pub height: Height,
    pub block: BlockId,
    pub state: Digest,
}
wire_struct!(Checkpoint {
    height,
    block,
    state
});

/// The full header, as it travels in a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub epoch: EpochId,
    pub view: View,
    pub height: Height,
    /// Certifies the parent.
    pub justify: Qc,
    /// Present iff `view != justify.view + 1`.
    pub tc: Option<Tc>,
    /// Lanes that advance over the parent's effective cut, ascending by lane.
    pub cut: Vec<CarCert>,
    /// `H(recovery value | evictions)`, zero for an ordinary block.
    pub payload: Digest,
    pub proposer: ReplicaId,
    /// Newest certified checkpoint that the proposer knows.
    pub checkpoint: Checkpoint,
    /// `B` of a recovery epoch; none in an ordinary one.
    pub excluded: Option<SignerSet>,
}

/// What a block id is the hash of: a header with its certificates replaced by digests, so that a
/// commit proof for a client stays small whatever the cut weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderCore {
    pub epoch: EpochId,
    pub view: View,
    pub height: Height,
    pub justify_view: View,
    pub parent: BlockId,
    pub certificates: Digest,
    pub cut: Digest,
    pub payload: Digest,
    pub proposer: ReplicaId,
    pub checkpoint: Checkpoint,
    pub excluded: Option<SignerSet>,
}
wire_struct!(HeaderCore {
    epoch,
    view,
    height,
    justify_view,
    parent,
    certificates,
    cut,
    payload,
    proposer,
    checkpoint,
    excluded,
});

impl HeaderCore {
    pub fn id(&self) -> BlockId {
        BlockId(Digest::of("reforge block v1", &self.encode()))
    }
}

impl Header {
    /// `B` as votes for this block state it.
    pub fn excluded_set(&self) -> SignerSet {
        self.excluded.unwrap_or_default()
    }

    /// The block that this one extends.
    pub fn parent(&self) -> BlockId {
        self.justify.block
    }

    pub fn core(&self) -> HeaderCore {
        let mut certificates = Vec::with_capacity(512);
        self.justify.put(&mut certificates);
        self.tc.put(&mut certificates);
        let mut cut = Vec::with_capacity(512);
        put_list(&mut cut, &self.cut);
        HeaderCore {
            epoch: self.epoch,
            view: self.view,
            height: self.height,
            justify_view: self.justify.view,
            parent: self.justify.block,
            certificates: Digest::of("reforge header certificates v1", &certificates),
            cut: Digest::of("reforge header cut v1", &cut),
            payload: self.payload,
            proposer: self.proposer,
            checkpoint: self.checkpoint,
            excluded: self.excluded,
        }
    }

    pub fn id(&self) -> BlockId {
        self.core().id()
    }
}

impl Wire for Header {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        self.view.put(out);
        self.height.put(out);
        self.justify.put(out);
        self.tc.put(out);
        put_list(out, &self.cut);
        self.payload.put(out);
        self.proposer.put(out);
        self.checkpoint.put(out);
        self.excluded.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let header = Header {
            epoch: Wire::take(reader)?,
            view: Wire::take(reader)?,
            height: Wire::take(reader)?,
            justify: Wire::take(reader)?,
            tc: Wire::take(reader)?,
            cut: reader.list::<CarCert>("cut", REPLICAS_MAX)?,
            payload: Wire::take(reader)?,
            proposer: Wire::take(reader)?,
            checkpoint: Wire::take(reader)?,
            excluded: Wire::take(reader)?,
        };
        match header
            .cut
            .windows(2)
            .all(|pair| pair[0].lane < pair[1].lane)
        {
            true => Ok(header),
            false => Err(CodecError::NotCanonical {
                what: "cut",
                why: "order of lanes",
            }),
        }
    }
}

/// A header with its proposer's signature (Ed25519 over `statement::proposal`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    pub header: Header,
    pub signature: [u8; 64],
}
wire_struct!(Proposal { header, signature });

/// One replica's vote. The voter is the peer that the link authenticated; the share is checked when
/// a quorum of them is added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    pub epoch: EpochId,
    pub view: View,
    pub block: BlockId,
    /// `B` of the block; nobody in an ordinary epoch.
    pub excluded: SignerSet,
    pub voter: ReplicaId,
    /// Share of the vote scheme over `statement::vote`.
    pub share: Bytes,
}

impl Vote {
    /// The same statement as votes of one replica, as evidence needs it: in every scheme a share is
    /// the multi-signature of its signer alone. None for a voter that no committee has.
    pub fn alone(&self) -> Option<Qc> {
        Some(Qc {
            epoch: self.epoch,
            view: self.view,
            block: self.block,
            excluded: self.excluded,
            votes: Multisig::alone(self.voter, self.share.clone())?,
        })
    }
}

impl Wire for Vote {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        self.view.put(out);
        self.block.put(out);
        self.excluded.put(out);
        self.voter.put(out);
        put_bytes(out, &self.share);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(Vote {
            epoch: Wire::take(reader)?,
            view: Wire::take(reader)?,
            block: Wire::take(reader)?,
            excluded: Wire::take(reader)?,
            voter: Wire::take(reader)?,
            share: reader.byte_string("vote share", SIGNATURE_LEN_MAX)?,
        })
    }
}
