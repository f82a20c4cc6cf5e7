//! One seed's world: virtual time, one thread, the real driver at every seat.

mod boot;
mod clients;
mod end;
mod faults;
mod merge;
mod split;
mod step;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use adversary::Acts;
use node::platform::ClientId;
use types::Epoch;

use crate::clients::Client;
use crate::coverage::Coverage;
use crate::event::{Event, Queue, Seat};
use crate::host::Host;
use crate::keys::{Belief, Keys, committee, keys_of};
use crate::mutants::Mutant;
use crate::net::Net;
use crate::oracle::{Oracle, Violation};
use crate::plan::{MS, WorldPlan};
use crate::rng::Rng;
use crate::split::SplitPlan;

/// Healed worlds must reach their goal within this virtual time.
const LIVENESS_NS: u64 = 30_000 * MS;
/// A world with less than this proves nothing.
const BLOCKS_MIN: u64 = 20;
/// No world needs more for each pair of replicas; a livelock does.
const EVENTS_PER_PAIR_MAX: u64 = 40_000;

/// How a world ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub violation: Option<Violation>,
    /// Over every event, in order.
    pub hash: u64,
    pub coverage: Coverage,
    /// Virtual time at the end.
    pub end_ns: u64,
}

/// See the module.
pub struct World {
    plan: WorldPlan,
    mutant: Option<Mutant>,
    epoch: Epoch,
    keys: Vec<Arc<dyn Keys>>,
    hosts: Vec<Host>,
    net: Net,
    queue: Queue,
    now_ns: u64,
    rng: Rng,
    oracle: Oracle,
    clients: Vec<Client>,
    conns: HashMap<ClientId, (usize, Seat, u32)>,
    dialled: HashMap<(usize, Seat), ClientId>,
    next_client: u64,
    healed: bool,
    hash: u64,
    events: u64,
    coverage: Coverage,
    /// The last messages, one line each, where somebody wants to read them.
    trace: Option<VecDeque<String>>,
    split: Option<Box<split::Split>>,
}

/// Lines of a trace that are kept.
const TRACE_LINES_MAX: usize = 20_000;

/// Runs one world and returns its last messages as well.
pub fn run_traced(plan: WorldPlan, mutant: Option<Mutant>) -> (Outcome, Vec<String>) {
    let mut world = World::new(plan, mutant);
    world.trace = Some(VecDeque::new());
    let outcome = world.run();
    (outcome, world.trace.take().unwrap_or_default().into())
}

/// Runs one world to its end.
pub fn run(plan: WorldPlan, mutant: Option<Mutant>) -> Outcome {
    let mut world = World::new(plan, mutant);
    world.run()
}

/// Runs a world that is split; with `trace`, returns its last messages as well.
pub fn run_split(plan: SplitPlan, trace: bool) -> (Outcome, Vec<String>) {
    run_split_of(plan, None, trace)
}

/// The same with wrong replicas in the place of the correct ones.
pub fn run_split_of(
    plan: SplitPlan,
    mutant: Option<Mutant>,
    trace: bool,
) -> (Outcome, Vec<String>) {
    let mut world = World::of_split(plan, mutant);
    world.trace = trace.then(VecDeque::new);
    let outcome = world.run();
    (outcome, world.trace.take().unwrap_or_default().into())
}

impl World {
    fn new(plan: WorldPlan, mutant: Option<Mutant>) -> World {
        let made = committee(plan.scheme, plan.n, plan.rule);
        let belief = |seat| match mutant {
            _ if plan.is_evil(seat) => Belief::Proven,
            Some(Mutant::BelieveCertificates) => Belief::Everything,
            Some(Mutant::BelieveReports) => Belief::Reports,
            _ => Belief::Proven,
        };
        let keys = (0..plan.n)
            .map(|seat| keys_of(plan.scheme, &made, seat, belief(seat)))
            .collect();
        let epoch = made.0.genesis();
        let hosts = (0..plan.n)
            .map(|seat| {
                Host::new(
                    seat,
                    plan.seed ^ seat as u64,
                    plan.disk_ns,
                    plan.clocks[seat],
                )
            })
            .collect();
        let mut net = Net::new(plan.n, plan.link);
        for (at, factor) in plan.asymmetry.iter().enumerate() {
            net.link(at / plan.n, at % plan.n).delay_ns *= factor;
        }
        let honest = (0..plan.n).map(|seat| !plan.is_evil(seat)).collect();
        let clients = (0..plan.clients)
            .map(|at| Client::new(at, at % plan.n))
            .collect();
        World {
            oracle: Oracle::new(epoch, plan.rule, honest),
            rng: Rng::new(plan.seed, 0x776f_726c),
            coverage: Coverage::new(plan.n, plan.rule),
            mutant,
            epoch,
            keys,
            hosts,
            net,
            queue: Queue::default(),
            now_ns: 0,
            clients,
            conns: HashMap::new(),
            dialled: HashMap::new(),
            next_client: 0,
            healed: false,
            hash: 0x9e37_79b9,
            trace: None,
            split: None,
            events: 0,
            plan,
        }
    }

    fn run(&mut self) -> Outcome {
        for seat in 0..self.plan.n {
            self.boot(seat);
        }
        for (at_ns, fault) in self.plan.faults.clone() {
            self.queue.put(at_ns, Event::Fault(fault));
        }
        for client in 0..self.clients.len() {
            self.queue.put(5 * MS, Event::ClientTick { client });
        }
        self.queue.put(100 * MS, Event::Inspect);
        if self.is_attacked() {
            self.run_split();
            return self.outcome();
        }
        self.run_until(self.plan.heal_ns, |_| false);
        self.heal();
        if self.plan.nominal {
            let goal = (self.oracle.finality.height_max() + 12).max(BLOCKS_MIN);
            let until = self.now_ns + LIVENESS_NS;
            let reached = self.run_until(until, |world| world.is_done(goal));
            if !reached && self.oracle.first.is_none() {
                self.stuck(goal);
            }
            self.judge_calm();
            self.judge();
        } else {
            self.run_until(self.now_ns + 1000 * MS, |_| false);
        }
        self.outcome()
    }

    /// Handles events up to `until_ns` or until `done`; true if done.
    fn run_until(&mut self, until_ns: u64, done: impl Fn(&World) -> bool) -> bool {
        while self.oracle.first.is_none() {
            match self.queue.next_ns() {
                Some(at_ns) if at_ns <= until_ns => {}
                _ => {
                    self.now_ns = until_ns;
                    return false;
                }
            }
            let Some((at_ns, event)) = self.queue.take() else {
                return false;
            };
            self.now_ns = at_ns;
            self.events += 1;
            let most = EVENTS_PER_PAIR_MAX * (self.plan.n * self.plan.n).max(100) as u64;
            if self.events > most {
                self.fail(
                    "livelock",
                    format!("{most} events and no end at {} ms", at_ns / MS),
                );
                return false;
            }
            self.step(event);
            if self.events.is_multiple_of(16) && done(self) {
                return true;
            }
        }
        false
    }

    fn trace(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push_back(line());
            if trace.len() > TRACE_LINES_MAX {
                trace.pop_front();
            }
        }
    }

    fn fail(&mut self, check: &'static str, what: String) {
        self.oracle.note(Err(Violation { check, what }));
    }

    fn mix(&mut self, word: u64) {
        self.hash = (self.hash.rotate_left(7) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn outcome(&mut self) -> Outcome {
        let mut acts = Acts::default();
        let mut coverage = std::mem::take(&mut self.coverage);
        for (seat, host) in self.hosts.iter_mut().enumerate() {
            if let Some(process) = &mut host.process {
                host.acts.merge(&process.take_acts());
            }
            acts.merge(&host.acts);
            if self.oracle.is_honest(seat) {
                host.counters()
                    .iter()
                    .for_each(|counters| coverage.add_counters(counters));
            }
        }
        if let Some(split) = &self.split {
            coverage.split = split.coverage();
        }
        coverage.worlds = 1;
        coverage.acts = acts;
        coverage.blocks = self.oracle.ledger.height_max();
        coverage.txs = self.oracle.ledger.txs;
        coverage.receipts = self.oracle.receipts.count;
        coverage.duplicates = self.oracle.receipts.duplicates;
        coverage.frames_lost = self.net.lost;
        coverage.frames_twice = self.net.twice;
        coverage.resent = self.clients.iter().map(|client| client.resent).sum();
        coverage.virtual_ns = self.now_ns;
        coverage.events = self.events;
        let hash = self.hash;
        Outcome {
            violation: self.oracle.first.clone(),
            hash,
            coverage,
            end_ns: self.now_ns,
        }
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("plan", &self.plan)
            .field("now_ns", &self.now_ns)
            .finish_non_exhaustive()
    }
}
