//! What happened in a world, and in many: a green seed in which nothing happened is not green.

use std::fmt::Write as _;

use adversary::{Act, Acts};
use node::replica::Counters;
use types::{CommitRule, Offence};

use crate::split::oracle::Figures;

/// What happened in worlds that were split.
#[derive(Debug, Clone, Copy, Default)]
pub struct SplitCoverage {
    /// Worlds in which two correct replicas executed different blocks at one height.
    pub parted: u64,
    /// Worlds in which the attackers failed, and which therefore prove nothing.
    pub empty: u64,
    pub convicted: u64,
    pub by_offence: [u64; Offence::ALL.len()],
    /// Payments executed before a split was known, which must outlast it.
    pub kept: u64,
    pub receipts_after: u64,
    pub figures: Figures,
}

impl SplitCoverage {
    fn rows_mut(&mut self) -> Vec<(&'static str, &mut u64)> {
        let figures = &mut self.figures;
        let mut rows = vec![
            ("worlds parted", &mut self.parted),
            ("worlds empty", &mut self.empty),
            ("culprits", &mut self.convicted),
            ("growths of B", &mut figures.growths),
            ("recoveries", &mut figures.recoveries),
            ("rollbacks", &mut figures.rollbacks),
            ("moved", &mut figures.moved),
            ("invalidated", &mut figures.invalidated),
            ("orphans", &mut figures.orphans),
            ("crossings", &mut figures.crossings),
            ("false alarms", &mut figures.false_alarms),
            ("payments kept", &mut self.kept),
            ("receipts after", &mut self.receipts_after),
        ];
        let by_offence = Offence::ALL.iter().zip(&mut self.by_offence);
        rows.extend(by_offence.map(|(offence, count)| (offence.name(), count)));
        rows
    }
}

/// Sums over worlds of one size and rule.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    pub n: usize,
    pub rule: Option<CommitRule>,
    pub worlds: u64,
    pub blocks: u64,
    pub txs: u64,
    pub receipts: u64,
    pub duplicates: u64,
    pub resent: u64,
    pub refused: u64,
    pub views: u64,
    pub timeouts: u64,
    pub crashes: u64,
    pub kills: u64,
    pub blackouts: u64,
    pub restarts: u64,
    pub torn_tails: u64,
    pub cuts: u64,
    pub slow_disks: u64,
    pub chain_requests: u64,
    pub car_requests: u64,
    pub batch_requests: u64,
    pub checkpoints: u64,
    pub snapshots: u64,
    pub rejected: u64,
    pub malformed: u64,
    pub frames_lost: u64,
    pub frames_twice: u64,
    pub virtual_ns: u64,
    pub events: u64,
    pub acts: Acts,
    pub split: SplitCoverage,
}

impl Coverage {
    pub fn new(n: usize, rule: CommitRule) -> Coverage {
        Coverage {
            n,
            rule: Some(rule),
            ..Coverage::default()
        }
    }

    pub(crate) fn add_counters(&mut self, c: &Counters) {
        self.views += c.core.views_entered;
        self.timeouts += c.core.timeouts_sent;
        self.chain_requests += c.core.chain_requests;
        self.car_requests += c.core.car_requests;
        self.batch_requests += c.core.batch_requests;
        self.checkpoints += c.core.checkpoints;
        self.snapshots += c.core.snapshots_installed;
        self.rejected += c.messages_rejected + c.core.bad_shares + c.core.proposals_refused;
        self.malformed += c.frames_malformed;
    }

    pub fn merge(&mut self, other: &Coverage) {
        self.n = self.n.max(other.n);
        self.rule = self.rule.or(other.rule);
        self.acts.merge(&other.acts);
        let theirs = other.rows();
        for ((_, mine), (_, theirs)) in self.rows_mut().into_iter().zip(theirs) {
            *mine += theirs;
        }
    }

    /// Every figure by name.
    pub fn rows(&self) -> Vec<(&'static str, u64)> {
        let mut copy = self.clone();
        copy.rows_mut()
            .into_iter()
            .map(|(name, value)| (name, *value))
            .collect()
    }

    fn rows_mut(&mut self) -> Vec<(&'static str, &mut u64)> {
        let mut rows = vec![
            ("worlds", &mut self.worlds),
            ("virtual ns", &mut self.virtual_ns),
            ("events", &mut self.events),
            ("blocks", &mut self.blocks),
            ("transactions", &mut self.txs),
            ("receipts", &mut self.receipts),
            ("duplicates", &mut self.duplicates),
            ("sent again", &mut self.resent),
            ("refused", &mut self.refused),
            ("views", &mut self.views),
            ("timeouts", &mut self.timeouts),
            ("crashes", &mut self.crashes),
            ("kills", &mut self.kills),
            ("blackouts", &mut self.blackouts),
            ("restarts", &mut self.restarts),
            ("torn tails", &mut self.torn_tails),
            ("cut links", &mut self.cuts),
            ("slow disks", &mut self.slow_disks),
            ("frames lost", &mut self.frames_lost),
            ("frames twice", &mut self.frames_twice),
            ("chain requests", &mut self.chain_requests),
            ("car requests", &mut self.car_requests),
            ("batch requests", &mut self.batch_requests),
            ("checkpoints", &mut self.checkpoints),
            ("snapshots installed", &mut self.snapshots),
            ("messages rejected", &mut self.rejected),
            ("frames malformed", &mut self.malformed),
        ];
        rows.extend(self.split.rows_mut());
        rows
    }
}

/// One column per entry.
pub fn table(columns: &[Coverage]) -> String {
    let mut out = String::new();
    let title = |c: &Coverage| format!("n={} {}", c.n, c.rule.map_or("", CommitRule::name));
    let _ = write!(out, "{:<24}", "");
    for column in columns {
        let _ = write!(out, "{:>18}", title(column));
    }
    out.push('\n');
    let mut line = |name: &str, values: Vec<u64>| {
        let _ = write!(out, "{name:<24}");
        for value in values {
            let _ = write!(out, "{value:>18}");
        }
        out.push('\n');
    };
    let all: Vec<_> = columns.iter().map(Coverage::rows).collect();
    let Some(first) = all.first() else {
        return String::new();
    };
    for (at, (name, _)) in first.iter().enumerate() {
        line(name, all.iter().map(|rows| rows[at].1).collect());
    }
    for act in Act::ALL {
        line(act.name(), columns.iter().map(|c| c.acts.of(act)).collect());
    }
    out
}
