//! The table of results: a row per run, and per point where it was repeated.

use maud::{Markup, html};
use measure::Percentiles;

use super::data::Data;
use super::figure::{Unit, count, figure, maybe, words};
use super::head::badge;
use super::table::{Column, table};

/// Rows of the table; the rest is in the embedded data.
pub(super) const ROWS_MAX: usize = 500;

const POINT: &[Column] = &[
    Column("", "point", "point", false),
    Column("", "runs", "runs", true),
    Column("transactions/s", "offered", "offered /s", true),
    Column("transactions/s", "achieved", "achieved /s", true),
    Column("corrected latency, ms", "p50", "p50 ms", true),
    Column("corrected latency, ms", "p90", "p90 ms", true),
    Column("corrected latency, ms", "p99", "p99 ms", true),
    Column("corrected latency, ms", "p99.9", "p99.9 ms", true),
    Column("corrected latency, ms", "max", "max ms", true),
    Column("service, ms", "p50", "service p50 ms", true),
    Column("service, ms", "p99", "service p99 ms", true),
];

const RUN: &[Column] = &[
    Column("", "run", "run", false),
    Column("", "verdict", "verdict", false),
    Column("transactions/s", "offered", "offered /s", true),
    Column("transactions/s", "achieved", "achieved /s", true),
    Column("", "goodput %", "goodput %", true),
    Column("corrected latency, ms", "p50", "p50 ms", true),
    Column("corrected latency, ms", "p90", "p90 ms", true),
    Column("corrected latency, ms", "p99", "p99 ms", true),
    Column("corrected latency, ms", "p99.9", "p99.9 ms", true),
    Column("corrected latency, ms", "max", "max ms", true),
    Column("service, ms", "p50", "service p50 ms", true),
    Column("service, ms", "p99", "service p99 ms", true),
    Column("send lag, ms", "p99", "send lag p99 ms", true),
];

const SHARE: Column = Column("bound", "share %", "bound share %", true);
const CORES: Column = Column("replicas", "cores", "replica cores", true);
const MEMORY: Column = Column("replicas", "RSS MB", "RSS MB", true);

pub(super) fn section(data: &Data) -> Markup {
    let repeated = data.points.iter().any(|point| point.runs.len() > 1);
    html! {
        section #results {
            h2 { "Results" }
            @if repeated {
                h3 { "By point, repetitions together" }
                (table(POINT, points(data)))
                h3 { "By run" }
            }
            (runs(data))
            p.note {
                @if repeated { "A point merges the histograms of all its runs, whatever their verdicts, and has the medians of their rates. " }
                "Corrected latency counts from the intended send to the verified receipt, service time from the actual send; "
                "requests that failed or never ended are in the corrected figures with the time that they waited. "
                "Cores are the CPU time of all replicas that left a report, over the time they ran; RSS is the largest of any of them."
            }
        }
    }
}

fn points(data: &Data) -> Vec<Vec<Markup>> {
    let row = |(index, point): (usize, &super::data::Point)| {
        let path = |key: &str| format!("/points/{index}/{key}");
        let mut cells = vec![
            words(&path("label"), &point.label),
            count(&path("runs"), point.runs.len()),
            figure(&path("offered_tps"), point.offered_tps, Unit::Plain),
            figure(&path("achieved_tps"), point.achieved_tps, Unit::Plain),
        ];
        cells.extend(corrected(&path("corrected"), &point.corrected));
        cells.extend(service(&path("service"), &point.service));
        cells
    };
    data.points
        .iter()
        .enumerate()
        .take(ROWS_MAX)
        .map(row)
        .collect()
}

fn runs(data: &Data) -> Markup {
    let runs = &data.summary.runs;
    let has_share = runs.iter().any(|run| run.dissemination.is_some());
    let has_cores = data.resources.iter().any(|r| r.replica_cores.is_some());
    let has_memory = data.resources.iter().any(|r| r.rss_bytes_max.is_some());
    let mut columns: Vec<Column> = RUN.to_vec();
    columns.extend(has_share.then_some(SHARE));
    columns.extend(has_cores.then_some(CORES));
    columns.extend(has_memory.then_some(MEMORY));
    let row = |index: usize| {
        let (run, resources) = (&runs[index], &data.resources[index]);
        let path = |key: &str| format!("/summary/runs/{index}/{key}");
        let extra = |key: &str| format!("/resources/{index}/{key}");
        let mut cells = vec![
            words(&path("name"), &run.name),
            badge(&path("verdict"), run.verdict),
            figure(&path("offered_tps"), run.offered_tps, Unit::Plain),
            figure(&path("achieved_tps"), run.achieved_tps, Unit::Plain),
            maybe(&path("goodput"), run.goodput, Unit::Percent),
        ];
        cells.extend(corrected(&path("corrected"), &run.corrected));
        cells.extend(service(&path("service"), &run.service));
        cells.push(latency(&path("lag"), "p99_ns", &run.lag, run.lag.p99_ns));
        let share = run.dissemination.map(|d| d.share);
        let bytes = resources.rss_bytes_max.map(|bytes| bytes as f64);
        if has_share {
            cells.push(maybe(&path("dissemination/share"), share, Unit::Percent));
        }
        if has_cores {
            let cores = resources.replica_cores;
            cells.push(maybe(&extra("replica_cores"), cores, Unit::Plain));
        }
        if has_memory {
            cells.push(maybe(&extra("rss_bytes_max"), bytes, Unit::Mb));
        }
        cells
    };
    table(&columns, (0..runs.len().min(ROWS_MAX)).map(row).collect())
}

fn corrected(path: &str, p: &Percentiles) -> [Markup; 5] {
    [
        latency(path, "p50_ns", p, p.p50_ns),
        latency(path, "p90_ns", p, p.p90_ns),
        latency(path, "p99_ns", p, p.p99_ns),
        latency(path, "p999_ns", p, p.p999_ns),
        latency(path, "max_ns", p, p.max_ns),
    ]
}

fn service(path: &str, p: &Percentiles) -> [Markup; 2] {
    [
        latency(path, "p50_ns", p, p.p50_ns),
        latency(path, "p99_ns", p, p.p99_ns),
    ]
}

/// Of nothing there is no percentile.
fn latency(path: &str, key: &str, of: &Percentiles, ns: u64) -> Markup {
    let value = (of.count > 0).then_some(ns as f64);
    maybe(&format!("{path}/{key}"), value, Unit::Ms)
}
