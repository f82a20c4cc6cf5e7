//! Provider `ssh`: hosts of an inventory, by the system's OpenSSH client. One binary is copied to each of them, and
//! runs there as an agent (`reforge agent`) that starts processes and hands their files over.
//!
//! What was started ends with the connection: an agent that hears nothing ends with everything it started.

mod agent;
mod clock;
mod connection;
mod inventory;
mod program;
mod protocol;
mod remote;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use measure::EventLog;

pub use agent::serve;

use crate::error::TestbedError;
use crate::local;
use crate::provider::{Addresses, Place, Process, ProcessPlan, Provider, Told};
use inventory::{Inventory, Role};
use program::Program;
use protocol::{Answer, Ask};
use remote::Remote;

/// Peers, clients, metrics.
const PORTS_PER_REPLICA: u16 = 3;
/// What the hosts were and how far their clocks were off; part of the record.
const HOSTS: &str = "hosts.json";
/// An agent has ended its processes and removed its files within this time.
const CLOSED_WITHIN: Duration = Duration::from_secs(15);

/// See the module.
#[derive(Debug)]
pub struct Ssh {
    inventory: Inventory,
    program: Program,
    /// The hosts of a run, in the order of the inventory.
    remotes: Vec<Remote>,
    /// Which host a process runs on.
    placed: BTreeMap<String, usize>,
    place: Option<Place>,
}

impl Ssh {
    /// Reads the inventory; hosts are reached with the first run.
    ///
    /// # Errors
    /// [`TestbedError`].
    pub fn new(inventory: &Path, executable: &Path) -> Result<Self, TestbedError> {
        Ok(Self {
            inventory: Inventory::load(inventory)?,
            program: Program::load(executable)?,
            remotes: Vec::new(),
            placed: BTreeMap::new(),
            place: None,
        })
    }

    /// The host of a process, and where files of the run lie there.
    fn of(&mut self, process: &str) -> Option<&mut Remote> {
        let index = *self.placed.get(process)?;
        self.remotes.get_mut(index)
    }

    fn put(&mut self, role: Role, kind: &str, count: u32) -> Vec<(usize, u16)> {
        let hosts: Vec<usize> = self.inventory.of(role).collect();
        let places = (0..count as usize).map(|index| {
            let host = hosts[index % hosts.len()];
            self.placed.insert(format!("{kind}-{index}"), host);
            (host, (index / hosts.len()) as u16)
        });
        places.collect()
    }

    fn close(&mut self) {
        for remote in &mut self.remotes {
            remote.connection.close(CLOSED_WITHIN);
        }
        self.remotes.clear();
        self.placed.clear();
    }

    fn write_hosts(&self) -> Result<(), TestbedError> {
        let Some(place) = &self.place else {
            return Ok(());
        };
        let records: Vec<_> = self.remotes.iter().map(Remote::record).collect();
        measure::files::write_json(&place.root.join(HOSTS), &records)?;
        Ok(())
    }
}

impl Provider for Ssh {
    fn name(&self) -> &'static str {
        "ssh"
    }

    fn begin(
        &mut self,
        place: &Place,
        replicas: u32,
        generators: u32,
    ) -> Result<Vec<Addresses>, TestbedError> {
        self.close();
        self.place = Some(place.clone());
        for host in &self.inventory.host {
            let known_hosts = &self.inventory.known_hosts;
            let remote = Remote::reach(host, known_hosts, &self.program)?;
            self.remotes.push(remote);
        }
        self.write_hosts()?;
        let placed = self.put(Role::Replica, "replica", replicas);
        self.put(Role::Load, "load", generators);
        let mut all = Vec::new();
        for (index, slot) in placed {
            let host = &self.inventory.host[index];
            let first = host.first_port.saturating_add(slot * PORTS_PER_REPLICA);
            let ports = vec![first, first.saturating_add(1), first.saturating_add(2)];
            let address = host.internal();
            let shown = match address.contains(':') {
                true => format!("[{address}]"),
                false => address.to_owned(),
            };
            all.push(Addresses {
                peer: format!("{shown}:{}", ports[0]),
                client: format!("{shown}:{}", ports[1]),
                metrics: format!("127.0.0.1:{}", ports[2]),
            });
            self.remotes[index].connection.order(Ask::Ports {
                address: address.to_owned(),
                ports,
            })?;
        }
        Ok(all)
    }

    fn start(&mut self, plan: &ProcessPlan) -> Result<Box<dyn Process>, TestbedError> {
        match self.of(&plan.name) {
            Some(remote) => Ok(Box::new(remote.start(plan)?)),
            None => Ok(Box::new(local::start(plan)?)),
        }
    }

    fn end(&mut self, events: &mut EventLog) -> Result<(), TestbedError> {
        for remote in &mut self.remotes {
            remote.measure_again();
            if let Some((at_ns, reason)) = remote.connection.shared().lost() {
                let host = remote.name().to_owned();
                let kind = measure::EventKind::HostLost { host, reason };
                events.record_at(at_ns, kind)?;
            }
        }
        let written = self.write_hosts();
        self.close();
        written
    }

    fn path(&self, process: &str, path: &Path) -> PathBuf {
        let (Some(place), Some(index)) = (&self.place, self.placed.get(process)) else {
            return path.to_path_buf();
        };
        let run = self.remotes[*index].run();
        if let Ok(below) = path.strip_prefix(&place.root) {
            return run.join(below);
        }
        match path.strip_prefix(&place.sockets) {
            Ok(below) => run.join("s").join(below),
            Err(_) => path.to_path_buf(),
        }
    }

    fn deliver(
        &mut self,
        process: &str,
        files: &[&Path],
        folders: &[&Path],
    ) -> Result<(), TestbedError> {
        if !self.placed.contains_key(process) {
            return Ok(());
        }
        let mut asks = Vec::new();
        for folder in folders {
            let path = self.path(process, folder);
            asks.push(Ask::Folder { path });
        }
        for file in files {
            let path = self.path(process, file);
            if let Some(parent) = path.parent() {
                let path = parent.to_path_buf();
                asks.push(Ask::Folder { path });
            }
            let text = std::fs::read_to_string(file).map_err(crate::run::io("read", file))?;
            asks.push(Ask::Write { path, text });
        }
        for ask in asks {
            if let Some(remote) = self.of(process) {
                remote.connection.order(ask)?;
            }
        }
        Ok(())
    }

    fn refresh(&mut self, files: &[(String, PathBuf)]) {
        // All are asked before the first answer is waited for.
        let mut asked = Vec::new();
        for (process, file) in files {
            let path = self.path(process, file);
            let offset = std::fs::metadata(file).map_or(0, |metadata| metadata.len());
            if let Some(remote) = self.of(process) {
                let id = remote.connection.send(Ask::Read { path, offset });
                asked.push((process, file, id));
            }
        }
        for (process, file, id) in asked {
            if let Some(remote) = self.of(process)
                && let Ok(Answer::Bytes(text)) = remote.connection.wait(id)
            {
                // What is missing comes with the next look, or at the end.
                let _ = remote::append(file, &text);
            }
        }
    }

    fn collect(&mut self, process: &str, part: &Path) -> Result<(), TestbedError> {
        let there = self.path(process, part);
        match self.of(process) {
            // What can be known of a lost host is in the record already.
            Some(remote) if remote.connection.shared().lost().is_none() => {
                remote.collect(&there, part)
            }
            _ => Ok(()),
        }
    }

    fn is_ready(&mut self, replica: u32, metrics: &str) -> bool {
        let metrics = metrics.to_owned();
        let asked = self
            .of(&format!("replica-{replica}"))
            .map(|remote| remote.connection.ask(Ask::Ready { metrics }));
        matches!(asked, Some(Ok(Answer::Ready(true))))
    }

    fn tell(&mut self, all: &[Told]) -> Result<(), TestbedError> {
        let mut asked = Vec::new();
        for told in all {
            let process = format!("replica-{}", told.replica);
            let socket = self.path(&process, &told.socket);
            let commands = told.commands.clone();
            if let Some(remote) = self.of(&process) {
                let id = remote.connection.send(Ask::Tell { socket, commands });
                asked.push((process, id));
            }
        }
        for (process, id) in asked {
            if let Some(remote) = self.of(&process) {
                remote.connection.wait(id)?;
            }
        }
        Ok(())
    }
}
