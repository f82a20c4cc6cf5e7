//! Certificates, checked by themselves, as every message that carries one needs it. What was verified
//! once is remembered by the hash of its whole encoding; membership and quorum are looked at each time.

use types::{
    CarCert, CheckpointCert, Digest, Epoch, Qc, SignerSet, Tc, Verified, View, Wire, statement,
};

use crate::engine::Engine;
use crate::error::Reject;
use crate::list::{verify_list, verify_lists};
use crate::scheme::{Claim, IdentityScheme as _, Signed, VoteScheme};
use crate::verify::{Checked, ensure, same_epoch};

impl<S: VoteScheme> Engine<S> {
    /// One quorum certificate by itself. The epoch's root needs no signatures.
    pub fn verify_qc(&self, epoch: &Epoch, qc: Qc) -> Checked<Qc> {
        self.check_qc(epoch, &qc)?;
        Ok(Verified::attest(qc))
    }

    /// One timeout certificate by itself. It is valid only together with the certificate of its
    /// highest claim.
    pub fn verify_tc(&self, epoch: &Epoch, tc: Tc) -> Checked<Tc> {
        self.check_tc(epoch, &tc)?;
        Ok(Verified::attest(tc))
    }

    /// Of each certificate: a quorum of acknowledgements. All signatures in one batch.
    pub fn check_car_certs(&self, epoch: &Epoch, certs: Vec<CarCert>) -> Vec<Checked<CarCert>> {
        let mut verdicts: Vec<Result<(), Reject>> = certs
            .iter()
            .map(|cert| check_car_cert_shape(epoch, cert))
            .collect();
        let keys: Vec<Digest> = certs.iter().map(car_cert_key).collect();
        let fit: Vec<usize> = (0..certs.len())
            .filter(|&at| verdicts[at].is_ok() && !self.seen.contains(&keys[at]))
            .collect();
        let claims: Vec<Claim<'_>> = fit
            .iter()
            .map(|&at| &certs[at])
            .map(|cert| Claim {
                statement: statement::ack(epoch, cert.lane, cert.index, cert.car),
                multisig: &cert.acks,
            })
            .collect();
        for bad in verify_lists::<S::Identity>(&self.identities, &claims) {
            verdicts[fit[bad]] = Err(Reject::Signature {
                what: "car certificate",
            });
        }
        for at in fit {
            if verdicts[at].is_ok() {
                self.seen.insert(keys[at]);
            }
        }
        let attest = |(verdict, cert): (Result<(), Reject>, CarCert)| {
            verdict.map(|()| Verified::attest(cert))
        };
        verdicts.into_iter().zip(certs).map(attest).collect()
    }

    pub fn check_checkpoint_cert(
        &self,
        epoch: &Epoch,
        cert: CheckpointCert,
    ) -> Checked<CheckpointCert> {
        self.check_checkpoint(epoch, &cert)?;
        Ok(Verified::attest(cert))
    }

    pub(crate) fn check_qc(&self, epoch: &Epoch, qc: &Qc) -> Result<(), Reject> {
        self.check_qcs(epoch, &[qc])
    }

    /// Several at once, in one batch.
    pub(crate) fn check_qcs(&self, epoch: &Epoch, qcs: &[&Qc]) -> Result<(), Reject> {
        let what = "quorum certificate";
        let mut unseen = Vec::with_capacity(qcs.len());
        for &qc in qcs.iter().filter(|qc| !qc.is_root(epoch)) {
            same_epoch(epoch, qc.epoch, what)?;
            ensure(qc.view >= View(1), what, "of view 0, and not the root's")?;
            is_quorum(epoch, qc.votes.signers, qc.excluded, what)?;
            let key = qc_key(qc);
            if !self.seen.contains(&key) {
                unseen.push((key, qc));
            }
        }
        match self.bad_qcs(epoch, &unseen).is_empty() {
            true => Ok(()),
            false => Err(Reject::Signature { what }),
        }
    }

    /// Verifies signatures, and remembers those that hold. Indices of the others.
    pub(crate) fn bad_qcs(&self, epoch: &Epoch, qcs: &[(Digest, &Qc)]) -> Vec<usize> {
        let (keys, claims): (Vec<Digest>, Vec<Claim<'_>>) = qcs
            .iter()
            .map(|(key, qc)| {
                let claim = Claim {
                    statement: statement::vote(epoch, qc.view, qc.block, qc.excluded),
                    multisig: &qc.votes,
                };
                (*key, claim)
            })
            .unzip();
        self.bad_votes(&keys, &claims)
    }

    /// The same for claims, under the names by which they are remembered.
    pub(crate) fn bad_votes(&self, keys: &[Digest], claims: &[Claim<'_>]) -> Vec<usize> {
        let bad = match claims {
            [] => return Vec::new(),
            [one] => match S::verify(&self.ring, &one.statement, one.multisig) {
                true => Vec::new(),
                false => vec![0],
            },
            many => S::verify_batch(&self.ring, many),
        };
        for (at, key) in keys.iter().enumerate() {
            if bad.binary_search(&at).is_err() {
                self.seen.insert(*key);
            }
        }
        bad
    }

    pub(crate) fn check_tc(&self, epoch: &Epoch, tc: &Tc) -> Result<(), Reject> {
        let what = "timeout certificate";
        check_tc_shape(epoch, tc)?;
        let key = tc_key(tc);
        if self.seen.contains(&key) {
            return Ok(());
        }
        let statements: Vec<_> = tc
            .claims
            .iter()
            .map(|claim| statement::timeout(epoch, tc.view, claim.high_qc_view))
            .collect();
        let mut items = Vec::with_capacity(tc.claims.len());
        for (claim, statement) in tc.claims.iter().zip(&statements) {
            items.push(Signed {
                key: self.identity(what, claim.replica)?,
                statement: &statement[..],
                signature: &claim.signature,
            });
        }
        if !S::Identity::verify_batch(&items).is_empty() {
            return Err(Reject::Signature { what });
        }
        self.seen.insert(key);
        Ok(())
    }

    pub(crate) fn check_checkpoint(
        &self,
        epoch: &Epoch,
        cert: &CheckpointCert,
    ) -> Result<(), Reject> {
        let what = "checkpoint certificate";
        same_epoch(epoch, cert.epoch, what)?;
        is_quorum(epoch, cert.signatures.signers, SignerSet::EMPTY, what)?;
        let key = seen_key("reforge seen checkpoint v1", cert);
        if self.seen.contains(&key) {
            return Ok(());
        }
        let statement = statement::checkpoint(epoch, cert.height, cert.block, cert.state);
        match verify_list::<S::Identity>(&self.identities, &statement, &cert.signatures) {
            true => {
                self.seen.insert(key);
                Ok(())
            }
            false => Err(Reject::Signature { what }),
        }
    }
}

/// Name under which a verified certificate is remembered: of its whole encoding, signatures included.
fn seen_key<T: Wire>(domain: &str, certificate: &T) -> Digest {
    Digest::of(domain, &certificate.encode())
}

pub(crate) fn qc_key(qc: &Qc) -> Digest {
    seen_key("reforge seen qc v1", qc)
}

fn tc_key(tc: &Tc) -> Digest {
    seen_key("reforge seen tc v1", tc)
}

fn car_cert_key(cert: &CarCert) -> Digest {
    seen_key("reforge seen car certificate v1", cert)
}

fn is_quorum(
    epoch: &Epoch,
    signers: SignerSet,
    excluded: SignerSet,
    what: &'static str,
) -> Result<(), Reject> {
    match epoch.is_quorum_without(signers, excluded) {
        true => Ok(()),
        false => Err(Reject::NoQuorum {
            what,
            found: signers.len(),
            needed: epoch.quorum_without(excluded).unwrap_or(usize::MAX),
        }),
    }
}

pub(crate) fn check_tc_shape(epoch: &Epoch, tc: &Tc) -> Result<(), Reject> {
    let what = "timeout certificate";
    same_epoch(epoch, tc.epoch, what)?;
    // A set would hide a replica that is named twice; a decoded certificate is ascending already, one
    // from elsewhere may not be.
    let in_range = |claim: &types::TimeoutClaim| epoch.members.contains(claim.replica);
    ensure(
        tc.claims.iter().all(in_range) && tc.claims.is_sorted_by(|a, b| a.replica < b.replica),
        what,
        "claims are not of members in order, each once",
    )?;
    ensure(
        tc.high_qc_view() <= tc.view,
        what,
        "claims a certificate of a later view than its own",
    )?;
    is_quorum(epoch, tc.signers(), tc.excluded, what)
}

pub(crate) fn check_car_cert_shape(epoch: &Epoch, cert: &CarCert) -> Result<(), Reject> {
    check_lane(epoch, cert)?;
    let what = "car certificate";
    is_quorum(epoch, cert.acks.signers, SignerSet::EMPTY, what)
}

/// What holds of bare entries of a cut, too.
pub(crate) fn check_lane(epoch: &Epoch, cert: &CarCert) -> Result<(), Reject> {
    let what = "car certificate";
    same_epoch(epoch, cert.epoch, what)?;
    ensure(
        epoch.members.contains(cert.lane) && cert.index >= 1,
        what,
        "of no lane of the epoch",
    )
}

#[cfg(test)]
mod tests;
