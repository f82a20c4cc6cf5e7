use std::time::Duration;

use crate::dissemination::{Plan, run};
use crate::{disk, hashing, median};

#[test]
fn the_median_is_the_middle() {
    assert_eq!(median(&[]), 0.0);
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
}

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
    assert_eq!(run(&plan).unwrap().windows_tps.len(), 2);
}

#[test]
fn hashing_and_syncing_take_time() {
    assert!(hashing::bytes_per_s(Duration::from_millis(20)) > 0.0);
    let dir = tempfile::tempdir().unwrap();
    let times = disk::synced_appends_us(dir.path(), 4096, 8).unwrap();
    assert_eq!(times.len(), 8);
    assert!(times.iter().all(|us| *us > 0.0));
}
