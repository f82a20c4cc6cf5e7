//! `E2`, the twin of V1: a correct replica votes once per view. The same block with another `excluded`
//! beside it is another vote.

use super::{NoFraud, ensure, same};
use crate::cert::Qc;
use crate::signers::SignerSet;

pub(super) fn culprits(first: &Qc, second: &Qc) -> Result<SignerSet, NoFraud> {
    same(first.epoch, second.epoch, "epochs")?;
    same(first.view, second.view, "views")?;
    let said = |votes: &Qc| (votes.block, votes.excluded);
    ensure(said(first) != said(second), NoFraud::Same)?;
    Ok(first.votes.signers.intersection(second.votes.signers))
}
