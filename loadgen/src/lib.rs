//! Open-loop load that tells the truth about latency.
//!
//! The schedule of intended send times is fixed by rate and seed before the first answer. *Corrected*
//! latency counts from the intended time, *service* time from the actual send, *lag* is the time in
//! between. A request is finished when its receipt's block is proven final; refused, failed and
//! unfinished requests stay in the corrected distribution with the time from their intended send to
//! the end of the run.
//!
//! [`generator`] is the core: no clock, no socket, no thread. [`run()`] puts it on one thread with the
//! transport's poll loop, and commit proofs onto another.

pub mod account;
pub mod blocks;
pub mod checker;
pub mod claims;
pub mod config;
pub mod error;
pub mod fleet;
pub mod frames;
pub mod generator;
pub mod notes;
pub mod places;
pub mod proofs;
pub mod receipts_log;
pub mod report;
mod rng;
mod run;
pub mod schedule;
pub mod session;
pub mod workload;

pub use config::{Auth, LoadConfig};
pub use error::LoadError;
pub use report::{LoadDetail, LoadReport};
pub use run::{Hear, Hooks, run, run_with};

#[cfg(test)]
mod testkit;
