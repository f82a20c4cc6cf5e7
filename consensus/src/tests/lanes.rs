use std::sync::Arc;

use types::{BatchDigest, BatchRef, Car, CarId, Digest, ReplicaId};

use super::fixture::{car_cert, epoch};
use crate::lanes::{CarVerdict, CutEntry, Lanes, LanesConfig, Missing};

pub(super) fn batch(name: u8) -> BatchRef {
    BatchRef {
        digest: BatchDigest(Digest([name; 32])),
        len_bytes: 10,
        txs: 1,
    }
}

pub(super) fn car(lane: u16, index: u64, prev: CarId, name: u8) -> Arc<Car> {
    let epoch = epoch(4).id;
    let lane = ReplicaId(lane);
    Arc::new(Car {
        epoch,
        lane,
        index,
        prev,
        batches: vec![batch(name)],
        signature: [0; 64],
    })
}

fn lanes() -> Lanes {
    Lanes::new(&epoch(4), ReplicaId(0), LanesConfig::default())
}

#[test]
fn a_car_is_acknowledged_with_its_bytes_and_its_predecessor() {
    let mut lanes = lanes();
    let first = car(1, 1, CarId::ZERO, 1);
    let second = car(1, 2, first.id(), 2);
    lanes.batch_stored(batch(2).digest);
    assert_eq!(lanes.insert(second.clone(), false).1, CarVerdict::New);
    assert!(
        lanes.advance(ReplicaId(1), 0).is_empty(),
        "its predecessor is missing"
    );
    assert_eq!(
        lanes.missing(ReplicaId(1)),
        Missing::Cars {
            from_index: 1,
            tip: second.id()
        }
    );
    lanes.insert(first.clone(), false);
    assert!(
        lanes.advance(ReplicaId(1), 0).is_empty(),
        "its bytes are missing"
    );
    assert_eq!(
        lanes.missing(ReplicaId(1)),
        Missing::Batches(vec![batch(1).digest])
    );
    lanes.batch_stored(batch(1).digest);
    let acked: Vec<_> = lanes
        .advance(ReplicaId(1), 0)
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(acked, vec![first.id(), second.id()]);
    assert_eq!(lanes.insert(first, false).1, CarVerdict::Acked);
}

#[test]
fn at_one_index_only_one_car_is_ever_acknowledged() {
    let mut lanes = lanes();
    for name in 1..4 {
        lanes.batch_stored(batch(name).digest);
    }
    let (one, other) = (car(1, 1, CarId::ZERO, 1), car(1, 1, CarId::ZERO, 2));
    lanes.insert(one.clone(), false);
    assert_eq!(lanes.advance(ReplicaId(1), 0).len(), 1);
    lanes.insert(other.clone(), false);
    assert!(lanes.advance(ReplicaId(1), 0).is_empty());
    lanes.insert(car(1, 2, other.id(), 3), false);
    assert!(
        lanes.advance(ReplicaId(1), 0).is_empty(),
        "nor one that builds on the other"
    );
    assert!(lanes.lane(ReplicaId(1)).unwrap().equivocated);
}

#[test]
fn a_view_takes_one_own_car_at_once_and_more_after_the_interval() {
    let epoch = epoch(4);
    let mut lanes = lanes();
    assert!(lanes.cut_car(&epoch, 5).is_none(), "nothing to carry");
    lanes.push_own_batch(batch(1));
    let first = Arc::new(lanes.cut_car(&epoch, 5).unwrap());
    lanes.push_own_batch(batch(2));
    assert!(
        lanes.cut_car(&epoch, 5).is_none(),
        "the first is being signed"
    );
    lanes.own_car(first.clone(), first.id(), 5);
    assert!(
        lanes.cut_car(&epoch, 6).is_none(),
        "too soon after the first"
    );
    let due = 5 + LanesConfig::default().car_interval_ns;
    let second = lanes.cut_car(&epoch, due).unwrap();
    assert_eq!((second.index, second.prev), (2, first.id()));
}

#[test]
fn what_was_only_heard_never_pushes_out_what_was_checked() {
    let epoch = epoch(4);
    let mut lanes = lanes();
    let lane = ReplicaId(1);
    let (checked, heard) = (car_cert(&epoch, 1, 5, 1), car_cert(&epoch, 1, 9, 3));
    lanes.note_verified(checked.clone());
    assert!(!lanes.note_heard(&car_cert(&epoch, 1, 5, 2)));
    assert!(lanes.note_heard(&heard));
    assert_eq!(lanes.candidates(lane, 4), (Some(&checked), Some(&heard)));
    assert!(lanes.begin_check(lane));
    assert!(!lanes.begin_check(lane), "one at a time");
    lanes.bad_cert(&heard);
    assert_eq!(lanes.candidates(lane, 4), (Some(&checked), None));
    assert!(
        !lanes.note_heard(&car_cert(&epoch, 1, 12, 4)),
        "a liar is not listened to again"
    );
}

#[test]
fn a_restarted_replica_acknowledges_nothing_below_its_snapshot() {
    let mut lanes = lanes();
    let first = car(1, 1, CarId::ZERO, 1);
    let second = car(1, 2, first.id(), 2);
    let cut: Vec<CutEntry> = (0..4)
        .map(|lane| match lane {
            1 => CutEntry {
                index: 1,
                car: first.id(),
            },
            _ => CutEntry::default(),
        })
        .collect();
    lanes.jump(&cut);
    assert_eq!(lanes.insert(first, false).1, CarVerdict::Useless);
    // What the journal says was acknowledged stays so, whatever chain it was on.
    let other = car(1, 2, CarId(Digest([7; 32])), 3);
    lanes.recover_acked(other.clone(), other.id());
    lanes.batch_stored(batch(2).digest);
    lanes.insert(second, false);
    assert!(lanes.advance(ReplicaId(1), 0).is_empty());
}

#[test]
fn a_lane_is_not_acknowledged_far_beyond_its_committed_end() {
    let mut lanes = lanes();
    let ahead = LanesConfig::default().cars_ahead;
    lanes.batch_stored(batch(1).digest);
    let mut prev = CarId::ZERO;
    for index in 1..=ahead + 10 {
        let next = car(1, index, prev, 1);
        prev = next.id();
        lanes.insert(next, true);
    }
    assert_eq!(lanes.advance(ReplicaId(1), 0).len() as u64, ahead);
}

#[test]
fn requests_are_answered_from_the_lowest_car_on() {
    let mut lanes = lanes();
    let mut prev = CarId::ZERO;
    let mut ids = Vec::new();
    for index in 1..=200 {
        let next = car(1, index, prev, 1);
        prev = next.id();
        ids.push(prev);
        lanes.insert(next, false);
    }
    let cars = lanes.cars_between(ReplicaId(1), 11, ids[199]);
    assert_eq!(cars.last().map(|c| c.index), Some(200), "down from the tip");
    assert_eq!(cars.len(), types::limits::CARS_MAX);
    let lower = lanes.cars_between(ReplicaId(1), 11, cars[0].prev);
    assert_eq!(
        lower.first().map(|c| c.index),
        Some(11),
        "and the rest at the next question"
    );
    assert!(lanes.cars_between(ReplicaId(9), 1, prev).is_empty());
    lanes.batch_stored(batch(1).digest);
    lanes.advance(ReplicaId(1), 0);
    lanes.prune(ReplicaId(1), 150);
    let rest = lanes.cars_between(ReplicaId(1), 1, ids[199]);
    assert_eq!(rest.first().map(|c| c.index), Some(151));
    lanes.prune(ReplicaId(1), 1000);
    assert_eq!(lanes.live_cars().len(), 1, "the acknowledged end stays");
}
