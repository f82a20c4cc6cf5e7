use super::*;

const SECOND_NS: u64 = 1_000_000_000;

fn base() -> WallAnchor {
    WallAnchor {
        monotonic_ns: 5 * SECOND_NS,
        unix_ns: 1_700_000_000 * SECOND_NS,
    }
}

#[test]
fn a_log_read_back_holds_the_same_values_by_phase() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("corrected.hlog");
    let mut recorder = IntervalRecorder::create(&path, "latency", base()).unwrap();
    recorder.record(Phase::Warmup, 9_000_000);
    recorder.record(Phase::Measure, 2_000_000);
    let first = recorder.tick(6 * SECOND_NS).unwrap();
    assert_eq!(first.count, 2);
    recorder.record_n(Phase::Measure, 4_000_000, 3);
    recorder.record(Phase::Cooldown, u64::MAX);
    recorder.tick(7 * SECOND_NS).unwrap();

    let intervals = read_hlog(&path).unwrap();
    let shape: Vec<_> = intervals
        .iter()
        .map(|i| (i.phase, i.start.as_secs(), i.histogram.len()))
        .collect();
    assert_eq!(
        shape,
        [
            (Some(Phase::Warmup), 0, 1),
            (Some(Phase::Measure), 0, 1),
            (Some(Phase::Measure), 1, 3),
            (Some(Phase::Cooldown), 1, 1),
        ]
    );
    let merged = merge_phase(&[path], Phase::Measure).unwrap();
    assert_eq!(
        Percentiles::of(&merged),
        recorder.percentiles(Phase::Measure)
    );
    assert_eq!(merged.len(), 4);
    assert!(merged.equivalent(merged.max(), 4_000_000));
    assert!(merged.equivalent(merged.min(), 2_000_000));
}

#[test]
fn the_header_is_the_standard_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lag.hlog");
    let mut recorder = IntervalRecorder::create(&path, "lag", base()).unwrap();
    recorder.record(Phase::Measure, 1_000_000);
    recorder.tick(6 * SECOND_NS).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].starts_with("#lag"), "{text}");
    assert!(lines[1].starts_with("#[StartTime: 1700000000.000 (seconds since epoch)"));
    assert!(lines[2].starts_with("#[BaseTime: 1700000000.000 (seconds since epoch)"));
    // HISTF… is the base64 of a compressed V2 histogram's cookie.
    assert!(lines[3].starts_with("Tag=measure,0.000,1.000,"), "{text}");
    assert!(lines[3].contains(",HISTFAAAA"), "{text}");
    assert_eq!(lines.len(), 4);
}

#[test]
fn a_torn_last_line_is_dropped_and_a_torn_middle_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("service.hlog");
    let mut recorder = IntervalRecorder::create(&path, "service", base()).unwrap();
    for second in 6..9 {
        recorder.record(Phase::Measure, 1_000_000);
        recorder.tick(second * SECOND_NS).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 9]).unwrap();
    assert_eq!(read_hlog(&path).unwrap().len(), 2);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[4].truncate(40);
    std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    assert!(read_hlog(&path).is_err());
}

#[test]
fn a_log_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lag.hlog");
    let _first = HlogWriter::create(&path, "lag", base()).unwrap();
    assert!(HlogWriter::create(&path, "lag", base()).is_err());
}

#[test]
fn no_values_give_zeros() {
    assert_eq!(Percentiles::of(&new_histogram()), Percentiles::default());
}
