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
mod ports;
mod progress;
mod provider;
mod ready;
mod run;
pub mod spec;

pub use campaign::{Finished, Options, run};
pub use error::TestbedError;
pub use interrupt::Interrupt;
pub use local::Local;
pub use progress::{Bar, Progress, Silent};
pub use provider::{Addresses, Exit, Process, ProcessPlan, Provider, Signal};
pub use spec::{Point, Spec, quick_spec};
