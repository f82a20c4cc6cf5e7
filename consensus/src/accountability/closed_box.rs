//! The seam for the second detector: an auditor that knows no consensus rule, re-verifies a replica's
//! transcript, replays it and compares (PeerReview, SOSP 2007; article, section 7.1).

use types::{ReplicaId, SignerSet};

/// What the auditor found out about one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClosedBoxVerdict {
    /// The transcript diverges, forks or lacks a message, or was withheld after a challenge.
    Faulty,
    /// Every output follows from the inputs.
    Clean,
    /// No answer from the auditor.
    Unreachable,
    /// No auditor belongs to this cluster.
    NotInstalled,
}

/// The second detector, as whoever passes sentence sees it.
pub trait ClosedBox {
    fn verdict(&mut self, of: ReplicaId) -> ClosedBoxVerdict;
}

/// No second detector: proofs of fraud alone evict. Their predicates have no false positives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Absent;

impl ClosedBox for Absent {
    fn verdict(&mut self, _: ReplicaId) -> ClosedBoxVerdict {
        ClosedBoxVerdict::NotInstalled
    }
}

/// What both detectors make of it together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sentence {
    pub evict: SignerSet,
    /// Convicted by proof, but the auditor disagrees or is silent: an operator decides.
    pub manual: SignerSet,
}

/// Evict iff a valid proof of fraud exists and the closed box, where there is one, confirms.
/// Whom no proof convicts is not even asked about: suspicion evicts nobody.
pub fn sentence(convicted: SignerSet, closed_box: &mut dyn ClosedBox) -> Sentence {
    let mut out = Sentence::default();
    for replica in convicted.iter() {
        let side = match closed_box.verdict(replica) {
            ClosedBoxVerdict::Faulty | ClosedBoxVerdict::NotInstalled => &mut out.evict,
            ClosedBoxVerdict::Clean | ClosedBoxVerdict::Unreachable => &mut out.manual,
        };
        side.insert(replica);
    }
    out
}
