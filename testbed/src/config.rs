//! The configurations of replicas and generators, as TOML text.
//!
//! Built as TOML values, never by pasting strings, so that a path with a quote stays a path.

use std::path::Path;

use toml::{Table, Value};

use crate::provider::Addresses;
use crate::spec::{Point, Spec};

/// `config.toml` of one replica.
pub(crate) fn node(
    spec: &Spec,
    point: &Point,
    index: u32,
    addresses: &Addresses,
    paths: &NodePaths<'_>,
) -> String {
    let mut root = Table::new();
    put(&mut root, "committee", path(paths.committee));
    put(&mut root, "keys", path(paths.keys));
    put(&mut root, "data_dir", path(paths.data));
    put(&mut root, "rule", point.rule.name());
    put(&mut root, "durability", point.durability.name());
    put(&mut root, "metrics_addr", addresses.metrics.as_str());
    put(&mut root, "report_dir", path(paths.report));
    put(&mut root, "stop_on_stdin_eof", true);

    let mut transport = Table::new();
    put(&mut transport, "backend", point.backend.name());
    put(&mut transport, "encryption", point.encryption);
    let shapes = shapes(spec, point, index);
    if !shapes.is_empty() {
        put(&mut transport, "shape", shapes);
    }
    put(&mut root, "transport", transport);

    let mut app = Table::new();
    put(&mut app, "kind", point.app.name());
    put(&mut root, "app", app);

    let mut clients = Table::new();
    put(&mut clients, "auth", point.auth.name());
    put(&mut root, "clients", clients);

    let mut timing = Table::new();
    let view_timeout_ms = integer(spec.timing.view_timeout_ms);
    put(&mut timing, "view_timeout_ms", view_timeout_ms);
    put(&mut root, "timing", timing);
    if let Some(enabled) = point.recovery {
        let mut recovery = Table::new();
        put(&mut recovery, "enabled", enabled);
        put(&mut root, "recovery", recovery);
    }
    if let Some(socket) = paths.control {
        let mut control = Table::new();
        put(&mut control, "socket", path(socket));
        put(&mut root, "control", control);
    }
    merge(&mut root, &spec.node);
    root.to_string()
}

/// How the links from this replica behave, where the spec delays them.
fn shapes(spec: &Spec, point: &Point, index: u32) -> Vec<Value> {
    let shape = |to: Option<u32>, delay_ms: f64| {
        let mut shape = Table::new();
        if let Some(to) = to {
            put(&mut shape, "to", i64::from(to));
        }
        put(&mut shape, "delay_ms", delay_ms);
        Value::Table(shape)
    };
    match &spec.wan {
        Some(wan) => {
            let others = (0..point.replicas).filter(|other| *other != index);
            others
                .map(|other| shape(Some(other), wan.delay_ms(index, other)))
                .collect()
        }
        None if point.delay_ms > 0.0 => vec![shape(None, point.delay_ms)],
        None => Vec::new(),
    }
}

/// Keys of a replica's configuration that come from axes and placement.
pub(crate) const NODE_KEYS: &[&str] = &[
    "committee",
    "keys",
    "data_dir",
    "rule",
    "durability",
    "metrics_addr",
    "report_dir",
    "stop_on_stdin_eof",
    "transport.backend",
    "transport.encryption",
    "app.kind",
    "clients.auth",
    "timing.view_timeout_ms",
    "transport.shape",
    "recovery.enabled",
    "control.socket",
];

/// Least rate that a generator takes.
const RATE_TPS_MIN: f64 = 1e-3;

/// Keys of a generator's configuration that come from axes, load and placement.
pub(crate) const LOAD_KEYS: &[&str] = &[
    "committee",
    "rate",
    "arrival",
    "in_flight",
    "shape",
    "size_bytes",
    "duration_s",
    "warmup_s",
    "cooldown_s",
    "connections",
    "sessions",
    "workload",
    "keys",
    "seed",
    "out_dir",
    "auth",
    "trust_unchecked",
    "start_at",
    "encryption",
    "backend",
    "stop_on_stdin_eof",
    "generator",
    "replicas",
    "hand_in",
];

/// Where a replica finds and leaves its files.
pub(crate) struct NodePaths<'a> {
    pub committee: &'a Path,
    pub keys: &'a Path,
    pub data: &'a Path,
    pub report: &'a Path,
    /// Its control socket, where somebody will use it.
    pub control: Option<&'a Path>,
}

/// `config.toml` of generator `index`; all generators share the rate and the start.
pub(crate) fn load(
    spec: &Spec,
    point: &Point,
    index: u32,
    committee: &Path,
    out: &Path,
    start_at_ns: u64,
) -> String {
    let load = &spec.load;
    let mut root = Table::new();
    put(&mut root, "committee", path(committee));
    put(
        &mut root,
        "rate",
        // A closed loop has no rate; one has to be named all the same.
        (point.rate_tps / f64::from(load.generators)).max(RATE_TPS_MIN),
    );
    put(&mut root, "arrival", load.arrival.name());
    if let Some(in_flight) = load.in_flight {
        // As even as it goes; a check saw to it that everybody has one.
        let extra = u32::from(index < in_flight % load.generators);
        let mine = in_flight / load.generators + extra;
        put(&mut root, "in_flight", i64::from(mine));
    }
    let shape = load.shape();
    if !shape.is_steady()
        && let Ok(shape) = Value::try_from(shape)
    {
        put(&mut root, "shape", shape);
    }
    put(&mut root, "size_bytes", i64::from(point.size_bytes));
    put(&mut root, "duration_s", point.duration_s);
    put(&mut root, "warmup_s", load.warmup_s);
    put(&mut root, "cooldown_s", load.cooldown_s);
    if let Some(connections) = load.connections {
        put(&mut root, "connections", i64::from(connections));
    }
    put(&mut root, "sessions", i64::from(load.sessions));
    put(&mut root, "workload", load.workload.name());
    put(&mut root, "keys", integer(load.keys));
    // Different generators send different transactions on independent schedules.
    let seed = point.seed.wrapping_add(u64::from(index) << 32) & i64::MAX as u64;
    put(&mut root, "seed", integer(seed));
    put(&mut root, "out_dir", path(out));
    put(&mut root, "auth", point.auth.name());
    put(&mut root, "trust_unchecked", load.trust_unchecked);
    put(&mut root, "start_at", integer(start_at_ns));
    put(&mut root, "encryption", point.encryption);
    put(&mut root, "backend", point.backend.name());
    put(&mut root, "stop_on_stdin_eof", true);
    put(&mut root, "generator", i64::from(index));
    if let Some(drill) = &point.drill {
        // Clients talk to correct replicas, and keep what these say for the check afterwards.
        let correct = drill.correct(point.replicas);
        let correct: Vec<Value> = correct.into_iter().map(|r| i64::from(r).into()).collect();
        put(&mut root, "replicas", correct);
        put(&mut root, "receipts_log", true);
        put(&mut root, "hand_in", drill.clients_tell);
    }
    merge(&mut root, &spec.generator);
    root.to_string()
}

/// Adds free keys of the spec; what the testbed sets itself was refused by the spec's check.
fn merge(table: &mut Table, extra: &Table) {
    for (key, value) in extra {
        match (table.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(more)) => merge(inner, more),
            (Some(_), _) => {}
            (None, value) => put(table, key, value.clone()),
        }
    }
}

fn put(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.insert(key.to_owned(), value.into());
}

fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// TOML knows signed integers only; checked specs stay below.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
