//! What run folders say: verdicts, consistency, one table, one versioned JSON.
//!
//! A pure function of the files: no network, no clock, no randomness; the same input gives the
//! same bytes. Missing data is never a pass.

mod bootstrap;
mod capacity;
pub mod compare;
mod consistency;
mod drill;
mod drill_stats;
mod floors;
pub mod gate;
mod judge;
mod judgement;
pub mod kept;
mod overhead;
pub mod paper;
mod record;
mod report;
mod rules;
mod table;
mod tx_check;
mod verdict;
mod wan;

pub use bootstrap::Estimate;
pub use capacity::{Capacity, keeps_up};
pub use compare::{Comparison, Refused, compare};
pub use consistency::{Consistency, Divergence};
pub use drill::{ClientView, DrillReport, Readiness, Terms};
pub use drill_stats::{DrillStats, TermStats};
pub use judge::{judge, write_summary};
pub use judgement::{
    DisseminationShare, FaultEffect, Judgement, Reason, ReplicaSummary, RunJudgement,
};
pub use overhead::{Conclusion, Figure, Overhead, Question};
pub use report::{html_report, write_report};
pub use table::table;
pub use tx_check::TxCheck;
pub use verdict::Verdict;
