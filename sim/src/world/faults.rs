//! Faults as the script has them, and the day on which they end.

use super::World;
use crate::event::{Event, Seat};
use crate::net::Link;
use crate::plan::{Fault, MS};

impl World {
    pub(super) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Crash(seat) => self.crash(seat, false),
            Fault::Kill(seat) => self.crash(seat, true),
            Fault::CrashAware(seat) => {
                if self.is_aware(seat) {
                    self.crash(seat, false);
                }
            }
            Fault::Restart(seat) => self.restart(seat),
            Fault::Blackout => {
                self.coverage.blackouts += 1;
                for seat in 0..self.plan.n {
                    self.crash(seat, false);
                    let at_ns = self.now_ns + self.rng.between(1, 60) * MS;
                    self.queue.put(at_ns, Event::Fault(Fault::Restart(seat)));
                }
            }
            Fault::Cut(from, to) => {
                self.coverage.cuts += 1;
                self.net.link(from, to).cuts += 1;
            }
            Fault::Mend(from, to) => {
                let link = self.net.link(from, to);
                link.cuts = link.cuts.saturating_sub(1);
            }
            Fault::SlowDisk(seat, disk_ns) => {
                self.coverage.slow_disks += u64::from(disk_ns > self.plan.disk_ns);
                self.hosts[seat].disk_ns = disk_ns;
            }
        }
    }

    fn crash(&mut self, seat: Seat, kill: bool) {
        if self.is_spared(seat) {
            return;
        }
        let seed = self.rng.u64();
        let host = &mut self.hosts[seat];
        let Some(mut process) = host.process.take() else {
            return;
        };
        host.acts.merge(&process.take_acts());
        host.past.push(process.counters());
        // The power goes before the process can do anything about it.
        match kill {
            true => host.disk.kill(seed),
            false => host.disk.crash(seed),
        }
        drop(process);
        match kill {
            true => self.coverage.kills += 1,
            false => self.coverage.crashes += 1,
        }
        for at in 0..self.plan.n {
            if at != seat && self.hosts[at].process.is_some() {
                let at_ns = self.now_ns + self.rng.between(MS / 10, 3 * MS);
                let life = self.hosts[at].life;
                self.queue.put(
                    at_ns,
                    Event::PeerDown {
                        at,
                        peer: seat,
                        life,
                    },
                );
            }
        }
    }

    fn restart(&mut self, seat: Seat) {
        // Whoever is dead in the end may come back from a blackout, but not from its own death.
        let dead = self.plan.dead == Some(seat) && self.death_ns() <= self.now_ns;
        if !dead && self.hosts[seat].process.is_none() {
            self.coverage.restarts += 1;
            self.boot(seat);
        }
    }

    fn death_ns(&self) -> u64 {
        let dead = self.plan.dead;
        let death = self.plan.faults.iter().find_map(|(at, fault)| match fault {
            Fault::Crash(seat) if dead == Some(*seat) => Some(*at),
            _ => None,
        });
        death.unwrap_or(u64::MAX)
    }

    /// Links become good, disks fast, and everybody who is not dead comes back.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.net.heal(Link {
            delay_ns: MS / 2,
            jitter_ns: MS,
            fifo: true,
            ..Link::default()
        });
        for seat in 0..self.plan.n {
            self.hosts[seat].disk_ns = MS / 2;
            self.restart(seat);
        }
    }
}
