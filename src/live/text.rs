//! The Prometheus text format: read as far as replicas write it, and written for what a run folder knows.

use std::collections::BTreeMap;
use std::fmt::Write;

use measure::SeriesRow;

use super::Moment;

/// Metrics without a label.
pub fn figures(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let figure = |line: &str| {
        let (name, value) = line.split_once(' ')?;
        let value = value.split(' ').next()?.parse().ok()?;
        (!name.contains('{')).then(|| (name.to_owned(), value))
    };
    lines.filter_map(figure).collect()
}

type Of = fn(&SeriesRow) -> f64;

/// Per generator, of its last whole second.
const LOAD: [(&str, &str, Of); 5] = [
    (
        "load_offered_tps",
        "Requests that were to be sent, per second",
        |r| r.counts.offered as f64 / r.interval_s,
    ),
    (
        "load_finished_tps",
        "Requests that finished, per second",
        |r| r.counts.finished as f64 / r.interval_s,
    ),
    (
        "load_refused_tps",
        "Requests that were refused, per second",
        |r| r.counts.refused as f64 / r.interval_s,
    ),
    ("load_in_flight", "Requests without an answer", |r| {
        r.counts.in_flight as f64
    }),
    (
        "load_lag_seconds",
        "99th percentile of the generator's own lag",
        |r| r.lag_p99_ns as f64 * 1e-9,
    ),
];

const QUANTILES: [(&str, Of); 3] = [
    ("0.5", |r| r.p50_ns as f64 * 1e-9),
    ("0.99", |r| r.p99_ns as f64 * 1e-9),
    ("1", |r| r.max_ns as f64 * 1e-9),
];

/// What replicas do not serve themselves.
pub fn metrics(moment: &Moment) -> String {
    let mut out = String::new();
    let head = |out: &mut String, name: &str, help: &str| {
        let _ = writeln!(
            out,
            "# HELP reforge_{name} {help}.\n# TYPE reforge_{name} gauge"
        );
    };
    head(&mut out, "mode", "1 for the mode of each replica");
    for replica in &moment.replicas {
        // Who is not ready does not serve.
        let mode = replica.mode.as_deref().filter(|_| replica.is_ready);
        let mode = mode.unwrap_or("DOWN");
        let _ = writeln!(
            out,
            "reforge_mode{{replica=\"{}\",mode=\"{mode}\"}} 1",
            replica.replica
        );
    }
    head(
        &mut out,
        "incidents",
        "Lines of each replica's incident timeline, by kind",
    );
    for replica in &moment.replicas {
        for (what, count) in &replica.incidents {
            let index = replica.replica;
            let _ = writeln!(
                out,
                "reforge_incidents{{replica=\"{index}\",what=\"{what}\"}} {count}"
            );
        }
    }
    for (name, help, of) in LOAD {
        head(&mut out, name, help);
        for load in &moment.loads {
            let _ = writeln!(
                out,
                "reforge_{name}{{generator=\"{}\"}} {}",
                load.generator,
                of(&load.row)
            );
        }
    }
    let help = "Latency from the intended send, of the last second, seconds";
    head(&mut out, "load_latency_seconds", help);
    for load in &moment.loads {
        for (quantile, of) in QUANTILES {
            let (generator, value) = (load.generator, of(&load.row));
            let _ = writeln!(
                out,
                "reforge_load_latency_seconds{{generator=\"{generator}\",quantile=\"{quantile}\"}} {value}"
            );
        }
    }
    out
}
