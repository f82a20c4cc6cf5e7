//! Control sockets of the replicas of one run.

use std::path::{Path, PathBuf};

use measure::RunFolder;

use super::io;
use crate::error::TestbedError;
use crate::provider::Told;

/// The folder of the sockets. Its path is short: names of sockets have a limit of about a hundred bytes.
#[derive(Debug, Clone)]
pub(super) struct Sockets(PathBuf);

impl Sockets {
    pub(super) fn of(folder: &RunFolder) -> Sockets {
        let hash = blake3::hash(folder.root().as_os_str().as_encoded_bytes()).to_hex();
        let name = format!("reforge-{}-{}", std::process::id(), &hash[..8]);
        Sockets(std::env::temp_dir().join(name))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    pub(super) fn create(&self) -> Result<(), TestbedError> {
        std::fs::create_dir_all(&self.0).map_err(io("create", &self.0))
    }

    /// Replicas remove their sockets themselves, unless they were killed; nothing else is in it.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }

    pub(super) fn of_replica(&self, replica: u32) -> PathBuf {
        self.0.join(format!("{replica}.sock"))
    }

    pub(super) fn told(&self, replica: u32, commands: Vec<String>) -> Told {
        let socket = self.of_replica(replica);
        Told {
            replica,
            socket,
            commands,
        }
    }
}
