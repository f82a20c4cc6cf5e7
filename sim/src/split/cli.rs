//! The flags that make worlds of the split kind.

use clap::Args;
use types::CommitRule;

use super::plan::{Kind, SplitPlan};
use crate::coverage::Coverage;
use crate::plan::WorldPlan;
use crate::world::{Outcome, run_split, run_traced};

/// Which kind of worlds, if not the ordinary ones.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct SplitArgs {
    /// Worlds in which more replicas lie than the protocol tolerates, up to the envelope `F`.
    #[arg(long)]
    pub split: bool,
    /// With `--split`: more faulty replicas than `F`.
    #[arg(long, requires = "split")]
    pub beyond: bool,
    /// Ordinary worlds of recovery-ready replicas, which nobody may alarm.
    #[arg(long, conflicts_with = "split")]
    pub quiet_liars: bool,
    /// With `--split`: replicas that do not know how to recover, and halt.
    #[arg(long, requires = "split")]
    pub no_recovery: bool,
}

impl SplitArgs {
    fn kind(self) -> Option<Kind> {
        match (self.split, self.beyond, self.quiet_liars) {
            (true, false, _) => Some(Kind::Envelope),
            (true, true, _) => Some(Kind::Beyond),
            (false, _, true) => Some(Kind::Liars),
            (false, _, false) => None,
        }
    }

    /// As they are written on the command line.
    pub fn flags(self) -> String {
        let flags = [
            (self.split, " --split"),
            (self.beyond, " --beyond"),
            (self.quiet_liars, " --quiet-liars"),
            (self.no_recovery, " --no-recovery"),
        ];
        flags
            .iter()
            .filter(|(on, _)| *on)
            .map(|(_, flag)| *flag)
            .collect()
    }

    /// Whether there are such worlds of this size.
    pub fn fits(self, n: usize) -> bool {
        self.kind().is_none_or(|kind| kind.is_possible(n))
    }

    fn plan(self, seed: u64, n: usize, rule: CommitRule) -> Option<SplitPlan> {
        let plan = SplitPlan::of(seed, n, rule, self.kind()?);
        Some(SplitPlan {
            recovery: !self.no_recovery,
            ..plan
        })
    }

    /// Runs the world of a seed; with `trace`, returns its last messages as well.
    pub fn world(
        self,
        seed: u64,
        n: usize,
        rule: CommitRule,
        trace: bool,
    ) -> (Outcome, Vec<String>) {
        match self.plan(seed, n, rule) {
            Some(plan) => run_split(plan, trace),
            None if trace => run_traced(WorldPlan::of(seed, n, rule), None),
            None => (
                crate::world::run(WorldPlan::of(seed, n, rule), None),
                Vec::new(),
            ),
        }
    }

    pub fn describe(self, seed: u64, n: usize, rule: CommitRule) -> String {
        match self.plan(seed, n, rule) {
            Some(plan) => format!("{plan:#?}"),
            None => format!("{:#?}", WorldPlan::of(seed, n, rule)),
        }
    }

    /// Attacks were asked for and none came off.
    pub fn is_idle(self, column: &Coverage) -> bool {
        self.split && column.split.parted == 0
    }
}
