//! What the orchestrator does to replicas and to the links between them, as plans and events say it.

use serde::{Deserialize, Serialize};

/// What the orchestrator does to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultAction {
    /// `SIGKILL`; unsynced memory is lost, the page cache survives.
    Crash,
    /// Start a crashed replica again on its data folder.
    Restart,
    /// `SIGSTOP`: alive, silent.
    Pause,
    /// `SIGCONT`.
    Resume,
    /// Nothing passes between the replica and its `peers` any more; its clients still reach it.
    Partition,
    /// Everything passes again between the replica and its `peers`.
    Heal,
    /// The links from the replica to its `peers` get another delay and bandwidth; what is not said is as the
    /// spec has it.
    Shape,
    /// What the replica's host can send and receive at most, over all its links.
    HostBandwidth,
}

impl FaultAction {
    /// The name in specs, events and tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Partition => "partition",
            Self::Heal => "heal",
            Self::Shape => "shape",
            Self::HostBandwidth => "host-bandwidth",
        }
    }

    /// Whether it concerns links and hosts, not the process.
    #[must_use]
    pub fn is_of_network(self) -> bool {
        matches!(
            self,
            Self::Partition | Self::Heal | Self::Shape | Self::HostBandwidth
        )
    }
}

/// Which way a partition holds, seen from its replica.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Nothing passes.
    #[default]
    Both,
    /// Nothing from its peers reaches the replica.
    In,
    /// Nothing from the replica reaches its peers.
    Out,
}

impl Direction {
    /// The usual one, which is not written down.
    #[must_use]
    pub fn is_both(&self) -> bool {
        *self == Self::Both
    }
}

/// A fault of the plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedFault {
    /// Seconds after the start of the measured phase; negative reaches into the warm-up.
    pub at_s: f64,
    /// What happens.
    pub action: FaultAction,
    /// To which replica, by index.
    pub replica: u32,
    /// Of a fault of links: at their other ends; empty: all other replicas.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<u32>,
    /// Of a partition: which way it holds.
    #[serde(default, skip_serializing_if = "Direction::is_both")]
    pub direction: Direction,
    /// Of a shape: one way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<f64>,
    /// Of a shape: of each link; of a host's bandwidth: of the host. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_bytes_per_s: Option<u64>,
}

impl PlannedFault {
    /// A fault that needs nothing but its time and its replica.
    #[must_use]
    pub fn new(at_s: f64, action: FaultAction, replica: u32) -> Self {
        Self {
            at_s,
            action,
            replica,
            peers: Vec::new(),
            direction: Direction::Both,
            delay_ms: None,
            bandwidth_bytes_per_s: None,
        }
    }

    /// The other ends of the links that it concerns, in a committee of this size.
    #[must_use]
    pub fn others(&self, replicas: u32) -> Vec<u32> {
        match self.peers.is_empty() {
            true => (0..replicas).filter(|r| *r != self.replica).collect(),
            false => self.peers.clone(),
        }
    }

    /// One short text, such as `crash 3 @5s` or `partition 3 out to 0,1 @5s`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = format!("{} {}", self.action.name(), self.replica);
        match self.direction {
            Direction::Both => {}
            Direction::In => text.push_str(" in"),
            Direction::Out => text.push_str(" out"),
        }
        if !self.peers.is_empty() {
            let peers: Vec<String> = self.peers.iter().map(u32::to_string).collect();
            text.push_str(&format!(" to {}", peers.join(",")));
        }
        if let Some(delay_ms) = self.delay_ms {
            text.push_str(&format!(" {delay_ms}ms"));
        }
        if let Some(bandwidth) = self.bandwidth_bytes_per_s {
            text.push_str(&format!(" {bandwidth}B/s"));
        }
        text.push_str(&format!(" @{}s", self.at_s));
        text
    }
}

#[cfg(test)]
mod tests;
