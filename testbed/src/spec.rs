//! The experiment spec: sweeps are data, unknown keys and contradictions are errors with a line.
//!
//! Axes given as lists multiply. `[[sweep]]` tables replace axes, faults or thresholds of the
//! base, so that one spec can hold unlike groups of points. The resolved spec (every default
//! written out) has a hash, and is what a run folder keeps.

mod axes;
mod check;
mod overrides;
mod points;

use std::path::Path;

use measure::{
    Burst, CapacityGoal, LoadPlan, PlannedAdversary, PlannedDrill, PlannedFault, Ramp, RateShape,
    Thresholds,
};
use serde::{Deserialize, Serialize};

pub use axes::{App, Auth, AxisLists, Backend, Durability, OneOrMany, Rule, Scheme};
pub use points::Point;
pub(crate) use points::{find_probe, probe};

use crate::error::TestbedError;

/// A whole experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Short name, used for folders: letters, digits, `-` and `_`.
    pub name: String,
    /// Seed of schedules and payloads; runs derive their own from it.
    #[serde(default = "one")]
    pub seed: u64,
    /// How often every point is run; every second round goes backwards, against drift.
    #[serde(default = "one_u32")]
    pub repetitions: u32,
    /// Seconds for which dissemination alone is measured before every run, so that its throughput can be
    /// given as a share of that bound; 0: not at all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dissemination_s: u32,
    /// Where processes run.
    #[serde(default)]
    pub provider: ProviderKind,
    /// The axes of the base.
    #[serde(default)]
    pub axes: AxisLists,
    /// The load, apart from its axes.
    #[serde(default)]
    pub load: LoadSpec,
    /// Searches for the highest rate, instead of running those of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityGoal>,
    /// Timers of the replicas.
    #[serde(default)]
    pub timing: TimingSpec,
    /// Where the replicas sit; absent: all links have the delay of the axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wan: Option<WanSpec>,
    /// What the hosts' network allows.
    #[serde(default, skip_serializing_if = "is_unlimited")]
    pub network: NetworkSpec,
    /// Further keys of every replica's configuration, passed on as they are.
    #[serde(default)]
    pub node: toml::Table,
    /// Further keys of every generator's configuration, passed on as they are.
    #[serde(default)]
    pub generator: toml::Table,
    /// Bounds of the base.
    #[serde(default)]
    pub thresholds: Thresholds,
    /// Faults of the base.
    #[serde(default)]
    pub faults: Vec<PlannedFault>,
    /// Replicas of the base that lie.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adversaries: Vec<PlannedAdversary>,
    /// The attack of the base beyond what its committee tolerates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<PlannedDrill>,
    /// Groups of points; without any, the base is the only one.
    #[serde(default)]
    pub sweep: Vec<Sweep>,
}

/// Where processes run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// Processes on loopback.
    #[default]
    Local,
    /// A network namespace per replica and per generator, on one bridge.
    Netns,
    /// Hosts of an inventory, by the system's OpenSSH.
    Ssh,
}

impl ProviderKind {
    /// The name in specs and results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Netns => "netns",
            Self::Ssh => "ssh",
        }
    }
}

/// What the hosts' network allows; needs `netns`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// What every replica's host can send, and receive, at most; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_bandwidth_bytes_per_s: Option<u64>,
}

/// A group of points which differs from the base in what it names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// Short name, part of its runs' names.
    pub name: String,
    /// Axes that replace the base's.
    #[serde(default)]
    pub axes: AxisLists,
    /// Length of the measured phase in seconds, in the place of the base's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<f64>,
    /// Bounds that replace the base's, all of them.
    pub thresholds: Option<Thresholds>,
    /// Faults that replace the base's.
    pub faults: Option<Vec<PlannedFault>>,
    /// Adversaries that replace the base's.
    pub adversaries: Option<Vec<PlannedAdversary>>,
    /// A drill that replaces the base's.
    pub drill: Option<PlannedDrill>,
    /// No drill, although the base has one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_drill: bool,
}

/// The load, apart from rate and size, which are axes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadSpec {
    /// Distribution of the intended send times.
    pub arrival: Arrival,
    /// Length of the measured phase in seconds.
    pub duration_s: f64,
    /// Length of the warm-up in seconds.
    pub warmup_s: f64,
    /// Longest wait for answers after the last send, in seconds.
    pub cooldown_s: f64,
    /// With a closed loop: requests that wait for an answer at any time, of all generators together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// From a share of the rate to all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// A multiple of the rate now and then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Number of generators; they share the rate.
    pub generators: u32,
    /// Connections per generator; absent: one per replica.
    pub connections: Option<u32>,
    /// Client sessions per connection.
    pub sessions: u32,
    /// What the transactions do.
    pub workload: Workload,
    /// Size of the key space.
    pub keys: u64,
    /// One unchecked reply counts as finished; named in the result.
    pub trust_unchecked: bool,
}

impl Default for LoadSpec {
    fn default() -> Self {
        Self {
            arrival: Arrival::Poisson,
            duration_s: 20.0,
            warmup_s: 3.0,
            cooldown_s: 1.0,
            in_flight: None,
            ramp: None,
            burst: None,
            generators: 1,
            connections: None,
            sessions: 64,
            workload: Workload::Put,
            keys: 100_000,
            trust_unchecked: false,
        }
    }
}

impl LoadSpec {
    /// Ramp and bursts.
    #[must_use]
    pub fn shape(&self) -> RateShape {
        RateShape {
            ramp: self.ramp,
            burst: self.burst,
        }
    }
}

axes::named! {
    /// Distribution of the intended send times.
    Arrival { Poisson = "poisson", Constant = "constant", Closed = "closed" }
}
axes::named! {
    /// What the transactions do.
    Workload { Put = "put", Transfer = "transfer", Mix = "mix" }
}

/// Regions with the round trips between them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WanSpec {
    /// Round trips in milliseconds, symmetrical; the diagonal is the one within a region. Replica `i` sits in
    /// region `i` modulo their number, and clients beside the replica that they talk to.
    pub rtt_ms: Vec<Vec<f64>>,
}

impl WanSpec {
    /// One way from one replica to another, in milliseconds.
    #[must_use]
    pub fn delay_ms(&self, from: u32, to: u32) -> f64 {
        let regions = self.rtt_ms.len().max(1);
        let at = |replica: u32| replica as usize % regions;
        self.rtt_ms[at(from)][at(to)] / 2.0
    }
}

/// Timers of the replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingSpec {
    /// First view timeout in milliseconds.
    pub view_timeout_ms: u64,
}

impl Default for TimingSpec {
    fn default() -> Self {
        Self {
            view_timeout_ms: 250,
        }
    }
}

impl Spec {
    /// Reads, overrides, checks and resolves a spec.
    ///
    /// # Errors
    /// [`TestbedError`] naming the file, the line where there is one, and the key.
    pub fn from_toml(text: &str, origin: &str, overrides: &[String]) -> Result<Self, TestbedError> {
        let syntax = |e: toml::de::Error| TestbedError::SpecSyntax {
            origin: origin.to_owned(),
            message: format!("{e}{}", hint(e.message())),
        };
        // The plain text first: only its errors carry lines.
        let plain: Self = toml::from_str(text).map_err(syntax)?;
        let mut spec = if overrides.is_empty() {
            plain
        } else {
            let table = overrides::apply(text, overrides).map_err(|e| e.in_file(origin))?;
            Self::deserialize(table).map_err(|e| TestbedError::Override {
                argument: overrides.join(" --set "),
                message: format!("{}{}", e.to_string().trim_end(), hint(e.message())),
            })?
        };
        spec.resolve();
        check::check(&spec, text, origin)?;
        Ok(spec)
    }

    /// [`Self::from_toml`] of a file.
    ///
    /// # Errors
    /// As [`Self::from_toml`], and [`TestbedError::Io`].
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, TestbedError> {
        let text = std::fs::read_to_string(path).map_err(|source| TestbedError::Io {
            action: "read the spec",
            path: path.to_path_buf(),
            source,
        })?;
        Self::from_toml(&text, &path.display().to_string(), overrides)
    }

    /// The resolved spec as TOML; reading it back gives the same spec and the same hash.
    #[must_use]
    pub fn resolved_toml(&self) -> String {
        toml::to_string(self).expect("checked specs hold only what TOML can say")
    }

    /// blake3 of the resolved spec, hex.
    #[must_use]
    pub fn hash(&self) -> String {
        blake3::hash(self.resolved_toml().as_bytes())
            .to_hex()
            .to_string()
    }

    fn duration_s_of(&self, sweep: &Sweep) -> f64 {
        sweep.duration_s.unwrap_or(self.load.duration_s)
    }

    /// The load of one point.
    #[must_use]
    pub fn load_of(&self, point: &Point) -> LoadSpec {
        LoadSpec {
            duration_s: point.duration_s,
            ..self.load.clone()
        }
    }

    /// What the record of a run says of its load.
    pub(crate) fn load_plan(&self) -> LoadPlan {
        LoadPlan {
            in_flight: self.load.in_flight,
            shape: self.load.shape(),
            capacity: self.capacity,
        }
    }

    /// All runs in their order; in a search for the capacity, one for each search.
    #[must_use]
    pub fn points(&self) -> Vec<Point> {
        points::expand(self)
    }

    /// Writes every default out.
    fn resolve(&mut self) {
        self.axes.fill_from(&AxisLists::defaults());
        if self.sweep.is_empty() {
            self.sweep.push(Sweep {
                name: "base".into(),
                ..Sweep::default()
            });
        }
        for sweep in &mut self.sweep {
            sweep.axes.fill_from(&self.axes);
            sweep.thresholds.get_or_insert(self.thresholds);
            sweep.faults.get_or_insert_with(|| self.faults.clone());
            // Nothing is written where nobody lies: such specs keep the hash that they had before.
            if sweep.adversaries.is_none() && !self.adversaries.is_empty() {
                sweep.adversaries = Some(self.adversaries.clone());
            }
            if !sweep.no_drill {
                sweep.drill = sweep.drill.or(self.drill);
            }
        }
    }
}

/// What to do instead of a fault that no provider can make honestly.
fn hint(message: &str) -> &'static str {
    let disk = ["slow-disk", "disk-full", "full-disk"];
    match disk
        .iter()
        .any(|name| message.contains(&format!("`{name}`")))
    {
        true => "\nfaults of disks are not for experiments: `reforge sim` has them",
        false => "",
    }
}

/// The embedded spec of `reforge quick`.
///
/// # Errors
/// [`TestbedError`] when an override does not fit.
pub fn quick_spec(overrides: &[String]) -> Result<Spec, TestbedError> {
    Spec::from_toml(
        include_str!("../../specs/quick.toml"),
        "specs/quick.toml (embedded)",
        overrides,
    )
}

fn is_unlimited(network: &NetworkSpec) -> bool {
    *network == NetworkSpec::default()
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn one() -> u64 {
    1
}

fn one_u32() -> u32 {
    1
}

#[cfg(test)]
mod tests;
