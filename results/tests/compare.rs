//! Two campaigns of one spec with a planted difference, or none; and what is refused.

#[allow(dead_code)]
mod sample;

use std::path::{Path, PathBuf};

use measure::files::{read_json, write_json};
use measure::{CampaignRecord, Fingerprint, RunFolder, SCHEMA_VERSION, folder};
use results::compare::{Compared, text};
use results::kept::{self, KeptRecord, NotKept, Request, keep};
use results::{Comparison, Conclusion, Figure, Refused, Verdict, compare};

use sample::{RATE_TPS, START, Sample};

/// -0.5 to 0.5, the same every time.
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5
}

/// What is planted: A over B.
#[derive(Clone, Copy)]
struct Planted {
    latency: f64,
    throughput: f64,
}

const NULL: Planted = Planted {
    latency: 1.0,
    throughput: 1.0,
};

/// Both folders, in interleaved pairs. A machine drifts by a tenth, alike for both of a pair; a run has two
/// percent of its own, its tail four.
fn pair(dir: &Path, pairs: u32, seed: u64, planted: Planted) -> (PathBuf, PathBuf) {
    let roots = [dir.join("a"), dir.join("b")];
    for (side, root) in roots.iter().enumerate() {
        let mut names = Vec::new();
        for repetition in 0..pairs {
            let of = |what: u64| noise(seed * 10_000 + u64::from(repetition) * 10 + what);
            let drift = 1.0 + 0.2 * of(0);
            let own = |what: u64| 1.0 + 0.02 * of(2 * what + side as u64);
            let planted = if side == 0 { planted } else { NULL };
            let mut sample = Sample::passing();
            let ns = 5e6 * drift * own(1) * planted.latency;
            let tail_ns = 25e6 * drift * own(2) * own(3) * planted.latency;
            let offered = (RATE_TPS * sample::DURATION_S) as f64 * planted.throughput;
            let offered = offered as u64;
            sample.latencies = vec![(offered - 20, ns as u64), (20, tail_ns as u64)];
            let load = sample.load();
            (load.measured.offered, load.measured.sent) = (offered, offered);
            load.measured.finished = offered;
            let total = offered + RATE_TPS * sample::WARMUP_S;
            (load.total.offered, load.total.sent, load.total.finished) = (total, total, total);
            sample.run.repetition = repetition;
            sample.run.begun.unix_ns += u64::from(repetition) * 60_000_000_000 + side as u64;
            sample.run.name = format!("{repetition:03}-base-n4-r{repetition}");
            sample.write_at(&root.join(&sample.run.name));
            names.push(sample.run.name.clone());
        }
        write_json(
            &root.join(folder::CAMPAIGN),
            &CampaignRecord {
                schema: SCHEMA_VERSION,
                experiment: "sample".into(),
                spec_hash: "0123456789abcdef".into(),
                runs: names,
                begun: START,
                command: "reforge run /home/somebody/sample.toml --out /tmp/x/y".into(),
            },
        )
        .unwrap();
        let spec = "name = \"sample\"\n\n[[sweep]]\nname = \"base\"\n\n[sweep.axes]\nrule = [\"two-chain\"]\n";
        std::fs::write(root.join(folder::SPEC), spec).unwrap();
    }
    let [a, b] = roots;
    (a, b)
}

fn figure(comparison: &Comparison, figure: Figure) -> &Compared {
    let mut all = comparison.figures.iter();
    all.find(|of| of.figure == figure).unwrap()
}

/// Changes the fingerprint of every run of a folder, and seals it again.
fn change_machine(root: &Path, change: impl Fn(&mut Fingerprint)) {
    let campaign: CampaignRecord = read_json(&root.join(folder::CAMPAIGN), "campaign").unwrap();
    for name in campaign.runs {
        let run = RunFolder::open(&root.join(name));
        let path = run.path(folder::FINGERPRINT);
        let mut fingerprint: Fingerprint = read_json(&path, "fingerprint").unwrap();
        change(&mut fingerprint);
        write_json(&path, &fingerprint).unwrap();
        run.seal().unwrap();
    }
}

#[test]
fn planted_effects_of_three_percent_are_found() {
    let (mut latency, mut throughput) = (0, 0);
    for seed in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let planted = Planted {
            latency: 1.03,
            throughput: 0.97,
        };
        let (a, b) = pair(dir.path(), 10, seed, planted);
        let comparison = compare(&a, &b, false).unwrap();
        assert!(comparison.missing.is_empty(), "{:?}", comparison.missing);
        let p50 = figure(&comparison, Figure::LatencyP50);
        assert_eq!(p50.ratios.len(), 10);
        latency += u32::from(p50.conclusion == Conclusion::Higher);
        let tps = figure(&comparison, Figure::Throughput);
        throughput += u32::from(tps.conclusion == Conclusion::Lower);
        assert_eq!(comparison.verdict, Verdict::ThresholdFailed);
    }
    assert!(latency >= 19 && throughput >= 19, "{latency}, {throughput}");
}

#[test]
fn a_planted_null_is_not_found() {
    let mut found = 0;
    for seed in 100..120 {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = pair(dir.path(), 10, seed, NULL);
        let comparison = compare(&a, &b, false).unwrap();
        let all = &comparison.figures;
        assert_eq!(all.len(), 3);
        found += u32::from(
            all.iter()
                .any(|of| of.conclusion != Conclusion::NoDifference),
        );
    }
    assert!(found <= 1, "{found} of 20");
}

#[test]
fn a_faster_folder_passes_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let planted = Planted {
        latency: 0.9,
        throughput: 1.0,
    };
    let (a, b) = pair(dir.path(), 8, 1, planted);
    let comparison = compare(&a, &b, false).unwrap();
    assert_eq!(comparison.verdict, Verdict::Pass);
    assert!(
        text(&comparison).contains("A is faster by "),
        "{}",
        text(&comparison)
    );
    let back = compare(&b, &a, false).unwrap();
    assert_eq!(back.verdict, Verdict::ThresholdFailed);
    assert!(text(&back).contains("A is slower by 1"), "{}", text(&back));
}

#[test]
fn four_pairs_are_too_few() {
    let dir = tempfile::tempdir().unwrap();
    let planted = Planted {
        latency: 2.0,
        throughput: 1.0,
    };
    let (a, b) = pair(dir.path(), 4, 1, planted);
    let comparison = compare(&a, &b, false).unwrap();
    assert_eq!(comparison.verdict, Verdict::Inconclusive);
    assert!(text(&comparison).contains("inconclusive: 4 pairs, expected 5"));
}

#[test]
fn missing_and_meaningless_runs_are_no_pass() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = pair(dir.path(), 8, 3, NULL);
    std::fs::remove_dir_all(a.join("002-base-n4-r2")).unwrap();
    // Changed after the seal: its figures mean nothing.
    std::fs::write(b.join("005-base-n4-r5").join("events.jsonl"), "").unwrap();
    let comparison = compare(&a, &b, false).unwrap();
    assert_eq!(comparison.verdict, Verdict::Inconclusive);
    assert_eq!(
        comparison.missing,
        [
            "base-n4, repetition 2: A missing, B usable",
            "base-n4, repetition 5: A usable, B InvalidHarness"
        ]
    );
    assert_eq!(figure(&comparison, Figure::Throughput).ratios.len(), 6);
}

#[test]
fn unlike_machines_are_refused_and_shown_on_request_without_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = pair(dir.path(), 6, 4, NULL);
    change_machine(&a, |fingerprint| fingerprint.cpus = 64);
    let error = compare(&a, &b, false).unwrap_err();
    assert!(matches!(error, Refused::Machines { .. }), "{error}");
    let error = error.to_string();
    assert!(
        error.contains("CPUs: 64 and 2") && error.contains("--across-machines"),
        "{error}"
    );
    let comparison = compare(&a, &b, true).unwrap();
    assert_eq!(comparison.verdict, Verdict::Inconclusive);
    let shown = text(&comparison);
    assert!(
        shown.contains("no verdict: unlike machines (CPUs: 64 and 2)"),
        "{shown}"
    );
    assert!(!shown.contains("no difference"), "{shown}");
}

#[test]
fn unlike_specs_builds_and_mixtures_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = pair(dir.path(), 5, 5, NULL);
    let error = compare(&a, &a.join("../a"), false).unwrap_err();
    assert!(matches!(error, Refused::Same { .. }), "{error}");
    let error = compare(&a, dir.path(), false).unwrap_err();
    assert!(matches!(error, Refused::NoRuns { .. }), "{error}");

    change_machine(&b, |fingerprint| fingerprint.debug_build = true);
    let error = compare(&a, &b, false).unwrap_err().to_string();
    assert!(error.contains("A release, B debug"), "{error}");
    let path = b.join(folder::CAMPAIGN);
    let mut campaign: CampaignRecord = read_json(&path, "campaign").unwrap();
    campaign.spec_hash = "fedcba9876543210".into();
    write_json(&path, &campaign).unwrap();
    let spec = std::fs::read_to_string(b.join(folder::SPEC)).unwrap();
    std::fs::write(
        b.join(folder::SPEC),
        spec.replace("two-chain", "three-chain"),
    )
    .unwrap();
    let error = compare(&a, &b, false).unwrap_err();
    assert!(matches!(error, Refused::Specs { .. }), "{error}");
    let error = error.to_string();
    let rule = "sweep 1.axes.rule (A [\"two-chain\"], B [\"three-chain\"])";
    assert!(error.contains(rule), "{error}");

    let mixed = RunFolder::open(&a.join("001-base-n4-r1"));
    let path = mixed.path(folder::FINGERPRINT);
    let mut fingerprint: Fingerprint = read_json(&path, "fingerprint").unwrap();
    fingerprint.binary_hash = Some("another".into());
    write_json(&path, &fingerprint).unwrap();
    mixed.seal().unwrap();
    let error = compare(&a, &b, false).unwrap_err();
    assert!(matches!(error, Refused::Mixed { .. }), "{error}");
}

#[test]
fn what_was_kept_is_without_paths_and_can_be_compared_with() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = pair(dir.path(), 6, 6, NULL);
    let into = dir.path().join("kept");
    let request = Request {
        folder: &b,
        into: &into,
        name: None,
        note: Some("a null"),
    };
    let (folder, record) = keep(&request).unwrap();
    assert_eq!(record.folder, "2023-11-14-sample");
    assert_eq!(record.verdict, Verdict::Pass);
    let index: Vec<KeptRecord> =
        measure::files::read_json_lines(&into.join("index.jsonl"), "index").unwrap();
    assert_eq!(index, std::slice::from_ref(&record));
    let command = "reforge run <path>/sample.toml --out <path>/y";
    assert_eq!(record.command.as_deref(), Some(command));
    for name in ["summary.json", "campaign.json", "kept.json"] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        assert!(!text.contains("somebody"), "{name}");
    }
    // Ledgers stay behind, and are not missed.
    assert!(!folder.join("000-base-n4-r0/replica-0").exists());
    let comparison = compare(&a, &folder, false).unwrap();
    assert_eq!(comparison.verdict, Verdict::Pass, "{}", text(&comparison));
    assert!(matches!(keep(&request), Err(NotKept::Taken { .. })));

    let summary = folder.join("summary.json");
    let changed = std::fs::read_to_string(&summary)
        .unwrap()
        .replace("Pass", "Diverged");
    std::fs::write(&summary, changed).unwrap();
    assert!(kept::read(&folder).is_err());
    assert!(matches!(
        compare(&a, &folder, false),
        Err(Refused::Unreadable(_))
    ));
}
