//! A run that goes on, seen from outside: what its replicas answer and what its folder holds already.

pub mod http;
pub mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

use measure::files::{read_json, read_json_lines};
use measure::{
    Event, IncidentKind, IncidentLine, RunRecord, SeriesRow, WallAnchor, folder, monotonic_ns,
};

/// One replica at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replica {
    pub replica: u32,
    /// Of its metrics.
    pub address: String,
    /// When it was asked, `CLOCK_MONOTONIC` of this host.
    pub at_ns: u64,
    /// Its mode; none if it does not answer.
    pub mode: Option<String>,
    /// Whether it says that it is ready: it has enough peers and has caught up.
    pub is_ready: bool,
    /// Metrics without a label.
    pub figures: BTreeMap<String, f64>,
    /// Lines of its incident timeline by kind.
    pub incidents: BTreeMap<&'static str, u64>,
}

/// What one generator has recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub generator: u32,
    /// Its last whole second.
    pub row: SeriesRow,
    /// Its last whole seconds, [`RECENT_MAX`] at most.
    pub recent: Vec<SeriesRow>,
}

/// Seconds of a generator that are kept.
pub const RECENT_MAX: usize = 300;
/// A row shorter than this is the end of a series and says nothing as a rate.
const FRACTION_S: f64 = 0.5;

/// Everything at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// Name of the run's folder.
    pub run: String,
    /// When it was looked, nanoseconds since the Unix epoch.
    pub at_unix_ns: u64,
    pub record: Option<RunRecord>,
    pub events: Vec<Event>,
    /// The run has ended, its processes as well.
    pub is_sealed: bool,
    pub replicas: Vec<Replica>,
    pub loads: Vec<Load>,
}

/// Kinds of incidents that are counted, those of none as well.
pub const INCIDENTS: [&str; 4] = ["conflict", "convicted", "merged", "false-alarm"];

/// The run that `root` is, or of a campaign the one that began last. None if there is none yet.
pub fn run_of(root: &Path) -> Option<PathBuf> {
    if root.join(folder::RUN).is_file() {
        return Some(root.to_owned());
    }
    let folders = std::fs::read_dir(root).ok()?.flatten();
    let runs = folders.filter(|entry| entry.path().join(folder::RUN).is_file());
    // Names begin with the number of the run.
    runs.map(|entry| entry.path()).max()
}

/// Replicas and where their metrics are, from their configurations.
pub fn addresses(run: &Path) -> Vec<(u32, String)> {
    let address = |path: &Path| -> Option<String> {
        let text = std::fs::read_to_string(path.join(folder::CONFIG)).ok()?;
        let config: toml::Table = text.parse().ok()?;
        Some(config.get("metrics_addr")?.as_str()?.to_owned())
    };
    parts(run, "replica-")
        .into_iter()
        .filter_map(|(index, path)| Some((index, address(&path)?)))
        .collect()
}

/// Looks once. Replicas are asked side by side, so that silent ones do not hold up the look.
pub fn look(run: &Path) -> Moment {
    let is_sealed = run.join(folder::SUMS).is_file();
    let addresses = addresses(run);
    let replicas = std::thread::scope(|scope| {
        let asked: Vec<_> = addresses
            .into_iter()
            .map(|(replica, address)| {
                let folder = run.join(format!("replica-{replica}"));
                let known = Replica {
                    replica,
                    address: address.clone(),
                    incidents: incidents(&folder),
                    ..Replica::default()
                };
                // Nobody of a sealed run: what answers at its addresses belongs to another run.
                let to_ask = known.clone();
                let thread = (!is_sealed).then(|| scope.spawn(|| ask(to_ask)));
                (known, thread)
            })
            .collect();
        let answer = |(known, thread): (Replica, Option<ScopedJoinHandle<'_, Replica>>)| {
            thread
                .and_then(|thread| thread.join().ok())
                .unwrap_or(known)
        };
        asked.into_iter().map(answer).collect()
    });
    let name = run.file_name().unwrap_or_default();
    Moment {
        run: name.to_string_lossy().into_owned(),
        at_unix_ns: WallAnchor::now().unix_ns,
        record: read_json(&run.join(folder::RUN), "run record").ok(),
        events: read_json_lines(&run.join(folder::EVENTS), "events").unwrap_or_default(),
        is_sealed,
        replicas,
        loads: parts(run, "load-").into_iter().filter_map(load).collect(),
    }
}

fn ask(known: Replica) -> Replica {
    let health = http::get(&known.address, "/healthz");
    let metrics = health
        .as_ref()
        .and_then(|_| http::get(&known.address, "/metrics"));
    let at_ns = monotonic_ns();
    let is_ready = health.as_ref().is_some_and(|answer| answer.is_good);
    let health = health.and_then(|answer| serde_json::from_str(&answer.body).ok());
    let mode = health.and_then(|h: serde_json::Value| Some(h.get("mode")?.as_str()?.to_owned()));
    let metrics = metrics.filter(|answer| answer.is_good);
    Replica {
        at_ns,
        mode,
        is_ready,
        figures: metrics
            .map(|answer| text::figures(&answer.body))
            .unwrap_or_default(),
        ..known
    }
}

fn load((generator, path): (u32, PathBuf)) -> Option<Load> {
    let rows: Vec<SeriesRow> = read_json_lines(&path.join(folder::SERIES), "series").ok()?;
    let whole = rows.iter().filter(|row| row.interval_s >= FRACTION_S);
    let mut recent: Vec<SeriesRow> = whole.rev().take(RECENT_MAX).copied().collect();
    recent.reverse();
    let row = *recent.last().or(rows.last())?;
    Some(Load {
        generator,
        row,
        recent,
    })
}

fn incidents(replica: &Path) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<_, _> = INCIDENTS.iter().map(|kind| (*kind, 0)).collect();
    let lines: Vec<IncidentLine> =
        read_json_lines(&replica.join(folder::INCIDENTS), "incidents").unwrap_or_default();
    for line in lines {
        let kind = match line.what {
            IncidentKind::Conflict { .. } => "conflict",
            IncidentKind::Convicted { .. } => "convicted",
            IncidentKind::Merged { .. } => "merged",
            IncidentKind::FalseAlarm { .. } => "false-alarm",
            _ => continue,
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

/// `prefix` and a number, by number.
fn parts(run: &Path, prefix: &str) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(run) else {
        return Vec::new();
    };
    let part = |path: PathBuf| {
        let name = path.file_name()?.to_str()?;
        Some((name.strip_prefix(prefix)?.parse().ok()?, path))
    };
    let mut parts: Vec<_> = entries.flatten().filter_map(|e| part(e.path())).collect();
    parts.sort();
    parts
}

#[cfg(test)]
mod tests;
