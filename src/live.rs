//! A run that goes on, seen from outside: what its replicas answer and what its folder holds already.

pub mod http;
pub mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use measure::files::read_json_lines;
use measure::{IncidentKind, IncidentLine, SeriesRow, folder};

/// One replica at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Replica {
    pub replica: u32,
    /// Of its metrics.
    pub address: String,
    /// Its mode; none if it does not answer.
    pub mode: Option<String>,
    /// Metrics without a label.
    pub figures: BTreeMap<String, f64>,
    /// Lines of its incident timeline by kind.
    pub incidents: BTreeMap<&'static str, u64>,
}

/// The last whole second of one generator.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    pub generator: u32,
    pub row: SeriesRow,
}

/// Everything at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// Name of the run's folder.
    pub run: String,
    pub replicas: Vec<Replica>,
    pub loads: Vec<Load>,
}

/// Kinds of incidents that are counted, those of none as well.
const INCIDENTS: [&str; 4] = ["conflict", "convicted", "merged", "false-alarm"];

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

/// Looks once.
pub fn look(run: &Path) -> Moment {
    let replica = |(replica, address): (u32, String)| {
        let metrics = http::get(&address, "/metrics");
        let health = http::get(&address, "/healthz");
        let health = health.and_then(|body| serde_json::from_str(&body).ok());
        let mode =
            health.and_then(|h: serde_json::Value| Some(h.get("mode")?.as_str()?.to_owned()));
        Replica {
            replica,
            address,
            mode,
            figures: text::figures(&metrics.unwrap_or_default()),
            incidents: incidents(&run.join(format!("replica-{replica}"))),
        }
    };
    let load = |(generator, path): (u32, PathBuf)| {
        let rows: Vec<SeriesRow> = read_json_lines(&path.join(folder::SERIES), "series").ok()?;
        let row = *rows.last()?;
        Some(Load { generator, row })
    };
    let name = run.file_name().unwrap_or_default();
    Moment {
        run: name.to_string_lossy().into_owned(),
        replicas: addresses(run).into_iter().map(replica).collect(),
        loads: parts(run, "load-").into_iter().filter_map(load).collect(),
    }
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
