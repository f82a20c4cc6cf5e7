//! Commit proofs, as clients and auditors check them.

use std::collections::HashMap;

use types::{BlockId, CommitProof, CommitRule, Digest, Epoch, Qc};

use crate::certificates::qc_key;
use crate::engine::Engine;
use crate::error::ProofReject;
use crate::scheme::VoteScheme;

impl<S: VoteScheme> Engine<S> {
    /// True to its name: the proof's shape under `rule`, and every signature in it.
    pub fn check_commit_proof(
        &self,
        epoch: &Epoch,
        rule: CommitRule,
        proof: &CommitProof,
        block: BlockId,
    ) -> Result<(), ProofReject> {
        let mut verdicts = self.check_commit_proofs(epoch, rule, &[(proof, block)]);
        verdicts.pop().unwrap_or(Ok(()))
    }

    /// Many at once: certificates that several proofs share are verified once, and all of them in one
    /// batch. One verdict per proof, in order.
    pub fn check_commit_proofs(
        &self,
        epoch: &Epoch,
        rule: CommitRule,
        proofs: &[(&CommitProof, BlockId)],
    ) -> Vec<Result<(), ProofReject>> {
        let mut unseen: Vec<(Digest, &Qc)> = Vec::new();
        // Where in `unseen` a certificate stands; looked up, never iterated.
        let mut places: HashMap<Digest, usize> = HashMap::new();
        let mut needed: Vec<Vec<(usize, usize)>> = vec![Vec::new(); proofs.len()];
        let mut verdicts = Vec::with_capacity(proofs.len());
        for ((proof, block), needed) in proofs.iter().zip(&mut needed) {
            let shape = proof.check(rule, epoch, *block).map_err(ProofReject::Shape);
            if shape.is_ok() {
                for (at, cert) in proof.certs.iter().enumerate() {
                    let key = qc_key(cert);
                    if self.seen.contains(&key) {
                        continue;
                    }
                    let place = *places.entry(key).or_insert_with(|| {
                        unseen.push((key, cert));
                        unseen.len() - 1
                    });
                    needed.push((at, place));
                }
            }
            verdicts.push(shape);
        }
        let bad = self.bad_qcs(epoch, &unseen);
        for (verdict, needed) in verdicts.iter_mut().zip(needed) {
            let spoiled = needed.iter().find(|(_, place)| bad.contains(place));
            if let Some(&(at, _)) = spoiled {
                *verdict = Err(ProofReject::Signature { at });
            }
        }
        verdicts
    }
}

#[cfg(test)]
mod tests;
