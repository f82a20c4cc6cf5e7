use bytes::Bytes;
use types::{BlockId, Digest, ReplicaId, SignerSet, Timeout, View, Vote};

use super::fixture::{core, epoch, tc};
use crate::core::Core;
use crate::effect::{Check, Effect, Timing};
use crate::pacemaker::Pacemaker;
use crate::safety::Safety;

fn pacemaker() -> Pacemaker {
    let epoch = epoch(4);
    Pacemaker::new(&epoch, Timing::default(), &Safety::fresh(&epoch), 0)
}

fn give_up(pacemaker: &mut Pacemaker, views: u64) {
    for _ in 0..views {
        let tc = tc(&epoch(4), pacemaker.view().0, &[0, 0, 0]);
        assert!(pacemaker.enter_timed_out(tc, false, 0));
    }
}

#[test]
fn patience_doubles_once_dead_leaders_no_longer_explain_it_and_starts_over_with_a_commit() {
    let (mut pacemaker, base) = (pacemaker(), Timing::default().view_timeout_ns);
    let mut patience = Vec::new();
    for _ in 0..4 {
        give_up(&mut pacemaker, 1);
        patience.push(pacemaker.patience_ns() / base);
    }
    assert_eq!(
        patience,
        [1, 1, 2, 4],
        "two views are one dead leader of four"
    );
    let next = pacemaker.view().next();
    pacemaker.enter_certified(next, 0);
    assert_eq!(pacemaker.patience_ns() / base, 4, "one view is no commit");
    pacemaker.committed();
    assert_eq!(pacemaker.patience_ns(), base);
    give_up(&mut pacemaker, 100);
    let longest = Timing::default().view_timeout_max_ns;
    assert_eq!(pacemaker.patience_ns(), longest);
}

#[test]
fn a_leader_that_let_votes_lie_is_given_a_quarter_of_the_time() {
    let (mut pacemaker, base) = (pacemaker(), Timing::default().view_timeout_ns);
    let view = pacemaker.view().0;
    assert!(pacemaker.enter_timed_out(tc(&epoch(4), view, &[0, 0, 0]), true, 7));
    assert_eq!(pacemaker.deadline_ns(), 7 + base / 4);
}

#[test]
fn one_slow_view_says_little_about_the_usual_ones() {
    let mut pacemaker = pacemaker();
    let mut now = 0;
    for took in [10, 10, 400, 10] {
        now += took;
        let next = pacemaker.view().next();
        pacemaker.enter_certified(next, now);
        assert!(pacemaker.brisk_ns() <= 34, "{}", pacemaker.brisk_ns());
    }
    assert_eq!(pacemaker.brisk_ns(), 10);
}

fn vote(voter: u16, view: u64) -> Vote {
    Vote {
        epoch: epoch(4).id,
        view: View(view),
        excluded: SignerSet::EMPTY,
        block: BlockId(Digest([9; 32])),
        voter: ReplicaId(voter),
        share: Bytes::from_static(b"share"),
    }
}

fn timeout(core: &mut Core, replica: u16, view: u64, out: &mut Vec<Effect>) {
    let timeout = Timeout {
        epoch: epoch(4).id,
        view: View(view),
        high_qc: core.safety().high_qc.clone(),
        last_vote: None,
        replica: ReplicaId(replica),
        signature: [0; 64],
    };
    core.take_timeout(2, timeout, out);
}

fn checks(out: &[Effect]) -> usize {
    let is_check = |effect: &&Effect| matches!(effect, Effect::Check(Check::Votes { .. }));
    out.iter().filter(is_check).count()
}

#[test]
fn the_leader_after_next_collects_once_a_correct_replica_waited_in_vain() {
    let second = core(0).leader(View(3));
    let mut core = core(second.0);
    let mut out = Vec::new();
    for voter in 0..3 {
        core.handle_vote(1, ReplicaId(voter), vote(voter, 1), &mut out);
    }
    assert_eq!(checks(&out), 0, "that is for the leader of view 2");
    let others: Vec<u16> = (0..4).filter(|id| *id != second.0).collect();
    timeout(&mut core, others[0], 1, &mut out);
    assert_eq!(checks(&out), 0, "a liar may say so");
    timeout(&mut core, others[1], 1, &mut out);
    assert_eq!(checks(&out), 1);
}
