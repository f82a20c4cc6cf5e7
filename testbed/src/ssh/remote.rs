//! One host in one run.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use measure::{CLOCK_SHIFT, Fingerprint};
use serde::Serialize;

use super::clock::{self, Shift};
use super::connection::{Connection, Shared};
use super::inventory::Host;
use super::program::Program;
use super::protocol::{Answer, Ask};
use crate::error::TestbedError;
use crate::provider::{Exit, Process, ProcessPlan, Signal};
use crate::run::io;

/// How often it is looked whether a process has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// What the record tells of a host.
#[derive(Debug, Clone, Serialize)]
pub(super) struct HostRecord {
    name: String,
    address: String,
    /// Before the processes were started; they add this to their clocks.
    clock: Shift,
    /// After their end: the difference is drift. Absent for a host that was lost.
    clock_at_end: Option<Shift>,
    fingerprint: Fingerprint,
}

#[derive(Debug)]
pub(super) struct Remote {
    pub connection: Connection,
    run: PathBuf,
    record: HostRecord,
}

impl Remote {
    /// Brings the program, starts it as the agent, and compares the clocks.
    pub(super) fn reach(
        host: &Host,
        known_hosts: &Path,
        program: &Program,
    ) -> Result<Self, TestbedError> {
        program.bring(host, known_hosts)?;
        let start = format!("cd {} && exec {} agent", host.work, program.name());
        let mut connection = Connection::open(&host.name, host.ssh(known_hosts, &start))?;
        let Answer::Hello {
            program: found,
            run,
            fingerprint,
        } = connection.ask(Ask::Hello)?
        else {
            return Err(connection.error("expected the agent's name, found another answer"));
        };
        if found != program.hash {
            return Err(connection.error(&format!(
                "expected a program with the hash {}, found {found}; remove {}/{} there",
                program.hash,
                host.work,
                program.name()
            )));
        }
        let record = HostRecord {
            name: host.name.clone(),
            address: host.internal().to_owned(),
            clock: clock::measure(&mut connection)?,
            clock_at_end: None,
            fingerprint: *fingerprint,
        };
        Ok(Self {
            connection,
            run,
            record,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.record.name
    }

    /// Its folder for this run.
    pub(super) fn run(&self) -> &Path {
        &self.run
    }

    pub(super) fn record(&self) -> HostRecord {
        self.record.clone()
    }

    /// Clocks drift; a lost host has none.
    pub(super) fn measure_again(&mut self) {
        if self.connection.shared().lost().is_none() {
            self.record.clock_at_end = clock::measure(&mut self.connection).ok();
        }
    }

    pub(super) fn start(&mut self, plan: &ProcessPlan) -> Result<RemoteProcess, TestbedError> {
        let shift = self.record.clock.shift_ns.to_string();
        let mut environment = plan.environment.clone();
        environment.push((CLOCK_SHIFT.to_owned(), shift));
        let ask = Ask::Start {
            name: plan.name.clone(),
            arguments: plan.arguments.clone(),
            environment,
            log: plan.log.clone(),
        };
        match self.connection.ask(ask)? {
            Answer::Started { pid } => Ok(RemoteProcess {
                pid,
                shared: self.connection.shared(),
                to_host: self.connection.orders(),
            }),
            _ => Err(self
                .connection
                .error("expected a process id, found another answer")),
        }
    }

    /// Brings all files of a folder.
    pub(super) fn collect(&mut self, there: &Path, here: &Path) -> Result<(), TestbedError> {
        let path = there.to_path_buf();
        let Answer::Files(files) = self.connection.ask(Ask::List { path })? else {
            return Err(self
                .connection
                .error("expected a list of files, found another answer"));
        };
        for below in files {
            // Whatever it says, nothing is written elsewhere.
            let plain = |part| matches!(part, std::path::Component::Normal(_));
            if !below.components().all(plain) {
                let message = format!("named a file {}, which leaves its folder", below.display());
                return Err(self.connection.error(&message));
            }
            self.fetch(&there.join(&below), &here.join(&below))?;
        }
        Ok(())
    }

    /// Brings a file; what was there is replaced when it is whole.
    fn fetch(&mut self, there: &Path, here: &Path) -> Result<(), TestbedError> {
        let part = here.with_extension("part");
        if let Some(folder) = here.parent() {
            std::fs::create_dir_all(folder).map_err(io("create", folder))?;
        }
        File::create(&part).map_err(io("create", &part))?;
        let mut offset = 0;
        loop {
            let path = there.to_path_buf();
            let Answer::Bytes(text) = self.connection.ask(Ask::Read { path, offset })? else {
                return Err(self
                    .connection
                    .error("expected bytes, found another answer"));
            };
            match append(&part, &text)? {
                0 => break,
                more => offset += more,
            }
        }
        std::fs::rename(&part, here).map_err(io("rename", here))
    }
}

/// Appends bytes in base64 and returns how many there were.
pub(super) fn append(path: &Path, text: &str) -> Result<u64, TestbedError> {
    let bytes = STANDARD.decode(text).map_err(|error| {
        TestbedError::Setup(format!("{}: expected base64: {error}", path.display()))
    })?;
    let mut file = File::options()
        .append(true)
        .create(true)
        .open(path)
        .map_err(io("open", path))?;
    file.write_all(&bytes).map_err(io("write", path))?;
    Ok(bytes.len() as u64)
}

/// A process on a host; the agent looks after it.
#[derive(Debug)]
pub(super) struct RemoteProcess {
    pid: u32,
    shared: Shared,
    to_host: Orders,
}

pub(super) use super::connection::Orders;

impl Process for RemoteProcess {
    fn pid(&self) -> u32 {
        self.pid
    }

    fn signal(&mut self, signal: Signal) -> Result<(), TestbedError> {
        // Lines are carried out in their order; a host that is lost has ended everything.
        self.to_host.send(Ask::Signal {
            pid: self.pid,
            signal,
        });
        Ok(())
    }

    fn poll_exit(&mut self) -> Result<Option<Exit>, TestbedError> {
        Ok(self.shared.exit(self.pid))
    }

    fn wait_until(&mut self, deadline: Instant) -> Result<Option<Exit>, TestbedError> {
        loop {
            let exit = self.shared.exit(self.pid);
            if exit.is_some() || Instant::now() >= deadline {
                return Ok(exit);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for RemoteProcess {
    fn drop(&mut self) {
        if self.shared.exit(self.pid).is_none() {
            self.to_host.send(Ask::Signal {
                pid: self.pid,
                signal: Signal::Kill,
            });
        }
    }
}
