//! `E1`, the twin of O9: a correct leader proposes once per view, and the proposal is durable before
//! it leaves.

use super::{NoFraud, ensure, same};
use crate::header::HeaderCore;
use crate::signers::SignerSet;

pub(super) fn culprits(first: &HeaderCore, second: &HeaderCore) -> Result<SignerSet, NoFraud> {
    same(first.epoch, second.epoch, "epochs")?;
    same(first.view, second.view, "views")?;
    same(first.proposer, second.proposer, "proposers")?;
    ensure(first.id() != second.id(), NoFraud::Same)?;
    Ok([first.proposer].into_iter().collect())
}
