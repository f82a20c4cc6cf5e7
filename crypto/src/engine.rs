//! The keys of one committee, and what one of its replicas signs.

use std::fmt;

use types::message::CheckpointShare;
use types::{
    Ack, BlockId, Car, CarId, CommitProof, CommitRule, Committee, Digest, Epoch, ForkReport,
    Header, Height, Proposal, Qc, ReplicaId, SignerSet, Timeout, View, Vote, limits, statement,
};

use crate::cache::Seen;
use crate::error::KeyError;
use crate::keys::{Secrets, check_seat_of};
use crate::scheme::{IdentityScheme, VoteScheme};

/// Certificates remembered as verified (32 bytes each): several views' worth of all kinds.
const SEEN_CAPACITY: usize = 1024;

/// Verifies for one committee, and signs for one of its replicas if it was given secrets.
pub struct Engine<S: VoteScheme> {
    pub(crate) ring: S::Ring,
    pub(crate) identities: Vec<<S::Identity as IdentityScheme>::Public>,
    pub(crate) seen: Seen,
    /// Under which commit proofs count.
    pub(crate) rule: CommitRule,
    me: Option<Me<S>>,
}

struct Me<S: VoteScheme> {
    replica: ReplicaId,
    vote: S::Secret,
    identity: <S::Identity as IdentityScheme>::Secret,
}

impl<S: VoteScheme> fmt::Debug for Engine<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("scheme", &S::NAME)
            .field("n", &self.identities.len())
            .field("me", &self.me())
            .finish_non_exhaustive()
    }
}

impl<S: VoteScheme> Engine<S> {
    /// Checks every key of the committee once: encoding, subgroup, proof of possession, and that no
    /// two members share one; then that `me`'s secrets are those of its seat. With `me = None` the
    /// engine only verifies, as clients and auditors do.
    pub fn new(committee: &Committee, me: Option<(ReplicaId, Secrets)>) -> Result<Self, KeyError> {
        check_members::<S>(committee)?;
        let ring = S::ring(&committee.members)?;
        let identities = committee
            .members
            .iter()
            .zip(0..)
            .map(|(member, seat)| {
                S::Identity::parse(&member.identity_key).ok_or(KeyError::BadKey {
                    replica: ReplicaId(seat),
                    what: "identity_key",
                })
            })
            .collect::<Result<_, _>>()?;
        let me = me
            .map(|(replica, secrets)| Me::new(committee, replica, &secrets))
            .transpose()?;
        Ok(Engine {
            ring,
            identities,
            seen: Seen::new(SEEN_CAPACITY),
            rule: committee.rule,
            me,
        })
    }

    /// The replica that this engine signs for.
    pub fn me(&self) -> Option<ReplicaId> {
        self.me.as_ref().map(|me| me.replica)
    }

    // Signing. All of it panics in an engine without secrets: to ask a verifier for a signature is a
    // programmer's error.

    pub fn sign_vote(
        &self,
        epoch: &Epoch,
        view: View,
        block: BlockId,
        excluded: SignerSet,
    ) -> Vote {
        let me = self.signer();
        Vote {
            epoch: epoch.id,
            view,
            block,
            excluded,
            voter: me.replica,
            share: S::sign_in(
                &self.ring,
                &me.vote,
                &statement::vote(epoch, view, block, excluded),
            ),
        }
    }

    /// `header.proposer` and `header.epoch` are the caller's to set.
    pub fn sign_proposal(&self, epoch: &Epoch, header: Header) -> Proposal {
        let statement = statement::proposal(epoch, header.view, header.id());
        Proposal {
            signature: self.sign_identity(&statement),
            header,
        }
    }

    pub fn sign_timeout(
        &self,
        epoch: &Epoch,
        view: View,
        high_qc: Qc,
        last_vote: Option<Vote>,
    ) -> Timeout {
        Timeout {
            epoch: epoch.id,
            view,
            replica: self.signer().replica,
            signature: self.sign_identity(&statement::timeout(epoch, view, high_qc.view)),
            high_qc,
            last_vote,
        }
    }

    /// Fills in `car.signature`.
    pub fn sign_car(&self, epoch: &Epoch, mut car: Car) -> Car {
        let statement = statement::car(epoch, car.lane, car.index, car.id());
        car.signature = self.sign_identity(&statement);
        car
    }

    pub fn sign_ack(&self, epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Ack {
        Ack {
            epoch: epoch.id,
            lane,
            index,
            car,
            replica: self.signer().replica,
            signature: self.sign_identity(&statement::ack(epoch, lane, index, car)),
        }
    }

    pub fn sign_checkpoint(
        &self,
        epoch: &Epoch,
        height: Height,
        block: BlockId,
        state: Digest,
    ) -> CheckpointShare {
        CheckpointShare {
            epoch: epoch.id,
            height,
            block,
            state,
            replica: self.signer().replica,
            signature: self.sign_identity(&statement::checkpoint(epoch, height, block, state)),
        }
    }

    /// `epoch` is the recovery epoch.
    pub fn sign_report(
        &self,
        epoch: &Epoch,
        height: Height,
        tip: BlockId,
        proof: Option<CommitProof>,
    ) -> ForkReport {
        ForkReport {
            epoch: epoch.id,
            replica: self.signer().replica,
            height,
            tip,
            proof,
            signature: self.sign_identity(&statement::report(epoch, height, tip)),
        }
    }

    fn sign_identity(&self, statement: &[u8]) -> [u8; 64] {
        S::Identity::sign(&self.signer().identity, statement)
    }

    fn signer(&self) -> &Me<S> {
        self.me
            .as_ref()
            .expect("an engine made with secrets: this one only verifies")
    }

    /// Seats whose signatures count: members of the epoch whose keys this engine has.
    pub(crate) fn seats(&self, epoch: &Epoch) -> SignerSet {
        epoch
            .members
            .intersection(SignerSet::all(self.identities.len()))
    }
}

impl<S: VoteScheme> Me<S> {
    fn new(committee: &Committee, replica: ReplicaId, secrets: &Secrets) -> Result<Self, KeyError> {
        check_seat_of::<S>(committee, replica, secrets)?;
        Ok(Me {
            replica,
            vote: S::secret(secrets.vote_seed()),
            identity: S::Identity::secret(secrets.identity_seed()),
        })
    }
}

/// Everything about a committee's keys that is no scheme's business.
fn check_members<S: VoteScheme>(committee: &Committee) -> Result<(), KeyError> {
    if !(1..=limits::REPLICAS_MAX).contains(&committee.n()) {
        return Err(KeyError::CommitteeSize {
            found: committee.n(),
            limit: limits::REPLICAS_MAX,
        });
    }
    if committee.scheme != S::NAME {
        return Err(KeyError::Scheme {
            found: committee.scheme,
            expected: S::NAME,
        });
    }
    for (at, second) in committee.members.iter().enumerate() {
        for (before, first) in committee.members[..at].iter().enumerate() {
            let what = if first.vote_key == second.vote_key {
                "vote_key"
            } else if first.identity_key == second.identity_key {
                "identity_key"
            } else if first.link_key == second.link_key {
                "link_key"
            } else {
                continue;
            };
            return Err(KeyError::Duplicate {
                first: ReplicaId(before as u16),
                second: ReplicaId(at as u16),
                what,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
