//! What replicas say to each other about a split, and what they agree on to end it (Gong et al.,
//! *Recover from Excessive Faults in Partially-Synchronous BFT SMR*, USENIX Security 2025).

use crate::codec::{CodecError, Reader, Wire, put_list};
use crate::committee::Mode;
use crate::fraud::Fraud;
use crate::header::{Header, HeaderCore};
use crate::ids::{BlockId, Digest, EpochId, Height, ReplicaId};
use crate::limits::{CHAIN_HEADERS_MAX, FRAUDS_MAX, REPLICAS_MAX};
use crate::proof::CommitProof;
use crate::signers::SignerSet;
use crate::wire_struct;

/// "My newest committed block is this": the open-box detector's question, unsigned. A lie costs its
/// sender its budget of queries and nobody anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notice {
    pub epoch: EpochId,
    pub height: Height,
    pub block: BlockId,
    pub mode: Mode,
}
wire_struct!(Notice {
    epoch,
    height,
    block,
    mode
});

/// "Prove what you committed at this height."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofRequest {
    pub epoch: EpochId,
    pub height: Height,
}
wire_struct!(ProofRequest { epoch, height });

/// Two commit proofs of one epoch whose first blocks have one height and different ids: what alone
/// moves a replica out of `NOMINAL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    pub epoch: EpochId,
    pub first: CommitProof,
    pub second: CommitProof,
}
wire_struct!(Conflict {
    epoch,
    first,
    second
});

/// "Send me the headers of the branch that ends in `tip`, above `above`, newest first."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BranchRequest {
    pub epoch: EpochId,
    pub tip: BlockId,
    pub above: Height,
}
wire_struct!(BranchRequest { epoch, tip, above });

/// Headers ascending by height; the last one is the `tip` that was asked for. Each is bound by the
/// id in the one after it, so none needs a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    pub epoch: EpochId,
    pub headers: Vec<Header>,
}

impl Wire for Branch {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        put_list(out, &self.headers);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(Branch {
            epoch: Wire::take(reader)?,
            headers: reader.list("branch headers", CHAIN_HEADERS_MAX)?,
        })
    }
}

/// A replica's signed statement, in the recovery epoch, of where it stood in the epoch that was
/// split: the newest block that it executed, with the proof that this one is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForkReport {
    /// The recovery epoch.
    pub epoch: EpochId,
    pub replica: ReplicaId,
    pub height: Height,
    /// The split epoch's root if nothing was executed in it.
    pub tip: BlockId,
    /// None iff `tip` is the root.
    pub proof: Option<CommitProof>,
    /// Ed25519 over `statement::report`.
    pub signature: [u8; 64],
}
wire_struct!(ForkReport {
    epoch,
    replica,
    height,
    tip,
    proof,
    signature
});

/// What the recovery block's `payload` is the hash of, with proofs and reports as digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueCore {
    /// `B`.
    pub excluded: SignerSet,
    /// Standbys that take vacated seats.
    pub standbys: SignerSet,
    /// Tip of the branch that keeps its heights.
    pub base: BlockId,
    /// Height of the working epoch's root: one above the base. What the other branches add is
    /// executed there.
    pub root_height: Height,
    pub frauds: Digest,
    pub reports: Digest,
}
wire_struct!(ValueCore {
    excluded,
    standbys,
    base,
    root_height,
    frauds,
    reports
});

impl ValueCore {
    pub fn digest(&self) -> Digest {
        Digest::of("reforge recovery value v1", &self.encode())
    }
}

/// The value of a recovery block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryValue {
    pub excluded: SignerSet,
    pub standbys: SignerSet,
    pub base: BlockId,
    pub root_height: Height,
    pub frauds: Vec<Fraud>,
    /// Ascending by replica, each once.
    pub reports: Vec<ForkReport>,
}

fn digest_of<T: Wire>(domain: &str, list: &[T]) -> Digest {
    let mut bytes = Vec::new();
    put_list(&mut bytes, list);
    Digest::of(domain, &bytes)
}

/// How a list of proofs of fraud is bound by a [`ValueCore`].
pub fn frauds_digest(frauds: &[Fraud]) -> Digest {
    digest_of("reforge recovery frauds v1", frauds)
}

impl RecoveryValue {
    pub fn core(&self) -> ValueCore {
        ValueCore {
            excluded: self.excluded,
            standbys: self.standbys,
            base: self.base,
            root_height: self.root_height,
            frauds: frauds_digest(&self.frauds),
            reports: digest_of("reforge recovery reports v1", &self.reports),
        }
    }

    pub fn digest(&self) -> Digest {
        self.core().digest()
    }
}

impl Wire for RecoveryValue {
    fn put(&self, out: &mut Vec<u8>) {
        self.excluded.put(out);
        self.standbys.put(out);
        self.base.put(out);
        self.root_height.put(out);
        put_list(out, &self.frauds);
        put_list(out, &self.reports);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let value = RecoveryValue {
            excluded: Wire::take(reader)?,
            standbys: Wire::take(reader)?,
            base: Wire::take(reader)?,
            root_height: Wire::take(reader)?,
            frauds: reader.list("proofs of fraud", FRAUDS_MAX)?,
            reports: reader.list::<ForkReport>("fork reports", REPLICAS_MAX)?,
        };
        let ascending = value.reports.is_sorted_by(|a, b| a.replica < b.replica);
        match ascending {
            true => Ok(value),
            false => Err(CodecError::NotCanonical {
                what: "fork reports",
                why: "order of replicas",
            }),
        }
    }
}

/// How an epoch that was split goes on, for whoever holds the committee file: the value, and the
/// proof that the recovery block which binds it is final. Ends the split epoch at whoever checks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resumption {
    /// The epoch that was split.
    pub of: EpochId,
    pub value: RecoveryValue,
    /// Of the recovery block, in the recovery epoch.
    pub proof: CommitProof,
}
wire_struct!(Resumption { of, value, proof });

/// The same for clients, who have no use for fork reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochChange {
    pub of: EpochId,
    pub core: ValueCore,
    pub frauds: Vec<Fraud>,
    pub proof: CommitProof,
}

impl Resumption {
    /// The block of the ended epoch itself that ends it, where an eviction does; none after a recovery.
    pub fn evicting(&self) -> Option<&HeaderCore> {
        self.proof.block().filter(|block| block.epoch == self.of)
    }

    pub fn change(&self) -> EpochChange {
        EpochChange {
            of: self.of,
            core: self.value.core(),
            frauds: self.value.frauds.clone(),
            proof: self.proof.clone(),
        }
    }
}

impl Wire for EpochChange {
    fn put(&self, out: &mut Vec<u8>) {
        self.of.put(out);
        self.core.put(out);
        put_list(out, &self.frauds);
        self.proof.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(EpochChange {
            of: Wire::take(reader)?,
            core: Wire::take(reader)?,
            frauds: reader.list("proofs of fraud", FRAUDS_MAX)?,
            proof: Wire::take(reader)?,
        })
    }
}
