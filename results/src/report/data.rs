//! What a page shows, as data: every figure of the page is a value in here, and all of it is embedded.

use measure::{Fingerprint, ModeName, Percentiles};
use serde::Serialize;

use crate::judgement::Judgement;

/// Version of the embedded object.
pub(super) const SCHEMA: u32 = 1;

/// The root of all paths in the page.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    pub schema: u32,
    /// What `summary.json` says.
    pub summary: Judgement,
    /// Host and program of the first run that tells.
    pub machine: Option<Fingerprint>,
    /// Runs whose host or program was another one.
    pub machines_differ: usize,
    /// Use of the machine, in the order of the summary's runs.
    pub resources: Vec<Resources>,
    /// Runs that differ in nothing but their repetition.
    pub points: Vec<Point>,
    pub timelines: Vec<Timeline>,
    pub recoveries: Vec<Recovery>,
    pub flames: Vec<Flame>,
    /// What the folder lacks, in words.
    pub missing: Vec<String>,
    /// What was left out of the page for its size, in words.
    pub left_out: Vec<String>,
}

/// Of all replicas that left a report, and of the generators; absent where none did.
#[derive(Debug, Default, Serialize)]
pub(super) struct Resources {
    /// CPU time of all replicas over the time that they ran: cores in use.
    pub replica_cores: Option<f64>,
    /// CPU time of all generators, in seconds.
    pub load_cpu_s: Option<f64>,
    /// Largest resident set of any replica.
    pub rss_bytes_max: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Point {
    /// The runs' names without index and repetition.
    pub label: String,
    /// What tells it apart from points that differ in their load only.
    pub series: String,
    /// Indices into the summary's runs.
    pub runs: Vec<usize>,
    /// Median over the runs.
    pub offered_tps: f64,
    /// Median over the runs.
    pub achieved_tps: f64,
    /// Of the merged histograms.
    pub corrected: Percentiles,
    pub service: Percentiles,
    pub spectrum: Spectrum,
}

/// Quantiles ever closer to 1.
#[derive(Debug, Default, Serialize)]
pub(super) struct Spectrum {
    pub corrected: Vec<Quantile>,
    pub service: Vec<Quantile>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Quantile {
    /// `1 / (1 - q)`: 1, 10, 100, ….
    pub one_in: f64,
    pub ns: u64,
}

/// Times in seconds after the start of the measured phase.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    /// Index into the summary's runs.
    pub run: usize,
    /// Length of the measured phase.
    pub measured_s: f64,
    /// How many seconds a row stands for.
    pub seconds_per_row: usize,
    pub rows: Vec<Row>,
    pub marks: Vec<Mark>,
    pub spans: Vec<Span>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    /// End.
    pub t_s: f64,
    /// Length.
    pub interval_s: f64,
    pub offered_tps: f64,
    pub finished_tps: f64,
    /// Largest 99th percentile of any generator and second; absent where nothing ended.
    pub p99_ns: Option<u64>,
    /// Worst mode that any connection told of.
    pub mode: ModeName,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Mark {
    pub t_s: f64,
    pub text: String,
    /// A fault or an attack, or a step that only explains.
    pub is_fault: bool,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Span {
    pub from_s: f64,
    pub until_s: f64,
    /// `split`, a term of Eq. 5, or a mode.
    pub what: String,
}

/// One attack at close range: milliseconds after `t0`.
#[derive(Debug, Serialize)]
pub(super) struct Recovery {
    /// Index into the summary's runs, and of the attack in it.
    pub run: usize,
    pub attack: usize,
    pub replicas: Vec<ReplicaModes>,
}

#[derive(Debug, Serialize)]
pub(super) struct ReplicaModes {
    pub replica: u32,
    /// `(ms after t0, mode)`: from then on, until the next.
    pub modes: Vec<(f64, String)>,
}

#[derive(Debug, Serialize)]
pub(super) struct Flame {
    /// Run and file.
    pub path: String,
    pub bytes: usize,
    /// The picture; not part of the embedded data.
    #[serde(skip)]
    pub base64: String,
}
