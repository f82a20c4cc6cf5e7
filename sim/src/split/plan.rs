//! What a seed means for a world that is split: who lies, who is cut off from whom, and until when.

use adversary::split::{A, After, B};
use adversary::{Act, Plan as Acts};
use types::{CommitRule, ReplicaId, SignerSet, committee};

use crate::event::Seat;
use crate::keys::Scheme;
use crate::plan::{Fault, MS, WorldPlan};
use crate::rng::Rng;

/// How many replicas are faulty, and what is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// From `2q - n` to the envelope `F`: recovery must succeed.
    Envelope,
    /// Above `F`, up to `n - 2`: culprits are named, nobody else ever; progress is owed to nobody.
    Beyond,
    /// At most `f` liars: nobody may ever be alarmed.
    Liars,
}

impl Kind {
    /// Below seven replicas nobody is left to disagree above the envelope.
    pub fn is_possible(self, n: usize) -> bool {
        match self {
            Kind::Envelope => n >= 4,
            Kind::Beyond => committee::envelope(n) + 2 < n,
            Kind::Liars => true,
        }
    }
}

/// One two-faced replica.
#[derive(Debug, Clone, Copy)]
pub struct Attacker {
    pub seat: Seat,
    pub faces: [bool; 2],
    pub during: Acts,
    pub after: After,
    /// Its faces know how to recover: with both running on, it is two-faced in the recovery as well.
    pub recovers: bool,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct SplitPlan {
    pub kind: Kind,
    pub base: WorldPlan,
    /// Correct replicas by side; those that die in the end among them.
    pub sides: [Vec<Seat>; 2],
    pub attackers: Vec<Attacker>,
    /// Before, the attackers are honest; 0: they never are.
    pub split_ns: u64,
    /// Side B hears no attacker for this long after the split.
    pub late_ns: u64,
    /// The histories commit in different views.
    pub apart: bool,
    /// The sides talk again this long after their histories parted.
    pub linger_ns: u64,
    /// Faults go on for this long after that; times of `later` count from there.
    pub calm_ns: u64,
    pub later: Vec<(u64, Fault)>,
    /// The replicas know how to recover; without it they halt.
    pub recovery: bool,
    /// Whoever has merged crashes no more: after a restart it serves no history but the merged one.
    pub spares_merged: bool,
}

impl SplitPlan {
    /// The world of a seed.
    pub fn of(seed: u64, n: usize, rule: CommitRule, kind: Kind) -> SplitPlan {
        let mut base = WorldPlan::of(seed, n, rule);
        if kind == Kind::Liars {
            return SplitPlan::quiet(base);
        }
        let mut rng = Rng::new(seed, 0x7370_6c69 ^ (n as u64) << 32);
        let (quorum, split, envelope) = (
            committee::quorum(n),
            committee::split(n),
            committee::envelope(n),
        );
        let faulty = match kind {
            Kind::Beyond => rng.between(envelope as u64 + 1, n as u64 - 2) as usize,
            _ => rng.between(split as u64, envelope as u64) as usize,
        };
        // A replica that crashes for good counts as faulty, but helps nobody to lie.
        let dies = faulty > split && rng.chance(300);
        let liars = faulty - usize::from(dies);
        let seats = shuffled(n, &mut rng);
        let (evil, correct) = seats.split_at(liars);
        let least = quorum.saturating_sub(liars).max(1);
        let first = rng.between(least as u64, (correct.len() - least) as u64) as usize;
        let sides = [correct[..first].to_vec(), correct[first..].to_vec()];
        let after = (rng.chance(500)).then(|| after(&mut rng));
        let mut attackers: Vec<Attacker> = evil
            .iter()
            .map(|seat| Attacker {
                seat: *seat,
                faces: [true; 2],
                during: during(&mut rng),
                after: after.unwrap_or_else(|| self::after(&mut rng)),
                recovers: rng.chance(700),
            })
            .collect();
        let apart = rng.chance(350);
        if !apart {
            hide(&mut attackers, &sides, quorum, &mut rng);
        }
        base.byzantine = evil.iter().map(|seat| (*seat, Acts::honest())).collect();
        base.dead = dies.then(|| {
            let drawn = correct[rng.below(correct.len() as u64) as usize];
            // Whoever is alone on its side may die before anybody hears what it committed: then nobody can
            // be convicted of that. The other side has two, or too many were faulty.
            let alone = sides.iter().position(|side| side[..] == [drawn]);
            alone.map_or(drawn, |side| sides[1 - side][0])
        });
        base.faults.clear();
        base.heal_ns = u64::MAX;
        base.nominal = false;
        // What a branch needs must not be forgotten before it is merged.
        base.retention_bytes = 32 << 20;
        if n > 7 {
            base.job_ns = base.job_ns * 4 / n as u64;
            base.scheme = Scheme::Fake;
        }
        let mut plan = SplitPlan {
            kind,
            base,
            sides,
            attackers,
            split_ns: match rng.chance(400) {
                true => 0,
                false => rng.between(50, 900) * MS,
            },
            apart,
            late_ns: match rng.chance(500) {
                // Side B must give up every view that face A saw, one by one.
                _ if apart => rng.between(5, 60) * MS,
                true => 0,
                false => rng.skewed(20, 900) * MS,
            },
            linger_ns: rng.skewed(1, 1200) * MS,
            calm_ns: rng.skewed(1, 1500) * MS,
            later: Vec::new(),
            recovery: true,
            spares_merged: false,
        };
        plan.crashes(&mut rng);
        // Drawn by itself: the other draws of a seed stay what they are.
        let mut late = Rng::new(seed, 0x6c61_7465 ^ (n as u64) << 32);
        if kind == Kind::Envelope && faulty < envelope && late.chance(100) {
            let missed = late.pick(correct);
            missed.into_iter().for_each(|seat| plan.strand(seat));
        }
        plan
    }

    /// An ordinary world in which recovery is switched on and must never be needed.
    fn quiet(mut base: WorldPlan) -> SplitPlan {
        let mut rng = Rng::new(base.seed, 0x7175_6965);
        for (_, acts) in &mut base.byzantine {
            for _ in 0..rng.between(1, 3) {
                *acts = lie(*acts, &mut rng);
            }
        }
        SplitPlan {
            kind: Kind::Liars,
            base,
            sides: [Vec::new(), Vec::new()],
            attackers: Vec::new(),
            split_ns: u64::MAX,
            apart: false,
            late_ns: 0,
            linger_ns: 0,
            calm_ns: 0,
            later: Vec::new(),
            recovery: true,
            spares_merged: false,
        }
    }

    pub fn attacker(&self, seat: Seat) -> Option<&Attacker> {
        self.attackers.iter().find(|one| one.seat == seat)
    }

    pub fn side(&self, side: usize) -> SignerSet {
        seats(&self.sides[side])
    }

    /// Links that the attackers cut: between correct replicas of different sides, both ways.
    pub fn walls(&self) -> Vec<(Seat, Seat)> {
        let [a, b] = &self.sides;
        let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (*a, *b)));
        pairs.flat_map(|(a, b)| [(a, b), (b, a)]).collect()
    }

    /// `seat` is down while the others recover, and when it comes back they have all restarted: nobody
    /// serves the way to where they are any more. (Who only evicted somebody meanwhile does not restart: R24 does
    /// not reach over that.)
    pub fn strand(&mut self, seat: Seat) {
        /// By then the others have merged, and signed a checkpoint.
        const LATE_NS: u64 = 4000 * MS;
        self.later.push((0, Fault::Crash(seat)));
        for (at, other) in self.sides.concat().into_iter().enumerate() {
            if other != seat {
                let at_ns = LATE_NS + at as u64 * 20 * MS;
                self.later.push((at_ns, Fault::CrashAware(other)));
                self.later.push((at_ns + 10 * MS, Fault::Restart(other)));
            }
        }
        self.calm_ns = self.calm_ns.max(LATE_NS + 500 * MS);
    }

    /// Correct replicas crash and come back, before the sides talk and after.
    fn crashes(&mut self, rng: &mut Rng) {
        let correct: Vec<Seat> = self.sides.concat();
        if let Some(dead) = self.base.dead {
            self.later
                .push((rng.below(self.calm_ns + 200 * MS), Fault::Crash(dead)));
        }
        let before_ns = self.split_ns + self.late_ns + 1000 * MS;
        let crash = |span_ns: u64, list: &mut Vec<(u64, Fault)>, rng: &mut Rng| {
            for _ in 0..rng.below(4) {
                let Some(seat) = rng.pick(&correct) else {
                    return;
                };
                let at = rng.below(span_ns);
                let how = match rng.chance(300) {
                    true => Fault::Kill(seat),
                    false => Fault::Crash(seat),
                };
                list.push((at, how));
                list.push((at + rng.skewed(1, 300) * MS, Fault::Restart(seat)));
            }
        };
        if rng.chance(400) {
            crash(before_ns, &mut self.base.faults, rng);
        }
        if rng.chance(600) {
            crash(self.calm_ns, &mut self.later, rng);
        }
    }
}

pub fn seats(list: &[Seat]) -> SignerSet {
    list.iter().map(|seat| ReplicaId(*seat as u16)).collect()
}

fn shuffled(n: usize, rng: &mut Rng) -> Vec<Seat> {
    let mut seats: Vec<Seat> = (0..n).collect();
    for at in (1..n).rev() {
        seats.swap(at, rng.below(at as u64 + 1) as usize);
    }
    seats
}

/// Attackers that no quorum needs show one face only: nothing convicts them, and they vote on.
fn hide(attackers: &mut [Attacker], sides: &[Vec<Seat>; 2], quorum: usize, rng: &mut Rng) {
    let mut have = [A, B].map(|side| sides[side].len() + attackers.len());
    for attacker in attackers {
        let hidden = rng.below(2) as usize;
        if have[hidden] > quorum && rng.chance(350) {
            have[hidden] -= 1;
            attacker.faces[hidden] = false;
        }
    }
}

/// One more lie, mostly about recoveries.
fn lie(acts: Acts, rng: &mut Rng) -> Acts {
    let known = match rng.chance(600) {
        true => Act::about_recovery(),
        false => Act::ordinary(),
    };
    let percent = |act: Act, rng: &mut Rng| match act {
        // Noise comes with every message, the rest with few.
        Act::Replay | Act::Garbage | Act::FalseEvidence | Act::OldEvidence => rng.between(1, 10),
        _ => rng.between(5, 90),
    };
    match rng.pick(known) {
        Some(act) => acts.with(act, percent(act, rng) as u8),
        None => acts,
    }
}

fn during(rng: &mut Rng) -> Acts {
    let acts = [
        Act::DoubleVote,
        Act::LyingTimeout,
        Act::StaleTimeout,
        Act::LaneEquivocation,
        Act::Replay,
    ];
    match rng.chance(200) {
        true => {
            let percent = rng.between(5, 30) as u8;
            rng.pick(&acts)
                .map_or(Acts::honest(), |act| Acts::honest().with(act, percent))
        }
        false => Acts::honest(),
    }
}

fn after(rng: &mut Rng) -> After {
    match rng.below(4) {
        0 => After::Silent,
        1 => After::Run,
        2 => After::Join(Acts::honest()),
        _ => {
            let mut lies = Acts::honest();
            for _ in 0..rng.between(1, 4) {
                lies = lie(lies, rng);
            }
            After::Join(lies)
        }
    }
}
