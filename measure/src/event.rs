//! `events.jsonl`: phases, faults, process starts and ends, mode changes, each with its time.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clock::{WallAnchor, monotonic_ns};
use crate::drill::DrillStep;
use crate::fault::{FaultAction, PlannedFault};
use crate::files::{JsonLines, MeasureError, read_json_lines};
use crate::hdr::Phase;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened, `CLOCK_MONOTONIC` of the orchestrating host.
    pub monotonic_ns: u64,
    /// The same moment as nanoseconds since the Unix epoch.
    pub unix_ns: u64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EventKind {
    /// A phase began.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// Every replica answered its readiness question.
    Ready,
    /// A fault was applied; the event's time is when the signal had been delivered.
    Fault {
        /// The replica's index.
        replica: u32,
        /// What was done.
        action: FaultAction,
        /// When the spec asked for it, seconds after the start of the load.
        planned_s: f64,
        /// The whole plan of a fault of the network: which links, which way, how fast.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<PlannedFault>,
    },
    /// A host did not answer any more; its processes count as ended.
    HostLost {
        /// Its name in the inventory.
        host: String,
        /// What was seen last.
        reason: String,
    },
    /// A process was started.
    ProcessStarted {
        /// `replica-<i>` or `load-<k>`.
        name: String,
        /// Its process id.
        pid: u32,
    },
    /// A process ended.
    ProcessExited {
        /// `replica-<i>` or `load-<k>`.
        name: String,
        /// Its process id.
        pid: u32,
        /// Exit code, absent when a signal ended it.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// True when the orchestrator had asked for it (stop or fault).
        expected: bool,
    },
    /// A replica changed its mode (drills).
    ModeChange {
        /// The replica's index.
        replica: u32,
        /// The mode entered.
        mode: String,
    },
    /// A step of a drill.
    Drill {
        /// Which attack of the drill, from 0.
        attack: u32,
        /// What was done or seen.
        #[serde(flatten)]
        step: DrillStep,
    },
    /// The user interrupted the run.
    Interrupted,
    /// The harness itself failed; the run can say nothing about the system.
    HarnessFailure {
        /// What was expected, found, and what to do.
        reason: String,
    },
}

impl EventKind {
    /// What a reader of the run has to know, as a short text, and whether it is a fault; none if nothing.
    #[must_use]
    pub fn mark(&self) -> Option<(String, bool)> {
        Some(match self {
            Self::Fault {
                replica, action, ..
            } => (format!("{} {replica}", action.name()), true),
            Self::Drill { step, .. } => match step {
                DrillStep::Cut => ("links cut".into(), true),
                DrillStep::Attack => ("attack".into(), true),
                DrillStep::SplitSeen { height } => (format!("split at height {height}"), false),
                DrillStep::Healed => ("links healed".into(), false),
                DrillStep::Resumed => ("resumed".into(), false),
                DrillStep::GaveUp { what } => (format!("gave up: {what}"), true),
            },
            Self::ProcessExited {
                name,
                expected: false,
                ..
            } => (format!("{name} ended unasked"), true),
            _ => return None,
        })
    }
}

/// Appends to `events.jsonl`.
#[derive(Debug)]
pub struct EventLog {
    lines: JsonLines,
    anchor: WallAnchor,
}

impl EventLog {
    /// Opens the log for appending.
    ///
    /// # Errors
    /// [`MeasureError::Io`].
    pub fn open(path: &Path) -> Result<Self, MeasureError> {
        Ok(Self {
            lines: JsonLines::open(path)?,
            anchor: WallAnchor::now(),
        })
    }

    /// Appends an event that happens now and returns its monotonic time.
    ///
    /// # Errors
    /// [`MeasureError`] when the write fails.
    pub fn record(&mut self, kind: EventKind) -> Result<u64, MeasureError> {
        let now_ns = monotonic_ns();
        self.record_at(now_ns, kind)?;
        Ok(now_ns)
    }

    /// Appends an event with a given monotonic time.
    ///
    /// # Errors
    /// [`MeasureError`] when the write fails.
    pub fn record_at(&mut self, monotonic_ns: u64, kind: EventKind) -> Result<(), MeasureError> {
        self.lines.append(&Event {
            monotonic_ns,
            unix_ns: self.anchor.unix_ns_at(monotonic_ns),
            kind,
        })
    }
}

/// Reads `events.jsonl`, tolerating a torn last line.
///
/// # Errors
/// [`MeasureError`].
pub fn read_events(path: &Path) -> Result<Vec<Event>, MeasureError> {
    read_json_lines(path, "event log")
}
