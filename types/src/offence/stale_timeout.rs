//! `E4`, the twin of V2 of the two-chain rule: whoever voted for a block has seen its certificate, and
//! never again claims to know only older ones.

use super::{NoFraud, ensure, same};
use crate::cert::{Qc, Tc};
use crate::committee::CommitRule;
use crate::header::HeaderCore;
use crate::signers::SignerSet;

pub(super) fn culprits(
    rule: CommitRule,
    votes: &Qc,
    voted: &HeaderCore,
    timeouts: &Tc,
) -> Result<SignerSet, NoFraud> {
    ensure(rule == CommitRule::TwoChain, NoFraud::OtherRule)?;
    same(votes.epoch, voted.epoch, "epochs")?;
    same(votes.epoch, timeouts.epoch, "epochs")?;
    let cast = votes.block == voted.id() && votes.view == voted.view;
    ensure(cast, NoFraud::NotItsVotes)?;
    // A timeout of an earlier view may have been signed before the vote.
    ensure(timeouts.view >= votes.view, NoFraud::ClaimsFit)?;
    let denied = timeouts
        .claims
        .iter()
        .filter(|claim| claim.high_qc_view < voted.justify_view);
    let deniers: SignerSet = denied.map(|claim| claim.replica).collect();
    ensure(!deniers.is_empty(), NoFraud::ClaimsFit)?;
    Ok(votes.votes.signers.intersection(deniers))
}
