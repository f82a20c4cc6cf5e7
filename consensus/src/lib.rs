//! The protocol, sans-IO: `handle_*` in, effects out, time as an argument. No clock, no socket, no
//! disk, no thread, no randomness. What must be durable before a message leaves is stated by the
//! order of effects: everything persisted before a message that says `durable` precedes it on disk.

pub mod accountability;
mod branches;
mod cars;
mod chain_sync;
mod checkpoints;
mod core;
mod delivery;
mod detector;
mod effect;
mod lanes;
mod leaders;
mod ordering;
mod pacemaker;
mod propose;
mod recovery;
mod rules;
mod safety;
mod timeouts;
mod tips;
mod tree;
mod values;
mod votes;

pub use crate::core::{Core, CoreStats, OrderState, Recovered};
pub use delivery::DeliveredBlock;
pub use detector::Notices;
pub use effect::{Check, Config, Dest, Durable, Effect, Timing};
pub use lanes::{CutEntry, LanesConfig};
pub use leaders::Leaders;
pub use recovery::{FoundRecovery, MergePlan, Recovery, Standing, merge};
pub use rules::{Rules, ThreeChain, TwoChain, rules_for};
pub use safety::{Lock, Safety};

#[cfg(test)]
mod tests;
