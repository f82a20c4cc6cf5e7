//! Worlds that must be green, worlds that must be the same twice, and replicas that must be caught.

use types::CommitRule;

use crate::cli::{catch, run_caught, run_hostile};
use crate::mutants::Mutant;
use crate::plan::WorldPlan;

fn green(n: usize, rule: CommitRule, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let outcome = run_caught(WorldPlan::of(seed, n, rule), None);
        if let Some(violation) = outcome.violation {
            panic!(
                "seed {seed}, n {n}, {}: {}: {}",
                rule.name(),
                violation.check,
                violation.what
            );
        }
    }
}

#[test]
fn four_replicas_two_chain() {
    green(4, CommitRule::TwoChain, 10_000..10_030);
}

#[test]
fn four_replicas_three_chain() {
    green(4, CommitRule::ThreeChain, 20_000..20_030);
}

#[test]
fn seven_replicas_two_chain() {
    green(7, CommitRule::TwoChain, 30_000..30_015);
}

#[test]
fn seven_replicas_three_chain() {
    green(7, CommitRule::ThreeChain, 40_000..40_015);
}

#[test]
fn odd_sizes() {
    for n in [2, 3, 5, 10] {
        green(n, CommitRule::TwoChain, 50_000..50_003);
    }
}

/// The whole schedule of a world, down to every byte on every link, follows from its seed.
#[test]
fn the_same_seed_is_the_same_world() {
    let mut hashes = Vec::new();
    for seed in 0..6 {
        for rule in [CommitRule::TwoChain, CommitRule::ThreeChain] {
            let plan = WorldPlan::of(seed, 4, rule);
            let (first, again) = (run_caught(plan.clone(), None), run_caught(plan, None));
            assert_eq!(first.hash, again.hash, "seed {seed}");
            assert_eq!(first.coverage.rows(), again.coverage.rows(), "seed {seed}");
            hashes.push(first.hash);
        }
    }
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 12, "different seeds are different worlds");
}

/// Half of the seeds or more are hit by each kind of fault, or the green ones prove little.
#[test]
fn worlds_are_full_of_disasters() {
    let mut sum = crate::Coverage::default();
    for seed in 0..30 {
        sum.merge(&run_caught(WorldPlan::of(seed, 4, CommitRule::TwoChain), None).coverage);
        sum.merge(&run_caught(WorldPlan::of(seed, 7, CommitRule::ThreeChain), None).coverage);
    }
    for (name, least) in [
        ("crashes", 20),
        ("cut links", 100),
        ("timeouts", 100),
        ("torn tails", 1),
        ("sent again", 20),
        ("frames lost", 1000),
        ("frames twice", 100),
        ("checkpoints", 100),
        ("snapshots installed", 1),
    ] {
        let rows = sum.rows();
        let (_, found) = rows
            .iter()
            .find(|(row, _)| *row == name)
            .expect("a row of that name");
        assert!(
            *found >= least,
            "{name}: expected at least {least}, found {found}"
        );
    }
    let idle: Vec<_> = adversary::Act::ordinary()
        .iter()
        .filter(|act| sum.acts.of(**act) == 0)
        .collect();
    assert!(idle.len() <= 3, "acts that nobody committed: {idle:?}");
}

fn caught(mutant: Mutant, seeds: u64) {
    for rule in [CommitRule::TwoChain, CommitRule::ThreeChain] {
        for n in [4, 7].into_iter().filter(|n| mutant.applies(*n, rule)) {
            let tried = catch(mutant, n, rule, 0..seeds);
            assert!(
                tried.caught.is_some(),
                "{} lives through {} worlds of {} at n = {n}",
                mutant.name(),
                tried.worlds,
                rule.name()
            );
        }
    }
}

macro_rules! mutants {
    ($($name:ident: $mutant:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            caught(Mutant::$mutant, 200);
        }
    )*};
}

mutants! {
    catches_votes_without_lock: VoteWithoutLock,
    catches_votes_without_freshness: VoteWithoutFreshness,
    catches_early_commits: CommitEarly,
    catches_forgotten_votes: ForgetVotes,
    catches_forgotten_proposals: ForgetProposal,
    catches_belief_in_certificates: BelieveCertificates,
    catches_lost_lane_tails: LoseLaneTail,
    catches_acknowledgements_without_data: AcknowledgeWithoutData,
    catches_votes_without_data: VoteWithoutData,
    catches_low_claims: LowClaims,
    catches_another_execution: ExecuteOtherwise,
    catches_early_syncs: EarlySync,
    catches_dropped_branches: DropBranch,
    catches_a_branch_dropped_by_one: DropBranchAlone,
    catches_merges_in_the_order_of_reports: MergeAsListed,
    catches_a_merge_turned_round_by_one: MergeBackwardsAlone,
    catches_a_forgotten_split: ForgetMode,
    catches_forgotten_votes_of_a_recovery: ForgetRecoveryVotes,
    catches_a_forgotten_report: ForgetReport,
    catches_convictions_of_anybody: ConvictAnybody,
    catches_convictions_of_an_equal_claim: ConvictEqualClaim,
    catches_belief_in_reports: BelieveReports,
    catches_a_session_per_set_of_culprits: SessionPerCulprits,
}

/// What catches a mutant must be the mutant's fault: correct replicas in the same worlds are clean,
/// even where attackers are so many that nothing else is promised.
#[test]
fn the_worlds_of_mutants_convict_no_correct_replica() {
    for mutant in Mutant::ALL {
        // The seeds at which this one is caught lie among these.
        let seeds = match mutant {
            Mutant::VoteWithoutLock => 0..16,
            _ => 0..3,
        };
        for rule in [CommitRule::TwoChain, CommitRule::ThreeChain] {
            for n in [4, 7].into_iter().filter(|n| mutant.applies(*n, rule)) {
                for seed in seeds.clone() {
                    let plan = WorldPlan::hostile_to(mutant, seed, n, rule);
                    let violation = run_caught(plan, None).violation;
                    assert!(
                        violation.is_none(),
                        "{} seed {seed}, n {n}, {}: {violation:?}",
                        mutant.name(),
                        rule.name()
                    );
                }
            }
        }
    }
}

/// Nor is anything wrong with what correct replicas make of a split in such worlds, up to the seeds at
/// which the mutant is caught.
fn recover(mutant: Mutant, seeds: std::ops::Range<u64>) {
    for rule in [CommitRule::TwoChain, CommitRule::ThreeChain] {
        for n in [4, 7].into_iter().filter(|n| mutant.applies(*n, rule)) {
            for seed in seeds.clone() {
                let violation = run_hostile(mutant, seed, n, rule, None).violation;
                assert!(
                    violation.is_none(),
                    "{} seed {seed}, n {n}, {}: {violation:?}",
                    mutant.name(),
                    rule.name()
                );
            }
        }
    }
}

macro_rules! recoveries {
    ($($name:ident: $mutant:ident $seeds:expr),* $(,)?) => {$(
        #[test]
        fn $name() {
            recover(Mutant::$mutant, $seeds);
        }
    )*};
}

// The worlds of those that are not here are those of `DropBranch`.
recoveries! {
    correct_replicas_merge_all_branches: DropBranch 0..4,
    correct_replicas_remember_a_split: ForgetMode 0..4,
    correct_replicas_remember_votes_of_a_recovery: ForgetRecoveryVotes 0..12,
    correct_replicas_remember_their_report: ForgetReport 0..4,
    correct_replicas_believe_no_invented_report: BelieveReports 0..4,
    correct_replicas_outlive_a_confession: SessionPerCulprits 0..4,
    correct_replicas_convict_nobody_of_an_equal_claim: ConvictEqualClaim 0..4,
}
