//! The loop: sockets, replica and housekeeping on one thread.

use std::time::Duration;

use measure::{Usage, monotonic_ns};
use types::Mode;

use crate::config::NodeConfig;
use crate::control::{Command, Control};
use crate::platform::NodeEvent;
use crate::process::Process;
use crate::profiler::Profiler;
use crate::real::{Real, RealPlatform};
use crate::report::Reporter;
use crate::snapshot::{Board, Snapshot};
use crate::start::{Parts, Setup, Started, start};
use crate::stop::Asked;
use crate::waiting::Waiting;
use crate::{NodeError, metrics, stop};

/// Between two looks at commands, ledger and snapshot.
const TICK_NS: u64 = 250_000_000;
/// Answers of journal and helpers are handled this often before the sockets are looked at again.
const ROUNDS_MAX: usize = 8;
/// After a request to stop, what was admitted goes on for this long.
const GRACE_NS: u64 = 500_000_000;
/// The last sync may take this long.
const LAST_SYNC_NS: u64 = 10_000_000_000;

/// Runs a replica until it is asked to stop. Returns only what is fatal as an error: after it,
/// nothing was acknowledged.
///
/// # Errors
/// [`NodeError`].
pub fn run(config: &NodeConfig) -> Result<(), NodeError> {
    run_wrapped(config, |platform, _| platform)
}

/// As [`run`], over what `wrap` makes of the platform.
///
/// # Errors
/// [`NodeError`].
pub fn run_wrapped<W: Real>(
    config: &NodeConfig,
    wrap: impl FnOnce(RealPlatform, &Setup) -> W,
) -> Result<(), NodeError> {
    run_process(config, |parts, setup| {
        parts.replica(|platform| wrap(platform, setup))
    })
}

/// Runs what `make` makes of the parts of a replica.
///
/// # Errors
/// [`NodeError`].
pub fn run_process<W: Process>(
    config: &NodeConfig,
    make: impl FnOnce(Parts, &Setup) -> Result<W, NodeError>,
) -> Result<(), NodeError> {
    stop::survive_file_limits()?;
    let mut started = start(config, make)?;
    let mut house = House::open(config, &started)?;
    tracing::info!(replica = %started.setup.me, backend = %started.setup.backend, "running");
    let end = turn_until_stopped(&mut started, &mut house);
    let failure = end.as_ref().err().map(ToString::to_string);
    let closed = house.close(&mut started, failure);
    end.and(closed)
}

fn turn_until_stopped<W: Process>(
    started: &mut Started<W>,
    house: &mut House,
) -> Result<(), NodeError> {
    let mut events = Vec::with_capacity(1024);
    let mut waiting = Waiting::default();
    loop {
        let wait = match waiting.is_empty() && events.is_empty() {
            true => house.wait(started.process.deadline_ns()),
            false => Duration::ZERO,
        };
        started.process.real().poll(wait, &mut events)?;
        settle(started, &mut events, &mut waiting)?;
        if house.tick(started)? {
            return Ok(());
        }
    }
}

/// Handles a burst, and what it causes here: so that one flush of the sockets serves all of it.
fn settle<W: Process>(
    started: &mut Started<W>,
    events: &mut Vec<NodeEvent>,
    waiting: &mut Waiting,
) -> Result<(), NodeError> {
    let process = &mut started.process;
    for _ in 0..ROUNDS_MAX {
        let now_ns = monotonic_ns();
        waiting.burst(events);
        events
            .drain(..)
            .for_each(|event| process.handle(now_ns, event));
        process.turn(now_ns);
        process.real().collect(events)?;
        if events.is_empty() {
            break;
        }
    }
    match process.fatal() {
        Some(why) => Err(NodeError::Replica(why.to_owned())),
        None => Ok(()),
    }
}

/// Everything beside the protocol, a few times a second.
struct House {
    asked: Asked,
    board: Board,
    control: Option<Control>,
    profiler: Option<Profiler>,
    reporter: Reporter,
    tick_ns: u64,
    /// When the grace after a request to stop ends.
    stop_ns: Option<u64>,
}

impl House {
    fn open<W: Process>(config: &NodeConfig, started: &Started<W>) -> Result<House, NodeError> {
        let board = Board::default();
        let waker = started.waker.clone();
        if let Some(addr) = config.metrics_addr {
            let bound = metrics::serve(addr, board.clone())?;
            tracing::info!(%bound, "serving /metrics and /healthz");
        }
        let control = config
            .control
            .as_ref()
            .map(|section| Control::open(&section.socket, board.clone(), waker.clone()))
            .transpose()?;
        let profiler = config.profile.as_ref().and_then(|section| {
            let dir = section.dir.clone().or_else(|| config.report_dir.clone())?;
            Some(Profiler::new(section.clone(), dir, monotonic_ns()))
        });
        Ok(House {
            asked: Asked::listen(config.stop_on_stdin_eof, waker)?,
            board,
            control,
            profiler,
            reporter: Reporter::open(config.report_dir.as_deref())?,
            tick_ns: 0,
            stop_ns: None,
        })
    }

    /// How long the sockets may be waited for.
    fn wait(&self, deadline_ns: Option<u64>) -> Duration {
        let until_ns = deadline_ns.unwrap_or(u64::MAX).min(self.tick_ns);
        Duration::from_nanos(until_ns.saturating_sub(monotonic_ns()))
    }

    /// True when it is time to end.
    fn tick<W: Process>(&mut self, started: &mut Started<W>) -> Result<bool, NodeError> {
        let now_ns = monotonic_ns();
        self.obey(started);
        if self.asked.is_stop() && self.stop_ns.is_none() {
            tracing::info!("stopping");
            started.process.begin_stop();
            self.stop_ns = Some(now_ns + GRACE_NS);
            self.tick_ns = now_ns;
        }
        // A merge is on record before its new journal is: whoever is killed now must not come back
        // into an epoch that its ledger and timeline know nothing of.
        let incidents = started.process.take_incidents();
        if !incidents.is_empty() {
            self.reporter.blocks(&started.process.take_ledger())?;
            self.reporter.incidents(&incidents)?;
        }
        if now_ns < self.tick_ns {
            return Ok(false);
        }
        self.tick_ns = now_ns + TICK_NS;
        if let Some(profiler) = &mut self.profiler {
            profiler.tick(now_ns);
        }
        self.reporter.blocks(&started.process.take_ledger())?;
        let snapshot = snapshot(started, self.stop_ns.is_some());
        let idle = snapshot.extra.get("own_backlog_bytes") == Some(&0);
        self.board.publish(snapshot);
        Ok(self.stop_ns.is_some_and(|end_ns| idle || now_ns >= end_ns))
    }

    /// Commands and signals, as soon as they wake the loop.
    fn obey<W: Process>(&mut self, started: &mut Started<W>) {
        if self.asked.take_profile() {
            match &mut self.profiler {
                Some(profiler) => profiler.toggle(monotonic_ns()),
                None => tracing::warn!("SIGUSR2: no [profile] in the config"),
            }
        }
        while let Some(order) = self.control.as_ref().and_then(Control::next) {
            tracing::warn!(command = ?order.command, "fault injection");
            let result = match &order.command {
                Command::Shape(section) => started.shapes.shape(section),
                Command::Block { peer } => started.shapes.block(*peer, true).map(|one| vec![one]),
                Command::Unblock { peer } => {
                    started.shapes.block(*peer, false).map(|one| vec![one])
                }
                Command::Stop => {
                    self.asked.stop();
                    Ok(Vec::new())
                }
                Command::State => Ok(Vec::new()),
            };
            order.answer(result.map(|changed| {
                for (peer, shape) in changed {
                    started.process.real().set_shape(peer, shape);
                }
            }));
        }
    }

    /// Makes durable what is not yet, and completes ledger and status whatever happened.
    fn close<W: Process>(
        &mut self,
        started: &mut Started<W>,
        failure: Option<String>,
    ) -> Result<(), NodeError> {
        if let Some(profiler) = &mut self.profiler {
            profiler.end();
        }
        let synced = match failure {
            Some(_) => Ok(()),
            None => last_sync(started),
        };
        let ledger = self.reporter.blocks(&started.process.take_ledger());
        let incidents = self.reporter.incidents(&started.process.take_incidents());
        let snapshot = snapshot(started, true);
        let failure = failure.or_else(|| synced.as_ref().err().map(ToString::to_string));
        self.reporter.status(&started.setup, &snapshot, failure)?;
        ledger.and(incidents).and(synced)?;
        tracing::info!(height = snapshot.height, view = snapshot.view, "stopped");
        Ok(())
    }
}

/// Waits until everything appended is durable, and lets go what waited for that.
fn last_sync<W: Process>(started: &mut Started<W>) -> Result<(), NodeError> {
    let end_ns = monotonic_ns() + LAST_SYNC_NS;
    let mut events = Vec::new();
    let mut waiting = Waiting::default();
    while !started.process.real().is_durable()? {
        if monotonic_ns() >= end_ns {
            return Err(NodeError::Replica(
                "the last sync takes more than 10 s".into(),
            ));
        }
        let platform = started.process.real();
        platform.poll(Duration::from_millis(10), &mut events)?;
        settle(started, &mut events, &mut waiting)?;
    }
    started.process.real().collect(&mut events)?;
    settle(started, &mut events, &mut waiting)?;
    // One more turn of the sockets takes the answers to the kernel.
    started.process.real().poll(Duration::ZERO, &mut events)
}

fn snapshot<W: Process>(started: &mut Started<W>, stopping: bool) -> Snapshot {
    let mode: Mode = started.process.mode();
    let mut snapshot = Snapshot {
        replica: started.setup.me.0,
        committee: started.setup.epoch.n,
        mode: mode.name(),
        peers_needed: started.setup.epoch.quorum(),
        backend: started.setup.backend.name(),
        stopping,
        ..Snapshot::default()
    };
    snapshot.add_counters(&started.process.counters());
    snapshot.add_platform(&started.process.real().stats());
    snapshot.add_usage(&Usage::of_this_process());
    snapshot
}
