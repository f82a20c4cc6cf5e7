use std::collections::HashSet;

use types::{Checkpoint, Digest, EpochId, Height, Multisig, Qc, ReplicaId, SignerSet, View};

use super::*;

fn root() -> BlockId {
    BlockId(Digest::of("root", &[]))
}

/// Blocks at views 1 to `len`, each over the one before.
fn chain(len: u64) -> Vec<Header> {
    let mut parent = root();
    let mut next = |view: u64| {
        let justify = Qc {
            epoch: EpochId(Digest::ZERO),
            view: View(view - 1),
            block: parent,
            excluded: types::SignerSet::EMPTY,
            votes: Multisig {
                signers: SignerSet::EMPTY,
                bytes: Default::default(),
            },
        };
        let header = Header {
            epoch: EpochId(Digest::ZERO),
            view: View(view),
            height: Height(view),
            justify,
            tc: None,
            cut: Vec::new(),
            payload: Digest::ZERO,
            proposer: ReplicaId(0),
            checkpoint: Checkpoint::default(),
            excluded: None,
        };
        parent = header.id();
        header
    };
    (1..=len).map(&mut next).collect()
}

/// Whatever comes first, the same blocks are final in the end.
#[test]
fn headers_and_certificates_come_in_any_order() {
    let chain = chain(5);
    let ids: Vec<BlockId> = chain.iter().map(Header::id).collect();
    let expected: HashSet<BlockId> = ids[..2].iter().copied().collect();
    for start in 0..5 {
        for step in 1..5 {
            for certificates_first in [true, false] {
                let mut finality = Finality::new(root(), 3);
                let certificates = |finality: &mut Finality| {
                    ids[..4].iter().try_for_each(|id| finality.certified(*id))
                };
                if certificates_first {
                    certificates(&mut finality).unwrap();
                }
                for at in 0..5 {
                    finality.header(&chain[(start + at * step) % 5]).unwrap();
                }
                if !certificates_first {
                    certificates(&mut finality).unwrap();
                }
                assert_eq!(finality.finals, expected, "from {start} by {step}");
                assert_eq!(finality.height_max(), 2);
            }
        }
    }
}
