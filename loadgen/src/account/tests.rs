use super::*;
use measure::WallAnchor;

const MS: u64 = 1_000_000;
const START: u64 = 1_000_000 * MS;

fn account(dir: &tempfile::TempDir) -> Account {
    let anchor = WallAnchor {
        monotonic_ns: START,
        unix_ns: 7,
    };
    let plan = Plan {
        start_ns: START,
        measure_start_ns: START + 1_000 * MS,
        measure_end_ns: START + 11_000 * MS,
        end_ns: START + 13_000 * MS,
        late_ns: 500 * MS,
        own_lag_ns_max: 20 * MS,
    };
    Account::new(plan, LoadRecorder::create(dir.path(), anchor).unwrap())
}

/// A constant 1 k tx/s through a system that answers in 2 ms and freezes for 1.4 s.
#[test]
fn a_freeze_of_the_system_is_seen_by_corrected_latency_and_not_by_service_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut account = account(&dir);
    let (from, until) = (START + 5_000 * MS, START + 6_400 * MS);
    for i in 0..11_000 {
        let intended_ns = START + i * MS;
        // A blocked connection: what is due in the freeze is handed over when it ends.
        let sent_ns = match (from..until).contains(&intended_ns) {
            true => until,
            false => intended_ns,
        };
        account.offered(intended_ns, intended_ns);
        account.sent(intended_ns, sent_ns);
        let request = InFlight {
            intended_ns,
            sent_ns,
        };
        account.finished(request, sent_ns + 2 * MS);
    }
    account
        .tick(START + 11_000 * MS, 0, 4, ModeName::Nominal)
        .unwrap();
    let (corrected, service, lag) = account.recorder().percentiles(Phase::Measure);
    assert!(corrected.p99_ns > 1_000 * MS, "{}", corrected.p99_ns);
    assert!(corrected.p50_ns < 3 * MS);
    assert!(service.max_ns < 3 * MS);
    assert!(lag.p99_ns > 1_000 * MS);
    let (measured, total) = account.outcomes();
    assert_eq!((measured.offered, total.offered), (10_000, 11_000));
    // Later than 500 ms: those due in the first 902 ms of the freeze.
    assert_eq!(measured.late, 902);
    // The generator itself was on time.
    assert_eq!(account.saturated(), None);
}

#[test]
fn a_frozen_generator_voids_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut account = account(&dir);
    for i in 0..11_000 {
        let intended_ns = START + i * MS;
        let frozen = (5_000..6_400).contains(&i);
        let turn_ns = if frozen {
            START + 6_400 * MS
        } else {
            intended_ns
        };
        account.offered(intended_ns, turn_ns);
    }
    let reason = account.saturated().unwrap();
    assert!(reason.contains("1380 of 10000"), "{reason}");
    assert_eq!(account.own_lag_ns_max(), 1_400 * MS);
}

#[test]
fn what_never_finishes_stays_in_the_distribution_until_the_end_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let mut account = account(&dir);
    let request = InFlight {
        intended_ns: START + 3_000 * MS,
        sent_ns: START + 3_000 * MS,
    };
    (0..5).for_each(|_| account.offered(request.intended_ns, request.intended_ns));
    account.refused(request, Refusal::Overloaded);
    account.refused(request, Refusal::Mode);
    account.failed(request, "bad-receipt");
    account.unfinished(request.intended_ns, START + 13_000 * MS);
    account.finished(request, request.sent_ns + MS);
    account
        .tick(START + 13_000 * MS, 0, 4, ModeName::Nominal)
        .unwrap();
    let (corrected, service, _) = account.recorder().percentiles(Phase::Measure);
    assert_eq!((corrected.count, service.count), (5, 1));
    assert!(corrected.p50_ns > 9_990 * MS);
    let (measured, _) = account.outcomes();
    assert!(measured.is_balanced());
    assert_eq!(measured.refused["overloaded"], 1);
    assert_eq!(measured.refused["mode"], 1);
    assert_eq!((measured.failed, measured.unfinished), (1, 1));
    assert_eq!(account.errors()["bad-receipt"], 1);
}
