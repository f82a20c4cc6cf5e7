//! Where processes run: the same campaign runs on loopback now, later in namespaces and by ssh.

use std::path::PathBuf;
use std::time::Instant;

use crate::error::TestbedError;

/// The addresses of one replica, `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For other replicas.
    pub peer: String,
    /// For clients.
    pub client: String,
    /// `/metrics` and `/healthz`.
    pub metrics: String,
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessPlan {
    /// `replica-<i>`, `load-<k>` or `keygen`.
    pub name: String,
    /// The program.
    pub executable: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// File its standard output and error are appended to.
    pub log: PathBuf,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, absent when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

impl Exit {
    /// Exit code 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.code == Some(0)
    }
}

/// What can be sent to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ask it to stop.
    Terminate,
    /// End it now.
    Kill,
    /// Freeze it.
    Stop,
    /// Unfreeze it.
    Continue,
}

/// A started process. Dropping it kills it and waits for its end.
pub trait Process: std::fmt::Debug {
    /// Its id on its host.
    fn pid(&self) -> u32;

    /// Sends a signal; nothing happens once it has ended.
    ///
    /// # Errors
    /// [`TestbedError::Process`].
    fn signal(&mut self, signal: Signal) -> Result<(), TestbedError>;

    /// Its end, if it has ended.
    ///
    /// # Errors
    /// [`TestbedError::Process`].
    fn poll_exit(&mut self) -> Result<Option<Exit>, TestbedError>;

    /// Waits for its end until `deadline`.
    ///
    /// # Errors
    /// [`TestbedError::Process`].
    fn wait_until(&mut self, deadline: Instant) -> Result<Option<Exit>, TestbedError>;
}

/// A place for processes.
pub trait Provider {
    /// Name in results.
    fn name(&self) -> &'static str;

    /// Addresses for a committee, free at the moment of the call.
    ///
    /// # Errors
    /// [`TestbedError::Setup`] when there are not enough.
    fn addresses(&mut self, replicas: u32) -> Result<Vec<Addresses>, TestbedError>;

    /// Starts a process. It must end when this process ends, however that happens.
    ///
    /// # Errors
    /// [`TestbedError::Process`].
    fn start(&mut self, plan: &ProcessPlan) -> Result<Box<dyn Process>, TestbedError>;
}
