//! A whole run over real sockets, with real keys, against replicas that only answer.

mod support;

use std::path::Path;

use loadgen::{Auth, Hooks, LoadConfig, LoadError, run, run_with};
use support::FakeCluster;

fn config(dir: &Path, out: &str) -> LoadConfig {
    LoadConfig::from_toml(&format!(
        "committee = {:?}\nout_dir = {:?}\nrate = 2000\nduration_s = 1.0\nwarmup_s = 0.2\n\
         cooldown_s = 30.0\narrival = \"constant\"\nreceipts_log = true\n",
        dir.join("committee.toml"),
        dir.join(out),
    ))
    .unwrap()
}

#[test]
fn a_run_over_sockets_finishes_with_checked_receipts_and_a_readable_record() {
    let dir = tempfile::tempdir().unwrap();
    let _cluster = FakeCluster::start(dir.path());
    for auth in [Auth::None, Auth::Signed] {
        let mut config = config(dir.path(), auth.name());
        config.auth = auth;
        let out = config.out_dir.clone();
        let mut rows = 0;
        let hooks = Hooks {
            progress: Some(Box::new(|_| rows += 1)),
            ..Hooks::default()
        };
        let report = run_with(config, hooks).unwrap();
        let result = &report.result;
        assert!(rows >= 1);
        // 0.2 s and 1 s at exactly 2000 per second.
        assert_eq!(
            (result.measured.offered, result.total.offered),
            (2_000, 2_400)
        );
        assert_eq!(result.total.finished, 2_400, "{report:?}");
        assert_eq!(result.receipts_checked, 2_400);
        assert_eq!((result.receipts_bad, report.detail.conflicts), (0, 0));
        assert!(report.detail.blocks_signed > 0);
        assert_eq!(result.corrected.count, 2_000);

        let load: measure::LoadResult =
            measure::files::read_json(&out.join("load.json"), "load result").unwrap();
        // Means come back within a rounding step; counts and percentiles exactly.
        assert_eq!(
            (&load.measured, &load.total),
            (&result.measured, &result.total)
        );
        assert_eq!(load.corrected.p99_ns, result.corrected.p99_ns);
        assert_eq!(load.options, result.options);
        let corrected = [out.join(measure::folder::CORRECTED_HLOG)];
        let merged = measure::hdr::merge_phase(&corrected, measure::Phase::Measure).unwrap();
        assert_eq!(merged.len(), 2_000);
        let receipts = measure::Receipts::read(&out.join("receipts.bin")).unwrap();
        assert_eq!(receipts.sessions.len(), 256);
        assert_eq!(receipts.records.len(), 2_400);
        let blocks = std::fs::read(out.join("blocks.bin")).unwrap();
        let proven = report.detail.blocks_signed + report.detail.blocks_linked;
        assert_eq!(blocks.len() as u64, 8 + 40 * proven);
    }
}

#[test]
fn a_run_can_be_cut_short_and_leaves_a_record() {
    let dir = tempfile::tempdir().unwrap();
    let _cluster = FakeCluster::start(dir.path());
    let mut config = config(dir.path(), "cut");
    config.duration_s = 3_600.0;
    let stop = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
    let hooks = Hooks {
        stop: stop.clone(),
        progress: Some(Box::new(move |_| {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        })),
        ..Hooks::default()
    };
    let report = run_with(config, hooks).unwrap();
    assert!(report.result.interrupted);
    assert!(report.result.total.is_balanced());
    assert!(report.result.total.offered < 100_000);
}

#[test]
fn what_cannot_begin_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let missing = run(config(dir.path(), "a")).unwrap_err();
    assert!(matches!(missing, LoadError::Committee { .. }), "{missing}");

    drop(FakeCluster::start(dir.path()));
    let mut nobody = config(dir.path(), "b");
    nobody.connect_timeout_s = 0.3;
    let error = run(nobody).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LoadError::NoReplica { .. }), "{text}");
    assert!(text.contains("connect_failed"), "{text}");

    let mut past = config(dir.path(), "c");
    past.start_at = Some(1);
    assert!(matches!(run(past), Err(LoadError::StartPassed { .. })));
}
