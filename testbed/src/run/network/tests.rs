use std::collections::BTreeSet;

use measure::{Direction, FaultAction, PlannedFault};

use super::{after, shapes};
use crate::spec::Spec;

fn partition(replica: u32, peers: &[u32], direction: Direction) -> PlannedFault {
    PlannedFault {
        peers: peers.to_vec(),
        direction,
        ..PlannedFault::new(1.0, FaultAction::Partition, replica)
    }
}

#[test]
fn partitions_add_up_and_heal_link_by_link() {
    let none = BTreeSet::new();
    let full = after(&none, &partition(3, &[], Direction::Both), 4);
    let expected = [(0, 3), (1, 3), (2, 3), (3, 0), (3, 1), (3, 2)];
    assert_eq!(full, expected.into());
    let more = after(&full, &partition(0, &[1], Direction::Out), 4);
    assert!(more.contains(&(0, 1)) && !more.contains(&(1, 0)));
    let heal = |replica, peers: &[u32]| PlannedFault {
        peers: peers.to_vec(),
        ..PlannedFault::new(2.0, FaultAction::Heal, replica)
    };
    let partial = after(&more, &heal(3, &[0, 1]), 4);
    assert_eq!(partial, [(0, 1), (2, 3), (3, 2)].into());
    assert_eq!(
        after(&after(&partial, &heal(3, &[]), 4), &heal(1, &[0]), 4),
        none
    );
}

#[test]
fn one_way_is_seen_from_the_replica() {
    let none = BTreeSet::new();
    let inwards = after(&none, &partition(2, &[0], Direction::In), 4);
    assert_eq!(inwards, [(0, 2)].into());
}

#[test]
fn shapes_fall_back_to_the_spec() {
    let text = "name = \"x\"\n[wan]\nrtt_ms = [[1, 90], [90, 1]]\n";
    let spec = Spec::from_toml(text, "x.toml", &[]).unwrap();
    let point = spec.points().remove(0);
    let mut fault = PlannedFault::new(1.0, FaultAction::Shape, 0);
    fault.bandwidth_bytes_per_s = Some(5000);
    fault.peers = vec![1, 2];
    assert_eq!(
        shapes(&fault, &spec, &point),
        [
            r#"{"cmd":"shape","to":1,"delay_ms":45.0,"bandwidth_bytes_per_s":5000}"#,
            r#"{"cmd":"shape","to":2,"delay_ms":0.5,"bandwidth_bytes_per_s":5000}"#
        ]
    );
    fault.delay_ms = Some(7.5);
    fault.bandwidth_bytes_per_s = None;
    fault.peers = vec![3];
    assert_eq!(
        shapes(&fault, &spec, &point),
        [r#"{"cmd":"shape","to":3,"delay_ms":7.5,"bandwidth_bytes_per_s":null}"#]
    );
}
