use types::{CommitProof, HeaderCore, ProofError, SignerSet};

use super::*;
use crate::bls::Bls;
use crate::fixture::World;
use crate::list::Ed25519Lists;

/// Of the block at `height` by the certificates of the last `rule.chain_len()` of `len` blocks.
fn proof<S: VoteScheme>(
    world: &World<S>,
    rule: CommitRule,
    height: usize,
    len: usize,
) -> (CommitProof, BlockId) {
    let headers = world.chain(len as u64);
    let chain: Vec<HeaderCore> = headers[height - 1..].iter().map(|h| h.core()).collect();
    let certs = headers[len - rule.chain_len()..]
        .iter()
        .map(|header| world.qc(header.view.0, header.id()))
        .collect();
    let block = chain[0].id();
    (CommitProof { chain, certs }, block)
}

fn proofs_hold<S: VoteScheme>(rule: CommitRule) {
    let world = World::<S>::new(4);
    for (height, len) in [(1, 3), (2, 5), (3, 5)] {
        let fresh = World::<S>::new(4).verifier;
        let (proof, block) = proof(&world, rule, height, len);
        let check =
            |proof: &CommitProof, block| fresh.check_commit_proof(&world.epoch, rule, proof, block);
        let last = rule.chain_len() - 1;
        let mut spoiled = proof.clone();
        spoiled.certs[last].votes.signers = SignerSet(0b1110);
        assert_eq!(
            check(&spoiled, block),
            Err(ProofReject::Signature { at: last })
        );
        spoiled.certs[last].votes.signers = SignerSet(0b0110);
        assert_eq!(
            check(&spoiled, block),
            Err(ProofReject::Shape(ProofError::Quorum { at: last }))
        );
        assert_eq!(check(&proof, block), Ok(()));
        assert!(check(&spoiled, block).is_err());
        let other = BlockId::ZERO;
        assert_eq!(check(&proof, other), Err(ProofError::Block.into()));
    }
}

#[test]
fn commit_proofs_hold_and_spoiled_ones_do_not() {
    for rule in [CommitRule::TwoChain, CommitRule::ThreeChain] {
        proofs_hold::<Bls>(rule);
        proofs_hold::<Ed25519Lists>(rule);
    }
}

#[test]
fn a_batch_of_proofs_shares_work_but_no_blame() {
    let world = World::<Bls>::new(4);
    let rule = CommitRule::TwoChain;
    let mut all: Vec<_> = [(1, 2), (2, 3), (1, 3), (3, 4), (4, 5)]
        .map(|(height, len)| proof(&world, rule, height, len))
        .into();
    // Views 2 and 3 are certified in 1 and 2 alike; a bad certificate of view 4 is in 3 alone, since 4
    // has a good one of the same block.
    let wrong = world.qc(4, BlockId::ZERO).votes;
    all[3].0.certs[1].votes = wrong;
    let borrowed: Vec<_> = all.iter().map(|(proof, block)| (proof, *block)).collect();
    let verdicts = world
        .verifier
        .check_commit_proofs(&world.epoch, rule, &borrowed);
    let bad = Err(ProofReject::Signature { at: 1 });
    assert_eq!(verdicts, [Ok(()), Ok(()), Ok(()), bad, Ok(())]);
    // And again, now that the good ones are remembered.
    let verdicts = world
        .verifier
        .check_commit_proofs(&world.epoch, rule, &borrowed);
    assert_eq!(verdicts, [Ok(()), Ok(()), Ok(()), bad, Ok(())]);
    assert!(
        world
            .verifier
            .check_commit_proofs(&world.epoch, rule, &[])
            .is_empty()
    );
}
