//! What a seed means: the shape of a world and the script of its faults.

use adversary::{Act, Plan as Evil};
use types::{CommitRule, committee};

use crate::event::Seat;
use crate::keys::Scheme;
use crate::net::Link;
use crate::rng::Rng;

pub const MS: u64 = 1_000_000;

/// Faults that the script triggers.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Power cut: unsynced bytes are lost.
    Crash(Seat),
    /// `kill -9`: the page cache stays.
    Kill(Seat),
    Restart(Seat),
    /// A crash, if this replica knows of the split.
    CrashAware(Seat),
    /// Everybody at once.
    Blackout,
    /// Cuts the link in one direction.
    Cut(Seat, Seat),
    Mend(Seat, Seat),
    /// A disk becomes this slow, in nanoseconds per sync.
    SlowDisk(Seat, u64),
}

/// How one seed's world is set up.
#[derive(Debug, Clone)]
pub struct WorldPlan {
    pub seed: u64,
    pub n: usize,
    pub rule: CommitRule,
    pub scheme: Scheme,
    pub byzantine: Vec<(Seat, Evil)>,
    /// Crashes at some time and never comes back.
    pub dead: Option<Seat>,
    /// When the faults end.
    pub heal_ns: u64,
    pub faults: Vec<(u64, Fault)>,
    pub link: Link,
    /// Per ordered pair, a factor on the delay.
    pub asymmetry: Vec<u64>,
    /// Clock rates in parts per million beside the true one, and offsets.
    pub clocks: Vec<(i64, u64)>,
    pub disk_ns: u64,
    pub job_ns: u64,
    pub clients: usize,
    pub checkpoint_interval: u64,
    pub checkpoint_bytes: u64,
    pub retention_bytes: u64,
    pub journal_bytes: u64,
    pub window_bytes: u64,
    pub client_gap_ns: u64,
    pub payload_max: u64,
    /// How often, in a thousand, an event waits for company before its turn ends.
    pub burst_permille: u64,
    /// At most `f` replicas are faulty at any time: progress is owed once the links are good.
    pub nominal: bool,
}

impl WorldPlan {
    /// The world of a seed.
    pub fn of(seed: u64, n: usize, rule: CommitRule) -> WorldPlan {
        let mut rng = Rng::new(seed, 0x706c_616e ^ n as u64);
        let f = committee::faults(n);
        let evil = match rng.below(5) {
            _ if f == 0 => 0,
            // Crashes need room beside the attackers.
            0 | 1 => 0,
            _ => rng.between(1, f as u64) as usize,
        };
        let mut seats: Vec<Seat> = (0..n).collect();
        for at in (1..n).rev() {
            seats.swap(at, rng.below(at as u64 + 1) as usize);
        }
        let byzantine: Vec<(Seat, Evil)> = seats[..evil]
            .iter()
            .map(|seat| (*seat, evil_plan(&mut rng)))
            .collect();
        let dead = (evil < f && rng.chance(250)).then(|| seats[evil]);
        let heal_ns = rng.between(800, 2000) * MS;
        let link = Link {
            delay_ns: rng.skewed(MS / 10, 8 * MS),
            jitter_ns: rng.skewed(MS / 10, 30 * MS),
            loss_permille: if rng.chance(500) {
                rng.skewed(1, 120)
            } else {
                0
            },
            twice_permille: if rng.chance(400) {
                rng.skewed(1, 100)
            } else {
                0
            },
            fifo: rng.chance(400),
            ..Link::default()
        };
        let asymmetry = (0..n * n)
            .map(|_| {
                if rng.chance(150) {
                    rng.between(2, 12)
                } else {
                    1
                }
            })
            .collect();
        let clocks = (0..n)
            .map(|_| (rng.between(0, 60_000) as i64 - 30_000, rng.below(1 << 40)))
            .collect();
        let mut plan = WorldPlan {
            seed,
            n,
            rule,
            scheme: if rng.chance(60) {
                Scheme::HalfReal
            } else {
                Scheme::Fake
            },
            byzantine,
            dead,
            heal_ns,
            faults: Vec::new(),
            link,
            asymmetry,
            clocks,
            disk_ns: rng.skewed(MS / 10, 10 * MS),
            job_ns: rng.skewed(20_000, MS),
            clients: rng.between(2, 4) as usize,
            checkpoint_interval: rng.between(5, 25),
            checkpoint_bytes: rng.skewed(4, 1024) << 10,
            retention_bytes: rng.skewed(12, 256) << 10,
            journal_bytes: rng.between(64, 512) << 10,
            window_bytes: rng.between(64, 512) << 10,
            client_gap_ns: rng.between(4, 40) * MS,
            payload_max: rng.skewed(64, 6000),
            burst_permille: if rng.chance(500) {
                rng.between(50, 800)
            } else {
                0
            },
            nominal: true,
        };
        plan.script(&mut rng);
        plan
    }

    pub fn is_evil(&self, seat: Seat) -> bool {
        self.byzantine.iter().any(|(evil, _)| *evil == seat)
    }

    /// Replicas that are neither Byzantine nor dead in the end.
    pub fn lasting(&self) -> Vec<Seat> {
        (0..self.n)
            .filter(|seat| !self.is_evil(*seat) && self.dead != Some(*seat))
            .collect()
    }

    fn script(&mut self, rng: &mut Rng) {
        let f = committee::faults(self.n);
        let spare = f - self.byzantine.len() - usize::from(self.dead.is_some());
        if let Some(dead) = self.dead {
            let at = rng.below(self.heal_ns);
            self.faults.push((at, Fault::Crash(dead)));
        }
        if spare > 0 && rng.chance(800) {
            self.crashes(spare, rng);
        }
        if rng.chance(650) {
            self.partitions(rng);
        }
        if rng.chance(300) {
            for _ in 0..rng.between(1, 3) {
                let seat = rng.below(self.n as u64) as usize;
                let at = rng.below(self.heal_ns);
                self.faults
                    .push((at, Fault::SlowDisk(seat, rng.between(10, 80) * MS)));
                self.faults.push((
                    at + rng.between(50, 500) * MS,
                    Fault::SlowDisk(seat, self.disk_ns),
                ));
            }
        }
        if rng.chance(200) {
            self.faults
                .push((rng.between(self.heal_ns / 4, self.heal_ns), Fault::Blackout));
        }
    }

    /// Crashes with restarts, never more than `spare` replicas down at the same time.
    fn crashes(&mut self, spare: usize, rng: &mut Rng) {
        let able = self.lasting();
        for _ in 0..spare {
            let mut at = rng.below(self.heal_ns / 2);
            while at < self.heal_ns {
                let Some(seat) = rng.pick(&able) else { return };
                let down = match rng.below(4) {
                    0 => rng.between(1, 20) * MS,
                    3 => rng.between(300, 1200) * MS,
                    _ => rng.between(20, 300) * MS,
                };
                let how = if rng.chance(300) {
                    Fault::Kill(seat)
                } else {
                    Fault::Crash(seat)
                };
                self.faults.push((at, how));
                self.faults.push((at + down, Fault::Restart(seat)));
                at += down + rng.skewed(10, 600) * MS;
            }
        }
    }

    fn partitions(&mut self, rng: &mut Rng) {
        let n = self.n as u64;
        for _ in 0..rng.between(1, 4) {
            let from = rng.below(self.heal_ns);
            let until = from + rng.between(30, 600) * MS;
            let groups = rng.u64();
            let (victim, kind) = (rng.below(n) as usize, rng.below(4));
            for a in 0..self.n {
                for b in 0..self.n {
                    let cut = match kind {
                        // Two halves; one replica alone; one that cannot be heard; links at random.
                        0 => (groups >> a & 1) != (groups >> b & 1),
                        1 => a == victim || b == victim,
                        2 => a == victim,
                        _ => rng.chance(250),
                    };
                    if cut && a != b {
                        self.faults.push((from, Fault::Cut(a, b)));
                        self.faults.push((until, Fault::Mend(a, b)));
                    }
                }
            }
        }
    }
}

fn evil_plan(rng: &mut Rng) -> Evil {
    let acts = rng.between(1, 6);
    let mut plan = Evil::honest();
    for _ in 0..acts {
        let known = Act::ordinary();
        let act = known[rng.below(known.len() as u64) as usize];
        // Noise comes with every message, the rest with few.
        let percent = match act {
            Act::Replay | Act::Garbage => rng.between(1, 10),
            _ => rng.between(10, 100),
        };
        plan = plan.with(act, percent as u8);
    }
    plan
}

impl WorldPlan {
    /// A world made to bring out one mutant: the attackers and faults that its rule is there for.
    pub fn hostile_to(mutant: crate::Mutant, seed: u64, n: usize, rule: CommitRule) -> WorldPlan {
        use crate::Mutant as M;
        let mut plan = WorldPlan::of(seed, n, rule);
        plan.scheme = Scheme::Fake;
        plan.dead = None;
        let mut rng = Rng::new(seed, 0x686f_7374);
        let f = committee::faults(n);
        let evil = match mutant {
            M::VoteWithoutLock => Evil::honest()
                .with(Act::SilentLeader, 20)
                .with(Act::StaleProposal, 100)
                .with(Act::TimeoutBelowLock, 100),
            M::VoteWithoutFreshness | M::ForgetVotes => {
                Evil::honest().with(Act::EquivocatingProposal, 100)
            }
            M::BelieveCertificates => Evil::honest()
                .with(Act::ForgedCertificate, 100)
                .with(Act::EquivocatingProposal, 60),
            M::AcknowledgeWithoutData => Evil::honest().with(Act::WithheldBatch, 80),
            M::VoteWithoutData => Evil::honest()
                .with(Act::BogusTip, 60)
                .with(Act::WithheldBatch, 80),
            _ => Evil::honest(),
        };
        // A lock protects only beyond the nominal regime: within it the certificates that crypto
        // checks are enough. A correct replica must not convict itself there either. Only a quorum of
        // claims below the lock brings it into play; a quorum of liars needs no luck for that.
        let evils = match mutant {
            M::VoteWithoutLock => committee::quorum(n),
            M::ForgetProposal | M::LoseLaneTail | M::EarlySync => 0,
            _ => f,
        };
        let first = rng.below(n as u64) as usize;
        plan.nominal = evils <= f;
        plan.byzantine = (0..evils).map(|at| ((first + at) % n, evil)).collect();
        plan.faults.clear();
        match mutant {
            M::ForgetVotes | M::ForgetProposal | M::LoseLaneTail | M::EarlySync => {
                plan.churn(&mut rng)
            }
            _ if rng.chance(600) => plan.partitions(&mut rng),
            _ => {}
        }
        plan
    }

    /// Replicas are killed again and again, one after the other, and are soon back.
    fn churn(&mut self, rng: &mut Rng) {
        let able = self.lasting();
        let mut at = 40 * MS;
        while at < self.heal_ns {
            let Some(seat) = rng.pick(&able) else { return };
            let down = rng.between(1, 8) * MS;
            self.faults.push((at, Fault::Crash(seat)));
            self.faults.push((at + down, Fault::Restart(seat)));
            at += down + rng.between(5, 40) * MS;
        }
    }
}
