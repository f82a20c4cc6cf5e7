//! The glue of a world that is split: attackers with two faces, walls between the sides, and the
//! phases from the first conflict to the end.

use std::sync::Arc;

use adversary::split::{FacePlatform, Maker, SplitPlan as FacePlan, TwoFaced};
use adversary::{Byzantine, Forge, Plan as Acts};
use bytes::Bytes;
use execution::kv::{BALANCE_INITIAL, format};
use measure::LedgerRecord;
use node::incident::{Incident, What};
use node::replica::{RecoveryConfig, Replica, Signer};
use types::client::{Response, SessionEntries};
use types::{Mode, Offence, ReplicaId};

use super::World;
use crate::clients::Client;
use crate::coverage::SplitCoverage;
use crate::event::{Event, Seat};
use crate::mutants::{Mutant, rules};
use crate::plan::{Fault, MS};
use crate::platform::SimPlatform;
use crate::process::{One, Process};
use crate::split::plan::{Attacker, seats};
use crate::split::{Kind, SplitOracle, SplitPlan};

/// The attackers get their two histories within this time, or give up.
const ATTACK_NS: u64 = 30_000 * MS;
/// From the end of all faults until everybody works again.
const RECOVERY_NS: u64 = 60_000 * MS;
/// States are compared at heights divisible by this.
const STATE_INTERVAL: u64 = 4;
/// Blocks of the working epoch that prove that it works.
const NEW_BLOCKS: u64 = 10;

/// What a split world has beside an ordinary one.
#[derive(Debug)]
pub struct Split {
    pub plan: SplitPlan,
    pub oracle: SplitOracle,
    /// The sides talk again.
    pub mended: bool,
    /// Receipts that clients got in working epochs after the first.
    pub receipts_after: u64,
}

impl Split {
    pub fn coverage(&self) -> SplitCoverage {
        let oracle = &self.oracle;
        let parted = u64::from(oracle.parted.is_some());
        SplitCoverage {
            parted,
            empty: 1 - parted,
            convicted: oracle.convicted.len() as u64,
            by_offence: Offence::ALL.map(|offence| {
                oracle
                    .offences
                    .get(&offence)
                    .map_or(0, |culprits| culprits.len() as u64)
            }),
            kept: oracle.before.len() as u64,
            receipts_after: self.receipts_after,
            figures: oracle.figures,
        }
    }
}

impl World {
    pub(super) fn of_split(plan: SplitPlan, mutant: Option<Mutant>) -> World {
        let mut world = World::new(plan.base.clone(), mutant);
        let oracle = SplitOracle::new(&plan, world.epoch);
        // Epochs may change, at the least by an eviction in band: the ordinary oracle knows of one.
        world.oracle.expect_split();
        if plan.kind != Kind::Liars {
            // Somebody on each side has something to lose.
            for (at, client) in world.clients.iter_mut().enumerate() {
                let side = &plan.sides[at % 2];
                client.home = side[at / 2 % side.len()];
            }
        }
        world.split = Some(Box::new(Split {
            plan,
            oracle,
            mended: false,
            receipts_after: 0,
        }));
        world
    }

    /// Where one side must give up many views, it does not wait for ages.
    pub(super) fn timeout_max_ns(&self) -> u64 {
        match &self.split {
            Some(split) if split.plan.apart => 240 * MS,
            _ => 1000 * MS,
        }
    }

    /// How the replicas of this world recover, if they can.
    pub(super) fn recovery(&self) -> Option<RecoveryConfig> {
        let able = self.split.as_ref().is_some_and(|split| split.plan.recovery);
        able.then(|| RecoveryConfig {
            notice_max_ns: 30 * MS,
            ..RecoveryConfig::default()
        })
    }

    /// The attackers' seats get two replicas each.
    pub(super) fn boot_attacker(&mut self, attacker: Attacker, platform: SimPlatform) -> Process {
        let seat = attacker.seat;
        let me = ReplicaId(seat as u16);
        let plan = &self.split.as_ref().expect("a split world").plan;
        let host = &self.hosts[seat];
        let evil: Vec<Seat> = plan.attackers.iter().map(|one| one.seat).collect();
        let mut allies = seats(&evil);
        allies.remove(me);
        let faces = FacePlan {
            sides: [plan.side(0), plan.side(1)],
            allies,
            faces: attacker.faces,
            split_ns: host.clock(plan.split_ns),
            late_ns: plan.late_ns,
            apart: plan.apart,
            heal_ns: u64::MAX,
            after: attacker.after,
            during: attacker.during,
        };
        let (mut config, rule) = (self.config(seat), self.plan.rule);
        config.recovery = config.recovery.filter(|_| attacker.recovers);
        let (epoch, seed) = (self.epoch, self.plan.seed ^ seat as u64);
        let signer: Arc<dyn Signer> = self.keys[seat].clone();
        let forge: Arc<dyn Forge> = self.keys[seat].clone();
        let make: Maker = Box::new(move |records, now_ns| {
            let platform = Byzantine::evil(
                FacePlatform::new(records.clone()),
                me,
                epoch,
                forge.clone(),
                Acts::honest(),
                seed,
            );
            let signer = signer.clone();
            let rules = rules(rule, None);
            Replica::new(config.clone(), rules, signer, records, platform, now_ns)
        });
        let now_ns = host.clock(self.now_ns);
        let two = TwoFaced::new(faces, platform, make, now_ns);
        Process::Two(Box::new(two.expect("a face without a past starts")))
    }

    /// From the start to the verdict.
    pub(super) fn run_split(&mut self) {
        let split = self.split.as_ref().expect("a split world");
        let (walls, split_ns) = (split.plan.walls(), split.plan.split_ns);
        let (linger_ns, calm_ns) = (split.plan.linger_ns, split.plan.calm_ns);
        let later = split.plan.later.clone();
        for (from, to) in walls.iter().copied() {
            self.queue.put(split_ns, Event::Fault(Fault::Cut(from, to)));
        }
        if !self.run_until(split_ns + ATTACK_NS, World::has_parted) {
            return;
        }
        self.run_until(self.now_ns + linger_ns, |_| false);
        self.mend(&walls);
        for (at_ns, fault) in later {
            self.queue.put(self.now_ns + at_ns, Event::Fault(fault));
        }
        self.plan.heal_ns = self.now_ns + calm_ns;
        self.run_until(self.plan.heal_ns, |_| false);
        self.heal();
        match self
            .split
            .as_ref()
            .map(|split| (split.plan.recovery, split.plan.kind))
        {
            Some((true, Kind::Envelope)) => self.demand_recovery(),
            _ => {
                self.run_until(self.now_ns + 3000 * MS, |_| false);
            }
        }
        self.judge_split();
    }

    pub(super) fn is_spared(&self, seat: Seat) -> bool {
        let split = self.split.as_ref().filter(|s| s.plan.spares_merged);
        split.is_some_and(|split| split.oracle.witnesses[seat].merged > 0)
    }

    /// Whether a replica holds the conflict.
    pub(super) fn is_aware(&self, seat: Seat) -> bool {
        let split = self.split.as_ref();
        split.is_some_and(|split| split.oracle.witnesses[seat].saw_conflict)
    }

    fn has_parted(&self) -> bool {
        let split = self.split.as_ref();
        split.is_some_and(|split| split.oracle.parted.is_some())
    }

    /// The sides talk again.
    fn mend(&mut self, walls: &[(Seat, Seat)]) {
        for (from, to) in walls {
            self.fault(Fault::Mend(*from, *to));
        }
        if let Some(split) = &mut self.split {
            split.mended = true;
        }
        for host in &mut self.hosts {
            let local = host.clock(self.now_ns);
            if let Some(two) = host.process.as_mut().and_then(Process::two) {
                two.end_attack(local);
            }
        }
        for seat in 0..self.plan.n {
            self.drain(seat);
        }
    }

    /// Everybody who lasts is in one working epoch that orders and answers.
    fn demand_recovery(&mut self) {
        let until_ns = self.now_ns + RECOVERY_NS;
        let reached = self.run_until(until_ns, World::has_recovered);
        // The last that was handed in is executed everywhere.
        self.run_until(self.now_ns + 300 * MS, |_| false);
        if !reached && self.oracle.first.is_none() {
            self.stuck_in_recovery();
        }
    }

    fn has_recovered(&self) -> bool {
        let Some(split) = &self.split else {
            return false;
        };
        let lasting = self.plan.lasting();
        let mut epochs = lasting.iter().map(|seat| {
            let one = self.hosts[*seat].process.as_ref()?.one()?;
            let works = matches!(one.mode(), Mode::SafeResumed | Mode::Nominal);
            let (height, epoch) = split.oracle.tip(*seat)?;
            let working = one.epoch();
            let goal = working.root_height.0 + NEW_BLOCKS;
            let fresh = working.id != self.epoch.id && epoch == working.id.0.0[..8];
            // What it had to hand in again is ordered as well.
            let handed_in = one.counters().own_backlog_bytes == 0;
            (works && fresh && handed_in && height.0 >= goal).then_some(working.id)
        });
        let first = epochs.next().flatten();
        first.is_some()
            && epochs.all(|epoch| epoch == first)
            && split.receipts_after > 0
            && self
                .clients
                .iter()
                .all(|client| client.stopped && client.open() == 0)
    }

    fn stuck_in_recovery(&mut self) {
        let open = self.clients.iter().map(Client::open);
        let open: Vec<String> = open.map(|open| open.to_string()).collect();
        let seats = (0..self.plan.n).map(|seat| {
            let split = self.split.as_ref().expect("a split world");
            let witness = &split.oracle.witnesses[seat];
            let Some(process) = &self.hosts[seat].process else {
                return format!("replica {seat}: down");
            };
            let Some(one) = process.one() else {
                return format!("replica {seat}: attacker {:?}", split.plan.attacker(seat));
            };
            let c = one.counters();
            format!(
                "replica {seat}: {} in epoch {:?}, view {}, committed {}, executed {}, convicted {:?}, gate {:?}, merged {}",
                one.mode().name(), one.epoch().id, c.view, c.height_committed, c.height_executed,
                witness.convicted, witness.gate, witness.merged,
            )
        });
        let seats: Vec<String> = seats.collect();
        let what = format!(
            "no common working epoch {} ms after the faults ended; open at clients: {}; receipts since: {}\n  {}",
            (self.now_ns - self.plan.heal_ns) / MS,
            open.join(", "),
            self.split.as_ref().map_or(0, |split| split.receipts_after),
            seats.join("\n  "),
        );
        self.fail("recovery-liveness", what);
    }

    fn judge_split(&mut self) {
        let lasting = self.plan.lasting();
        let Some(split) = &self.split else {
            return;
        };
        if self.oracle.first.is_some() || !split.plan.recovery {
            return;
        }
        let verdict = split
            .oracle
            .attributed(&lasting)
            .and_then(|()| match split.plan.kind {
                Kind::Envelope => split.oracle.one_history(&lasting),
                _ => Ok(()),
            });
        let kind = split.plan.kind;
        self.oracle.note(verdict);
        match kind {
            Kind::Envelope => lasting.iter().for_each(|seat| self.check_payments(*seat)),
            Kind::Beyond => lasting.iter().for_each(|seat| self.check_gate(*seat)),
            Kind::Liars => {}
        }
    }

    pub(super) fn is_attacked(&self) -> bool {
        let kind = self.split.as_ref().map(|split| split.plan.kind);
        kind.is_some_and(|kind| kind != Kind::Liars)
    }

    /// Height that some correct replica executed.
    pub(super) fn blocks(&self) -> u64 {
        let split = self.split.as_ref();
        let tips = split.map(|split| split.oracle.height_max());
        tips.unwrap_or_else(|| self.oracle.ledger.height_max())
    }

    /// A few liars alarm nobody.
    pub(super) fn judge_calm(&mut self) {
        if let Some(split) = &self.split {
            let verdict = split.oracle.never_alarmed();
            let lasting = self.plan.lasting();
            let verdict = verdict.and_then(|()| split.oracle.one_history(&lasting));
            self.oracle.note(verdict);
        }
    }

    /// (d): what a correct replica had executed is there once, at everybody.
    fn check_payments(&mut self, seat: Seat) {
        let Some(one) = self.hosts[seat].process.as_ref().and_then(Process::one) else {
            return;
        };
        let before = &self.split.as_ref().expect("a split world").oracle.before;
        let wrong = before.iter().find_map(|((session, seq), by)| {
            let balance = balance(one, Client::account_of(session, *seq));
            (balance != Some(BALANCE_INITIAL + 1)).then_some((*seq, *by, balance))
        });
        if let Some((seq, by, balance)) = wrong {
            let what = format!(
                "replica {seat}: the account of payment {seq}, which replica {by} had executed, holds {balance:?}, expected {}",
                BALANCE_INITIAL + 1
            );
            self.fail("payment-lost", what);
        }
    }

    /// Whoever found that an epoch's envelope is refuted stays in it, says why and admits nothing. Each
    /// epoch reckons with its own members: culprits that earlier ones evicted refute nothing.
    fn check_gate(&mut self, seat: Seat) {
        let split = self.split.as_ref().expect("a split world");
        let witness = &split.oracle.witnesses[seat];
        let Some((epoch, found)) = split.oracle.refuted(seat) else {
            return;
        };
        let Some(one) = self.hosts[seat].process.as_ref().and_then(Process::one) else {
            return;
        };
        let (mode, admitted) = (one.mode(), one.counters().txs_admitted);
        let said = matches!(&witness.gate, Some((false, why)) if !why.is_empty());
        let admits = witness
            .admitted_when_closed
            .is_some_and(|then| admitted > then);
        let stays = one.epoch().id == epoch.id && mode == Mode::DegradedSafe;
        if !stays || !said || admits {
            let what = format!(
                "replica {seat} convicted {found:?}, more than the envelope {} of epoch {:?}, and is {} in epoch {:?}, gate {:?}, admitted {admitted} (when it closed: {:?})",
                epoch.envelope,
                epoch.id,
                mode.name(),
                one.epoch().id,
                witness.gate,
                witness.admitted_when_closed,
            );
            self.fail("gate", what);
        }
    }

    /// What a client is told in a world that is split: receipts still prove their order, but more
    /// than one order.
    pub(super) fn split_reply(&mut self, client: usize, response: Response) {
        let Some(split) = &mut self.split else {
            return;
        };
        let mut told: Vec<SessionEntries> = Vec::new();
        match response {
            Response::Receipts(receipts) => {
                let epoch = split.oracle.epochs.get(&receipts.epoch);
                let proven = epoch.is_some_and(|epoch| {
                    let proof = &receipts.proof;
                    proof.check(self.plan.rule, epoch, receipts.block).is_ok()
                        && proof
                            .chain
                            .first()
                            .is_some_and(|core| core.height == receipts.height)
                });
                if !proven {
                    let what = format!("a receipt for height {} without a proof", receipts.height);
                    return self.fail("receipt", what);
                }
                split.receipts_after += u64::from(receipts.epoch != self.epoch.id);
                told = receipts.sessions;
            }
            Response::Settled(session) => told.push(session),
            Response::Moved { sessions, .. } => told = sessions,
            Response::Refused { .. } => self.coverage.refused += 1,
            _ => {}
        }
        let own = &mut self.clients[client];
        let entries = told.iter().filter(|told| told.session == own.session);
        let entries: Vec<_> = entries.flat_map(|told| told.entries.clone()).collect();
        for entry in entries {
            self.oracle.receipts.told(entry.height);
            own.settle(&entry);
        }
    }

    /// Clients go on until they saw that the working epoch answers.
    pub(super) fn clients_may_stop(&self) -> bool {
        match &self.split {
            Some(split) if split.plan.recovery && split.plan.kind == Kind::Envelope => {
                split.receipts_after > 20
            }
            _ => true,
        }
    }

    /// Takes note of what a correct replica executed and announced.
    pub(super) fn witness(&mut self, seat: Seat, ledger: &[LedgerRecord], incidents: &[Incident]) {
        let Some(split) = &mut self.split else {
            return;
        };
        let Some(one) = self.hosts[seat].process.as_ref().and_then(Process::one) else {
            return;
        };
        if !split.oracle.is_correct(seat) {
            return;
        }
        split.oracle.epochs.insert(one.epoch().id, *one.epoch());
        let admitted = one.counters().txs_admitted;
        let alarmed = incidents.iter().any(|incident| {
            matches!(
                incident.what,
                What::Mode {
                    mode: Mode::DegradedSafe | Mode::RecoveryInProgress,
                    ..
                }
            )
        });
        let verdict = split.oracle.executed(seat, ledger);
        let verdict = verdict.and_then(|()| split.oracle.incidents(seat, incidents, admitted));
        let height = one.executor().height();
        let sampled = !ledger.is_empty() && height.0.is_multiple_of(STATE_INTERVAL);
        let verdict = verdict.and_then(|()| match sampled && split.mended {
            true => split.oracle.state(seat, one.executor().state_digest()),
            false => Ok(()),
        });
        if alarmed {
            for client in &self.clients {
                for seq in client.payments.iter().copied() {
                    if balance(one, client.account(seq)) == Some(BALANCE_INITIAL + 1) {
                        split
                            .oracle
                            .before
                            .entry((client.session, seq))
                            .or_insert(seat);
                    }
                }
            }
        }
        self.oracle.note(verdict);
        self.judge_merge(seat, ledger, incidents);
    }
}

pub(super) fn balance(one: &One, account: u64) -> Option<u64> {
    let mut query = Vec::new();
    format::balance(account, &mut query);
    let answer: Bytes = one.executor().query(&query);
    let bytes = answer.get(1..9)?.try_into().ok()?;
    Some(u64::from_le_bytes(bytes))
}
