//! Real runs in network namespaces and over ssh. They need root, nftables and openssh-server: `just providers-check`.

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use common::hosts::{AHEAD_S, Hosts};
use common::{reforge, text, wait_until};
use measure::event::read_events;
use measure::{Event, EventKind, FaultAction, Ledger, LedgerRecord, RunFolder, SealState, folder};

/// Anything that is waited for happens within this time, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An orchestrator that starts in namespaces removes what dead ones left: while one test looks at that, no
/// other starts any.
static NAMESPACES: RwLock<()> = RwLock::new(());

/// This test starts orchestrators in namespaces. A failed one is no reason for the others to fail.
fn starting() -> RwLockReadGuard<'static, ()> {
    NAMESPACES.read().unwrap_or_else(PoisonError::into_inner)
}

/// What a run left behind.
struct Left {
    run: RunFolder,
    events: Vec<Event>,
    summary: serde_json::Value,
    told: String,
    /// Removed with it, where it is nobody else's.
    _out: Option<tempfile::TempDir>,
}

impl Left {
    /// Of the only run of a campaign.
    fn of(campaign: &Path, told: String) -> Left {
        let record = std::fs::read(campaign.join(folder::CAMPAIGN)).unwrap();
        let record: measure::CampaignRecord = serde_json::from_slice(&record).unwrap();
        let run = RunFolder::open(&campaign.join(&record.runs[0]));
        assert_eq!(run.seal_state().unwrap(), SealState::Intact, "{told}");
        assert!(!run.path("scratch").exists(), "keys stayed in the record");
        let events = read_events(&run.path(folder::EVENTS)).unwrap();
        let summary = std::fs::read(campaign.join(folder::SUMMARY)).unwrap();
        let summary = serde_json::from_slice(&summary).unwrap();
        Left {
            run,
            events,
            summary,
            told,
            _out: None,
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
    run_by(reforge(), spec, out, more)
}

fn run_by(program: Command, spec: &str, out: &Path, more: &[&str]) -> Left {
    let output = command(program, spec, out, more).output().unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(out.join(folder::CAMPAIGN).exists(), "{told}");
    Left::of(out, told)
}

/// Cheap signatures, and a generator that may be late: whether it works is asked here, not how fast it is.
fn command(mut command: Command, spec: &str, out: &Path, more: &[&str]) -> Command {
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["run", spec, "--out"]).arg(out).args(more);
    command.args(["--set", "axes.scheme=ed25519"]);
    command.args(["--set", "generator.lag_p99_ms_max=2000.0"]);
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
        wait_until("a process ends", || !is_alive(pid));
    }
}

/// An orchestrator on its way, and the events of its only run.
struct Going {
    child: Child,
    out: tempfile::TempDir,
}

impl Going {
    fn begin(program: Command, spec: &str, more: &[&str]) -> Going {
        let out = tempfile::tempdir().unwrap();
        let mut command = command(program, spec, &out.path().join("out"), more);
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
        let left = Left::of(&self.out.path().join("out"), told);
        Left {
            _out: Some(self.out),
            ..left
        }
    }
}

#[test]
#[ignore = "needs root and nftables"]
fn a_one_way_partition_is_seen_and_healed() {
    let _starting = starting();
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
    let _starting = starting();
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
    let _starting = starting();
    let mut going = Going::begin(
        reforge(),
        "specs/one-way.toml",
        &["--set", "load.duration_s=600"],
    );
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
    let _alone = NAMESPACES.write().unwrap_or_else(PoisonError::into_inner);
    let mut going = Going::begin(
        reforge(),
        "specs/one-way.toml",
        &["--set", "load.duration_s=600"],
    );
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

/// The orchestrator at the desk of some hosts.
fn at_desk(hosts: &Hosts) -> Command {
    hosts.at_desk(Path::new(env!("CARGO_BIN_EXE_reforge")))
}

/// Arguments that run a spec on the hosts of an inventory.
fn by_ssh(inventory: &Path) -> [&str; 4] {
    let inventory = inventory.to_str().expect("a path of ours");
    ["--provider", "ssh", "--inventory", inventory]
}

#[test]
#[ignore = "needs root and openssh-server"]
fn a_drill_on_three_hosts_passes() {
    let hosts = Hosts::new("rfdrill", 3);
    let out = tempfile::tempdir().unwrap();
    let inventory = hosts.inventory_file();
    let more = [
        &by_ssh(&inventory)[..],
        &["--set", "load.duration_s=10", "--set", "drill.at_s=2"],
        &["--set", "axes.rate_tps=300"],
    ];
    let left = run_by(
        at_desk(&hosts),
        "specs/drill-4.toml",
        out.path(),
        &more.concat(),
    );
    left.passes();
    // One clock was far ahead: judged together, times of all hosts make sense.
    let told = std::fs::read(left.run.path("hosts.json")).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    let ahead_ns = AHEAD_S as i64 * 1_000_000_000;
    for (host, expected_ns) in [(0, 0), (1, -ahead_ns), (2, 0)] {
        for when in ["clock", "clock_at_end"] {
            let clock = &told[host][when];
            let shift_ns = clock["shift_ns"].as_i64().unwrap();
            let error_ns = clock["error_ns"].as_u64().unwrap();
            assert!(shift_ns.abs_diff(expected_ns) <= error_ns, "{told}");
        }
    }
    // Everything has come home, and nothing but the program has stayed.
    for replica in 0..2 {
        assert!(left.run.replica(replica).join(folder::STATUS).exists());
    }
    for host in 0..3 {
        assert_eq!((hosts.runs(host), hosts.running(host)), (0, vec![]));
        let programs = std::fs::read_dir(hosts.work(host).join("bin")).unwrap();
        assert_eq!(programs.count(), 1);
    }
}

#[test]
#[ignore = "needs root and openssh-server"]
fn a_host_that_vanishes_ends_in_a_verdict() {
    let hosts = Hosts::new("rfgone", 3);
    let inventory = hosts.inventory_file();
    let more = [
        &by_ssh(&inventory)[..],
        &["--set", "faults=[]", "--set", "load.duration_s=15"],
    ];
    let mut going = Going::begin(at_desk(&hosts), "specs/partition.toml", &more.concat());
    going.wait_for_load();
    hosts.unplug(1);
    let left = going.end();
    assert_eq!(left.summary["verdict"], "Inconclusive", "{}", left.told);
    assert!(left.told.contains("host host-1 was lost"), "{}", left.told);
    // The other host's part has come home; the lost one ended by itself what it ran, and removed its keys.
    let told = &left.told;
    assert!(left.run.replica(0).join(folder::LEDGER).exists(), "{told}");
    assert!(left.run.load(0).join(folder::LOAD).exists());
    let finished = left.summary["runs"][0]["outcomes"]["finished"].as_u64();
    assert!(finished > Some(0), "{}", left.told);
    for host in 0..3 {
        wait_until("the host is clean", || {
            hosts.running(host).is_empty() && hosts.runs(host) == 0
        });
    }
}

#[test]
#[ignore = "needs root and openssh-server"]
fn a_host_with_another_key_is_not_trusted() {
    let hosts = Hosts::new("rftrust", 1);
    let known = hosts.dir.path().join("known_hosts");
    let wrong = std::fs::read_to_string(hosts.dir.path().join("user.pub")).unwrap();
    std::fs::write(known, format!("10.78.0.1 {wrong}")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let inventory = hosts.inventory_file();
    let more = by_ssh(&inventory);
    let left = run_by(at_desk(&hosts), "specs/drill-4.toml", out.path(), &more);
    assert_eq!(left.summary["verdict"], "InvalidHarness", "{}", left.told);
    assert!(
        left.told.contains("Host key verification failed"),
        "{}",
        left.told
    );
    assert!(!hosts.work(0).exists(), "it was given something");
}
