//! Worlds in which more replicas lie than the protocol tolerates: a coalition of two-faced attackers
//! makes two histories, the sides then talk again, and recovery has to make one of both.

pub mod cli;
pub mod oracle;
pub mod plan;

pub use oracle::SplitOracle;
pub use plan::{Kind, SplitPlan};

#[cfg(test)]
mod tests;
