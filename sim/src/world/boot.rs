//! A process starts: on what its disk holds, through the recovery of the real journal and driver.

use std::sync::Arc;

use adversary::{Byzantine, Forge};
use consensus::{LanesConfig, Timing};
use execution::AppKind;
use node::replica::{Replica, ReplicaConfig, Signer};
use types::ReplicaId;

use super::World;
use crate::event::{Event, Seat};
use crate::mutants::{LowSigner, Mutant, rules};
use crate::plan::MS;
use crate::platform::SimPlatform;
use crate::process::Process;

impl World {
    pub(super) fn boot(&mut self, seat: Seat) {
        if self.hosts[seat].process.is_some() {
            return;
        }
        let me = ReplicaId(seat as u16);
        let opened = self.hosts[seat].disk.open(Box::new(|| {}));
        let (journal, recovery) = match opened {
            Ok(opened) => opened,
            Err(why) => {
                return self.fail(
                    "recovery",
                    format!("replica {seat}: its journal does not open: {why}"),
                );
            }
        };
        self.coverage.torn_tails += u64::from(recovery.dropped.is_some());
        let alone = self.plan.lasting().first() == Some(&seat);
        let mutant = self
            .mutant
            .filter(|mutant| self.oracle.is_honest(seat) && (alone || !mutant.is_alone()));
        let records = match mutant {
            Some(mutant) => mutant.recovered(me, &self.epoch, recovery.records),
            None => recovery.records,
        };
        let attacker = self
            .split
            .as_ref()
            .and_then(|split| split.plan.attacker(seat));
        if let Some(attacker) = attacker.copied() {
            let process = self.boot_attacker(attacker, SimPlatform::new(journal));
            return self.begin(seat, process);
        }
        let platform = self.platform(seat, SimPlatform::new(journal));
        let rules = rules(self.plan.rule, mutant);
        let signer: Arc<dyn Signer> = match mutant {
            Some(Mutant::LowClaims) => Arc::new(LowSigner(self.keys[seat].clone())),
            _ => self.keys[seat].clone(),
        };
        let config = self.config(seat);
        let now = self.hosts[seat].clock(self.now_ns);
        match Replica::new(config, rules, signer, records, platform, now) {
            Ok(replica) => self.begin(seat, Process::One(Box::new(replica))),
            Err(why) => self.fail("recovery", format!("replica {seat}: {why}")),
        }
    }

    /// A life of `seat` begins.
    fn begin(&mut self, seat: Seat, process: Process) {
        let host = &mut self.hosts[seat];
        host.process = Some(process);
        host.life += 1;
        (host.wake_ns, host.busy_ns, host.spins) = (None, self.now_ns, 0);
        self.oracle.ledger.starts_at(seat, 0);
        if let Some(split) = &mut self.split {
            split.oracle.starts(seat);
        }
        self.connect(seat);
        self.drain(seat);
    }

    fn platform(&mut self, seat: Seat, platform: SimPlatform) -> Byzantine<SimPlatform> {
        let evil = self.plan.byzantine.iter().find(|(evil, _)| *evil == seat);
        match evil.copied() {
            None => Byzantine::honest(platform),
            Some((_, plan)) => {
                let forge: Arc<dyn Forge> = self.keys[seat].clone();
                let seed = self.rng.u64();
                Byzantine::evil(
                    platform,
                    ReplicaId(seat as u16),
                    self.epoch,
                    forge,
                    plan,
                    seed,
                )
            }
        }
    }

    /// Links come up on both sides, a little later.
    fn connect(&mut self, seat: Seat) {
        let life = self.hosts[seat].life;
        for peer in 0..self.plan.n {
            if peer == seat || self.hosts[peer].process.is_none() {
                continue;
            }
            let at_ns = self.now_ns + self.rng.between(MS / 10, 4 * MS);
            let peer_life = self.hosts[peer].life;
            self.queue.put(
                at_ns,
                Event::PeerUp {
                    at: seat,
                    peer,
                    life,
                },
            );
            self.queue.put(
                at_ns,
                Event::PeerUp {
                    at: peer,
                    peer: seat,
                    life: peer_life,
                },
            );
        }
    }

    pub(super) fn config(&self, seat: Seat) -> ReplicaConfig {
        let plan = &self.plan;
        let app = match self.mutant {
            // The first correct one only, or everybody would be wrong alike.
            Some(Mutant::ExecuteOtherwise) if plan.lasting().first() == Some(&seat) => {
                AppKind::Null
            }
            _ => AppKind::Kv,
        };
        ReplicaConfig {
            me: ReplicaId(seat as u16),
            epoch: self.epoch,
            app,
            timing: Timing {
                view_timeout_ns: 60 * MS,
                view_timeout_max_ns: self.timeout_max_ns(),
                idle_view_ns: 15 * MS,
                pace_ns: 3 * MS,
                fetch_ns: 15 * MS,
            },
            lanes: LanesConfig {
                cars_in_flight: 4,
                car_interval_ns: MS,
                cars_ahead: 64,
            },
            checkpoint_interval: plan.checkpoint_interval,
            checkpoint_bytes: plan.checkpoint_bytes,
            durable: true,
            batch_bytes: 16 << 10,
            window_bytes: plan.window_bytes,
            retention_bytes: plan.retention_bytes,
            journal_bytes: plan.journal_bytes,
            signed_clients: false,
            admission_tx_per_s: None,
            recovery: self.recovery(),
        }
    }
}
