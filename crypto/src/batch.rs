//! Signatures of several values, gathered and verified in one batch per kind of key: a pairing costs as
//! much as twenty Ed25519 checks, and a recovery value holds dozens of certificates.

use std::collections::BTreeSet;

use types::{Digest, Epoch, Qc, ReplicaId, SignerSet, Tc, statement};

use crate::certificates::qc_key;
use crate::engine::Engine;
use crate::error::Reject;
use crate::list::verify_lists;
use crate::scheme::{Claim, IdentityScheme as _, Signed, VoteScheme};
use crate::verify::{ensure, same_epoch};

/// Each signature with the number of the value that it belongs to.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    votes: Vec<(usize, Digest, Claim<'a>)>,
    lists: Vec<(usize, Claim<'a>)>,
    singles: Vec<(usize, Single<'a>)>,
}

struct Single<'a> {
    signer: ReplicaId,
    statement: Vec<u8>,
    signature: &'a [u8; 64],
}

impl<S: VoteScheme> Engine<S> {
    /// Votes as evidence: no threshold, but members alone and at least one.
    pub(crate) fn gather_votes<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        epoch: &Epoch,
        votes: &'a Qc,
    ) -> Result<(), Reject> {
        let what = "votes";
        same_epoch(epoch, votes.epoch, what)?;
        self.all_members(epoch, what, votes.votes.signers)?;
        self.gather_qc(batch, of, epoch, votes);
        Ok(())
    }

    /// The signatures of a certificate whose signers were looked at.
    pub(crate) fn gather_qc<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        epoch: &Epoch,
        qc: &'a Qc,
    ) {
        let key = qc_key(qc);
        if !self.seen.contains(&key) {
            let claim = Claim {
                statement: statement::vote(epoch, qc.view, qc.block, qc.excluded),
                multisig: &qc.votes,
            };
            batch.votes.push((of, key, claim));
        }
    }

    /// Claims of timeouts as evidence.
    pub(crate) fn gather_timeouts<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        epoch: &Epoch,
        tc: &'a Tc,
    ) -> Result<(), Reject> {
        let what = "timeouts";
        same_epoch(epoch, tc.epoch, what)?;
        ensure(!tc.claims.is_empty(), what, "of nobody")?;
        tc.claims.iter().try_for_each(|claim| {
            let statement = statement::timeout(epoch, tc.view, claim.high_qc_view);
            let signer = (claim.replica, &claim.signature);
            self.gather_single(batch, of, (epoch, what), signer, statement)
        })
    }

    /// A list of identity signatures over one statement.
    pub(crate) fn gather_list<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        (epoch, what): (&Epoch, &'static str),
        claim: Claim<'a>,
    ) -> Result<(), Reject> {
        self.all_members(epoch, what, claim.multisig.signers)?;
        batch.lists.push((of, claim));
        Ok(())
    }

    pub(crate) fn gather_single<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        (epoch, what): (&Epoch, &'static str),
        (signer, signature): (ReplicaId, &'a [u8; 64]),
        statement: Vec<u8>,
    ) -> Result<(), Reject> {
        self.is_member(epoch, what, signer)?;
        batch.singles.push((
            of,
            Single {
                signer,
                statement,
                signature,
            },
        ));
        Ok(())
    }

    fn all_members(
        &self,
        epoch: &Epoch,
        what: &'static str,
        signers: SignerSet,
    ) -> Result<(), Reject> {
        ensure(!signers.is_empty(), what, "of nobody")?;
        match signers.difference(self.seats(epoch)).iter().next() {
            Some(replica) => Err(Reject::NotMember { what, replica }),
            None => Ok(()),
        }
    }

    /// The values of which a signature is bad. Remembers certificates that hold.
    pub(crate) fn bad_of(&self, batch: &Batch<'_>) -> BTreeSet<usize> {
        let (keys, claims): (Vec<Digest>, Vec<Claim<'_>>) = batch
            .votes
            .iter()
            .map(|(_, key, claim)| (*key, claim.clone()))
            .unzip();
        let votes = self.bad_votes(&keys, &claims);
        let lists: Vec<Claim<'_>> = batch.lists.iter().map(|(_, claim)| claim.clone()).collect();
        let lists = verify_lists::<S::Identity>(&self.identities, &lists);
        let (singles, owners): (Vec<_>, Vec<usize>) = batch
            .singles
            .iter()
            .map(|(of, single)| {
                let signed = Signed {
                    // Members have keys: looked at when it was gathered.
                    key: &self.identities[single.signer.index()],
                    statement: &single.statement[..],
                    signature: single.signature,
                };
                (signed, *of)
            })
            .unzip();
        let singles = match singles.is_empty() {
            true => Vec::new(),
            false => S::Identity::verify_batch(&singles),
        };
        let votes = votes.into_iter().map(|at| batch.votes[at].0);
        let lists = lists.into_iter().map(|at| batch.lists[at].0);
        let singles = singles.into_iter().map(|at| owners[at]);
        votes.chain(lists).chain(singles).collect()
    }
}
