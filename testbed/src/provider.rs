//! Where processes run: the same campaign runs on loopback, in namespaces and by ssh.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use measure::EventLog;
use serde::{Deserialize, Serialize};

use crate::control;
use crate::error::TestbedError;
use crate::ready;

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
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
    /// File its standard output and error are appended to.
    pub log: PathBuf,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Commands for the control socket of one replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The replica's index.
    pub replica: u32,
    /// Its socket, by its path on this host.
    pub socket: PathBuf,
    /// One JSON object each.
    pub commands: Vec<String>,
}

/// Where one run keeps its files on this host.
#[derive(Debug, Clone)]
pub struct Place {
    /// The run folder.
    pub root: PathBuf,
    /// A folder for control sockets, with a short path.
    pub sockets: PathBuf,
}

/// A place for processes. Paths are those of this host unless they went through [`Provider::path`]. A process is
/// known by its name: `replica-<i>` and `load-<k>` run where the provider puts them, all others on this host.
pub trait Provider {
    /// Name in results.
    fn name(&self) -> &'static str;

    /// Makes the place for one run and returns the addresses of its committee, free at the moment of the call.
    ///
    /// # Errors
    /// [`TestbedError::Setup`] when there are not enough, or when the place cannot be made.
    fn begin(
        &mut self,
        place: &Place,
        replicas: u32,
        generators: u32,
    ) -> Result<Vec<Addresses>, TestbedError>;

    /// Starts a process. It must end when this process ends, however that happens.
    ///
    /// # Errors
    /// [`TestbedError::Process`].
    fn start(&mut self, plan: &ProcessPlan) -> Result<Box<dyn Process>, TestbedError>;

    /// Removes what [`Provider::begin`] made, after all processes have ended. What went on with the hosts in
    /// the meantime goes into the record.
    ///
    /// # Errors
    /// [`TestbedError`] when something stays behind.
    fn end(&mut self, events: &mut EventLog) -> Result<(), TestbedError> {
        let _ = events;
        Ok(())
    }

    /// Where a file is for a process.
    fn path(&self, process: &str, path: &Path) -> PathBuf {
        let _ = process;
        path.to_path_buf()
    }

    /// Brings files to where a process finds them, and makes its folders there.
    ///
    /// # Errors
    /// [`TestbedError`].
    fn deliver(
        &mut self,
        process: &str,
        files: &[&Path],
        folders: &[&Path],
    ) -> Result<(), TestbedError> {
        let _ = (process, files, folders);
        Ok(())
    }

    /// Brings the newest state of files that processes write while they run, as far as it can be had.
    fn refresh(&mut self, files: &[(String, PathBuf)]) {
        let _ = files;
    }

    /// Brings the part of a process that has ended.
    ///
    /// # Errors
    /// [`TestbedError`] when not all of it could be had.
    fn collect(&mut self, process: &str, part: &Path) -> Result<(), TestbedError> {
        let _ = (process, part);
        Ok(())
    }

    /// Whether a replica answers that it is ready.
    fn is_ready(&mut self, replica: u32, metrics: &str) -> bool {
        let _ = replica;
        ready::is_ready(metrics)
    }

    /// Gives replicas their commands, all at the same time.
    ///
    /// # Errors
    /// [`TestbedError::Control`] with the first that was not carried out.
    fn tell(&mut self, all: &[Told]) -> Result<(), TestbedError> {
        control::tell_all(all)
    }

    /// Whether it has a network of its own, that [`Provider::cut`] and [`Provider::limit`] change.
    fn has_network(&self) -> bool {
        false
    }

    /// From now on nothing passes from the first to the second of each pair; everything else does.
    ///
    /// # Errors
    /// [`TestbedError::Setup`].
    fn cut(&mut self, pairs: &BTreeSet<(u32, u32)>) -> Result<(), TestbedError> {
        let _ = pairs;
        Err(no_network())
    }

    /// What the host of a replica can send and receive at most.
    ///
    /// # Errors
    /// [`TestbedError::Setup`].
    fn limit(&mut self, replica: u32, bytes_per_s: Option<u64>) -> Result<(), TestbedError> {
        let _ = (replica, bytes_per_s);
        Err(no_network())
    }
}

/// The spec's check refuses what would lead here.
fn no_network() -> TestbedError {
    TestbedError::Setup("this fault needs provider = \"netns\"".into())
}
