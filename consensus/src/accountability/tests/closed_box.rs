use types::{ReplicaId, SignerSet};

use crate::accountability::{Absent, ClosedBox, ClosedBoxVerdict, sentence};

fn set(ids: &[u16]) -> SignerSet {
    ids.iter().map(|id| ReplicaId(*id)).collect()
}

struct Says(Vec<ClosedBoxVerdict>);

impl ClosedBox for Says {
    fn verdict(&mut self, of: ReplicaId) -> ClosedBoxVerdict {
        self.0[of.index()]
    }
}

#[test]
fn without_an_auditor_proofs_alone_evict() {
    let sentence = sentence(set(&[1, 3]), &mut Absent);
    assert_eq!((sentence.evict, sentence.manual), (set(&[1, 3]), set(&[])));
}

/// Two detectors, one verdict: eviction needs both; disagreement and silence need a person; and what
/// the auditor thinks of somebody whom no proof convicts changes nothing.
#[test]
fn an_auditor_must_confirm() {
    use ClosedBoxVerdict::{Clean, Faulty, Unreachable};
    let mut auditor = Says(vec![Faulty, Faulty, Clean, Unreachable]);
    let sentence = sentence(set(&[1, 2, 3]), &mut auditor);
    assert_eq!((sentence.evict, sentence.manual), (set(&[1]), set(&[2, 3])));
}
