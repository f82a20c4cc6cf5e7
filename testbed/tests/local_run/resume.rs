//! Campaigns that end early, and how they go on.

use std::path::{Path, PathBuf};

use measure::event::read_events;
use measure::files::{read_json, write_json};
use measure::{EventKind, Fingerprint, RunFolder, SealState, folder};
use testbed::{Interrupt, Options, Spec, resume, run};

use crate::{is_alive, options, orchestrate, spec, started, wait_for};

/// Waits for an event of one run of a campaign, and tells which processes it has.
fn pids_at(run_root: &Path, what: fn(&EventKind) -> bool) -> Vec<u32> {
    wait_for("an event of the run", || {
        let events = read_events(&run_root.join(folder::EVENTS)).ok()?;
        let seen = events.iter().any(|event| what(&event.kind));
        seen.then(|| started(&events))
    })
}

fn roots(spec: &Spec, out: &Path) -> Vec<PathBuf> {
    let points = spec.points();
    points.iter().map(|point| out.join(&point.name)).collect()
}

fn state(run_root: &Path) -> SealState {
    RunFolder::open(run_root).seal_state().unwrap()
}

fn resumed(out: &Path) -> Options {
    let mut options = options(out);
    options.out = None;
    options
}

pub fn hung_children() {
    let dir = tempfile::tempdir().unwrap();
    let overrides = ["load.duration_s=600", "node.fake.mode=stubborn"];
    let mut orchestrator = orchestrate(dir.path(), &overrides);
    let root = &roots(&spec(&overrides), dir.path())[0];
    let pids = pids_at(root, |kind| matches!(kind, EventKind::Phase { .. }));
    orchestrator.kill().unwrap();
    orchestrator.wait().unwrap();
    for pid in pids {
        wait_for("a hung child to end", || (!is_alive(pid)).then_some(()));
    }
}

/// Killed in its second run, with a replica frozen: that one cannot notice anything by itself.
pub fn killed() {
    let dir = tempfile::tempdir().unwrap();
    let overrides = [
        "load.duration_s=5",
        "repetitions=3",
        "faults=[{ at_s = 0.1, action = \"pause\", replica = 2 }]",
    ];
    let roots = roots(&spec(&overrides), dir.path());
    let mut orchestrator = orchestrate(dir.path(), &overrides);
    let pids = pids_at(&roots[1], |kind| matches!(kind, EventKind::Fault { .. }));
    orchestrator.kill().unwrap();
    orchestrator.wait().unwrap();
    assert_eq!(pids.len(), 5);
    for pid in &pids {
        wait_for("a child to end", || (!is_alive(*pid)).then_some(()));
    }
    // Readable as it is: the first run whole, the second without a seal, the third not begun.
    assert_eq!(state(&roots[0]), SealState::Intact);
    assert_eq!(state(&roots[1]), SealState::Unsealed);
    assert!(RunFolder::open(&roots[1]).read_run().is_ok());
    assert!(!roots[2].exists());
    let sums = |root: &Path| std::fs::read_to_string(root.join(folder::SUMS)).unwrap();
    let first = sums(&roots[0]);

    let finished = resume(dir.path(), &resumed(dir.path())).unwrap();
    assert!(!finished.interrupted);
    assert_eq!(sums(&roots[0]), first, "the first run was made again");
    for root in &roots {
        assert_eq!(state(root), SealState::Intact, "{}", root.display());
    }
    let aside = dir.path().join("aside");
    let name = roots[1].file_name().unwrap().to_str().unwrap();
    let remains = aside.join(format!("{name}.1"));
    let events = read_events(&remains.join(folder::EVENTS)).unwrap();
    assert_eq!(started(&events), pids, "remains are kept as they were");
    assert_eq!(std::fs::read_dir(&aside).unwrap().count(), 1);
    // Whole: nothing is left to do, and nothing is touched.
    resume(dir.path(), &resumed(dir.path())).unwrap();
    assert_eq!(sums(&roots[0]), first);
    assert_eq!(std::fs::read_dir(&aside).unwrap().count(), 1);
    let log = std::fs::read_to_string(dir.path().join("resumed.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 2, "{log}");
}

pub fn interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let long = spec(&["load.duration_s=600"]);
    let root = roots(&long, dir.path()).remove(0);
    let mut first = options(dir.path());
    first.interrupt = Interrupt::default();
    let (flag, watched) = (first.interrupt.clone(), root.clone());
    let thread = std::thread::spawn(move || {
        pids_at(&watched, |kind| matches!(kind, EventKind::Phase { .. }));
        flag.raise();
    });
    assert!(run(&long, &first).unwrap().interrupted);
    thread.join().unwrap();
    // Sealed, but not whole: it is made again, and interrupted again.
    let mut second = resumed(dir.path());
    second.interrupt = Interrupt::default();
    second.interrupt.raise();
    assert!(resume(dir.path(), &second).unwrap().interrupted);
    assert!(!root.exists());
    assert!(dir.path().join("aside").is_dir());
}

/// A whole campaign of one run.
fn whole() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let short = spec(&[]);
    run(&short, &options(dir.path())).unwrap();
    let root = roots(&short, dir.path()).remove(0);
    (dir, root)
}

fn refusal(out: &Path) -> String {
    let error = resume(out, &resumed(out)).unwrap_err();
    error.to_string()
}

pub fn another_spec() {
    let (dir, _) = whole();
    let other = spec(&["load.duration_s=0.5"]).resolved_toml();
    std::fs::write(dir.path().join(folder::SPEC), other).unwrap();
    let error = refusal(dir.path());
    assert!(
        error.contains("expected the spec that the campaign began with"),
        "{error}"
    );
    let nothing = tempfile::tempdir().unwrap();
    let error = refusal(nothing.path());
    assert!(
        error.contains("expected the folder of a campaign"),
        "{error}"
    );
}

pub fn another_program() {
    let (dir, root) = whole();
    let path = root.join(folder::FINGERPRINT);
    let mut then: Fingerprint = read_json(&path, "fingerprint").unwrap();
    then.binary_hash = Some("another".into());
    write_json(&path, &then).unwrap();
    RunFolder::open(&root).seal().unwrap();
    let error = refusal(dir.path());
    assert!(error.contains("binary hash"), "{error}");
    assert!(error.contains("--mix"), "{error}");
    assert!(
        !dir.path().join("aside").exists(),
        "nothing is moved before"
    );
    let mut mix = resumed(dir.path());
    mix.mix = true;
    resume(dir.path(), &mix).unwrap();
}

pub fn locked() {
    let (dir, _) = whole();
    let file = std::fs::File::create(dir.path().join("campaign.lock")).unwrap();
    file.lock().unwrap();
    let error = refusal(dir.path());
    assert!(error.contains("locked by another process"), "{error}");
}
