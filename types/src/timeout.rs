//! Giving up on a view.

use crate::cert::{Qc, Tc, TimeoutClaim};
use crate::header::Vote;
use crate::ids::{EpochId, ReplicaId, View};
use crate::signers::SignerSet;
use crate::wire_struct;

/// A replica's statement that it gives up on `view`. Its claim is `high_qc.view`; the certificate
/// itself and the last vote travel along, outside of the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeout {
    pub epoch: EpochId,
    pub view: View,
    pub replica: ReplicaId,
    pub high_qc: Qc,
    pub last_vote: Option<Vote>,
    /// Ed25519 over `statement::timeout(epoch, view, high_qc.view)`.
    pub signature: [u8; 64],
}
wire_struct!(Timeout {
    epoch,
    view,
    replica,
    high_qc,
    last_vote,
    signature
});

impl Timeout {
    /// The signed part as a list of one, as evidence needs it.
    pub fn alone(&self) -> Tc {
        let claim = TimeoutClaim {
            replica: self.replica,
            high_qc_view: self.high_qc.view,
            signature: self.signature,
        };
        Tc {
            epoch: self.epoch,
            view: self.view,
            excluded: SignerSet::EMPTY,
            claims: vec![claim],
        }
    }
}
