//! Campaigns that end early, and how they go on.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use measure::event::read_events;
use measure::files::{read_json, write_json};
use measure::{EventKind, Fingerprint, RunFolder, SealState, folder};
use testbed::{Interrupt, Judge, Options, Spec, resume, run};

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

/// Makes a campaign, interrupted as soon as this run is under load.
fn run_until(spec: &Spec, mut options: Options, run_root: &Path) {
    options.interrupt = Interrupt::default();
    let (flag, watched) = (options.interrupt.clone(), run_root.to_path_buf());
    let thread = std::thread::spawn(move || {
        pids_at(&watched, |kind| matches!(kind, EventKind::Phase { .. }));
        flag.raise();
    });
    assert!(run(spec, &options).unwrap().interrupted);
    thread.join().unwrap();
}

pub fn interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let long = spec(&["load.duration_s=600"]);
    let root = roots(&long, dir.path()).remove(0);
    run_until(&long, options(dir.path()), &root);
    // Sealed, but not whole: it is made again, and interrupted again.
    let mut second = resumed(dir.path());
    second.interrupt = Interrupt::default();
    second.interrupt.raise();
    assert!(resume(dir.path(), &second).unwrap().interrupted);
    assert!(!root.exists());
    assert!(dir.path().join("aside").is_dir());
}

/// Keeps up with 2.5 k transactions per second.
#[derive(Debug)]
struct UpTo2500;

impl Judge for UpTo2500 {
    fn keeps_up(&self, run_root: &Path) -> bool {
        assert_eq!(state(run_root), SealState::Intact);
        RunFolder::open(run_root).read_run().unwrap().rate_tps <= 2500.0
    }
}

/// Interrupted in its third probe: the two before it count, the third is made again, and the search takes the
/// way that it would have taken.
pub fn search() {
    let goal = "capacity={ low_tps = 1000, high_tps = 9000, resolution = 0.3, p99_ms_max = 50 }";
    let names = |dir: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(dir).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("00")).collect();
        names.sort();
        names
    };
    let judged = |mut options: Options| {
        options.judge = Some(Rc::new(UpTo2500));
        options
    };
    let [whole, broken] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let spec = spec(&[goal]);
    run(&spec, &judged(options(whole.path()))).unwrap();
    let expected = names(whole.path());
    assert!(expected.len() >= 5, "{expected:?}");

    let third = broken.path().join(&expected[2]);
    run_until(&spec, judged(options(broken.path())), &third);
    assert_eq!(names(broken.path()), expected[..3]);
    let sums = |name: &String| std::fs::read(broken.path().join(name).join(folder::SUMS)).unwrap();
    let before: Vec<_> = expected[..3].iter().map(sums).collect();

    assert!(
        !resume(broken.path(), &judged(resumed(broken.path())))
            .unwrap()
            .interrupted
    );
    assert_eq!(names(broken.path()), expected);
    let after: Vec<_> = expected[..3].iter().map(sums).collect();
    assert_eq!(before[..2], after[..2], "whole probes were made again");
    assert_ne!(
        before[2], after[2],
        "the interrupted one was taken for whole"
    );
    assert_eq!(
        names(&broken.path().join("aside")),
        [format!("{}.1", expected[2])]
    );
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
