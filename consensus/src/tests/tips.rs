use std::sync::Arc;

use types::{CarCert, CarId, Digest, Header, Qc, ReplicaId, View};

use super::fixture::{core, epoch, header, tc};
use super::lanes::{batch, car};
use crate::core::Core;
use crate::effect::Effect;
use crate::tips::Tips;

/// The first proposal of the epoch, naming `car` of lane 2 without a certificate.
fn naming(car: CarId) -> Header {
    let epoch = epoch(4);
    let leader = core(0).leader(View(1));
    let mut header = header(&epoch, 1, 1, Qc::root(&epoch)).as_ref().clone();
    header.proposer = leader;
    header.cut = vec![CarCert::bare(epoch.id, ReplicaId(2), 1, car)];
    header
}

fn propose(core: &mut Core, now: u64, header: Header) -> Vec<Effect> {
    let mut out = Vec::new();
    let proposal = types::Proposal {
        header,
        signature: [0; 64],
    };
    // Signatures are none of this room's business.
    core.own_proposal(now, &proposal, &mut out);
    out
}

fn votes(out: &[Effect]) -> usize {
    let is_vote = |effect: &&Effect| matches!(effect, Effect::SignVote { .. });
    out.iter().filter(is_vote).count()
}

fn acks(out: &[Effect]) -> usize {
    let is_ack = |effect: &&Effect| matches!(effect, Effect::SignAck { .. });
    out.iter().filter(is_ack).count()
}

fn requests(out: &[Effect]) -> usize {
    let asks = |effect: &&Effect| match effect {
        Effect::Send { message, .. } => matches!(
            message,
            types::Message::CarRequest(_) | types::Message::BatchRequest(_)
        ),
        _ => false,
    };
    out.iter().filter(asks).count()
}

#[test]
fn a_voter_waits_until_it_holds_what_is_named_without_a_certificate() {
    let (mut core, tip) = (core(3), car(2, 1, CarId::ZERO, 1));
    let mut out = propose(&mut core, 1, naming(tip.id()));
    assert_eq!(votes(&out), 0, "neither car nor bytes");
    core.lanes.insert(tip, false);
    assert_eq!(votes(&out), 0, "no bytes");
    core.batch_stored(3, batch(1).digest, &mut out);
    assert_eq!(votes(&out), 1);
    assert_eq!(acks(&out), 0, "the vote says it already");
}

#[test]
fn what_is_missing_is_asked_of_the_proposer_after_a_while() {
    let mut core = core(3);
    let mut out = propose(&mut core, 1, naming(CarId(Digest([7; 32]))));
    assert_eq!((votes(&out), requests(&out)), (0, 0));
    let due = core.deadline_ns();
    core.tick(due, &mut out);
    assert_eq!((votes(&out), requests(&out)), (0, 1));
}

#[test]
fn once_the_proposer_was_asked_for_a_car_it_is_asked_for_its_bytes_at_once() {
    let (mut core, tip) = (core(3), car(2, 1, CarId::ZERO, 1));
    let mut out = propose(&mut core, 1, naming(tip.id()));
    core.tick(core.deadline_ns(), &mut out);
    assert_eq!(requests(&out), 1, "the car");
    core.handle_owner_car(2, ReplicaId(2), tip.as_ref().clone(), &mut out);
    let at_once = core.deadline_ns();
    core.tick(at_once, &mut out);
    assert_eq!((at_once, requests(&out)), (0, 2), "its bytes");
    core.tick(1, &mut out);
    assert_eq!(requests(&out), 2, "not twice");
    core.batch_stored(2, batch(1).digest, &mut out);
    assert_eq!(votes(&out), 1);
}

#[test]
fn a_leader_cannot_put_words_into_another_lane() {
    let (mut core, forged) = (core(3), car(2, 1, CarId::ZERO, 1));
    let mut out = propose(&mut core, 1, naming(forged.id()));
    core.batch_stored(1, batch(1).digest, &mut out);
    let cars = vec![forged.as_ref().clone()];
    let unknown = core.handle_named_cars(2, cars.clone(), &mut out);
    assert_eq!(unknown, cars, "its signature has to be checked");
    core.handle_owner_car(2, ReplicaId(1), cars[0].clone(), &mut out);
    assert_eq!(votes(&out), 0, "from somebody else than its owner");
    core.handle_owner_car(2, ReplicaId(2), cars[0].clone(), &mut out);
    assert_eq!(votes(&out), 1);
}

#[test]
fn a_car_that_no_block_names_is_acknowledged_in_time() {
    let (mut core, tip) = (core(3), car(2, 1, CarId::ZERO, 1));
    let mut out = Vec::new();
    core.lanes.insert(tip, false);
    core.batch_stored(1, batch(1).digest, &mut out);
    assert_eq!(acks(&out), 0);
    for view in 1..20 {
        let tc = tc(&epoch(4), view, &[0, 0, 0]);
        core.handle_tc(view, &tc, &mut out);
    }
    assert_eq!(acks(&out), 1, "once, when it should have been committed");
}

#[test]
fn a_view_lost_over_a_lane_costs_it_twice_as_much_each_time() {
    let mut tips = Tips::new(4);
    let lane = ReplicaId(2);
    let mut view = View(1);
    let mut wary = Vec::new();
    for _ in 0..3 {
        tips.strike([lane].into_iter().collect(), view);
        assert!(tips.is_trusted(ReplicaId(1), view.next()), "nobody else");
        let back = (view.0..).find(|at| tips.is_trusted(lane, View(*at)));
        wary.push(back.unwrap() - view.0);
        view = View(back.unwrap());
    }
    assert_eq!(wary, [65, 129, 257]);
}

#[test]
fn only_who_could_not_vote_holds_a_lost_view_against_a_lane() {
    let (mut voter, mut other, tip) = (core(3), core(3), car(2, 1, CarId::ZERO, 1));
    let mut out = Vec::new();
    voter.lanes.insert(tip.clone(), false);
    voter.batch_stored(1, batch(1).digest, &mut out);
    for core in [&mut voter, &mut other] {
        propose(core, 1, naming(tip.id()));
        core.handle_tc(2, &tc(&epoch(4), 1, &[0, 0, 0]), &mut out);
    }
    let lane = ReplicaId(2);
    assert!(voter.tips.is_trusted(lane, voter.view()));
    assert!(!other.tips.is_trusted(lane, other.view()));
    assert_eq!(
        acks(&out),
        1,
        "the voter's: now somebody may need a certificate"
    );
}

#[test]
fn a_leader_names_only_what_continues_the_chain_that_it_builds_on() {
    let mut core = core(0);
    let mut out = Vec::new();
    let (ours, theirs) = (car(2, 1, CarId::ZERO, 1), car(2, 1, CarId::ZERO, 2));
    let next = car(2, 2, ours.id(), 3);
    for held in [&ours, &next] {
        core.lanes.insert(held.clone(), false);
    }
    for name in [1, 2, 3] {
        core.batch_stored(1, batch(name).digest, &mut out);
    }
    let above = |car: &Arc<types::Car>| crate::CutEntry {
        index: 1,
        car: car.id(),
    };
    let tip = core.bare_tip(ReplicaId(2), above(&ours)).unwrap();
    assert_eq!((tip.index, tip.car), (2, next.id()));
    assert!(core.bare_tip(ReplicaId(2), above(&theirs)).is_none());
}
