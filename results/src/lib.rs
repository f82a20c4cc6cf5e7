//! What run folders say: verdicts, consistency, one table, one versioned JSON.
//!
//! A pure function of the files: no network, no clock, no randomness; the same input gives the
//! same bytes. Missing data is never a pass.

mod consistency;
mod drill;
mod judge;
mod judgement;
mod record;
mod rules;
mod table;
mod tx_check;
mod verdict;

pub use consistency::{Consistency, Divergence};
pub use drill::{ClientView, DrillReport, Terms};
pub use judge::{judge, write_summary};
pub use judgement::{FaultEffect, Judgement, Reason, ReplicaSummary, RunJudgement};
pub use table::table;
pub use tx_check::TxCheck;
pub use verdict::Verdict;
