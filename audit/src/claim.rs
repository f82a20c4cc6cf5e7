//! What a record says, decoded.

use bytes::Bytes;
use measure::EvidenceKind;
use types::{Conflict, EpochId, ForkReport, Fraud, Mode, Resumption, Wire};

pub enum Claim {
    Conflict(Box<Conflict>),
    Fraud(Box<Fraud>),
    Report(Box<ForkReport>),
    Resumption(Box<Resumption>),
    /// A replica's word about itself: nothing to prove.
    Mode,
}

impl Claim {
    pub fn decode(kind: EvidenceKind, payload: &[u8]) -> Result<Claim, String> {
        Ok(match kind {
            EvidenceKind::Conflict => Claim::Conflict(value(payload)?),
            EvidenceKind::Fraud => Claim::Fraud(value(payload)?),
            EvidenceKind::Report => Claim::Report(value(payload)?),
            EvidenceKind::Resumption => Claim::Resumption(value(payload)?),
            EvidenceKind::Mode => {
                let (mode, epoch) = payload.split_at_checked(1).ok_or("an empty record")?;
                value::<Mode>(mode)?;
                value::<EpochId>(epoch)?;
                Claim::Mode
            }
        })
    }

    pub fn kind(&self) -> EvidenceKind {
        match self {
            Claim::Conflict(_) => EvidenceKind::Conflict,
            Claim::Fraud(_) => EvidenceKind::Fraud,
            Claim::Report(_) => EvidenceKind::Report,
            Claim::Resumption(_) => EvidenceKind::Resumption,
            Claim::Mode => EvidenceKind::Mode,
        }
    }
}

fn value<T: Wire>(payload: &[u8]) -> Result<Box<T>, String> {
    let decoded = T::decode(Bytes::copy_from_slice(payload));
    decoded.map(Box::new).map_err(|why| why.to_string())
}
