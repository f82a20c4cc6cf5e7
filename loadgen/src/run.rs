//! The shell around the core: one thread with the transport's poll loop, one for commit proofs.

use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crypto::ClientKey;
use measure::{LoadRecorder, SeriesRow, WallAnchor, monotonic_ns};
use rustix::process::{getpriority_process, setpriority_process};
use transport::{Event, ServerConfig, Transport, TransportConfig, Waker};
use types::batch::SessionId;
use types::{Committee, Digest};

use crate::account::{Account, Plan};
use crate::checker::{Checker, Judged, Question, engine_of};
use crate::config::{Auth, LoadConfig};
use crate::error::LoadError;
use crate::fleet::Fleet;
use crate::generator::{Generator, Parts};
use crate::notes::Notes;
use crate::proofs::ProofBook;
use crate::receipts_log::ReceiptsLog;
use crate::report::{self, Facts, LoadReport};
use crate::schedule::Schedule;
use crate::workload::Workload;

const SECOND_NS: u64 = 1_000_000_000;
/// Waking from a sleep costs about this long; the rest is spent looking at the sockets.
const SPIN_NS: u64 = 60_000;
/// From the last hello to the first intended send, without `start_at`.
const LEAD_NS: u64 = 50_000_000;
/// Longest wait for verdicts after the end of the run.
const VERDICTS_WAIT_NS: u64 = 10 * SECOND_NS;
/// Conflicts whose evidence is written; all are counted.
const CONFLICT_FILES_MAX: u64 = 16;

/// Called with every `T` of a run.
pub type Hear<'a, T> = Box<dyn FnMut(&T) + 'a>;

/// What a caller wants to hear and say during a run.
#[derive(Default)]
pub struct Hooks<'a> {
    /// Called with every closed second.
    pub progress: Option<Hear<'a, SeriesRow>>,
    /// Called with anything else worth a line.
    pub notice: Option<Hear<'a, String>>,
    /// Set from outside to end the run early, with a record. Looked at once a second at least.
    pub stop: Arc<AtomicBool>,
}

impl std::fmt::Debug for Hooks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

/// Niceness asked for.
const NICENESS: i32 = -10;

/// Makes the load of `config` and writes its record into `config.out_dir`.
///
/// # Errors
/// [`LoadError`] if the run could not be made or recorded; whatever the system under load did is in
/// the report.
pub fn run(config: LoadConfig) -> Result<LoadReport, LoadError> {
    run_with(config, Hooks::default())
}

/// A generator that shares its cores with what it measures must not wait for it, or it notices the
/// time of its own sends too late. Only where the system permits it; the record tells.
fn take_precedence() {
    let _ = setpriority_process(None, NICENESS);
}

/// What it runs at.
pub(crate) fn niceness() -> i32 {
    getpriority_process(None).unwrap_or_default()
}

/// [`run`], with a word in it.
///
/// # Errors
/// As [`run`].
pub fn run_with(config: LoadConfig, mut hooks: Hooks<'_>) -> Result<LoadReport, LoadError> {
    config.check()?;
    take_precedence();
    let committee = load_committee(&config)?;
    let epoch = committee.genesis();
    let unusable = |found| LoadError::Committee {
        path: config.committee.clone(),
        found,
    };
    let engine = engine_of(&committee).map_err(unusable)?;
    let servers = servers(&config, &committee)?;
    let connections = servers.len() as u32;
    std::fs::create_dir_all(&config.out_dir).map_err(|source| LoadError::Output {
        path: config.out_dir.clone(),
        source,
    })?;

    let transport =
        TransportConfig::client(config.backend()?, epoch.cluster.0.0, config.encryption);
    let (mut net, fallback) = transport::open(transport)?;
    let fallback = fallback.map(|notice| notice.to_string());
    if let (Some(notice), Some(hear)) = (&fallback, &mut hooks.notice) {
        hear(notice);
    }
    if config.stop_on_stdin_eof {
        watch_stdin(Arc::clone(&hooks.stop), net.waker());
    }
    let notes = Notes::create(&config.out_dir.join(report::CONNECTIONS))?;
    let mut fleet = Fleet::new(servers, epoch.cluster, notes);
    let start_ns = connect(&config, net.as_mut(), &mut fleet, &hooks.stop)?;

    let (sessions, keys) = sessions(&config, connections);
    let start = anchor_at(start_ns);
    let receipts_log = match config.receipts_log {
        true => Some(ReceiptsLog::create(
            &config.out_dir.join(report::RECEIPTS),
            &sessions,
        )?),
        false => None,
    };
    let plan = plan(&config, start_ns);
    let parts = Parts {
        fleet,
        sessions,
        keys,
        epoch,
        schedule: schedule(&config, plan.measure_end_ns - start_ns),
        workload: Workload::new(config.workload, config.keys, config.size_bytes, config.seed),
        account: Account::new(plan, LoadRecorder::create(&config.out_dir, start)?),
        proofs: ProofBook::new(epoch.id, config.trust_unchecked),
        receipts_log,
        hand_in: config.hand_in,
        coalesce_ns: config.coalesce_ns(),
        failover_ns: config.failover_ms * 1_000_000,
        verify_every_ns: config.verify_every_ns(),
    };
    let checker = Checker::start(engine, committee.rule, epoch, net.waker())?;
    let mut shell = Shell {
        generator: Generator::new(parts, monotonic_ns()),
        checker,
        conflicts: 0,
        config: &config,
    };
    shell.drive(net.as_mut(), &mut hooks)?;
    let interrupted = !shell.generator.is_offered();
    let facts = Facts {
        start,
        connections,
        interrupted,
        stats: net.stats().clients,
        backend: net.backend(),
        fallback,
    };
    let report = report::report(&config, &shell.generator, facts);
    report::write(&config.out_dir, &report, &shell.generator)?;
    Ok(report)
}

struct Shell<'a> {
    generator: Generator,
    checker: Checker,
    conflicts: u64,
    config: &'a LoadConfig,
}

impl Shell<'_> {
    /// The loop.
    fn drive(&mut self, net: &mut dyn Transport, hooks: &mut Hooks<'_>) -> Result<(), LoadError> {
        let mut events = Vec::with_capacity(256);
        loop {
            let now_ns = monotonic_ns();
            if let Some(row) = self.generator.turn(net, now_ns)?
                && let Some(hear) = &mut hooks.progress
            {
                hear(&row);
            }
            self.check_proofs(now_ns, false)?;
            if self.generator.is_done() || hooks.stop.load(Ordering::Relaxed) {
                break;
            }
            let (wake_ns, exact) = self.generator.wake_ns(now_ns, self.checker.has_room());
            let timeout_ns = timeout_ns(wake_ns.saturating_sub(monotonic_ns()), exact);
            net.poll(Some(Duration::from_nanos(timeout_ns)), &mut events)?;
            let now_ns = monotonic_ns();
            for event in events.drain(..) {
                self.generator.on_event(net, event, now_ns);
            }
        }
        let end_ns = monotonic_ns();
        self.await_verdicts(end_ns)?;
        let row = self.generator.finish(end_ns)?;
        if let Some(hear) = &mut hooks.progress {
            hear(&row);
        }
        Ok(())
    }

    fn check_proofs(&mut self, now_ns: u64, all: bool) -> Result<(), LoadError> {
        while self.checker.has_room() {
            let question = match self.generator.take_change() {
                Some(change) => Some(Question::Change(change)),
                None => self
                    .generator
                    .take_claims(now_ns, all)
                    .map(Question::Claims),
            };
            let Some(question) = question else { break };
            self.checker.give(question)?;
        }
        while let Some(judged) = self.checker.poll()? {
            self.on_judged(judged, now_ns);
        }
        self.write_conflicts()
    }

    fn on_judged(&mut self, judged: Judged, now_ns: u64) {
        match judged {
            Judged::Claims(verdicts) => self.generator.on_verdicts(verdicts, now_ns),
            Judged::Change(change, result) => {
                self.generator.on_change_judged(&change, result, now_ns);
            }
        }
    }

    /// Receipts that arrived before the end count, even if their proofs are checked after it.
    fn await_verdicts(&mut self, end_ns: u64) -> Result<(), LoadError> {
        let until_ns = end_ns + VERDICTS_WAIT_NS;
        loop {
            let now_ns = monotonic_ns();
            self.check_proofs(end_ns, true)?;
            if self.generator.is_settled() || now_ns >= until_ns {
                return Ok(());
            }
            let timeout = Duration::from_nanos(until_ns - now_ns);
            if let Some(judged) = self.checker.wait(timeout)? {
                self.on_judged(judged, end_ns);
            }
        }
    }

    fn write_conflicts(&mut self) -> Result<(), LoadError> {
        for conflict in self.generator.take_conflicts() {
            if self.conflicts < CONFLICT_FILES_MAX {
                report::write_conflict(&self.config.out_dir, self.conflicts, &conflict)?;
            }
            self.conflicts += 1;
        }
        Ok(())
    }
}

/// Sleeps short of an exact moment by what waking costs, and not at all within that: sockets are
/// looked at meanwhile. So at most `SPIN_NS` of every send is spun.
fn timeout_ns(left_ns: u64, exact: bool) -> u64 {
    match exact {
        true => left_ns.saturating_sub(SPIN_NS),
        false => left_ns,
    }
}

fn load_committee(config: &LoadConfig) -> Result<Committee, LoadError> {
    crypto::load_committee(&config.committee).map_err(|error| LoadError::Committee {
        path: config.committee.clone(),
        found: error.to_string(),
    })
}

fn servers(
    config: &LoadConfig,
    committee: &Committee,
) -> Result<Vec<(usize, ServerConfig)>, LoadError> {
    let all = || (0..committee.n() as u32).collect();
    let replicas: Vec<u32> = config.replicas.clone().unwrap_or_else(all);
    if let Some(&absent) = replicas.iter().find(|&&r| r as usize >= committee.n()) {
        return Err(LoadError::ConfigValue {
            key: "replicas",
            expected: "indices of the committee file",
            found: absent.to_string(),
        });
    }
    let connections = config.connections.unwrap_or(replicas.len() as u32) as usize;
    let server = |at: usize| {
        let replica = replicas[at % replicas.len()] as usize;
        let member = &committee.members[replica];
        let bad = |found: String| LoadError::Address {
            replica,
            addr: member.client_addr.clone(),
            found,
        };
        let mut addrs = member
            .client_addr
            .to_socket_addrs()
            .map_err(|e| bad(e.to_string()))?;
        let addr = addrs.next().ok_or_else(|| bad("no address".into()))?;
        let public_key = member.link_key;
        Ok((replica, ServerConfig { addr, public_key }))
    };
    (0..connections).map(server).collect()
}

/// Session names are new in every process: sequence numbers of an earlier run on the same cluster
/// must not be mistaken for ours. Schedule and payloads do not depend on them.
fn sessions(config: &LoadConfig, connections: u32) -> (Vec<SessionId>, Vec<ClientKey>) {
    let now = WallAnchor::now();
    let seed = |at: u32| {
        let mut bytes = Vec::with_capacity(40);
        for word in [
            config.seed,
            now.unix_ns,
            now.monotonic_ns,
            u64::from(std::process::id()),
            u64::from(config.generator) << 32 | u64::from(at),
        ] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        Digest::of("reforge load session v1", &bytes).0
    };
    let seeds = (0..connections * config.sessions).map(seed);
    match config.auth {
        Auth::None => {
            let id = |seed: [u8; 32]| SessionId::try_from(&seed[..16]).unwrap_or_default();
            (seeds.map(id).collect(), Vec::new())
        }
        Auth::Signed => {
            let keys: Vec<ClientKey> = seeds.map(|seed| ClientKey::from_seed(&seed)).collect();
            (keys.iter().map(ClientKey::session).collect(), keys)
        }
    }
}

fn schedule(config: &LoadConfig, end_ns: u64) -> Schedule {
    match config.in_flight {
        Some(in_flight) => Schedule::closed(in_flight, end_ns),
        None => Schedule::new(config.arrival, config.rate, end_ns, config.seed)
            .shaped(config.shape, config.warmup_s),
    }
}

fn plan(config: &LoadConfig, start_ns: u64) -> Plan {
    let ns = |seconds: f64| (seconds * 1e9) as u64;
    let measure_start_ns = start_ns + ns(config.warmup_s);
    let measure_end_ns = measure_start_ns + ns(config.duration_s);
    Plan {
        start_ns,
        measure_start_ns,
        measure_end_ns,
        end_ns: measure_end_ns + ns(config.cooldown_s),
        late_ns: config.late_after_ms * 1_000_000,
        own_lag_ns_max: (config.lag_p99_ms_max * 1e6) as u64,
    }
}

fn anchor_at(start_ns: u64) -> WallAnchor {
    WallAnchor {
        monotonic_ns: start_ns,
        unix_ns: WallAnchor::now().unix_ns_at(start_ns),
    }
}

/// Connects until all replicas have greeted, the agreed start comes, or patience ends; says when
/// the load begins. A replica that is missing then is dialled on and on.
fn connect(
    config: &LoadConfig,
    net: &mut dyn Transport,
    fleet: &mut Fleet,
    stop: &AtomicBool,
) -> Result<u64, LoadError> {
    let begun_ns = monotonic_ns();
    let patience_ns = (config.connect_timeout_s * 1e9) as u64;
    if let Some(start_ns) = config.start_at
        && start_ns < begun_ns
    {
        return Err(LoadError::StartPassed {
            late_ms: (begun_ns - start_ns).div_ceil(1_000_000),
        });
    }
    let mut events: Vec<Event> = Vec::new();
    loop {
        let now_ns = monotonic_ns();
        let until_ns = config.start_at.unwrap_or(begun_ns + patience_ns);
        fleet.tend(net, now_ns);
        let all = fleet.ready() == fleet.slots.len();
        match config.start_at {
            Some(start_ns) if all || now_ns >= start_ns => return Ok(start_ns),
            None if all || (now_ns >= until_ns && fleet.ready() > 0) => {
                return Ok(now_ns + LEAD_NS);
            }
            None if now_ns >= until_ns || stop.load(Ordering::Relaxed) => {
                return Err(LoadError::NoReplica {
                    waited_s: (now_ns - begun_ns) as f64 * 1e-9,
                    found: fleet
                        .last_reason
                        .clone()
                        .unwrap_or_else(|| "no answer".into()),
                });
            }
            _ => {}
        }
        let wake_ns = fleet.due_ns().map_or(until_ns, |due| due.min(until_ns));
        let timeout = Duration::from_nanos(wake_ns.saturating_sub(now_ns));
        net.poll(Some(timeout), &mut events)?;
        let now_ns = monotonic_ns();
        for event in events.drain(..) {
            fleet.on_event(net, event, now_ns);
        }
    }
}

/// A thread that waits for the end of standard input; it has no other way to end than with the
/// process, so it is not joined.
fn watch_stdin(stop: Arc<AtomicBool>, waker: Waker) {
    let body = move || {
        let mut sink = std::io::sink();
        // An unreadable standard input counts as closed.
        let _ = std::io::copy(&mut std::io::stdin(), &mut sink);
        stop.store(true, Ordering::Relaxed);
        waker.wake();
    };
    // Without this thread a run cannot be cut short, but is as good.
    let _ = std::thread::Builder::new()
        .name("load-stdin".into())
        .spawn(body);
}
