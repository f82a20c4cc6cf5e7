//! `E7`, the twin of D4: a correct replica acknowledges one car per index of a lane.

use super::{NoFraud, ensure, same};
use crate::cert::CarCert;
use crate::signers::SignerSet;

pub(super) fn culprits(first: &CarCert, second: &CarCert) -> Result<SignerSet, NoFraud> {
    same(first.epoch, second.epoch, "epochs")?;
    same(first.lane, second.lane, "lanes")?;
    same(first.index, second.index, "indices")?;
    ensure(first.car != second.car, NoFraud::Same)?;
    Ok(first.acks.signers.intersection(second.acks.signers))
}
