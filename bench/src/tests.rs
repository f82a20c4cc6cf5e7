use std::time::Duration;

use crate::dissemination::{Plan, run};
use crate::transports::{Case, Compared, Comparison, Figure, compare};
use crate::{disk, hashing, hops};

#[test]
fn batches_arrive_at_everybody() {
    let plan = Plan {
        replicas: 4,
        warmup: Duration::from_millis(50),
        windows: 2,
        window: Duration::from_millis(100),
        ..Plan::default()
    };
    // An error if nothing arrives; how much does is a figure and no test.
    assert_eq!(run(&plan).unwrap().windows.len(), 2);
}

#[test]
fn hashing_and_syncing_take_time() {
    assert!(hashing::bytes_per_s(Duration::from_millis(20)) > 0.0);
    let dir = tempfile::tempdir().unwrap();
    let times = disk::synced_appends_us(dir.path(), 4096, 8).unwrap();
    assert_eq!(times.len(), 8);
    assert!(times.iter().all(|us| *us > 0.0));
}

#[test]
fn hops_are_timed_one_by_one() {
    let one = hops::run(transport::Backend::Epoll, 1, 5).unwrap();
    assert!(one.hops_us.len() >= 5 && one.hops_us.iter().all(|us| *us > 0.0));
    let many = hops::run(transport::Backend::Epoll, 20, 100).unwrap();
    assert!(many.per_s > 0.0 && many.cpu_us >= 0.0);
}

#[test]
fn back_ends_are_compared_within_their_round() {
    let figure = |per_s| Figure {
        per_s,
        cpu_us: 1.0 / per_s,
    };
    let compared = Compared {
        case: Case::Bulk,
        // The second round was on a machine half as fast.
        rounds: vec![
            [figure(10.0), figure(5.0), figure(20.0)],
            [figure(5.0), figure(2.5), figure(10.0)],
        ],
    };
    assert_eq!(compared.ratio(2, |f| f.per_s), 2.0);
    assert_eq!(compared.ratio(1, |f| f.cpu_us), 2.0);
    assert_eq!(compared.median(0, |f| f.per_s), 7.5);
}

#[test]
fn every_back_end_runs_every_case() {
    let plan = Comparison {
        rounds: 1,
        bulk: Plan {
            warmup: Duration::from_millis(20),
            windows: 1,
            window: Duration::from_millis(100),
            ..Plan::default()
        },
        clients: 5,
        messages: 50,
    };
    let all = compare(&plan, |_| {}).unwrap();
    let figures = all.iter().flat_map(|one| one.rounds.iter().flatten());
    assert_eq!(figures.filter(|figure| figure.per_s > 0.0).count(), 9);
}
