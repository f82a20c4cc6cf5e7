//! Whether an epoch change holds: what a client checks before it believes receipts of a new epoch.

use crypto::{Engine, VoteScheme};
use types::recovery::frauds_digest;
use types::{CommitRule, Epoch, EpochChange};

/// The working epoch after `of`.
///
/// # Errors
/// Why the change proves nothing.
pub fn check<S: VoteScheme>(
    engine: &Engine<S>,
    rule: CommitRule,
    of: &Epoch,
    change: &EpochChange,
) -> Result<Epoch, String> {
    if change.of != of.id {
        return Err(format!("it ends epoch {}, not {}", change.of, of.id));
    }
    let core = &change.core;
    let recovery = of.recovery();
    let block = change.proof.block().ok_or("its proof is empty")?;
    if block.payload != core.digest() || block.excluded != Some(core.excluded) {
        return Err("its proof is of another value".into());
    }
    if frauds_digest(&change.frauds) != core.frauds {
        return Err("its proofs of fraud are not those of the value".into());
    }
    engine
        .check_commit_proof(&recovery, rule, &change.proof, block.id())
        .map_err(|e| e.to_string())?;
    Ok(recovery.resumed(
        core.digest(),
        core.excluded,
        core.standbys,
        core.root_height,
    ))
}
