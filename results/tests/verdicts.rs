//! Every verdict from a synthetic folder; one change away from a pass.

mod drills;
mod overhead;
mod report;
mod sample;

use measure::{FaultAction, folder};
use results::{Verdict, judge, table, write_summary};
use sample::{SECOND_NS, START, Sample};

/// Changes a passing sample and expects a verdict with a reason that holds `text`.
#[track_caller]
fn expect(verdict: Verdict, text: &str, change: impl FnOnce(&mut Sample)) {
    let mut sample = Sample::passing();
    change(&mut sample);
    expect_folder(verdict, text, &sample.write());
}

#[track_caller]
fn expect_folder(verdict: Verdict, text: &str, root: &std::path::Path) {
    let judgement = judge(root);
    let reasons: Vec<_> = judgement.runs.iter().flat_map(|run| &run.reasons).collect();
    assert_eq!(judgement.verdict, verdict, "{reasons:#?}");
    assert!(
        reasons
            .iter()
            .any(|reason| reason.verdict == verdict && reason.text.contains(text)),
        "no reason holds {text:?}: {reasons:#?}"
    );
}

#[test]
fn throughput_is_a_share_of_what_dissemination_alone_reached() {
    let mut sample = Sample::passing();
    sample.bound_tps = Some(400.0);
    let judgement = judge(&sample.write());
    let found = judgement.runs[0].dissemination.unwrap();
    assert_eq!((found.bound_tps, found.share), (400.0, 0.25));
    assert!(table(&judgement).contains("400/s just before; the run reached 25.0 % of it"));
}

#[test]
fn a_share_of_dissemination_alone_can_be_asked_for() {
    let judged = |bound_tps, least| {
        let mut sample = Sample::passing();
        sample.bound_tps = bound_tps;
        sample.run.thresholds.dissemination_share_min = Some(least);
        judge(&sample.write())
    };
    assert_eq!(judged(Some(400.0), 0.25).verdict, Verdict::Pass);
    let missed = judged(Some(400.0), 0.26);
    assert_eq!(missed.verdict, Verdict::ThresholdFailed);
    let text = &missed.runs[0].reasons[0].text;
    assert!(
        text.contains("25.0 %") && text.contains("below 26.0 %"),
        "{text}"
    );
    assert_eq!(judged(None, 0.1).verdict, Verdict::Inconclusive);
}

#[test]
fn the_sample_passes_with_its_figures() {
    let judgement = judge(&Sample::passing().write());
    let run = &judgement.runs[0];
    assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", run.reasons);
    assert_eq!(run.goodput, Some(1.0));
    assert_eq!((run.offered_tps, run.achieved_tps), (100.0, 100.0));
    assert_eq!(run.corrected.count, 1000);
    assert!((4_990_000..=5_010_000).contains(&run.corrected.p50_ns));
    assert_eq!(run.consistency.heights_shared, 40);
    assert_eq!(run.replicas[3].height, Some(40));
}

#[test]
fn diverged_ledgers_are_caught() {
    expect(
        Verdict::Diverged,
        "replicas 0 and 2 differ in the block of height 17",
        |s| {
            s.ledgers[2].as_mut().unwrap()[16].block[5] ^= 1;
        },
    );
    expect(Verdict::Diverged, "digest of height 40", |s| {
        s.ledgers[3].as_mut().unwrap()[39].digest[0] ^= 1;
    });
    // A crashed replica has to agree as far as it came.
    expect(Verdict::Diverged, "height 3", |s| {
        s.fault(5, FaultAction::Crash, 1);
        s.reports[1] = None;
        s.ledgers[1].as_mut().unwrap().truncate(5);
        s.ledgers[1].as_mut().unwrap()[2].block[0] ^= 1;
    });
}

#[test]
fn divergence_outranks_everything_else() {
    expect(Verdict::Diverged, "height 1", |s| {
        s.ledgers[2].as_mut().unwrap()[0].block[5] ^= 1;
        s.load().saturated = true;
        s.seal = false;
        s.reports[0] = None;
    });
}

#[test]
fn a_receipt_that_does_not_hold_is_divergence() {
    expect(Verdict::Diverged, "1 receipts do not hold", |s| {
        s.load().receipts_bad = 1;
    });
}

#[test]
fn a_bad_harness_voids_the_run() {
    expect(Verdict::InvalidHarness, "saturated itself: lag", |s| {
        s.load().saturated = true;
        s.load().saturated_reason = Some("lag".into());
    });
    expect(Verdict::InvalidHarness, "do not add up", |s| {
        s.load().measured.finished -= 1;
    });
    expect(
        Verdict::InvalidHarness,
        "990 are in the latency record",
        |s| {
            s.latencies.pop();
        },
    );
    expect(Verdict::InvalidHarness, "checked no receipt", |s| {
        s.load().receipts_checked = 0;
    });
    expect(Verdict::InvalidHarness, "keygen failed", |s| {
        let reason = "keygen failed".into();
        s.events.push((
            START.monotonic_ns,
            measure::EventKind::HarnessFailure { reason },
        ));
    });
    expect(
        Verdict::InvalidHarness,
        "durability strict was asked for, memory ran",
        |s| {
            s.reports[2].as_mut().unwrap().durability = "memory".into();
        },
    );
    // A rate rounded by the generator is another experiment.
    expect(
        Verdict::InvalidHarness,
        "2000 requests were to be offered, 1000 were",
        |s| {
            s.run.rate_tps = 200.0;
        },
    );
}

#[test]
fn missing_data_is_inconclusive() {
    expect(Verdict::Inconclusive, "not sealed", |s| s.seal = false);
    expect(Verdict::Inconclusive, "load-0/load.json", |s| s.load = None);
    expect(Verdict::Inconclusive, "replica-1/ledger.bin", |s| {
        s.ledgers[1] = None
    });
    expect(Verdict::Inconclusive, "ledger of replica 1 is empty", |s| {
        s.ledgers[1] = Some(Vec::new());
    });
    expect(Verdict::Inconclusive, "replica 2 left no report", |s| {
        s.reports[2] = None
    });
    expect(Verdict::Inconclusive, "never became ready", |s| {
        s.events.clear()
    });
    expect(Verdict::Inconclusive, "agreement cannot be judged", |s| {
        for (index, ledger) in s.ledgers.iter_mut().enumerate() {
            *ledger = Some(vec![sample::history(4)[index]]);
        }
    });
    expect(Verdict::Inconclusive, "disk full", |s| {
        let report = s.reports[0].as_mut().unwrap();
        report.clean_stop = false;
        report.failure = Some("disk full".into());
    });
    expect(Verdict::Inconclusive, "no request was offered", |s| {
        s.load().measured = measure::Outcomes::default();
        s.latencies.clear();
        s.run.rate_tps = 0.1;
    });
}

#[test]
fn a_lost_file_never_passes() {
    let files = [
        folder::RUN,
        folder::EVENTS,
        folder::FINGERPRINT,
        folder::SUMS,
        "load-0/load.json",
        "load-0/series.jsonl",
        "load-0/corrected.hlog",
        "load-0/service.hlog",
        "load-0/lag.hlog",
        "replica-0/ledger.bin",
        "replica-3/status.json",
    ];
    for file in files {
        let sample = Sample::passing();
        let root = sample.write();
        std::fs::remove_file(root.join(file)).unwrap();
        let verdict = judge(&root).verdict;
        assert!(verdict >= Verdict::Inconclusive, "{file}: {verdict:?}");
    }
}

#[test]
fn a_changed_file_breaks_the_seal() {
    let sample = Sample::passing();
    let root = sample.write();
    let path = root.join("replica-2/status.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"timeouts\": 0", "\"timeouts\": 1")).unwrap();
    expect_folder(
        Verdict::InvalidHarness,
        "changed since the seal: replica-2/status.json",
        &root,
    );
}

#[test]
fn faults_have_to_happen_on_time() {
    let crash = |s: &mut Sample| {
        s.fault(5, FaultAction::Crash, 3);
        s.reports[3] = None;
    };
    let mut sample = Sample::passing();
    crash(&mut sample);
    let judgement = judge(&sample.write());
    assert_eq!(
        judgement.verdict,
        Verdict::Pass,
        "{:#?}",
        judgement.runs[0].reasons
    );
    let effect = judgement.runs[0].fault_effect.clone().unwrap();
    assert_eq!(effect.before_tps, Some(100.0));
    assert_eq!(effect.outage_s, 0.0);

    expect(
        Verdict::Inconclusive,
        "planned and not done: crash 3 @5s",
        |s| {
            crash(s);
            s.events.pop();
        },
    );
    expect(Verdict::Inconclusive, "came 2.0 s off", |s| {
        crash(s);
        s.events.last_mut().unwrap().0 += 2 * SECOND_NS;
    });
    // After a restart the replica is alive at the end and owes a report.
    expect(Verdict::Inconclusive, "replica 3 left no report", |s| {
        crash(s);
        s.fault(7, FaultAction::Restart, 3);
    });
}

#[test]
fn an_unplanned_end_is_inconclusive() {
    expect(
        Verdict::Inconclusive,
        "replica-1 ended unasked (code Some(101)",
        |s| {
            s.events.push((
                START.monotonic_ns,
                measure::EventKind::ProcessExited {
                    name: "replica-1".into(),
                    pid: 7,
                    code: Some(101),
                    signal: None,
                    expected: false,
                },
            ));
        },
    );
}

#[test]
fn no_progress_is_told_from_little_progress() {
    expect(
        Verdict::NoProgress,
        "none of 1000 offered requests finished",
        |s| {
            let outcomes = &mut s.load().measured;
            (outcomes.finished, outcomes.unfinished) = (0, 1000);
            s.load().total.finished -= 1000;
            s.load().total.unfinished += 1000;
        },
    );
    expect(Verdict::NoProgress, "last 2 s", |s| {
        for row in s.series.iter_mut().rev().take(2) {
            row.counts.finished = 0;
        }
        s.run.thresholds = measure::Thresholds::default();
    });
}

#[test]
fn bounds_of_the_spec_are_kept() {
    expect(
        Verdict::ThresholdFailed,
        "goodput 98.00 % is below 99.00 %",
        |s| {
            s.load().measured.late = 20;
        },
    );
    expect(
        Verdict::ThresholdFailed,
        "corrected p50 5.0 ms is above 4 ms",
        |s| {
            s.run.thresholds.p50_ms_max = Some(4.0);
        },
    );
    expect(Verdict::ThresholdFailed, "corrected p99 1400", |s| {
        s.latencies = vec![(980, 5_000_000), (20, 1_400_000_000)];
    });
}

#[test]
fn the_worst_run_decides_a_campaign_and_a_missing_one_counts() {
    let sample = Sample::passing();
    let root = sample.write();
    let campaign = root.parent().unwrap().to_path_buf();
    let mut record = measure::CampaignRecord {
        schema: measure::SCHEMA_VERSION,
        experiment: "sample".into(),
        spec_hash: sample.run.spec_hash.clone(),
        runs: vec![sample.run.name.clone()],
        begun: START,
        command: String::new(),
    };
    let write = |record: &_| {
        measure::files::write_json(&campaign.join(folder::CAMPAIGN), record).unwrap();
    };
    write(&record);
    assert_eq!(judge(&campaign).verdict, Verdict::Pass);

    record.runs.push("001-sample-r1".into());
    write(&record);
    let judgement = judge(&campaign);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(
        judgement.reasons[0]
            .text
            .contains("001-sample-r1 is missing")
    );

    record.runs.pop();
    record.spec_hash = "another".into();
    write(&record);
    assert_eq!(judge(&campaign).verdict, Verdict::InvalidHarness);
}

#[test]
fn an_empty_folder_is_no_pass() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(judge(dir.path()).verdict, Verdict::Inconclusive);
    assert_eq!(
        judge(&dir.path().join("nowhere")).verdict,
        Verdict::Inconclusive
    );
    std::fs::write(dir.path().join(folder::CAMPAIGN), "{}").unwrap();
    assert_eq!(judge(dir.path()).verdict, Verdict::InvalidHarness);
}

#[test]
fn the_same_folder_gives_the_same_bytes_wherever_it_lies() {
    let mut sample = Sample::passing();
    sample.reports[1] = None;
    let root = sample.write();
    let first = judge(&root);
    write_summary(&root, &first).unwrap();
    let bytes = std::fs::read(root.join(folder::SUMMARY)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join(&sample.run.name);
    std::fs::rename(&root, &moved).unwrap();
    let again = judge(&moved);
    assert_eq!(again, first, "the summary is no part of its own input");
    write_summary(&moved, &again).unwrap();
    assert_eq!(std::fs::read(moved.join(folder::SUMMARY)).unwrap(), bytes);
    let back: results::Judgement = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(back, first);
}

#[test]
fn verdicts_are_ordered_and_have_their_own_exit_codes() {
    let order = [
        Verdict::Pass,
        Verdict::ThresholdFailed,
        Verdict::NoProgress,
        Verdict::Inconclusive,
        Verdict::InvalidHarness,
        Verdict::Diverged,
    ];
    assert!(order.is_sorted());
    let codes: std::collections::BTreeSet<_> = order.iter().map(|v| v.exit_code()).collect();
    assert_eq!(codes.len(), order.len());
    assert_eq!(Verdict::Pass.exit_code(), 0);
    assert!(codes.iter().skip(1).all(|&code| code > 2));
}

#[test]
fn the_table_names_what_a_reader_has_to_know() {
    let mut sample = Sample::passing();
    sample.fault(5, FaultAction::Crash, 3);
    sample.reports[3] = None;
    sample.load().options.trust_unchecked = true;
    sample.run.thresholds.p50_ms_max = Some(4.0);
    let text = table(&judge(&sample.write()));
    for part in [
        "strict",
        "two-chain",
        "bls",
        "5.00",
        "crash 3 @5s",
        "ThresholdFailed",
        "receipts were trusted unchecked",
        "#0 faults: 100/s before",
        "verdict: ThresholdFailed",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(180), "{widest:?} columns:\n{text}");
}
