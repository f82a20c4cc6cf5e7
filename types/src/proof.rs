//! The commit proof: what convinces anybody who knows the committee that a block is final.

use thiserror::Error;

use crate::cert::Qc;
use crate::codec::{CodecError, Reader, Wire, put_list};
use crate::committee::{CommitRule, Epoch};
use crate::header::HeaderCore;
use crate::ids::BlockId;
use crate::limits::PROOF_CHAIN_MAX;

/// `chain` runs from the block in question to the last certified one, each the parent of the next;
/// `certs` certify the last `chain_len` of them, in order (three for `three-chain`, two for
/// `two-chain`), at consecutive views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitProof {
    pub chain: Vec<HeaderCore>,
    pub certs: Vec<Qc>,
}

impl Wire for CommitProof {
    fn put(&self, out: &mut Vec<u8>) {
        put_list(out, &self.chain);
        put_list(out, &self.certs);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(CommitProof {
            chain: reader.list("proof chain", PROOF_CHAIN_MAX)?,
            certs: reader.list("proof certificates", 3)?,
        })
    }
}

/// Why a commit proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    #[error("expected {expected} certificates over a chain of at least as many blocks")]
    Shape { expected: usize },
    #[error("the proof is of another epoch")]
    Epoch,
    #[error("the chain does not begin with the block in question")]
    Block,
    #[error("block {at} of the chain is not the parent of the next")]
    Link { at: usize },
    #[error("certificate {at} does not certify its block")]
    Certificate { at: usize },
    #[error("certificate {at} has no quorum of members")]
    Quorum { at: usize },
    #[error("the certified views are not consecutive")]
    Views,
}

impl CommitProof {
    /// The block that is proven final, unchecked; none if the proof is empty.
    pub fn block(&self) -> Option<&HeaderCore> {
        self.chain.first()
    }

    /// Everything about the proof but the signatures inside of `certs`, which the caller checks with
    /// the vote scheme (each over `statement::vote` of its view and block).
    pub fn check(&self, rule: CommitRule, epoch: &Epoch, block: BlockId) -> Result<(), ProofError> {
        let expected = rule.chain_len();
        if self.certs.len() != expected || self.chain.len() < expected {
            return Err(ProofError::Shape { expected });
        }
        let ids: Vec<BlockId> = self.chain.iter().map(HeaderCore::id).collect();
        if ids[0] != block {
            return Err(ProofError::Block);
        }
        if self.chain.iter().any(|core| core.epoch != epoch.id) {
            return Err(ProofError::Epoch);
        }
        for at in 1..self.chain.len() {
            let (parent, child) = (&self.chain[at - 1], &self.chain[at]);
            let linked = child.parent == ids[at - 1]
                && child.justify_view == parent.view
                && child.height.0 == parent.height.0.saturating_add(1);
            if !linked {
                return Err(ProofError::Link { at: at - 1 });
            }
        }
        let first = self.chain.len() - expected;
        for (at, cert) in self.certs.iter().enumerate() {
            let (core, id) = (&self.chain[first + at], ids[first + at]);
            if cert.epoch != epoch.id || cert.block != id || cert.view != core.view {
                return Err(ProofError::Certificate { at });
            }
            if cert.excluded != core.excluded.unwrap_or_default()
                || !epoch.is_quorum_without(cert.votes.signers, cert.excluded)
            {
                return Err(ProofError::Quorum { at });
            }
            if at > 0 && cert.view != self.certs[at - 1].view.next() {
                return Err(ProofError::Views);
            }
        }
        Ok(())
    }
}
