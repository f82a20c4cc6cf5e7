//! From an experiment spec to run folders: placement, clean state per run, phases, time-stamped
//! faults, and collection even after a failure.
//!
//! This room starts processes and never links what they run; what their files mean is for
//! `results` to say. One campaign goes through [`run`], one run through `run::Run`.

mod campaign;
mod config;
mod control;
mod error;
mod interrupt;
mod local;
mod netns;
mod owner;
mod plan;
mod ports;
mod progress;
mod provider;
mod ready;
mod run;
pub mod spec;
mod ssh;
mod tie;

pub use campaign::{Finished, Judge, Options, resume, run, run_again};
pub use error::TestbedError;
pub use interrupt::Interrupt;
pub use local::Local;
pub use netns::{Netns, clean as clean_namespaces};
pub use plan::{Plan, PlannedRun};
pub use progress::{Bar, Progress, Silent, in_words};
pub use provider::{Addresses, Exit, Place, Process, ProcessPlan, Provider, Signal, Told};
pub use spec::{Point, Spec, quick_spec};
pub use ssh::{Ssh, serve as serve_agent};
pub use tie::{TIED, tie_to_orchestrator};
