//! Provider `local`: child processes on loopback.
//!
//! A child's standard input is a pipe whose other end only this process holds. When this process
//! ends, however that happens, the pipe closes and the child stops (`stop_on_stdin_eof`); see `tie`.

use std::fs::OpenOptions;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal as UnixSignal, kill};
use nix::unistd::Pid;

use crate::error::TestbedError;
use crate::ports;
use crate::provider::{Addresses, Exit, Place, Process, ProcessPlan, Provider, Signal};

/// How often a wait looks whether the child has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Processes on loopback.
#[derive(Debug, Default)]
pub struct Local {}

impl Provider for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn begin(&mut self, _: &Place, replicas: u32, _: u32) -> Result<Vec<Addresses>, TestbedError> {
        let ports = ports::free_ports(replicas as usize * 3)?;
        let address = |port: u16| format!("127.0.0.1:{port}");
        Ok(ports
            .as_chunks::<3>()
            .0
            .iter()
            .map(|&[peer, client, metrics]| Addresses {
                peer: address(peer),
                client: address(client),
                metrics: address(metrics),
            })
            .collect())
    }

    fn start(&mut self, plan: &ProcessPlan) -> Result<Box<dyn Process>, TestbedError> {
        Ok(Box::new(start(plan)?))
    }
}

/// Starts a process on this host.
pub(crate) fn start(plan: &ProcessPlan) -> Result<LocalProcess, TestbedError> {
    spawn(plan, Command::new(&plan.executable))
}

/// Starts a plan by a command that its arguments are added to; its standard input closes with this process.
pub(crate) fn spawn(
    plan: &ProcessPlan,
    mut command: Command,
) -> Result<LocalProcess, TestbedError> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&plan.log)
        .map_err(|source| TestbedError::Io {
            action: "open the log",
            path: plan.log.clone(),
            source,
        })?;
    let fail = |source| TestbedError::Process {
        action: "start",
        name: format!("{} ({})", plan.name, plan.executable.display()),
        source,
    };
    let child = command
        .args(&plan.arguments)
        .envs(plan.environment.clone())
        .env(crate::tie::TIED, "1")
        .stdin(Stdio::piped())
        .stdout(log.try_clone().map_err(fail)?)
        .stderr(log)
        // Ctrl-C in a terminal goes to the whole group: children are stopped in order instead.
        .process_group(0)
        .spawn()
        .map_err(fail)?;
    Ok(LocalProcess {
        name: plan.name.clone(),
        child,
        exit: None,
    })
}

/// A child; `child.stdin` stays open as long as it is wanted.
#[derive(Debug)]
pub(crate) struct LocalProcess {
    name: String,
    child: Child,
    exit: Option<Exit>,
}

impl LocalProcess {
    fn error(&self, action: &'static str) -> impl FnOnce(std::io::Error) -> TestbedError {
        let name = self.name.clone();
        move |source| TestbedError::Process {
            action,
            name,
            source,
        }
    }
}

impl Process for LocalProcess {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn signal(&mut self, signal: Signal) -> Result<(), TestbedError> {
        // Until it is waited for, the id cannot belong to another process.
        if self.poll_exit()?.is_some() {
            return Ok(());
        }
        let signal = match signal {
            Signal::Terminate => UnixSignal::SIGTERM,
            Signal::Kill => UnixSignal::SIGKILL,
            Signal::Stop => UnixSignal::SIGSTOP,
            Signal::Continue => UnixSignal::SIGCONT,
        };
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        kill(pid, signal).map_err(|errno| self.error("signal")(errno.into()))
    }

    fn poll_exit(&mut self) -> Result<Option<Exit>, TestbedError> {
        if self.exit.is_none() {
            let status = self.child.try_wait().map_err(self.error("wait for"))?;
            self.exit = status.map(exit_of);
        }
        Ok(self.exit)
    }

    fn wait_until(&mut self, deadline: Instant) -> Result<Option<Exit>, TestbedError> {
        loop {
            let exit = self.poll_exit()?;
            if exit.is_some() || Instant::now() >= deadline {
                return Ok(exit);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for LocalProcess {
    fn drop(&mut self) {
        if self.exit.is_none() {
            // Both fail only when the child has ended already.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn exit_of(status: ExitStatus) -> Exit {
    Exit {
        code: status.code(),
        signal: status.signal(),
    }
}
