use types::{Digest, Qc, ReplicaId, SignerSet, View};

use super::fixture::{epoch, header};
use crate::core::{Core, Recovered};
use crate::effect::{Config, Effect, Timing};
use crate::lanes::LanesConfig;
use crate::rules::TwoChain;
use crate::values::Content;

fn core_of(epoch: types::Epoch, me: u16) -> Core {
    let config = Config {
        me: ReplicaId(me),
        epoch,
        timing: Timing::default(),
        lanes: LanesConfig::default(),
        checkpoint_step: 100,
        notices: None,
    };
    Core::new(config, Box::new(TwoChain), Recovered::default(), 0).0
}

fn set(ids: &[u16]) -> SignerSet {
    ids.iter().copied().map(ReplicaId).collect()
}

#[test]
fn a_value_that_leaves_out_fewer_than_are_known_is_not_voted_for_under_the_larger_set() {
    let recovery = epoch(7).recovery();
    let mut core = core_of(recovery, 0);
    let value = Digest([7; 32]);
    let declaring = |excluded: SignerSet| {
        let mut header = header(&recovery, 1, 1, Qc::root(&recovery))
            .as_ref()
            .clone();
        (header.payload, header.excluded) = (value, Some(excluded));
        header
    };
    core.exclude(0, set(&[6]), &mut Vec::new());
    core.endorse(value, &mut Vec::new());
    let small = declaring(set(&[6]));
    assert_eq!(core.allows_content(&small), Content::Fit);
    core.exclude(0, set(&[5, 6]), &mut Vec::new());
    let large = declaring(set(&[5, 6]));
    assert_eq!(core.allows_content(&large), Content::Later);
}

#[test]
fn the_first_block_of_an_epoch_waits_for_no_work() {
    let epoch = epoch(4);
    let leader = (0..4).find(|me| {
        let core = core_of(epoch, *me);
        core.leader(View(1)) == ReplicaId(*me)
    });
    let mut core = core_of(epoch, leader.unwrap());
    let mut out = Vec::new();
    core.try_propose(0, &mut out);
    let proposes = |effect: &Effect| matches!(effect, Effect::SignProposal(_));
    assert!(out.iter().any(proposes));
}
