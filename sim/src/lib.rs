//! The seeded world: the real node driver at every seat, and only the leaves (clock, net, disk, crypto
//! threads) are simulated. A seed decides everything: shapes, faults, attackers, order of delivery.
//!
//! A world has two phases: safety under any fault, then the links heal, the crashed come back, and
//! every correct replica must make progress within bounded virtual time. An oracle watches that shares
//! no predicate with the core; mutants of the core test the oracle.

mod cli;
mod clients;
mod coverage;
mod event;
mod host;
mod keys;
mod mutants;
mod net;
mod oracle;
mod plan;
mod platform;
mod process;
mod rng;
mod scheme;
mod split;
mod world;

pub use cli::{SimArgs, SimError, SimReport, run_cli};
pub use coverage::{Coverage, table};
pub use keys::Scheme;
pub use mutants::Mutant;
pub use oracle::Violation;
pub use plan::{Fault, WorldPlan};
pub use scheme::{FakeIdentity, FakeScheme, HalfRealScheme};
pub use world::{Outcome, run, run_traced};

#[cfg(test)]
mod tests;
