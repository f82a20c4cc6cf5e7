//! `E6`, the twin of D3: a correct owner signs one car per index.

use super::{NoFraud, ensure, same};
use crate::lane::Car;
use crate::signers::SignerSet;

pub(super) fn culprits(first: &Car, second: &Car) -> Result<SignerSet, NoFraud> {
    same(first.epoch, second.epoch, "epochs")?;
    same(first.lane, second.lane, "lanes")?;
    same(first.index, second.index, "indices")?;
    ensure(first.id() != second.id(), NoFraud::Same)?;
    Ok([first.lane].into_iter().collect())
}
