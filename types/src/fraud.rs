//! Proofs of fraud: statements of the same replicas that no correct replica makes together. Each is
//! self-contained: anybody with the epoch's committee checks it offline (Sheng et al., *BFT Protocol
//! Forensics*, CCS 2021). Whom each convicts is decided in [`crate::offence`].
//!
//! Certificates stand here for "these replicas signed this": no threshold applies, one signer is
//! enough, and whoever is in both convicts itself.

use crate::cert::{CarCert, Qc, Tc};
use crate::codec::{CodecError, Reader, Wire};
use crate::header::{Header, HeaderCore};
use crate::ids::{Digest, EpochId};
use crate::lane::Car;
use crate::wire_struct;

/// The offences, by the names of `docs/accountability.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Offence {
    /// Equivocating proposal.
    E1,
    /// Double vote.
    E2,
    /// Lock violation (three-chain).
    E3,
    /// Stale timeout (two-chain).
    E4,
    /// Unjustified vote.
    E5,
    /// Lane equivocation.
    E6,
    /// Double acknowledgement.
    E7,
}

impl Offence {
    pub const ALL: [Offence; 7] = [
        Offence::E1,
        Offence::E2,
        Offence::E3,
        Offence::E4,
        Offence::E5,
        Offence::E6,
        Offence::E7,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Offence::E1 => "E1 equivocating proposal",
            Offence::E2 => "E2 double vote",
            Offence::E3 => "E3 lock violation",
            Offence::E4 => "E4 stale timeout",
            Offence::E5 => "E5 unjustified vote",
            Offence::E6 => "E6 lane equivocation",
            Offence::E7 => "E7 double acknowledgement",
        }
    }
}

/// A header's core with its proposer's signature over `statement::proposal`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCore {
    pub core: HeaderCore,
    pub signature: [u8; 64],
}
wire_struct!(SignedCore { core, signature });

/// See the module.
// Rare and boxed where it is kept.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fraud {
    /// `E1`: two headers of one proposer at one view.
    Equivocation {
        first: SignedCore,
        second: SignedCore,
    },
    /// `E2`: votes for two blocks at one view.
    DoubleVote { first: Qc, second: Qc },
    /// `E3`: `locking` are votes for `child`, which lock the parent of `parent`; `breaking` are votes
    /// for `broken`, at a later view, over something older than that.
    LockBreak {
        locking: Qc,
        child: HeaderCore,
        parent: HeaderCore,
        breaking: Qc,
        broken: HeaderCore,
    },
    /// `E4`: `votes` are for `voted`, whose `justify` has a view that the claims of `timeouts`, for
    /// the same or a later view, deny.
    StaleTimeout {
        votes: Qc,
        voted: HeaderCore,
        timeouts: Tc,
    },
    /// `E5`: votes for a header which, looked at alone, nobody may vote for.
    UnjustifiedVote { votes: Qc, header: Header },
    /// `E6`: two cars of one lane at one index.
    LaneEquivocation { first: Car, second: Car },
    /// `E7`: acknowledgements of two cars at one index of a lane.
    DoubleAck { first: CarCert, second: CarCert },
}

impl Fraud {
    /// The epoch in which it happened.
    pub fn epoch(&self) -> EpochId {
        match self {
            Fraud::Equivocation { first, .. } => first.core.epoch,
            Fraud::DoubleVote { first, .. } => first.epoch,
            Fraud::LockBreak { locking, .. } => locking.epoch,
            Fraud::StaleTimeout { votes, .. } | Fraud::UnjustifiedVote { votes, .. } => votes.epoch,
            Fraud::LaneEquivocation { first, .. } => first.epoch,
            Fraud::DoubleAck { first, .. } => first.epoch,
        }
    }

    pub fn offence(&self) -> Offence {
        match self {
            Fraud::Equivocation { .. } => Offence::E1,
            Fraud::DoubleVote { .. } => Offence::E2,
            Fraud::LockBreak { .. } => Offence::E3,
            Fraud::StaleTimeout { .. } => Offence::E4,
            Fraud::UnjustifiedVote { .. } => Offence::E5,
            Fraud::LaneEquivocation { .. } => Offence::E6,
            Fraud::DoubleAck { .. } => Offence::E7,
        }
    }

    pub fn digest(&self) -> Digest {
        Digest::of("reforge proof of fraud v1", &self.encode())
    }
}

impl Wire for Fraud {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(1 + self.offence() as u8);
        match self {
            Fraud::Equivocation { first, second } => {
                first.put(out);
                second.put(out);
            }
            Fraud::DoubleVote { first, second } => {
                first.put(out);
                second.put(out);
            }
            Fraud::LockBreak {
                locking,
                child,
                parent,
                breaking,
                broken,
            } => {
                locking.put(out);
                child.put(out);
                parent.put(out);
                breaking.put(out);
                broken.put(out);
            }
            Fraud::StaleTimeout {
                votes,
                voted,
                timeouts,
            } => {
                votes.put(out);
                voted.put(out);
                timeouts.put(out);
            }
            Fraud::UnjustifiedVote { votes, header } => {
                votes.put(out);
                header.put(out);
            }
            Fraud::LaneEquivocation { first, second } => {
                first.put(out);
                second.put(out);
            }
            Fraud::DoubleAck { first, second } => {
                first.put(out);
                second.put(out);
            }
        }
    }

    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(match u8::take(reader)? {
            1 => Fraud::Equivocation {
                first: Wire::take(reader)?,
                second: Wire::take(reader)?,
            },
            2 => Fraud::DoubleVote {
                first: Wire::take(reader)?,
                second: Wire::take(reader)?,
            },
            3 => Fraud::LockBreak {
                locking: Wire::take(reader)?,
                child: Wire::take(reader)?,
                parent: Wire::take(reader)?,
                breaking: Wire::take(reader)?,
                broken: Wire::take(reader)?,
            },
            4 => Fraud::StaleTimeout {
                votes: Wire::take(reader)?,
                voted: Wire::take(reader)?,
                timeouts: Wire::take(reader)?,
            },
            5 => Fraud::UnjustifiedVote {
                votes: Wire::take(reader)?,
                header: Wire::take(reader)?,
            },
            6 => Fraud::LaneEquivocation {
                first: Wire::take(reader)?,
                second: Wire::take(reader)?,
            },
            7 => Fraud::DoubleAck {
                first: Wire::take(reader)?,
                second: Wire::take(reader)?,
            },
            found => {
                return Err(CodecError::BadTag {
                    what: "proof of fraud",
                    found,
                });
            }
        })
    }
}
