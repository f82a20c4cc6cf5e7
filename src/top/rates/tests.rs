use measure::metrics::{CPU_SECONDS, HEIGHT, TX_EXECUTED};

use super::*;
use crate::top::sample::{SECOND_NS, replica, silent};

#[test]
fn a_rate_is_what_the_counter_grew_by_in_the_time_between() {
    let (before, now) = (replica(0, 10), replica(0, 12));
    assert_eq!(per_second(Some(&before), &now, TX_EXECUTED), Some(500.0));
    assert_eq!(
        per_second(Some(&now), &now, TX_EXECUTED),
        None,
        "no time between"
    );
    assert_eq!(per_second(None, &now, TX_EXECUTED), None);
}

#[test]
fn who_did_not_answer_both_times_has_no_rate() {
    let (before, now) = (replica(0, 10), replica(0, 12));
    assert_eq!(per_second(Some(&silent(0)), &now, TX_EXECUTED), None);
    assert_eq!(per_second(Some(&before), &silent(0), TX_EXECUTED), None);
}

#[test]
fn a_counter_that_began_again_is_no_rate() {
    let (before, now) = (replica(0, 1000), replica(0, 3));
    let now = Replica {
        at_ns: 1001 * SECOND_NS,
        ..now
    };
    assert_eq!(per_second(Some(&before), &now, TX_EXECUTED), None);

    // It executed in its first second more than the one before it in all its life: its CPU time tells.
    let mut caught_up = now;
    caught_up.figures.insert(TX_EXECUTED.to_owned(), 1e9);
    assert!(caught_up.figures[CPU_SECONDS] < before.figures[CPU_SECONDS]);
    assert_eq!(per_second(Some(&before), &caught_up, TX_EXECUTED), None);
}

#[test]
fn a_gauge_that_falls_is_no_restart() {
    let (before, mut now) = (replica(0, 10), replica(0, 11));
    now.figures.insert(HEIGHT.to_owned(), 1.0);
    assert_eq!(per_second(Some(&before), &now, TX_EXECUTED), Some(500.0));
}
