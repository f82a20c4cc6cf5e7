//! The processes of one run: started, watched, hurt and stopped; every end is an event.

use std::time::{Duration, Instant};

use measure::{EventKind, EventLog};

use crate::error::TestbedError;
use crate::provider::{Exit, Process, ProcessPlan, Provider, Signal};

/// After SIGKILL a process is waited for this long; longer means the kernel holds it.
const KILLED_WITHIN: Duration = Duration::from_secs(10);

/// One replica or generator.
#[derive(Debug)]
pub(super) struct Member {
    plan: ProcessPlan,
    process: Box<dyn Process>,
    /// Set once its end has been recorded.
    exit: Option<Exit>,
    /// True once an end has been asked for.
    end_expected: bool,
}

impl Member {
    pub(super) fn start(
        plan: ProcessPlan,
        provider: &mut dyn Provider,
        events: &mut EventLog,
    ) -> Result<Self, TestbedError> {
        let process = provider.start(&plan)?;
        events.record(EventKind::ProcessStarted {
            name: plan.name.clone(),
            pid: process.pid(),
        })?;
        Ok(Self {
            plan,
            process,
            exit: None,
            end_expected: false,
        })
    }

    /// Its end, recorded when it is seen for the first time.
    pub(super) fn poll(&mut self, events: &mut EventLog) -> Result<Option<Exit>, TestbedError> {
        if self.exit.is_none()
            && let Some(exit) = self.process.poll_exit()?
        {
            self.exit = Some(exit);
            let expected = self.end_expected || (self.is_load() && exit.is_success());
            events.record(EventKind::ProcessExited {
                name: self.plan.name.clone(),
                pid: self.process.pid(),
                code: exit.code,
                signal: exit.signal,
                expected,
            })?;
        }
        Ok(self.exit)
    }

    pub(super) fn signal(&mut self, signal: Signal) -> Result<(), TestbedError> {
        self.process.signal(signal)
    }

    /// SIGKILL, and its end awaited.
    pub(super) fn crash(&mut self) -> Result<(), TestbedError> {
        self.end_expected = true;
        self.process.signal(Signal::Kill)?;
        match self.process.wait_until(Instant::now() + KILLED_WITHIN)? {
            Some(_) => Ok(()),
            None => Err(TestbedError::Setup(format!(
                "{}: expected to end within {KILLED_WITHIN:?} after SIGKILL",
                self.plan.name
            ))),
        }
    }

    /// The same plan again, after an end that has been recorded.
    pub(super) fn restart(
        &mut self,
        provider: &mut dyn Provider,
        events: &mut EventLog,
    ) -> Result<(), TestbedError> {
        self.poll(events)?;
        *self = Self::start(self.plan.clone(), provider, events)?;
        Ok(())
    }

    fn is_load(&self) -> bool {
        self.plan.name.starts_with("load-")
    }
}

/// All processes of a run. Dropping it kills what still runs.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    replicas: Vec<Member>,
    loads: Vec<Member>,
}

impl Cluster {
    pub(super) fn add(&mut self, member: Member) {
        if member.is_load() {
            self.loads.push(member);
        } else {
            self.replicas.push(member);
        }
    }

    /// The replica of an index the spec's check has seen.
    pub(super) fn replica(&mut self, index: u32) -> &mut Member {
        &mut self.replicas[index as usize]
    }

    /// Whether a replica runs, as far as has been seen.
    pub(super) fn is_up(&self, index: u32) -> bool {
        let member = &self.replicas[index as usize];
        member.exit.is_none() && !member.end_expected
    }

    /// Of all processes.
    pub(super) fn names(&self) -> Vec<String> {
        let all = self.replicas.iter().chain(&self.loads);
        all.map(|member| member.plan.name.clone()).collect()
    }

    pub(super) fn poll_replicas(&mut self, events: &mut EventLog) -> Result<(), TestbedError> {
        for member in &mut self.replicas {
            member.poll(events)?;
        }
        Ok(())
    }

    /// Nothing while a generator runs; then whether all of them succeeded. A failure is told at
    /// once.
    pub(super) fn poll_loads(
        &mut self,
        events: &mut EventLog,
    ) -> Result<Option<bool>, TestbedError> {
        let mut all_ended = true;
        for member in &mut self.loads {
            match member.poll(events)? {
                Some(exit) if !exit.is_success() => return Ok(Some(false)),
                Some(_) => {}
                None => all_ended = false,
            }
        }
        Ok(all_ended.then_some(true))
    }

    /// Generators first, then all replicas at once: asked, awaited, killed.
    pub(super) fn stop_all(
        &mut self,
        events: &mut EventLog,
        within: Duration,
    ) -> Result<(), TestbedError> {
        stop(&mut self.loads, events, within)?;
        stop(&mut self.replicas, events, within)
    }
}

fn stop(
    members: &mut [Member],
    events: &mut EventLog,
    within: Duration,
) -> Result<(), TestbedError> {
    let deadline = Instant::now() + within;
    for member in &mut *members {
        // An end that came by itself is recorded as such before another is asked for.
        if member.poll(events)?.is_none() {
            member.end_expected = true;
            member.signal(Signal::Terminate)?;
            // A frozen process acts on the request only once it runs again.
            member.signal(Signal::Continue)?;
        }
    }
    for member in &mut *members {
        if member.process.wait_until(deadline)?.is_none() {
            member.crash()?;
            // It had to be killed: not the end it was asked for.
            member.end_expected = false;
        }
        member.poll(events)?;
    }
    Ok(())
}
