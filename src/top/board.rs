//! What is to be said about a run: a pure function of two looks at it.

use std::collections::BTreeMap;

use measure::{EventKind, RunRecord, metrics};

use super::rates::per_second;
use crate::live::{INCIDENTS, Load, Moment, Replica};

/// All that is shown about one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Board {
    pub run: String,
    /// Since the run was begun; until its last event if it has ended.
    pub elapsed_s: Option<f64>,
    pub has_ended: bool,
    /// What goes on: `starting`, a phase of the load.
    pub phase: &'static str,
    /// The point of the experiment, in one line.
    pub point: String,
    /// Faults and attacks of the plan, as `run.json` has them.
    pub planned: String,
    /// Faults and what followed, oldest first.
    pub happened: Vec<Happening>,
    pub rows: Vec<Row>,
    pub loads: Vec<LoadRow>,
    /// Finished requests of all generators, per second, oldest first.
    pub finished_tps: Vec<u64>,
    /// Lines of all replicas' incident timelines by kind.
    pub incidents: BTreeMap<&'static str, u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// Since the run was begun.
    pub at_s: f64,
    pub what: String,
    pub is_fault: bool,
}

/// One replica. What it does not say is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    pub replica: u32,
    /// By the plan of the run: what it says of itself means little.
    pub lies: bool,
    pub mode: Option<String>,
    pub is_ready: bool,
    pub view: Option<u64>,
    pub height: Option<u64>,
    /// Blocks behind the highest of those that do not lie.
    pub lag: Option<u64>,
    pub tx_per_s: Option<f64>,
    /// CPU seconds per second.
    pub cpu: Option<f64>,
    pub rss_bytes: Option<f64>,
    pub journal_bytes: Option<f64>,
    pub timeouts: Option<u64>,
    pub peers: Option<u64>,
    pub incidents: BTreeMap<&'static str, u64>,
}

/// The last whole second of one generator.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadRow {
    pub generator: u32,
    pub offered_tps: f64,
    pub finished_tps: f64,
    pub refused_tps: f64,
    pub failed_tps: f64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub in_flight: u64,
    pub mode: &'static str,
}

impl Board {
    /// Rates need a look before, at the same run.
    pub fn of(before: Option<&Moment>, now: &Moment) -> Board {
        let before = before.filter(|before| before.run == now.run);
        let earlier = |replica: &Replica| {
            let replicas = before.into_iter().flat_map(|before| &before.replicas);
            let mut same = replicas.filter(|r| r.replica == replica.replica);
            same.next()
        };
        let record = now.record.as_ref();
        let lies = |replica: &Replica| record.is_some_and(|record| lies(record, replica.replica));
        let height = |replica: &Replica| figure(replica, metrics::HEIGHT);
        let correct = now.replicas.iter().filter(|replica| !lies(replica));
        let highest = correct.filter_map(height).max();
        let rows = now.replicas.iter().map(|replica| Row {
            lies: lies(replica),
            ..Row::of(earlier(replica), replica, highest)
        });
        Board {
            run: now.run.clone(),
            elapsed_s: elapsed_s(now),
            has_ended: now.is_sealed,
            phase: phase(now),
            point: record.map(point).unwrap_or_default(),
            planned: record.map(RunRecord::fault_summary).unwrap_or_default(),
            happened: happened(now),
            rows: rows.collect(),
            loads: now.loads.iter().map(LoadRow::of).collect(),
            finished_tps: finished_tps(&now.loads),
            incidents: INCIDENTS
                .iter()
                .map(|kind| (*kind, counted(now, kind)))
                .collect(),
        }
    }

    pub fn offered_tps(&self) -> f64 {
        self.loads.iter().map(|load| load.offered_tps).sum()
    }
}

impl Row {
    fn of(before: Option<&Replica>, now: &Replica, highest: Option<u64>) -> Row {
        let height = figure(now, metrics::HEIGHT);
        let amount = |name: &str| now.figures.get(name).copied();
        Row {
            replica: now.replica,
            lies: false,
            mode: now.mode.clone(),
            is_ready: now.is_ready,
            view: figure(now, metrics::VIEW),
            height,
            lag: highest
                .zip(height)
                .map(|(highest, own)| highest.saturating_sub(own)),
            tx_per_s: per_second(before, now, metrics::TX_EXECUTED),
            cpu: per_second(before, now, metrics::CPU_SECONDS),
            rss_bytes: amount(metrics::RSS_BYTES),
            journal_bytes: amount(metrics::JOURNAL_BYTES),
            timeouts: figure(now, metrics::TIMEOUTS),
            peers: figure(now, metrics::PEERS_CONNECTED),
            incidents: now.incidents.clone(),
        }
    }

    /// Neither its health nor its metrics could be had.
    pub fn is_silent(&self) -> bool {
        self.mode.is_none() && self.height.is_none()
    }
}

impl LoadRow {
    fn of(load: &Load) -> LoadRow {
        let counts = &load.row.counts;
        let tps = |count: u64| count as f64 / load.row.interval_s.max(1e-3);
        LoadRow {
            generator: load.generator,
            offered_tps: tps(counts.offered),
            finished_tps: tps(counts.finished),
            refused_tps: tps(counts.refused),
            failed_tps: tps(counts.failed),
            p50_ns: load.row.p50_ns,
            p99_ns: load.row.p99_ns,
            in_flight: counts.in_flight,
            mode: load.row.mode.name(),
        }
    }
}

fn figure(replica: &Replica, name: &str) -> Option<u64> {
    replica.figures.get(name).map(|value| *value as u64)
}

fn lies(record: &RunRecord, replica: u32) -> bool {
    let is_adversary = record.adversaries.iter().any(|a| a.replica == replica);
    is_adversary || !record.correct().contains(&replica)
}

fn counted(now: &Moment, kind: &str) -> u64 {
    let counts = now.replicas.iter().filter_map(|r| r.incidents.get(kind));
    counts.sum()
}

/// Generators begin at one moment, so that the same second has the same number in all their series. The newest
/// one counts when everybody who reported the one before it has reported it.
fn finished_tps(loads: &[Load]) -> Vec<u64> {
    let mut seconds: BTreeMap<u64, (f64, usize)> = BTreeMap::new();
    for row in loads.iter().flat_map(|load| &load.recent) {
        let (tps, reports) = seconds.entry(row.t_s.round() as u64).or_default();
        *tps += row.counts.finished as f64 / row.interval_s.max(1e-3);
        *reports += 1;
    }
    let mut values: Vec<(f64, usize)> = seconds.into_values().collect();
    if let [.., (_, before), (_, newest)] = values[..]
        && newest < before
    {
        values.pop();
    }
    values
        .into_iter()
        .map(|(tps, _)| tps.round() as u64)
        .collect()
}

fn elapsed_s(now: &Moment) -> Option<f64> {
    let begun = now.record.as_ref()?.begun.unix_ns;
    let last = now.events.last().map(|event| event.unix_ns);
    let until = last.filter(|_| now.is_sealed).unwrap_or(now.at_unix_ns);
    Some(until.saturating_sub(begun) as f64 * 1e-9)
}

fn phase(now: &Moment) -> &'static str {
    let last = now.events.iter().rev().find_map(|event| match &event.kind {
        EventKind::Phase { phase } => Some(phase.name()),
        EventKind::Ready => Some("ready"),
        _ => None,
    });
    last.unwrap_or("starting")
}

fn happened(now: &Moment) -> Vec<Happening> {
    let begun = now.record.as_ref().map_or(0, |record| record.begun.unix_ns);
    let happening = |event: &measure::Event| {
        let (what, is_fault) = event.kind.mark()?;
        let at_s = event.unix_ns.saturating_sub(begun) as f64 * 1e-9;
        Some(Happening {
            at_s,
            what,
            is_fault,
        })
    };
    now.events.iter().filter_map(happening).collect()
}

fn point(record: &RunRecord) -> String {
    format!(
        "n = {}, {}, {}, {}, {}, {} tx/s of {} B, {}",
        record.replicas,
        record.rule,
        record.scheme,
        record.durability,
        record.backend,
        record.rate_tps,
        record.size_bytes,
        record.provider
    )
}

#[cfg(test)]
mod tests;
