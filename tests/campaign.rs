//! Real replicas that all stand still for 1.4 s: corrected latency shows it, and several generators are
//! merged without a loss. Then the campaign's other commands, on the same real folder.

mod common;

use std::path::Path;
use std::process::Output;

use common::{reforge, text};
use measure::files::read_json;
use measure::{LoadResult, folder};
use results::{Judgement, RunJudgement, Verdict};

fn run(args: &[&str], out: &Path) -> Output {
    reforge().args(args).arg("--out").arg(out).output().unwrap()
}

fn only_run(campaign: &Path) -> RunJudgement {
    let judgement: Judgement = read_json(&campaign.join(folder::SUMMARY), "judgement").unwrap();
    assert_eq!(judgement.runs.len(), 1);
    judgement.runs.into_iter().next().unwrap()
}

#[test]
fn a_freeze_of_all_replicas_shows_in_the_corrected_p99() {
    let dir = tempfile::tempdir().unwrap();
    let campaign = dir.path().join("freeze");
    let ran = run(&["run", "specs/freeze.toml"], &campaign);
    let said = text(&ran.stdout) + &text(&ran.stderr);
    let run_of = only_run(&campaign);
    // A crowded machine may saturate a generator; nothing else may be wrong.
    assert!(
        matches!(run_of.verdict, Verdict::Pass | Verdict::InvalidHarness),
        "{said}"
    );
    assert!(run_of.corrected.p99_ns > 1_000_000_000, "{said}");
    // Beside it, from the actual send.
    assert!(
        run_of.service.count > 0 && run_of.service.p99_ns > 0,
        "{said}"
    );

    // Both generators are in the record, and no request is lost between them.
    let root = campaign.join(&run_of.name);
    let loads: Vec<LoadResult> = (0..2)
        .map(|k| read_json(&root.join(format!("load-{k}")).join(folder::LOAD), "load").unwrap())
        .collect();
    let offered: Vec<u64> = loads.iter().map(|load| load.measured.offered).collect();
    assert_eq!(offered, [2500, 2500]);
    assert_eq!(run_of.outcomes.offered, 5000);
    assert_eq!(run_of.corrected.count, 5000);
    let of = |k: usize| loads[k].corrected.max_ns;
    assert_eq!(run_of.corrected.max_ns, of(0).max(of(1)));

    // One folder and itself, kept, are too few pairs to say anything.
    let into = dir.path().join("kept");
    let kept = reforge()
        .arg("keep")
        .arg(&campaign)
        .arg("--into")
        .arg(&into)
        .output()
        .unwrap();
    assert!(kept.status.success(), "{}", text(&kept.stderr));
    let kept_folder = text(&kept.stdout).lines().last().unwrap().to_owned();
    let compared = reforge()
        .arg("compare")
        .arg(&campaign)
        .arg(&kept_folder)
        .output()
        .unwrap();
    assert_eq!(
        compared.status.code(),
        Some(12),
        "{}",
        text(&compared.stdout)
    );
    assert!(text(&compared.stdout).contains("1 pairs, expected 5"));

    // Nothing is left to do, and the folder is judged again.
    let resumed = reforge().arg("resume").arg(&campaign).output().unwrap();
    assert_eq!(
        resumed.status.code(),
        ran.status.code(),
        "{}",
        text(&resumed.stderr)
    );
    assert!(text(&resumed.stderr).contains("1 runs are kept, 0 are to be made"));
}

#[test]
fn a_dry_run_tells_the_plan_and_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("never");
    let ran = run(&["run", "specs/paper.toml", "--dry-run"], &out);
    let said = text(&ran.stdout);
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(
        said.contains("000-ready-7-n7-two-chain-bls-memory-epoll-5000tps-baseline-r0"),
        "{said}"
    );
    assert!(
        said.contains("84 runs, about ") && said.contains("nothing was started"),
        "{said}"
    );
    assert!(!out.exists());
}

#[test]
fn a_run_is_repeated_from_its_folder_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (first, again) = (dir.path().join("first"), dir.path().join("again"));
    let spec = dir.path().join("short.toml");
    let text_of = "name = \"short\"\nseed = 7\nrepetitions = 2\n[axes]\ndurability = \"memory\"\nrate_tps = 100\n\
                   [load]\nwarmup_s = 0.5\nduration_s = 1\n";
    std::fs::write(&spec, text_of).unwrap();
    run(&["run", spec.to_str().unwrap()], &first);
    std::fs::remove_file(&spec).unwrap();
    let mut runs: Vec<_> = std::fs::read_dir(&first)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    runs.sort();
    let ran = run(&["repro", runs[1].to_str().unwrap()], &again);
    let said = text(&ran.stderr);
    assert!(!said.contains("another program"), "{said}");
    let (one, other) = (measure::RunFolder::open(&runs[1]), only_run(&again));
    let (one, other) = (one.read_run().unwrap(), other.point.unwrap());
    assert_eq!(
        (one.seed, &one.name, &one.spec_hash),
        (8, &other.name, &other.spec_hash)
    );
    assert_eq!(other.seed, 8);

    let mut fingerprint: measure::Fingerprint =
        read_json(&runs[1].join(folder::FINGERPRINT), "fingerprint").unwrap();
    fingerprint.binary_hash = Some("another".into());
    measure::files::write_json(&runs[1].join(folder::FINGERPRINT), &fingerprint).unwrap();
    let ran = run(
        &["repro", runs[1].to_str().unwrap()],
        &dir.path().join("third"),
    );
    assert!(text(&ran.stderr).contains("another program than then: binary hash"));
}

/// Two builds in one campaign: each side's runs are its own program's, and pairs are counted.
#[test]
fn two_builds_run_in_turns_and_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().join("short.toml");
    let text_of = "name = \"short\"\n[axes]\ndurability = \"memory\"\nrate_tps = 100\n\
                   [load]\nwarmup_s = 0.5\nduration_s = 1\n";
    std::fs::write(&spec, text_of).unwrap();
    let spec = spec.to_str().unwrap();

    // The same program with a byte behind its end: another build that does the same.
    let other = dir.path().join("other");
    std::fs::copy(env!("CARGO_BIN_EXE_reforge"), &other).unwrap();
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .open(&other)
        .unwrap();
    std::io::Write::write_all(&mut file, b"\n").unwrap();
    drop(file);
    let other = other.to_str().unwrap();

    let (one, against) = (dir.path().join("ab"), dir.path().join("ab-against"));
    let ran = run(&["run", spec, "--against", other], &one);
    let said = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(12), "{said}{}", text(&ran.stderr));
    assert!(said.contains("1 pairs, expected 5"), "{said}");
    let hash_of = |campaign: &Path| {
        let root = campaign.join(only_run(campaign).name);
        let fingerprint: measure::Fingerprint =
            read_json(&root.join(folder::FINGERPRINT), "fingerprint").unwrap();
        fingerprint.binary_hash.unwrap()
    };
    assert_ne!(hash_of(&one), hash_of(&against));

    let refused = |args: &[&str], why: &str| {
        let ran = reforge().args(args).output().unwrap();
        let said = text(&ran.stderr);
        assert!(!ran.status.success() && said.contains(why), "{said}");
    };
    refused(&["run", spec, "--against", other], "--out");
    let out = dir.path().join("never");
    let out = out.to_str().unwrap();
    refused(
        &["run", spec, "--against", "no-such-build", "--out", out],
        "expected another build of reforge",
    );
}
