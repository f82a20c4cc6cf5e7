//! The replica as a process: one loop on one thread with its sockets, helpers for signatures and disk.
//!
//! Inside, data flows one way: frame → verified message → core → effects → durable → sent.

pub mod config;
pub mod control;
pub mod crypto_pool;
pub mod error;
pub mod incident;
pub mod metrics;
pub mod platform;
pub mod process;
pub mod profiler;
pub mod real;
pub mod replica;
pub mod report;
pub mod run;
pub mod snapshot;
pub mod start;
pub mod stop;
mod waiting;

pub use config::{ConfigError, NodeConfig};
pub use error::NodeError;
pub use platform::{ClientId, NodeEvent, Platform};
pub use process::Process;
pub use real::{Real, RealPlatform};
pub use run::{run, run_process, run_wrapped};
pub use start::Parts;

/// Longest frame to a client, in bytes; longer receipts are split.
pub const REPLY_FRAME_LEN_MAX: usize = 1 << 20;
