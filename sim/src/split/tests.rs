//! The attack itself, without recovery: two histories where the protocol promises nothing any more.

use types::CommitRule;

use super::plan::{Kind, SplitPlan};
use crate::cli::caught;
use crate::coverage::SplitCoverage;
use crate::world::{Outcome, run_split};

const RULES: [CommitRule; 2] = [CommitRule::TwoChain, CommitRule::ThreeChain];

fn attack(seed: u64, n: usize, rule: CommitRule, kind: Kind) -> Outcome {
    let plan = SplitPlan {
        recovery: false,
        ..SplitPlan::of(seed, n, rule, kind)
    };
    caught(n, rule, || run_split(plan, false).0)
}

/// Correct replicas of both sides execute different blocks at one height, and whatever the attackers
/// do, no correct replica says anything that convicts it.
#[test]
fn a_coalition_above_f_makes_two_histories() {
    for (n, seeds) in [(4, 0..8), (7, 0..6), (10, 0..2)] {
        for rule in RULES {
            for seed in seeds.clone() {
                let outcome = attack(seed, n, rule, Kind::Envelope);
                let name = format!("seed {seed} n {n} {}", rule.name());
                assert_eq!(outcome.violation, None, "{name}");
                assert_eq!(outcome.coverage.split.parted, 1, "{name}: no split");
            }
        }
    }
}

/// The same attackers, each with one face only, split nothing: it is the lie that does it.
#[test]
fn without_second_faces_nothing_parts() {
    for rule in RULES {
        for seed in 0..1 {
            let mut plan = SplitPlan::of(seed, 4, rule, Kind::Envelope);
            plan.recovery = false;
            for attacker in &mut plan.attackers {
                attacker.faces = [true, false];
                attacker.during = adversary::Plan::honest();
            }
            let outcome = caught(4, rule, || run_split(plan, false).0);
            let SplitCoverage { parted, empty, .. } = outcome.coverage.split;
            assert_eq!((parted, empty), (0, 1), "seed {seed} {}", rule.name());
        }
    }
}

#[test]
fn a_seed_of_a_split_world_is_one_world() {
    for rule in RULES {
        let [first, again] = [(); 2].map(|()| attack(3, 7, rule, Kind::Beyond));
        assert_eq!(first.hash, again.hash);
        assert_ne!(first.hash, attack(4, 7, rule, Kind::Beyond).hash);
    }
}

/// Every plan gives each side a quorum together with the faces that talk to it, and no more faulty
/// replicas than its kind allows.
#[test]
fn plans_are_what_their_kind_says() {
    use types::committee::{envelope, quorum, split};
    for n in [4, 7, 10, 13, 16, 30] {
        for seed in 0..200 {
            for kind in [Kind::Envelope, Kind::Beyond] {
                if !kind.is_possible(n) {
                    continue;
                }
                let plan = SplitPlan::of(seed, n, CommitRule::TwoChain, kind);
                let faulty = plan.attackers.len() + usize::from(plan.base.dead.is_some());
                let allowed = match kind {
                    Kind::Envelope => split(n)..=envelope(n),
                    _ => envelope(n) + 1..=n - 2,
                };
                assert!(allowed.contains(&faulty), "n {n} seed {seed}: {faulty}");
                assert!(plan.attackers.len() >= split(n));
                for side in &plan.sides {
                    let lives = |seat: &usize| plan.base.dead != Some(*seat);
                    assert!(side.iter().any(lives), "n {n} seed {seed}: nobody tells");
                }
                let [a, b] = &plan.sides;
                assert_eq!(a.len() + b.len() + plan.attackers.len(), n);
                for side in [0, 1] {
                    let faces = plan.attackers.iter().filter(|one| one.faces[side]);
                    let have = plan.sides[side].len() + faces.count();
                    assert!(have >= quorum(n), "n {n} seed {seed} side {side}");
                }
            }
        }
    }
}

fn recover(seed: u64, n: usize, rule: CommitRule) -> SplitCoverage {
    let plan = SplitPlan::of(seed, n, rule, Kind::Envelope);
    let outcome = caught(n, rule, || run_split(plan, false).0);
    let name = format!("seed {seed} n {n} {}", rule.name());
    assert_eq!(outcome.violation, None, "{name}");
    outcome.coverage.split
}

/// Culprits are named, nobody else is, and the rest goes on in one history that lost no payment.
#[test]
fn correct_replicas_recover_from_a_split() {
    for rule in RULES {
        let (mut parted, mut kept, mut after) = (0, 0, 0);
        for (n, seeds) in [(4, 0..5), (7, 0..3)] {
            for seed in seeds {
                let split = recover(seed, n, rule);
                parted += split.parted;
                kept += split.kept;
                after += split.receipts_after;
            }
        }
        assert!(parted >= 7, "{parted} splits in 8 worlds");
        assert!(
            kept > 100 && after > 100,
            "{kept} payments, {after} receipts"
        );
    }
}

/// A replica that stops between the proof that is one too many and the recovery that follows begins the
/// recovery when it comes back.
#[test]
fn whoever_knows_too_many_liars_when_it_starts_recovers() {
    recover(80, 4, CommitRule::ThreeChain);
}

/// Everybody else evicted somebody, went on and lost power; whoever voted for the end of the epoch, but
/// missed its last certificate, gets it from the word of those who are back.
#[test]
fn whoever_missed_an_eviction_follows_when_all_others_restarted() {
    let plan = SplitPlan::of(183, 7, CommitRule::ThreeChain, Kind::Liars);
    let outcome = caught(7, CommitRule::ThreeChain, || run_split(plan, false).0);
    assert_eq!(outcome.violation, None);
}

/// Whoever recovered and then convicts in the working epoch has still convicted enough in the epoch that
/// was split.
#[test]
fn convictions_of_the_split_epoch_count_beyond_it() {
    for seed in [120, 128] {
        let plan = SplitPlan::of(seed, 7, CommitRule::TwoChain, Kind::Beyond);
        let outcome = caught(7, CommitRule::TwoChain, || run_split(plan, false).0);
        assert_eq!(outcome.violation, None, "seed {seed}");
        assert_eq!(outcome.coverage.split.parted, 1, "seed {seed}: no split");
    }
}

/// Where the header that certifies a commit is lost, the commit proof names enough of it to say who lied.
#[test]
fn a_lost_header_above_a_commit_hides_no_culprit() {
    for rule in RULES {
        let plan = SplitPlan::of(3136, 7, rule, Kind::Beyond);
        let outcome = caught(7, rule, || run_split(plan, false).0);
        assert_eq!(outcome.violation, None, "{}", rule.name());
    }
}

/// One of two survivors restarts right after its merge: it still has what the other one lacks.
#[test]
fn whoever_restarts_after_its_merge_still_serves_the_branches() {
    let split = recover(3290, 4, CommitRule::ThreeChain);
    assert_eq!(split.parted, 1);
}

/// A replica that heard of a higher certificate of the other branch before it crashed still knows what it had
/// committed: it comes back to a conflict, not to the other history.
#[test]
fn a_higher_certificate_of_the_other_branch_hides_no_commit() {
    let split = recover(343, 4, CommitRule::ThreeChain);
    assert_eq!(split.parted, 1);
}

/// Whoever was down while the others recovered, and comes back when all of them have restarted, finds nobody
/// who serves the branches: it takes over a state of the working epoch and loses nothing, not even what it alone
/// had executed (seed 36).
#[test]
fn whoever_missed_a_recovery_follows_when_all_others_restarted() {
    for (seed, rule) in [(36, RULES[0]), (9, RULES[1]), (4, RULES[0])] {
        let mut plan = SplitPlan::of(seed, 7, rule, Kind::Envelope);
        let missed = plan.sides[1][0];
        plan.later.clear();
        plan.strand(missed);
        let outcome = caught(7, rule, || run_split(plan, false).0);
        let name = format!("seed {seed} {}", rule.name());
        assert_eq!(outcome.violation, None, "{name}");
        let figures = outcome.coverage.split.figures;
        assert!(figures.crossings > 0, "{name}: it found another way");
    }
}

/// Liars within `f`, whatever they say about splits, convict and alarm nobody.
#[test]
fn a_few_liars_alarm_nobody() {
    let mut lies = 0;
    for rule in RULES {
        for seed in 8..16 {
            let plan = SplitPlan::of(seed, 4, rule, Kind::Liars);
            let outcome = caught(4, rule, || run_split(plan, false).0);
            assert_eq!(outcome.violation, None, "seed {seed} {}", rule.name());
            let acts = adversary::Act::about_recovery().iter();
            lies += acts.map(|act| outcome.coverage.acts.of(*act)).sum::<u64>();
        }
    }
    assert!(lies > 100, "{lies} lies");
}
