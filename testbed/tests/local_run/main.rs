//! Whole campaigns of provider `local` with fake children: what is left behind after a good run,
//! faults, an interrupt, a stubborn, a broken and a missing child, and a killed orchestrator.

mod fake;
mod resume;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use measure::event::read_events;
use measure::{DrillStep, Event, EventKind, FaultAction, Phase, RunFolder, SealState, folder};
use testbed::{Interrupt, Options, Spec, run};

/// A wait longer than this is a failure, not a slow machine.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

type Scenario = (&'static str, fn());

const SCENARIOS: &[Scenario] = &[
    ("a_good_run_is_complete_and_sealed", good_run),
    ("faults_happen_and_are_stamped", faults),
    ("an_interrupt_leaves_a_sealed_folder", interrupt),
    ("a_stubborn_replica_is_killed", stubborn),
    ("a_broken_replica_is_reported", broken),
    ("a_missing_program_is_reported", missing_program),
    (
        "children_end_with_a_killed_orchestrator",
        killed_orchestrator,
    ),
    ("hung_children_end_too", resume::hung_children),
    ("a_killed_campaign_is_resumed", resume::killed),
    ("an_interrupted_campaign_is_resumed", resume::interrupted),
    ("an_interrupted_search_is_resumed", resume::search),
    ("another_spec_is_not_resumed", resume::another_spec),
    ("another_program_is_not_mixed_in", resume::another_program),
    ("two_processes_do_not_share_a_campaign", resume::locked),
    ("a_folder_is_not_overwritten", not_overwritten),
    ("drills_cut_attack_heal_and_end", drills),
    ("a_drill_without_an_end_is_given_up", hopeless_drill),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if fake::main(&arguments) {
        return;
    }
    if let [command, out, overrides @ ..] = &arguments[..]
        && command == "orchestrate"
    {
        let overrides: Vec<&str> = overrides.iter().map(String::as_str).collect();
        run(&spec(&overrides), &options(Path::new(out))).unwrap();
        return;
    }
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in SCENARIOS {
            println!("{name}: test");
        }
        return;
    }
    let wanted = |name: &str| {
        let mut filters = arguments.iter().filter(|a| !a.starts_with('-')).peekable();
        filters.peek().is_none() || filters.any(|filter| name.contains(filter.as_str()))
    };
    for (name, scenario) in SCENARIOS.iter().filter(|(name, _)| wanted(name)) {
        scenario();
        println!("test {name} ... ok");
    }
}

fn spec(overrides: &[&str]) -> Spec {
    let text = "name = \"fake\"\n\
                [load]\nwarmup_s = 0.1\nduration_s = 0.4\ncooldown_s = 0.1\n";
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Spec::from_toml(text, "fake.toml", &overrides).unwrap()
}

fn options(out: &Path) -> Options {
    let mut options = Options::of_this_program("reforge run fake.toml".into()).unwrap();
    options.out = Some(out.to_path_buf());
    options
}

/// The only run of a campaign, which must be sealed and have no process left.
fn only_run(campaign: &Path) -> (RunFolder, Vec<Event>) {
    let point = spec(&[]).points().remove(0);
    let run_folder = RunFolder::open(&campaign.join(point.name));
    assert_eq!(run_folder.seal_state().unwrap(), SealState::Intact);
    let events = read_events(&run_folder.path(folder::EVENTS)).unwrap();
    for pid in started(&events) {
        assert!(!is_alive(pid), "process {pid} stayed behind");
    }
    (run_folder, events)
}

fn started(events: &[Event]) -> Vec<u32> {
    let pid = |event: &Event| match event.kind {
        EventKind::ProcessStarted { pid, .. } => Some(pid),
        _ => None,
    };
    events.iter().filter_map(pid).collect()
}

/// Neither running nor a zombie of ours.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The state stands behind the name, which is in brackets.
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    !stat.is_empty() && state != Some('Z')
}

/// Waits for a condition that another process brings about.
fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + GIVE_UP_AFTER;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn exits(events: &[Event]) -> Vec<(String, Option<i32>, Option<i32>, bool)> {
    let exit = |event: &Event| match &event.kind {
        EventKind::ProcessExited {
            name,
            code,
            signal,
            expected,
            ..
        } => Some((name.clone(), *code, *signal, *expected)),
        _ => None,
    };
    events.iter().filter_map(exit).collect()
}

fn good_run() {
    let dir = tempfile::tempdir().unwrap();
    let finished = run(&spec(&[]), &options(dir.path())).unwrap();
    assert!(!finished.interrupted);
    let (run_folder, events) = only_run(&finished.folder);
    assert!(finished.folder.join(folder::CAMPAIGN).exists());
    for name in [
        folder::RUN,
        folder::SPEC,
        folder::FINGERPRINT,
        "committee.toml",
    ] {
        assert!(run_folder.path(name).exists(), "{name}");
    }
    assert!(
        !run_folder.path("scratch").exists(),
        "keys stayed in the record"
    );
    for index in 0..4 {
        for name in [
            folder::CONFIG,
            folder::STDERR,
            folder::STATUS,
            folder::LEDGER,
        ] {
            assert!(run_folder.replica(index).join(name).exists(), "{name}");
        }
    }
    assert!(run_folder.load(0).join(folder::LOAD).exists());
    let kept = Spec::load(&run_folder.path(folder::SPEC), &[]).unwrap();
    assert_eq!(kept.hash(), run_folder.read_run().unwrap().spec_hash);

    let phases: Vec<_> = events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Phase { phase } => Some((phase, event.monotonic_ns)),
            _ => None,
        })
        .collect();
    // The last phase may be cut off by a load that has nothing to wait for.
    assert_eq!(phases[0].0, Phase::Warmup);
    assert_eq!(phases[1].0, Phase::Measure);
    assert!(phases[1].1 > phases[0].1);
    let exits = exits(&events);
    assert_eq!(exits.len(), 5);
    for (name, code, _, expected) in exits {
        assert_eq!((code, expected), (Some(0), true), "{name}");
    }
}

fn faults() {
    let dir = tempfile::tempdir().unwrap();
    let plan = "faults=[{ at_s = 0.0, action = \"crash\", replica = 1 }, \
                { at_s = 0.05, action = \"pause\", replica = 2 }, \
                { at_s = 0.1, action = \"restart\", replica = 1 }, \
                { at_s = 0.15, action = \"resume\", replica = 2 }, \
                { at_s = 0.2, action = \"pause\", replica = 3 }]";
    let finished = run(&spec(&[plan]), &options(dir.path())).unwrap();
    let (run_folder, events) = only_run(&finished.folder);
    let applied: Vec<_> = events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Fault {
                replica, action, ..
            } => Some((replica, action)),
            _ => None,
        })
        .collect();
    assert_eq!(
        applied,
        [
            (1, FaultAction::Crash),
            (2, FaultAction::Pause),
            (1, FaultAction::Restart),
            (2, FaultAction::Resume),
            (3, FaultAction::Pause),
        ]
    );
    // Four replicas, one of them twice, and one generator.
    assert_eq!(started(&events).len(), 6);
    let exits = exits(&events);
    let crashed = ("replica-1".to_owned(), None, Some(9), true);
    assert!(exits.contains(&crashed), "{exits:?}");
    // The one that was still frozen at the end stops gracefully as well.
    let frozen = ("replica-3".to_owned(), Some(0), None, true);
    assert!(exits.contains(&frozen), "{exits:?}");
    let ledger = measure::Ledger::read(&run_folder.replica(1).join(folder::LEDGER)).unwrap();
    assert_eq!(
        ledger.records.len(),
        6,
        "both lives of replica 1 are in its ledger"
    );
}

fn interrupt() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.interrupt = Interrupt::default();
    let long = spec(&["load.duration_s=600", "repetitions=3"]);
    let events_path = dir.path().join(&long.points()[0].name).join(folder::EVENTS);
    let flag = options.interrupt.clone();
    let thread = std::thread::spawn(move || {
        wait_for("the load to run", || {
            let events = read_events(&events_path).ok()?;
            let runs = |e: &Event| matches!(e.kind, EventKind::Phase { .. });
            events.iter().any(runs).then_some(())
        });
        flag.raise();
    });
    let finished = run(&long, &options).unwrap();
    thread.join().unwrap();
    assert!(finished.interrupted);
    let (run_folder, events) = only_run(&finished.folder);
    assert!(events.iter().any(|e| e.kind == EventKind::Interrupted));
    // Graceful: every process still left its part.
    assert!(run_folder.replica(3).join(folder::STATUS).exists());
    assert!(run_folder.load(0).join(folder::LOAD).exists());
    assert!(!dir.path().join(&long.points()[1].name).exists());
}

fn stubborn() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.stop_within = Duration::from_millis(200);
    let finished = run(&spec(&["node.fake.mode=stubborn"]), &options).unwrap();
    let (_, events) = only_run(&finished.folder);
    let killed = ("replica-0".to_owned(), None, Some(9), false);
    assert!(exits(&events).contains(&killed), "{events:#?}");
}

fn failure_of(events: &[Event]) -> String {
    events
        .iter()
        .find_map(|event| match &event.kind {
            EventKind::HarnessFailure { reason } => Some(reason.clone()),
            _ => None,
        })
        .expect("no failure was recorded")
}

fn broken() {
    let dir = tempfile::tempdir().unwrap();
    let finished = run(&spec(&["node.fake.mode=broken"]), &options(dir.path())).unwrap();
    let (_, events) = only_run(&finished.folder);
    let reason = failure_of(&events);
    assert!(reason.contains("ended before it was ready"), "{reason}");
    assert!(reason.contains("broken on purpose"), "{reason}");
}

fn missing_program() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.executable = PathBuf::from("/nowhere/reforge");
    let finished = run(&spec(&[]), &options).unwrap();
    let (_, events) = only_run(&finished.folder);
    let reason = failure_of(&events);
    assert!(reason.contains("cannot start keygen"), "{reason}");
    assert!(reason.contains("/nowhere/reforge"), "{reason}");
}

fn killed_orchestrator() {
    let dir = tempfile::tempdir().unwrap();
    let mut orchestrator = orchestrate(dir.path(), &["load.duration_s=600"]);
    let point = spec(&[]).points().remove(0);
    let events_path = dir.path().join(point.name).join(folder::EVENTS);
    let pids = wait_for("all processes to run", || {
        let events = read_events(&events_path).ok()?;
        let loaded = |e: &Event| matches!(e.kind, EventKind::Phase { .. });
        events.iter().any(loaded).then(|| started(&events))
    });
    orchestrator.kill().unwrap();
    orchestrator.wait().unwrap();
    // Nobody signals them: their pipes have closed.
    assert_eq!(pids.len(), 5);
    for pid in pids {
        wait_for("a child to end", || (!is_alive(pid)).then_some(()));
    }
}

/// A campaign of another process, to be killed.
fn orchestrate(out: &Path, overrides: &[&str]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .arg("orchestrate")
        .arg(out)
        .args(overrides)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

fn not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(folder::CAMPAIGN), "{}").unwrap();
    let error = run(&spec(&[]), &options(dir.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("choose another --out"), "{error}");
    assert!(error.contains("reforge resume"), "{error}");
}

const DRILL: &[&str] = &[
    "axes.replicas=7",
    "load.duration_s=2",
    "drill={ attackers = 3, at_s = 0.6, margin_ms = 50, wait_s = 1, \
     second = { attackers = 2, at_s = 1.4 } }",
];

fn steps(events: &[Event]) -> Vec<(u32, DrillStep)> {
    let step = |event: &Event| match &event.kind {
        EventKind::Drill { attack, step } => Some((*attack, step.clone())),
        _ => None,
    };
    events.iter().filter_map(step).collect()
}

/// The only run of a drill.
fn drill_run(overrides: &[&str], out: &Path) -> (RunFolder, Vec<Event>) {
    let spec = spec(&[DRILL, overrides].concat());
    let finished = run(&spec, &options(out)).unwrap();
    let run_folder = RunFolder::open(&finished.folder.join(&spec.points()[0].name));
    assert_eq!(run_folder.seal_state().unwrap(), SealState::Intact);
    let events = read_events(&run_folder.path(folder::EVENTS)).unwrap();
    for pid in started(&events) {
        assert!(!is_alive(pid), "process {pid} stayed behind");
    }
    (run_folder, events)
}

fn drills() {
    let dir = tempfile::tempdir().unwrap();
    let (run_folder, events) = drill_run(&[], dir.path());
    let attack = |attack: u32, height: u64| {
        let steps = [
            DrillStep::Cut,
            DrillStep::Attack,
            DrillStep::SplitSeen { height },
            DrillStep::Healed,
            DrillStep::Resumed,
        ];
        steps.map(|step| (attack, step))
    };
    assert_eq!(
        steps(&events),
        [attack(0, 4), attack(1, 5)].concat(),
        "{events:#?}"
    );
    let told = |index: u32| {
        let path = run_folder.replica(index).join("arguments.txt");
        std::fs::read_to_string(path).unwrap_or_default()
    };
    assert_eq!((told(0), told(1)), Default::default());
    for (index, sides) in [
        (6, "--side-a 0,2 --side-b 1,3"),
        (3, "--side-a 0,4,5,6 --side-b 1"),
    ] {
        let told = told(index);
        let begins = format!("--act split {sides} --split-after-ms ");
        assert!(told.starts_with(&begins), "{told}");
        assert!(told.ends_with("--late-b-ms 0 --after silent"), "{told}");
    }
    // Counted from the start of the process: the hidden ones wait longer.
    let after_ms = |index| -> u64 {
        let told = told(index);
        let words: Vec<&str> = told.split(' ').collect();
        let at = words.iter().position(|w| *w == "--split-after-ms").unwrap();
        words[at + 1].parse().unwrap()
    };
    assert!((500..=900).contains(&(after_ms(3) - after_ms(4))));
    let load = std::fs::read_to_string(run_folder.load(0).join(folder::CONFIG)).unwrap();
    assert!(load.contains("replicas = [0, 1]\n"), "{load}");
}

fn hopeless_drill() {
    let dir = tempfile::tempdir().unwrap();
    let (_, events) = drill_run(&["node.fake.mode=hopeless"], dir.path());
    let steps = steps(&events);
    let (attack, last) = steps.last().unwrap();
    assert!(matches!(last, DrillStep::GaveUp { .. }), "{steps:?}");
    assert_eq!(*attack, 0);
    assert_eq!(steps[steps.len() - 2], (0, DrillStep::Healed));
}
