use super::*;
use crate::top::sample::{load, moment, silent};

#[test]
fn rates_and_lag_come_from_two_looks_at_one_run() {
    let (before, mut now) = (moment(4, 10), moment(4, 11));
    now.replicas[2]
        .figures
        .insert(metrics::HEIGHT.to_owned(), 203.0);
    now.replicas[3] = silent(3);
    let board = Board::of(Some(&before), &now);
    let of = |at: usize| &board.rows[at];
    assert_eq!((of(0).tx_per_s, of(0).cpu), (Some(500.0), Some(0.25)));
    assert_eq!(
        (of(0).height, of(0).lag, of(2).lag),
        (Some(220), Some(0), Some(17))
    );
    assert!(of(3).is_silent() && of(3).lag.is_none() && of(3).tx_per_s.is_none());
    let other = Moment {
        run: "002".into(),
        ..before
    };
    assert_eq!(Board::of(Some(&other), &now).rows[0].tx_per_s, None);
    assert_eq!(Board::of(None, &now).rows[0].tx_per_s, None);
}

#[test]
fn incidents_are_added_up() {
    let mut now = moment(4, 1);
    now.replicas[0].incidents.insert("convicted", 2);
    now.replicas[3].incidents.insert("convicted", 1);
    let board = Board::of(None, &now);
    assert_eq!(board.incidents["convicted"], 3);
    assert_eq!(board.incidents["merged"], 0);
}

#[test]
fn throughput_is_the_sum_of_all_generators_second_by_second() {
    let finished = |loads: &[Load]| finished_tps(loads);
    assert_eq!(
        finished(&[load(0, &[1, 2, 3]), load(1, &[10, 20, 30])]),
        [11, 22, 33]
    );
    // The second one has not reported the third second yet.
    assert_eq!(
        finished(&[load(0, &[1, 2, 3]), load(1, &[10, 20])]),
        [11, 22]
    );
    // It has ended before.
    assert_eq!(finished(&[load(0, &[1, 2, 3]), load(1, &[10])]), [11, 2, 3]);
    assert!(finished(&[]).is_empty());
}

#[test]
fn elapsed_is_until_now_and_of_a_run_that_has_ended_until_its_last_event() {
    let dir = tempfile::tempdir().unwrap();
    let mut events = measure::EventLog::open(&dir.path().join("events.jsonl")).unwrap();
    events.record(EventKind::Ready).unwrap();
    let fault = EventKind::Fault {
        replica: 3,
        action: measure::FaultAction::Crash,
        planned_s: 1.0,
        network: None,
    };
    events.record(fault).unwrap();
    let events = measure::event::read_events(&dir.path().join("events.jsonl")).unwrap();
    let last = events.last().unwrap().unix_ns;
    let mut now = moment(4, 0);
    now.events = events;
    assert_eq!(phase(&now), "ready");
    assert_eq!(happened(&now)[0].what, "crash 3");
    assert!(happened(&now)[0].is_fault);
    assert_eq!(elapsed_s(&now), None, "nobody knows when it began");

    now.record = Some(record(last - 5_000_000_000));
    now.at_unix_ns = last + 2_000_000_000;
    let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-6;
    assert!(near(elapsed_s(&now), 7.0));
    assert!(near(happened(&now).last().map(|h| h.at_s), 5.0));
    now.is_sealed = true;
    assert!(near(elapsed_s(&now), 5.0));
    let board = Board::of(None, &now);
    assert!(board.has_ended);
    assert_eq!(board.planned, "-");
    assert!(
        board.point.contains("n = 4, two-chain, bls"),
        "{}",
        board.point
    );
}

#[test]
fn who_lies_is_said_and_nobody_lags_behind_a_lie() {
    let mut now = moment(4, 11);
    let mut record = record(0);
    record.adversaries = vec![measure::PlannedAdversary {
        replica: 3,
        act: "split".into(),
    }];
    now.record = Some(record);
    now.replicas[3]
        .figures
        .insert(metrics::HEIGHT.to_owned(), 1e12);
    let board = Board::of(None, &now);
    let lies: Vec<bool> = board.rows.iter().map(|row| row.lies).collect();
    assert_eq!(lies, [false, false, false, true]);
    assert_eq!((board.rows[0].lag, board.rows[3].lag), (Some(0), Some(0)));
}

fn record(begun_unix_ns: u64) -> RunRecord {
    serde_json::from_value(serde_json::json!({
        "schema": 1, "experiment": "e", "spec_hash": "", "index": 0, "name": "000-e", "repetition": 0,
        "provider": "local", "replicas": 4, "generators": 1, "rule": "two-chain", "scheme": "bls",
        "durability": "memory", "backend": "epoll", "encryption": true, "auth": "none", "app": "kv",
        "rate_tps": 500.0, "size_bytes": 512, "warmup_s": 1.0, "duration_s": 5.0, "cooldown_s": 1.0,
        "seed": 1, "faults": [], "thresholds": {}, "command": "",
        "begun": { "monotonic_ns": 0, "unix_ns": begun_unix_ns },
    }))
    .unwrap()
}
