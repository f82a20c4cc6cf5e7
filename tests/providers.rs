//! Real runs in network namespaces and over ssh. They need root, nftables and openssh-server: `just providers-check`.

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{reforge, text};
use measure::event::read_events;
use measure::{Event, EventKind, FaultAction, Ledger, LedgerRecord, RunFolder, SealState, folder};

/// Anything that is waited for happens within this time, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a run left behind.
struct Left {
    run: RunFolder,
    events: Vec<Event>,
    summary: serde_json::Value,
    told: String,
}

impl Left {
    /// Of the only run of a campaign.
    fn of(campaign: &Path, told: String) -> Left {
        let record = std::fs::read(campaign.join(folder::CAMPAIGN)).unwrap();
        let record: measure::CampaignRecord = serde_json::from_slice(&record).unwrap();
        let run = RunFolder::open(&campaign.join(&record.runs[0]));
        assert_eq!(run.seal_state().unwrap(), SealState::Intact);
        assert!(!run.path("scratch").exists(), "keys stayed in the record");
        let events = read_events(&run.path(folder::EVENTS)).unwrap();
        let summary = std::fs::read(campaign.join(folder::SUMMARY)).unwrap();
        let summary = serde_json::from_slice(&summary).unwrap();
        Left {
            run,
            events,
            summary,
            told,
        }
    }

    fn passes(&self) {
        assert_eq!(self.summary["verdict"], "Pass", "{}", self.told);
    }

    /// When a fault was done, on the clock of all events.
    fn at(&self, asked: FaultAction) -> u64 {
        let at = |event: &Event| match &event.kind {
            EventKind::Fault { action, .. } if *action == asked => Some(event.monotonic_ns),
            _ => None,
        };
        self.events.iter().find_map(at).unwrap()
    }

    fn ledger(&self, replica: u32) -> Vec<LedgerRecord> {
        let path = self.run.replica(replica).join(folder::LEDGER);
        Ledger::read(&path).unwrap().records
    }
}

fn run(spec: &str, out: &Path, more: &[&str]) -> Left {
    let output = command(spec, out, more).output().unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(out.join(folder::CAMPAIGN).exists(), "{told}");
    Left::of(out, told)
}

fn command(spec: &str, out: &Path, more: &[&str]) -> Command {
    let mut command = reforge();
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["run", spec, "--out"]).arg(out).args(more);
    command
}

/// Namespaces whose names begin as ours do.
fn namespaces() -> Vec<String> {
    let output = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let names = text(&output.stdout);
    let names = names.lines().filter_map(|line| line.split(' ').next());
    names
        .filter(|name| name.starts_with("reforge-"))
        .map(str::to_owned)
        .collect()
}

/// Of these, those that one orchestrator made.
fn namespaces_of(pid: u32) -> Vec<String> {
    let mut all = namespaces();
    all.retain(|name| name.starts_with(&format!("reforge-{pid}-")));
    all
}

fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}

fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn started(events: &[Event]) -> Vec<u32> {
    let pid = |event: &Event| match event.kind {
        EventKind::ProcessStarted { pid, .. } => Some(pid),
        _ => None,
    };
    events.iter().filter_map(pid).collect()
}

/// All processes of a run have ended.
fn nobody_is_left(events: &[Event]) {
    for pid in started(events) {
        wait_for("a process to end", || (!is_alive(pid)).then_some(()));
    }
}

/// An orchestrator on its way, and the events of its only run.
struct Going {
    child: Child,
    out: tempfile::TempDir,
}

impl Going {
    fn begin(spec: &str, more: &[&str]) -> Going {
        let out = tempfile::tempdir().unwrap();
        let mut command = command(spec, &out.path().join("out"), more);
        let log = std::fs::File::create(out.path().join("told")).unwrap();
        command.stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        Going { child, out }
    }

    fn told(&self) -> String {
        std::fs::read_to_string(self.out.path().join("told")).unwrap()
    }

    fn events(&self) -> Vec<Event> {
        let out = self.out.path().join("out");
        let runs = std::fs::read_dir(out).into_iter().flatten().flatten();
        let mut events = runs.filter_map(|run| read_events(&run.path().join(folder::EVENTS)).ok());
        events.next().unwrap_or_default()
    }

    /// The load has begun.
    fn wait_for_load(&mut self) -> Vec<Event> {
        wait_for("the load", || {
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.told());
            let events = self.events();
            let loads = |e: &Event| matches!(e.kind, EventKind::Phase { .. });
            events.iter().any(loads).then_some(events)
        })
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id() as i32);
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    fn end(mut self) -> Left {
        self.child.wait().unwrap();
        let told = self.told();
        Left::of(&self.out.path().join("out"), told)
    }
}

#[test]
#[ignore = "needs root and nftables"]
fn a_one_way_partition_is_seen_and_healed() {
    let out = tempfile::tempdir().unwrap();
    let left = run("specs/one-way.toml", out.path(), &[]);
    left.passes();
    nobody_is_left(&left.events);
    let (cut, healed) = (left.at(FaultAction::Partition), left.at(FaultAction::Heal));
    // The record says which way it held, so that a report can tell.
    let text = std::fs::read_to_string(left.run.path(folder::EVENTS)).unwrap();
    assert!(text.contains("\"direction\":\"out\""), "{text}");
    assert!(healed > cut);
    // In the end all have the same; who was cut off has everything up to the others' last blocks.
    let (heights, cut_off): (Vec<u64>, u64) = {
        let last = |replica| left.ledger(replica).last().unwrap().height;
        ((0..3).map(last).collect(), last(3))
    };
    let most = heights.iter().max().unwrap();
    assert!(cut_off + 50 >= *most, "{heights:?} and {cut_off}");
    // The others went on meanwhile: proposals of the one that nobody hears are missing.
    let during = seconds_between(&left, cut + 1_000_000_000, healed);
    assert!(during.iter().sum::<u64>() > 0, "{during:?}");
}

/// Finished requests of the generator's seconds within a time.
fn seconds_between(left: &Left, from_ns: u64, to_ns: u64) -> Vec<u64> {
    let path = left.run.load(0).join(folder::SERIES);
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let within = rows.filter(|row| {
        let end_ns = row["monotonic_ns"].as_u64().unwrap();
        end_ns >= from_ns + 1_000_000_000 && end_ns <= to_ns
    });
    within
        .map(|row| row["finished"].as_u64().unwrap())
        .collect()
}

#[test]
#[ignore = "needs root and nftables"]
fn the_same_spec_runs_on_loopback_and_in_namespaces() {
    for provider in ["local", "netns"] {
        let out = tempfile::tempdir().unwrap();
        let left = run(
            "specs/partition.toml",
            out.path(),
            &["--provider", provider],
        );
        left.passes();
        nobody_is_left(&left.events);
        assert_eq!(left.run.read_run().unwrap().provider, provider);
    }
}

#[test]
#[ignore = "needs root and nftables"]
fn an_interrupt_removes_the_namespaces() {
    let mut going = Going::begin("specs/one-way.toml", &["--set", "load.duration_s=600"]);
    going.wait_for_load();
    let pid = going.child.id();
    // A hub, four replicas, one generator.
    assert_eq!(namespaces_of(pid).len(), 6);
    going.signal(nix::sys::signal::Signal::SIGINT);
    let left = going.end();
    assert_eq!(left.summary["verdict"], "Inconclusive", "{}", left.told);
    nobody_is_left(&left.events);
    assert_eq!(namespaces_of(pid), Vec::<String>::new());
}

#[test]
#[ignore = "needs root and nftables"]
fn what_a_killed_orchestrator_left_is_removed() {
    let mut going = Going::begin("specs/one-way.toml", &["--set", "load.duration_s=600"]);
    let events = going.wait_for_load();
    let pid = going.child.id();
    going.child.kill().unwrap();
    going.child.wait().unwrap();
    nobody_is_left(&events);
    assert_eq!(namespaces_of(pid).len(), 6);
    let output = reforge().args(["testbed", "clean"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains(&format!("removed reforge-{pid}-")), "{told}");
    assert_eq!(namespaces_of(pid), Vec::<String>::new());
}
