//! A planned attack beyond what the committee tolerates, and what the orchestrator did for it.

use serde::{Deserialize, Serialize};

/// What the attackers do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillKind {
    /// Two-faced: each shows one history to one half of the correct replicas and another to the
    /// other half, while links between the halves are cut.
    #[default]
    Split,
    /// At most `f` of them vote twice in a view, without a split: they are evicted in-band.
    Evict,
}

/// What two-faced attackers do once the halves talk to each other again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterSplit {
    /// Nothing any more.
    #[default]
    Silent,
    /// Both faces go on.
    Run,
    /// One face talks to everybody as if nothing had been.
    Join,
}

impl AfterSplit {
    /// As `reforge adversary --after` takes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Run => "run",
            Self::Join => "join",
        }
    }
}

/// A drill of the plan. The attackers are the last replicas by index; those of the second drill the
/// last ones before them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedDrill {
    /// How many replicas attack.
    pub attackers: u32,
    /// What they do.
    #[serde(default)]
    pub kind: DrillKind,
    /// When, in seconds after the start of the measured phase.
    pub at_s: f64,
    /// When the halves talk to each other again, in seconds after the start of the measured phase;
    /// absent: as soon as both halves have committed different blocks at one height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heal_s: Option<f64>,
    /// How much longer the links stay cut after that.
    #[serde(default = "margin_ms")]
    pub margin_ms: u64,
    /// For how long the second half hears nothing from the attackers at first.
    #[serde(default)]
    pub late_b_ms: u64,
    /// What the attackers do afterwards.
    #[serde(default)]
    pub after: AfterSplit,
    /// Clients with receipts of both halves hand the pair in: replicas then know of the split before they
    /// can talk, and `T_detect` is zero.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clients_tell: bool,
    /// Longest wait for the split, and for the end of the recovery, in seconds.
    #[serde(default = "wait_s")]
    pub wait_s: f64,
    /// A correct replica that is killed in the middle of the recovery, and comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kill: Option<Kill>,
    /// Another split, in the epoch that resumed, by replicas that were correct until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<SecondDrill>,
}

/// `kill -9` of a correct replica after the links of the first attack healed (`t0`), and its restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kill {
    /// Which one.
    pub replica: u32,
    /// How long after `t0`, in milliseconds.
    pub after_ms: u64,
    /// How long it stays away, in milliseconds.
    pub back_ms: u64,
}

/// A second split in the resumed epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecondDrill {
    /// How many replicas attack that did not before.
    pub attackers: u32,
    /// As [`PlannedDrill::at_s`].
    pub at_s: f64,
    /// As [`PlannedDrill::heal_s`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heal_s: Option<f64>,
}

fn margin_ms() -> u64 {
    500
}

fn wait_s() -> f64 {
    60.0
}

/// One attack: who, when, and whom it divides.
#[derive(Debug, Clone, PartialEq)]
pub struct Attack {
    /// Number in the drill, from 0.
    pub index: u32,
    /// Who attacks.
    pub attackers: Vec<u32>,
    /// The halves, as the attackers see them; nobody without a split.
    pub sides: [Vec<u32>; 2],
    /// As [`PlannedDrill::at_s`].
    pub at_s: f64,
    /// As [`PlannedDrill::heal_s`].
    pub heal_s: Option<f64>,
}

impl PlannedDrill {
    /// Replicas that are correct from start to end, in a committee of `replicas`.
    #[must_use]
    pub fn correct(&self, replicas: u32) -> Vec<u32> {
        let second = self.second.map_or(0, |second| second.attackers);
        (0..replicas.saturating_sub(self.attackers + second)).collect()
    }

    /// The attacks in a committee of `replicas`, in their order.
    #[must_use]
    pub fn attacks(&self, replicas: u32) -> Vec<Attack> {
        let members = replicas.saturating_sub(self.attackers);
        let attack = |index, until: u32, attackers: u32, at_s, heal_s| {
            let others = until.saturating_sub(attackers);
            Attack {
                index,
                attackers: (others..until).collect(),
                sides: match self.kind {
                    DrillKind::Split => halves(others),
                    DrillKind::Evict => [Vec::new(), Vec::new()],
                },
                at_s,
                heal_s,
            }
        };
        let first = attack(0, replicas, self.attackers, self.at_s, self.heal_s);
        let second = self
            .second
            .map(|s| attack(1, members, s.attackers, s.at_s, s.heal_s));
        std::iter::once(first).chain(second).collect()
    }
}

/// Every second replica is on the other side, so that correct ones and those that are not yet found
/// out are shared out evenly.
fn halves(replicas: u32) -> [Vec<u32>; 2] {
    let half = |rest: u32| (0..replicas).filter(|r| r % 2 == rest).collect();
    [half(0), half(1)]
}

/// What the orchestrator did or saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum DrillStep {
    /// All links between the halves are cut.
    Cut,
    /// The attackers act from now on, at the latest.
    Attack,
    /// Both halves have committed, at this height, different blocks; the time is when that was seen.
    SplitSeen {
        /// The height.
        height: u64,
    },
    /// The links are healed from here on, the first of them at the earliest now: with the commits before
    /// it, this is `t0` of Eq. 5.
    Healed,
    /// Every correct replica has executed a block of the next epoch.
    Resumed,
    /// A wait was over in vain.
    GaveUp {
        /// What was waited for.
        what: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drill(attackers: u32, second: Option<u32>) -> PlannedDrill {
        PlannedDrill {
            attackers,
            kind: DrillKind::Split,
            at_s: 5.0,
            heal_s: None,
            margin_ms: 500,
            late_b_ms: 0,
            after: AfterSplit::Silent,
            clients_tell: false,
            wait_s: 60.0,
            kill: None,
            second: second.map(|attackers| SecondDrill {
                attackers,
                at_s: 20.0,
                heal_s: None,
            }),
        }
    }

    #[test]
    fn attackers_are_the_last_and_halves_are_even() {
        let attacks = drill(3, None).attacks(7);
        assert_eq!(attacks.len(), 1);
        assert_eq!(attacks[0].attackers, [4, 5, 6]);
        assert_eq!(attacks[0].sides, [vec![0, 2], vec![1, 3]]);
        assert_eq!(drill(3, None).correct(7), [0, 1, 2, 3]);
    }

    #[test]
    fn a_second_attack_comes_from_among_the_others() {
        let attacks = drill(3, Some(2)).attacks(7);
        assert_eq!(attacks[0].sides, [vec![0, 2], vec![1, 3]]);
        assert_eq!(attacks[1].attackers, [2, 3]);
        assert_eq!(attacks[1].sides, [vec![0], vec![1]]);
        assert_eq!(drill(3, Some(2)).correct(7), [0, 1]);
    }

    #[test]
    fn an_eviction_divides_nobody() {
        let mut evict = drill(1, None);
        evict.kind = DrillKind::Evict;
        assert!(evict.attacks(7)[0].sides.iter().all(Vec::is_empty));
        assert_eq!(evict.attacks(7)[0].attackers, [6]);
    }
}
