//! One run: clean state, start, readiness, phases and faults, stop, collect, seal.
//!
//! Whatever fails, the folder ends up sealed and no process stays behind.

mod cluster;
mod drill;
mod network;
mod schedule;
mod sockets;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use measure::files::{write_atomic, write_json};
use measure::{
    EventKind, EventLog, FaultAction, Fingerprint, RunFolder, RunRecord, WallAnchor, folder,
    monotonic_ns,
};

use crate::campaign::Options;
use crate::config::{self, NodePaths};
use crate::error::TestbedError;
use crate::provider::{Addresses, Place, ProcessPlan, Provider, Signal};
use crate::spec::{Point, Spec};
use cluster::{Cluster, Member};
use drill::Drill;
pub(crate) use drill::ready_within as drill_ready_within;
use network::Network;
use schedule::{Action, Schedule};
use sockets::Sockets;

/// Keys are made within this time.
const KEYGEN_WITHIN: Duration = Duration::from_secs(60);
/// Beyond its seconds, the bound is measured within this time.
const BOUND_WITHIN: Duration = Duration::from_secs(60);
/// Time for generators to connect before the first intended send.
const LOAD_LEAD: Duration = Duration::from_millis(1_500);
/// Further time for them per replica.
const LOAD_LEAD_PER_REPLICA: Duration = Duration::from_millis(20);
/// A generator that is not done this long after its schedule has hung.
const LOAD_OVERDUE: Duration = Duration::from_secs(20);
/// How often processes and the interrupt flag are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Keys and journals; not part of the record.
const SCRATCH: &str = "scratch";
/// The public committee file, part of the record.
const COMMITTEE: &str = "committee.toml";

/// One run on its way.
pub(crate) struct Run<'a> {
    spec: &'a Spec,
    point: &'a Point,
    options: &'a Options,
    provider: &'a mut dyn Provider,
    folder: RunFolder,
    events: EventLog,
    cluster: Cluster,
    sockets: Sockets,
    network: Network,
    drill: Option<Drill>,
}

impl<'a> Run<'a> {
    /// Creates the folder and writes what is known before the start.
    pub(crate) fn begin(
        spec: &'a Spec,
        point: &'a Point,
        options: &'a Options,
        provider: &'a mut dyn Provider,
        root: &Path,
    ) -> Result<Self, TestbedError> {
        let folder = RunFolder::create(root)?;
        let record = record(spec, point, options, provider.name());
        write_json(&folder.path(folder::RUN), &record)?;
        let resolved = spec.resolved_toml();
        write_atomic(&folder.path(folder::SPEC), resolved.as_bytes())?;
        let fingerprint = Fingerprint::of(&options.executable);
        write_json(&folder.path(folder::FINGERPRINT), &fingerprint)?;
        let events = EventLog::open(&folder.path(folder::EVENTS))?;
        let sockets = Sockets::of(&folder);
        let drill = point
            .drill
            .map(|plan| Drill::new(plan, point.replicas, sockets.clone()));
        Ok(Self {
            spec,
            point,
            options,
            provider,
            folder,
            events,
            cluster: Cluster::default(),
            sockets,
            network: Network::default(),
            drill,
        })
    }

    /// Runs the point and seals the folder. A failure of the system under test is part of the
    /// record, not an error; errors are those of the record itself.
    pub(crate) fn execute(mut self) -> Result<(), TestbedError> {
        if let Err(error) = self.drive() {
            let reason = error.to_string();
            self.events.record(EventKind::HarnessFailure { reason })?;
        }
        self.tell("stopping");
        let stopped = self
            .cluster
            .stop_all(&mut self.events, self.options.stop_within);
        self.sockets.remove();
        stopped?;
        self.tell("collecting");
        self.collect()?;
        let scratch = self.folder.path(SCRATCH);
        if !self.options.keep_scratch && scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(io("remove", &scratch))?;
        }
        self.folder.seal()?;
        Ok(())
    }

    /// Brings every part home and clears the place. What cannot be had is told in the record.
    fn collect(&mut self) -> Result<(), TestbedError> {
        let mut failures = Vec::new();
        for name in self.cluster.names() {
            let part = self.folder.path(&name);
            failures.extend(self.provider.collect(&name, &part).err());
        }
        failures.extend(self.provider.end(&mut self.events).err());
        for failure in failures {
            let reason = failure.to_string();
            self.events.record(EventKind::HarnessFailure { reason })?;
        }
        Ok(())
    }

    fn drive(&mut self) -> Result<(), TestbedError> {
        if self.spec.dissemination_s > 0 {
            self.tell("dissemination alone");
            self.measure_bound()?;
        }
        self.tell("keys");
        if self.tells_replicas() {
            self.sockets.create()?;
        }
        let place = Place {
            root: self.folder.root().to_path_buf(),
            sockets: self.sockets.folder().to_path_buf(),
        };
        let generators = self.spec.load.generators;
        let addresses = self
            .provider
            .begin(&place, self.point.replicas, generators)?;
        self.generate_keys(&addresses)?;
        self.tell("starting replicas");
        let lead = LOAD_LEAD + LOAD_LEAD_PER_REPLICA * self.point.replicas;
        // Attackers are told when to attack as they start: a drill's load begins at a set time.
        let set_ns = self.drill.as_mut().map(|drill| {
            let start_ns =
                monotonic_ns() + (lead + drill_ready_within(self.point.replicas)).as_nanos() as u64;
            drill.set_start(start_ns + (self.spec.load.warmup_s * 1e9) as u64);
            start_ns
        });
        for (index, addresses) in addresses.iter().enumerate() {
            self.start_replica(index as u32, addresses)?;
        }
        if !self.await_ready(&addresses)? {
            return self.interrupted();
        }
        self.events.record(EventKind::Ready)?;
        let least_ns = monotonic_ns() + lead.as_nanos() as u64;
        let start_ns = set_ns.unwrap_or(least_ns);
        if start_ns < least_ns {
            return Err(TestbedError::Setup(format!(
                "the replicas were ready {} ms too late for the time of the attack",
                (least_ns - start_ns) / 1_000_000
            )));
        }
        for index in 0..self.spec.load.generators {
            self.start_load(index, start_ns)?;
        }
        let load = self.spec.load_of(self.point);
        self.follow(Schedule::new(&load, &self.point.faults, start_ns))
    }

    /// `reforge limits` with the run's committee, frames and back end, while nothing else runs.
    fn measure_bound(&mut self) -> Result<(), TestbedError> {
        let out = self.folder.path(folder::BOUND);
        let log = self.folder.path("bound.log");
        let seconds = self.spec.dissemination_s;
        let mut plan = self.plan("bound", log.clone());
        plan.arguments = ["limits", "--dissemination-only"].map(str::to_owned).into();
        let arguments = [
            ("--replicas", self.point.replicas.to_string()),
            ("--seconds", seconds.to_string()),
            ("--backend", self.point.backend.name().into()),
            ("--tx-bytes", self.point.size_bytes.to_string()),
            ("--out", out.to_string_lossy().into_owned()),
        ];
        for (flag, value) in arguments {
            plan.arguments.extend([flag.to_owned(), value]);
        }
        if self.point.encryption {
            plan.arguments.push("--encryption".into());
        }
        let within = BOUND_WITHIN + Duration::from_secs(u64::from(seconds));
        self.finish(&plan, within, &log)
    }

    /// Runs a program of ours to its end.
    fn finish(
        &mut self,
        plan: &ProcessPlan,
        within: Duration,
        log: &Path,
    ) -> Result<(), TestbedError> {
        let mut process = self.provider.start(plan)?;
        let exit = process.wait_until(Instant::now() + within)?;
        match exit {
            Some(exit) if exit.is_success() => Ok(()),
            _ => Err(TestbedError::Setup(format!(
                "{}: expected exit code 0 within {within:?}, found {exit:?}; it said:\n{}",
                plan.name,
                tail(log)
            ))),
        }
    }

    /// `reforge keygen`, then the public part is copied into the record.
    fn generate_keys(&mut self, addresses: &[Addresses]) -> Result<(), TestbedError> {
        let scratch = self.folder.path(SCRATCH);
        fs::create_dir_all(&scratch).map_err(io("create", &scratch))?;
        let join = |part: fn(&Addresses) -> &str| {
            let all: Vec<&str> = addresses.iter().map(part).collect();
            all.join(",")
        };
        let log = self.folder.path("keygen.log");
        let arguments = [
            ("--replicas", self.point.replicas.to_string()),
            ("--scheme", self.point.scheme.name().into()),
            ("--rule", self.point.rule.name().into()),
            ("--out", scratch.to_string_lossy().into_owned()),
            ("--addresses", join(|a| a.peer.as_str())),
            ("--client-addresses", join(|a| a.client.as_str())),
        ];
        let mut plan = self.plan("keygen", log.clone());
        plan.arguments.push("keygen".into());
        for (flag, value) in arguments {
            plan.arguments.extend([flag.to_owned(), value]);
        }
        self.finish(&plan, KEYGEN_WITHIN, &log)?;
        let (made, kept) = (scratch.join(COMMITTEE), self.folder.path(COMMITTEE));
        fs::copy(&made, &kept).map_err(io("copy the committee file", &made))?;
        Ok(())
    }

    /// Whether somebody will use the control sockets.
    fn tells_replicas(&self) -> bool {
        let mut faults = self.point.faults.iter();
        self.drill.is_some() || faults.any(|fault| fault.action.is_of_network())
    }

    fn start_replica(&mut self, index: u32, addresses: &Addresses) -> Result<(), TestbedError> {
        let part = self.folder.replica(index);
        let data = self.folder.path(SCRATCH).join(format!("data-{index}"));
        for dir in [&part, &data] {
            fs::create_dir_all(dir).map_err(io("create", dir))?;
        }
        let name = format!("replica-{index}");
        let committee = self.folder.path(COMMITTEE);
        let keys = self
            .folder
            .path(SCRATCH)
            .join(format!("keys/replica-{index}.toml"));
        let sockets = self.sockets.folder();
        self.provider
            .deliver(&name, &[&committee, &keys], &[&part, &data, sockets])?;
        let there = |path: &Path| self.provider.path(&name, path);
        let control = self
            .tells_replicas()
            .then(|| there(&self.sockets.of_replica(index)));
        let paths = NodePaths {
            committee: &there(&committee),
            keys: &there(&keys),
            data: &there(&data),
            report: &there(&part),
            control: control.as_deref(),
        };
        let text = config::node(self.spec, self.point, index, addresses, &paths);
        let liar = self.point.adversaries.iter().find(|l| l.replica == index);
        let drill = self.drill.as_ref();
        let command = match (liar, drill.and_then(|drill| drill.command(index))) {
            (_, Some(command)) => command,
            (None, None) => vec!["node".into()],
            (Some(liar), None) => vec!["adversary".into(), "--act".into(), liar.act.clone()],
        };
        self.start_member(command, &name, &part, &text)
    }

    fn start_load(&mut self, index: u32, start_ns: u64) -> Result<(), TestbedError> {
        let part = self.folder.load(index);
        fs::create_dir_all(&part).map_err(io("create", &part))?;
        let name = format!("load-{index}");
        let committee = self.folder.path(COMMITTEE);
        self.provider.deliver(&name, &[&committee], &[&part])?;
        let there = |path: &Path| self.provider.path(&name, path);
        let (committee, out) = (there(&committee), there(&part));
        let text = config::load(self.spec, self.point, index, &committee, &out, start_ns);
        self.start_member(vec!["load".into()], &name, &part, &text)
    }

    fn start_member(
        &mut self,
        command: Vec<String>,
        name: &str,
        part: &Path,
        config: &str,
    ) -> Result<(), TestbedError> {
        let path = part.join(folder::CONFIG);
        write_atomic(&path, config.as_bytes())?;
        self.provider.deliver(name, &[&path], &[])?;
        let path = self.provider.path(name, &path);
        let log = self.provider.path(name, &part.join(folder::STDERR));
        let mut plan = self.plan(name, log);
        plan.arguments = command;
        plan.arguments
            .extend(["--config".to_owned(), path.to_string_lossy().into_owned()]);
        let member = Member::start(plan, self.provider, &mut self.events)?;
        self.cluster.add(member);
        Ok(())
    }

    fn plan(&self, name: &str, log: PathBuf) -> ProcessPlan {
        ProcessPlan {
            name: name.to_owned(),
            executable: self.options.executable.clone(),
            arguments: Vec::new(),
            environment: Vec::new(),
            log,
        }
    }

    /// False when the user interrupted the wait.
    fn await_ready(&mut self, addresses: &[Addresses]) -> Result<bool, TestbedError> {
        self.tell("waiting for replicas");
        let within = Duration::from_secs(20 + u64::from(self.point.replicas));
        let deadline = Instant::now() + within;
        for (index, addresses) in addresses.iter().enumerate() {
            while !self.provider.is_ready(index as u32, &addresses.metrics) {
                if self.options.interrupt.is_raised() {
                    return Ok(false);
                }
                if let Some(exit) = self.cluster.replica(index as u32).poll(&mut self.events)? {
                    return Err(TestbedError::Setup(format!(
                        "replica {index} ended before it was ready ({exit:?}); it said:\n{}",
                        self.said(&format!("replica-{index}"))
                    )));
                }
                if Instant::now() >= deadline {
                    return Err(TestbedError::Setup(format!(
                        "replica {index}: expected 200 from http://{}/healthz within {within:?}; \
                         it said:\n{}",
                        addresses.metrics,
                        self.said(&format!("replica-{index}"))
                    )));
                }
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        Ok(true)
    }

    /// Phases and faults at their times, until the generators have ended.
    fn follow(&mut self, mut schedule: Schedule) -> Result<(), TestbedError> {
        let overdue_ns = schedule.end_ns() + LOAD_OVERDUE.as_nanos() as u64;
        loop {
            if self.options.interrupt.is_raised() {
                return self.interrupted();
            }
            while let Some(action) = schedule.due(monotonic_ns()) {
                self.act(action)?;
            }
            self.cluster.poll_replicas(&mut self.events)?;
            if let Some(fault) = self.drill.as_mut().and_then(|d| d.due_kill(monotonic_ns())) {
                self.act(Action::Fault(fault))?;
            }
            let drills = match &mut self.drill {
                Some(drill) => {
                    let step = drill.tick(
                        monotonic_ns(),
                        &self.folder,
                        self.provider,
                        &mut self.events,
                    )?;
                    if let Some(step) = step {
                        self.tell(step);
                    }
                    self.drill.as_ref().is_some_and(|drill| !drill.is_over())
                }
                None => false,
            };
            match self.cluster.poll_loads(&mut self.events)? {
                None => {}
                // What is not resumed when the load ends may still be; the drill has its own end.
                Some(true) if drills => {
                    std::thread::sleep(POLL_INTERVAL);
                    continue;
                }
                Some(true) => {
                    // What fell due while this process was not running belongs to the record.
                    while let Some(action) = schedule.due(monotonic_ns()) {
                        self.act(action)?;
                    }
                    return Ok(());
                }
                Some(false) => {
                    return Err(TestbedError::Setup(format!(
                        "a generator failed; it said:\n{}",
                        self.said("load-0")
                    )));
                }
            }
            let now_ns = monotonic_ns();
            if now_ns > overdue_ns {
                return Err(TestbedError::Setup(format!(
                    "expected every generator to end within {LOAD_OVERDUE:?} after its schedule"
                )));
            }
            let kill_ns = self.drill.as_ref().and_then(Drill::next_kill_ns);
            let next = schedule
                .next_ns()
                .into_iter()
                .chain(kill_ns)
                .min()
                .map_or(POLL_INTERVAL, |at| {
                    Duration::from_nanos(at.saturating_sub(now_ns))
                })
                .min(POLL_INTERVAL);
            std::thread::sleep(next);
        }
    }

    fn act(&mut self, action: Action) -> Result<(), TestbedError> {
        match action {
            Action::Phase(phase) => {
                self.tell(phase.name());
                self.events.record(EventKind::Phase { phase })?;
            }
            Action::Fault(fault) if fault.action.is_of_network() => {
                self.network.apply(
                    &fault,
                    self.spec,
                    self.point,
                    &self.sockets,
                    &self.cluster,
                    self.provider,
                )?;
                self.note(fault)?;
            }
            Action::Fault(fault) => {
                let member = self.cluster.replica(fault.replica);
                match fault.action {
                    FaultAction::Crash => member.crash()?,
                    FaultAction::Pause => member.signal(Signal::Stop)?,
                    FaultAction::Resume => member.signal(Signal::Continue)?,
                    FaultAction::Restart => {
                        member.restart(self.provider, &mut self.events)?;
                    }
                    _ => {}
                }
                let replica = fault.replica;
                self.note(fault)?;
                self.cluster.replica(replica).poll(&mut self.events)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, fault: measure::PlannedFault) -> Result<(), TestbedError> {
        let of_network = fault.action.is_of_network();
        self.events.record(EventKind::Fault {
            replica: fault.replica,
            action: fault.action,
            planned_s: fault.at_s,
            network: of_network.then_some(fault),
        })?;
        Ok(())
    }

    /// The last lines that a process said.
    fn said(&mut self, name: &str) -> String {
        let log = self.folder.path(name).join(folder::STDERR);
        self.provider.refresh(&[(name.to_owned(), log.clone())]);
        tail(&log)
    }

    fn interrupted(&mut self) -> Result<(), TestbedError> {
        self.events.record(EventKind::Interrupted)?;
        Ok(())
    }

    fn tell(&self, step: &str) {
        let index = self.point.index as usize;
        self.options.progress.step(index, &self.point.name, step);
    }
}

fn record(spec: &Spec, point: &Point, options: &Options, provider: &str) -> RunRecord {
    RunRecord {
        schema: measure::SCHEMA_VERSION,
        experiment: spec.name.clone(),
        spec_hash: spec.hash(),
        index: point.index,
        name: point.name.clone(),
        repetition: point.repetition,
        provider: provider.to_owned(),
        replicas: point.replicas,
        generators: spec.load.generators,
        rule: point.rule.name().into(),
        scheme: point.scheme.name().into(),
        durability: point.durability.name().into(),
        backend: point.backend.name().into(),
        encryption: point.encryption,
        auth: point.auth.name().into(),
        app: point.app.name().into(),
        rate_tps: point.rate_tps,
        size_bytes: point.size_bytes,
        warmup_s: spec.load.warmup_s,
        duration_s: point.duration_s,
        cooldown_s: spec.load.cooldown_s,
        seed: point.seed,
        faults: point.faults.clone(),
        adversaries: point.adversaries.clone(),
        drill: point.drill,
        recovery: point.recovery,
        delay_ms: point.delay_ms,
        wan_rtt_ms: spec.wan.as_ref().map(|wan| wan.rtt_ms.clone()),
        load: spec.load_plan(),
        thresholds: point.thresholds,
        begun: WallAnchor::now(),
        command: options.command.clone(),
    }
}

/// The last lines of a log, for an error message.
fn tail(path: &Path) -> String {
    const LINES_MAX: usize = 12;
    let bytes = fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
}

pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TestbedError {
    let path = path.to_path_buf();
    move |source| TestbedError::Io {
        action,
        path,
        source,
    }
}
