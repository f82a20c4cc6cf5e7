//! The subcommands: arguments in, text and exit codes out. Everything else lives in the rooms.

pub mod adversary;
pub mod audit;
pub mod compare;
pub mod export;
pub mod gate;
pub mod judge;
pub mod keep;
pub mod keygen;
pub mod limits;
pub mod load;
pub mod node;
mod plan;
pub mod report;
pub mod repro;
pub mod run;
pub mod signatures;
pub mod sim;
pub mod testbed;
pub mod top;
pub mod transports;
