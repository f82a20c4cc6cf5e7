//! `E5`, the twin of what is checked of every proposal before anybody may look at it: a correct replica
//! votes in the view and for the `B` that the header states, and for no header that refutes itself.
//! That the header does so is decided where its signatures are checked (`crypto`).

use super::{NoFraud, ensure};
use crate::cert::Qc;
use crate::header::Header;
use crate::signers::SignerSet;

pub(super) fn culprits(votes: &Qc, header: &Header) -> Result<SignerSet, NoFraud> {
    ensure(votes.block == header.id(), NoFraud::NotItsVotes)?;
    Ok(votes.votes.signers)
}

/// Whether the votes alone are an offence: cast in another epoch or view than the header's, or stating
/// another `B`.
pub fn is_miscast(votes: &Qc, header: &Header) -> bool {
    votes.epoch != header.epoch
        || votes.view != header.view
        || votes.excluded != header.excluded_set()
}
