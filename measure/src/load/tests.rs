use super::*;
use crate::files::read_json_lines;
use crate::hdr::merge_phase;

#[test]
fn every_request_has_one_fate() {
    let mut outcomes = Outcomes {
        offered: 10,
        sent: 9,
        finished: 6,
        late: 1,
        failed: 1,
        unfinished: 1,
        ..Outcomes::default()
    };
    outcomes.refused.insert("queue-full".into(), 2);
    assert!(outcomes.is_balanced());
    assert_eq!(outcomes.good(), 5);
    let mut sum = outcomes.clone();
    sum.add(&outcomes);
    assert!(sum.is_balanced());
    assert_eq!(sum.refused_total(), 4);
    outcomes.finished += 1;
    assert!(!outcomes.is_balanced());
}

#[test]
fn recorder_writes_three_logs_and_a_series() {
    let dir = tempfile::tempdir().unwrap();
    let start = WallAnchor::now();
    let mut recorder = LoadRecorder::create(dir.path(), start).unwrap();
    recorder.sent(Phase::Measure, 40_000);
    recorder.finished(Phase::Measure, 3_000_000, 2_000_000);
    recorder.lost(Phase::Measure, 1_400_000_000);
    let counts = SecondCounts {
        offered: 2,
        sent: 1,
        finished: 1,
        failed: 1,
        ..SecondCounts::default()
    };
    let row = recorder
        .tick(
            start.monotonic_ns + 1_000_000_000,
            counts,
            ModeName::DegradedSafe,
        )
        .unwrap();
    assert_eq!(row.counts, counts);
    assert!((row.t_s - 1.0).abs() < 1e-9);

    // A lost request shows in the corrected distribution and in no other.
    let (corrected, service, lag) = recorder.percentiles(Phase::Measure);
    assert_eq!((corrected.count, service.count, lag.count), (2, 1, 1));
    assert!(corrected.max_ns >= 1_399_000_000);
    assert_eq!(recorder.lag_ns_max(), 40_000);
    let log = dir.path().join(folder::CORRECTED_HLOG);
    assert_eq!(merge_phase(&[log], Phase::Measure).unwrap().len(), 2);
    let rows: Vec<SeriesRow> = read_json_lines(&dir.path().join(folder::SERIES), "series").unwrap();
    assert_eq!(rows, [row]);
}
