//! Split worlds made to bring out one mutant of the recovery: the faults and lies that its rule is
//! there for.

use adversary::split::After;
use adversary::{Act, Plan as Acts};
use types::CommitRule;

use super::plan::{Attacker, Kind, SplitPlan};
use crate::Mutant;
use crate::event::Seat;
use crate::keys::Scheme;
use crate::plan::{Fault, MS};
use crate::rng::Rng;

impl SplitPlan {
    /// See the module.
    pub fn hostile_to(mutant: Mutant, seed: u64, n: usize, rule: CommitRule) -> SplitPlan {
        if mutant == Mutant::ConvictEqualClaim {
            return SplitPlan::slander(seed, n, rule);
        }
        let mut plan = SplitPlan::of(seed, n, rule, Kind::Envelope);
        let mut rng = Rng::new(seed, 0x6d75_7461);
        plan.base.scheme = Scheme::Fake;
        plan.base.dead = None;
        plan.base.faults.clear();
        plan.later.clear();
        plan.spares_merged = true;
        plan.apart = false;
        plan.late_ns = 0;
        plan.split_ns = plan.split_ns.min(200 * MS);
        plan.linger_ns = plan.linger_ns.min(300 * MS);
        match mutant {
            Mutant::ForgetMode => {
                plan.calm_ns = 900 * MS;
                plan.crash_alone(150 * MS, &mut rng);
            }
            Mutant::ForgetReport => {
                plan.calm_ns = 400 * MS;
                plan.crash_alone(0, &mut rng);
            }
            Mutant::ForgetRecoveryVotes => {
                plan.calm_ns = 900 * MS;
                plan.crash_together(&mut rng);
            }
            Mutant::BelieveReports => plan.hide_one(Act::InventedReport),
            Mutant::SessionPerCulprits => plan.hide_one(Act::Confession),
            _ => {}
        }
        plan
    }

    /// As many liars as the committee tolerates, who hand around what is just no offence, and views that
    /// end in the ways that bring it about.
    fn slander(seed: u64, n: usize, rule: CommitRule) -> SplitPlan {
        let mut plan = SplitPlan::of(seed, n, rule, Kind::Liars);
        let acts = Acts::honest()
            .with(Act::FalseEvidence, 10)
            .with(Act::SilentLeader, 30);
        plan.base.scheme = Scheme::Fake;
        plan.base.dead = None;
        plan.base.byzantine = (0..types::committee::faults(n))
            .map(|at| ((seed as usize + at) % n, acts))
            .collect();
        plan
    }

    fn correct(&self) -> Vec<Seat> {
        self.sides.concat()
    }

    /// Once the sides talk, the liars are gone.
    fn silence(&mut self) {
        for attacker in &mut self.attackers {
            attacker.during = Acts::honest();
            attacker.after = After::Silent;
        }
    }

    /// One correct replica is down for a moment again and again, and then hears nobody for `deaf_ns`.
    fn crash_alone(&mut self, deaf_ns: u64, rng: &mut Rng) {
        self.silence();
        let Some(seat) = rng.pick(&self.correct()) else {
            return;
        };
        let mut at = rng.between(5, 60) * MS;
        while at < self.calm_ns {
            let up = at + rng.between(1, 10) * MS;
            self.later.push((at, Fault::Crash(seat)));
            for from in (0..self.base.n).filter(|from| *from != seat && deaf_ns > 0) {
                self.later.push((at, Fault::Cut(from, seat)));
                self.later.push((up + deaf_ns, Fault::Mend(from, seat)));
            }
            self.later.push((up, Fault::Restart(seat)));
            at = up + deaf_ns + rng.between(5, 80) * MS;
        }
    }

    /// All correct replicas are down at the same time, again and again.
    fn crash_together(&mut self, rng: &mut Rng) {
        self.silence();
        let mut at = rng.between(40, 200) * MS;
        while at < self.calm_ns {
            for seat in self.correct() {
                let down = rng.between(1, 10) * MS;
                self.later.push((at, Fault::Crash(seat)));
                self.later.push((at + down, Fault::Restart(seat)));
            }
            at += rng.between(40, 200) * MS;
        }
    }

    /// As many liars as the envelope allows, one of whom nobody can convict until it lies in the
    /// recovery itself. Nobody crashes.
    fn hide_one(&mut self, act: Act) {
        self.silence();
        let quorum = types::committee::quorum(self.base.n);
        let envelope = types::committee::envelope(self.base.n);
        let mut correct = self.correct();
        while self.attackers.len() < envelope {
            let Some(seat) = correct.pop() else { return };
            self.attackers.push(Attacker {
                seat,
                faces: [true; 2],
                during: Acts::honest(),
                after: After::Silent,
                recovers: true,
            });
            self.base.byzantine.push((seat, Acts::honest()));
        }
        // The side that the last one hides from has a quorum without it.
        let other = correct.split_off(quorum - envelope);
        self.sides = [correct, other];
        for attacker in &mut self.attackers {
            attacker.faces = [true; 2];
        }
        if let Some(hidden) = self.attackers.last_mut() {
            hidden.recovers = true;
            hidden.faces = [true, false];
            hidden.after = After::Join(Acts::honest().with(act, 100));
        }
    }
}
