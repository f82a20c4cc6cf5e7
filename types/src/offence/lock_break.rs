//! `E3`, the twin of V2 and V3 of the three-chain rule: voting for `b''` over `b'` over `b` locks `b`,
//! and afterwards nothing is voted for that is justified below `view(b)`.

use super::{NoFraud, ensure, same};
use crate::cert::Qc;
use crate::committee::CommitRule;
use crate::header::HeaderCore;
use crate::signers::SignerSet;

/// `child` is `b''`, `parent` is `b'`, whose `justify_view` is the view of `b`.
pub(super) fn culprits(
    rule: CommitRule,
    (locking, child, parent): (&Qc, &HeaderCore, &HeaderCore),
    (breaking, broken): (&Qc, &HeaderCore),
) -> Result<SignerSet, NoFraud> {
    ensure(rule == CommitRule::ThreeChain, NoFraud::OtherRule)?;
    let epochs = [child.epoch, parent.epoch, breaking.epoch, broken.epoch];
    ensure(
        epochs.iter().all(|epoch| *epoch == locking.epoch),
        NoFraud::Apart("epochs"),
    )?;
    let cast = |votes: &Qc, core: &HeaderCore| votes.block == core.id() && votes.view == core.view;
    ensure(
        cast(locking, child) && cast(breaking, broken),
        NoFraud::NotItsVotes,
    )?;
    same(child.parent, parent.id(), "chains")?;
    let locks = child.view > parent.view && parent.view > parent.justify_view;
    // An equal view is legal: it may be the locked block itself.
    let breaks = broken.view > child.view && broken.justify_view < parent.justify_view;
    ensure(locks && breaks, NoFraud::LockKept)?;
    Ok(locking.votes.signers.intersection(breaking.votes.signers))
}
