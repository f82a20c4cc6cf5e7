use types::{ReplicaId, SignerSet, View, Wire};

use super::fixture::{epoch, header, qc};
use crate::leaders::Leaders;

/// Commits blocks for every view below `until` whose leader is not in `dead`, with certificates that
/// `signers` gave.
fn run(leaders: &mut Leaders, n: usize, until: u64, dead: SignerSet, signers: SignerSet) {
    let epoch = epoch(n);
    for view in 1..until {
        let proposer = leaders.leader(View(view));
        if dead.contains(proposer) {
            continue;
        }
        let mut justify = qc(&epoch, view - 1, epoch.root());
        justify.votes.signers = signers;
        let mut block = header(&epoch, view, view, justify).as_ref().clone();
        block.proposer = proposer;
        leaders.committed(&block);
    }
}

fn led(leaders: &Leaders, from: u64, views: u64) -> SignerSet {
    (from..from + views)
        .map(|v| leaders.leader(View(v)))
        .collect()
}

#[test]
fn everybody_leads_while_everybody_takes_part() {
    let mut leaders = Leaders::new(&epoch(4));
    run(&mut leaders, 4, 100, SignerSet::EMPTY, SignerSet::all(4));
    assert_eq!(led(&leaders, 100, 8), SignerSet::all(4));
}

#[test]
fn a_crashed_replica_stops_leading_and_leads_again_when_it_signs_again() {
    let mut leaders = Leaders::new(&epoch(4));
    let dead = SignerSet::from_iter([ReplicaId(2)]);
    run(
        &mut leaders,
        4,
        40,
        dead,
        SignerSet::all(4).difference(dead),
    );
    assert!(!led(&leaders, 40, 8).contains(ReplicaId(2)));
    let epoch = epoch(4);
    for view in 40..64 {
        let mut block = header(&epoch, view, view, qc(&epoch, view - 1, epoch.root()))
            .as_ref()
            .clone();
        block.justify.votes.signers = SignerSet::all(4);
        block.proposer = leaders.leader(View(view));
        leaders.committed(&block);
    }
    assert!(led(&leaders, 64, 8).contains(ReplicaId(2)));
}

#[test]
fn a_leader_whose_turns_fail_sits_out_although_it_votes() {
    let mut leaders = Leaders::new(&epoch(4));
    let bad = SignerSet::from_iter([ReplicaId(1)]);
    run(&mut leaders, 4, 40, bad, SignerSet::all(4));
    assert!(!led(&leaders, 40, 8).contains(ReplicaId(1)));
}

#[test]
fn never_more_than_f_sit_out() {
    for n in [4usize, 7, 30] {
        let mut leaders = Leaders::new(&epoch(n));
        let dead: SignerSet = (0..n as u16 / 2).map(ReplicaId).collect();
        run(
            &mut leaders,
            n,
            20 * n as u64,
            dead,
            SignerSet::all(n).difference(dead),
        );
        let out = leaders.excluded(View(20 * n as u64));
        assert!(
            !out.is_empty() && out.len() <= (n - 1) / 3,
            "{out:?} of {n}"
        );
    }
}

#[test]
fn the_record_survives_its_encoding() {
    let mut leaders = Leaders::new(&epoch(7));
    let dead = SignerSet::from_iter([ReplicaId(3)]);
    run(
        &mut leaders,
        7,
        100,
        dead,
        SignerSet::all(7).difference(dead),
    );
    assert_eq!(Leaders::decode(leaders.encode()).unwrap(), leaders);
}
