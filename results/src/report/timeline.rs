//! The one-second series of a run, and what happened meanwhile.

use std::path::Path;

use measure::event::read_events;
use measure::{DrillStep, EventKind, LoadResult, RunRecord, SeriesRow, folder};

use super::collect::series_rows;
use super::data::{Mark, Row, Span, Timeline};
use crate::drill::DrillReport;
use crate::judgement::RunJudgement;

/// Rows of one timeline; longer ones are thinned.
pub(super) const ROWS_MAX: usize = 400;
/// A row shorter than this is a part of the one before it.
const FRACTION_S: f64 = 0.5;
/// Marks of one timeline.
const MARKS_MAX: usize = 60;

pub(super) fn timeline(
    index: usize,
    home: &Path,
    run: &RunJudgement,
    loads: &[LoadResult],
) -> Option<Timeline> {
    let point = run.point.as_ref()?;
    let generators = series_rows(home, point.generators);
    let first = generators.iter().flatten().map(|r| r.monotonic_ns).min()?;
    let start_ns = loads
        .iter()
        .map(|load| load.measure_start_ns)
        .min()
        .unwrap_or(first);
    let seconds = |at_ns: u64| (at_ns as f64 - start_ns as f64) * 1e-9;
    let rows = side_by_side(&generators, &seconds);
    let seconds_per_row = rows.len().div_ceil(ROWS_MAX).max(1);
    let events = read_events(&home.join(folder::EVENTS)).unwrap_or_default();
    let marks = events.iter().filter_map(|event| {
        let (text, is_fault) = event.kind.mark()?;
        let t_s = seconds(event.monotonic_ns);
        Some(Mark {
            t_s,
            text,
            is_fault,
        })
    });
    let marks = marks.take(MARKS_MAX).collect();
    let attack_ns = |attack: u32| {
        let mut cuts = events.iter().filter(|event| {
            matches!(&event.kind, EventKind::Drill { attack: a, step } if *a == attack
                && matches!(step, DrillStep::Cut | DrillStep::Attack))
        });
        cuts.next().map(|event| event.monotonic_ns)
    };
    let drills = run.drills.iter();
    let spans = drills.flat_map(|d| spans(d, attack_ns(d.attack), &seconds));
    Some(Timeline {
        run: index,
        measured_s: measured_s(point, loads),
        seconds_per_row,
        rows: rows.chunks(seconds_per_row).map(thin).collect(),
        marks,
        spans: spans.collect(),
    })
}

fn measured_s(point: &RunRecord, loads: &[LoadResult]) -> f64 {
    let ends = loads
        .iter()
        .map(|l| l.measure_end_ns - l.measure_start_ns.min(l.measure_end_ns));
    ends.max().map_or(point.duration_s, |ns| ns as f64 * 1e-9)
}

/// Generators report the same seconds side by side. What they report of a fraction of a second at their
/// end says nothing as a rate of its own: it is part of the second before it.
fn side_by_side(generators: &[Vec<SeriesRow>], seconds: &impl Fn(u64) -> f64) -> Vec<Row> {
    let longest = generators.iter().map(Vec::len).max().unwrap_or(0);
    let row = |at: usize| {
        let rows: Vec<&SeriesRow> = generators.iter().filter_map(|g| g.get(at)).collect();
        let per_second = |of: fn(&SeriesRow) -> u64| -> f64 {
            let rates = rows
                .iter()
                .map(|row| of(row) as f64 / row.interval_s.max(1e-3));
            rates.sum()
        };
        let largest = |of: &dyn Fn(&SeriesRow) -> f64| {
            rows.iter().map(|row| of(row)).fold(f64::MIN, f64::max)
        };
        Row {
            t_s: largest(&|row| seconds(row.monotonic_ns)),
            interval_s: largest(&|row| row.interval_s),
            offered_tps: per_second(|row| row.counts.offered),
            finished_tps: per_second(|row| row.counts.finished),
            p99_ns: rows.iter().map(|row| row.p99_ns).max().filter(|ns| *ns > 0),
            mode: rows.iter().map(|row| row.mode).max().unwrap_or_default(),
        }
    };
    let mut rows: Vec<Row> = Vec::with_capacity(longest);
    for row in (0..longest).map(row) {
        match rows.last_mut() {
            Some(last) if row.interval_s < FRACTION_S => *last = thin(&[last.clone(), row]),
            _ => rows.push(row),
        }
    }
    rows
}

/// Means of rates, and the worst of everything else.
fn thin(rows: &[Row]) -> Row {
    let interval_s: f64 = rows.iter().map(|row| row.interval_s).sum();
    let mean = |of: fn(&Row) -> f64| {
        let weighted = rows.iter().map(|row| of(row) * row.interval_s);
        weighted.sum::<f64>() / interval_s.max(1e-3)
    };
    Row {
        t_s: rows.last().map_or(0.0, |row| row.t_s),
        interval_s,
        offered_tps: mean(|row| row.offered_tps),
        finished_tps: mean(|row| row.finished_tps),
        p99_ns: rows.iter().filter_map(|row| row.p99_ns).max(),
        mode: rows.iter().map(|row| row.mode).max().unwrap_or_default(),
    }
}

/// From the attack to `t0`, and the terms of Eq. 5 one after another.
fn spans(drill: &DrillReport, attack_ns: Option<u64>, seconds: &impl Fn(u64) -> f64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut span = |from_ns: u64, until_ns: u64, what: &str| {
        if until_ns > from_ns {
            spans.push(Span {
                from_s: seconds(from_ns),
                until_s: seconds(until_ns),
                what: what.into(),
            });
        }
    };
    let Some(mut at_ns) = drill.terms.t0_ns else {
        return spans;
    };
    if let Some(attack_ns) = attack_ns {
        span(attack_ns, at_ns, "split");
    }
    for (what, ns) in drill.terms.named().into_iter().take(4) {
        let Some(ns) = ns else { break };
        span(at_ns, at_ns + ns, what);
        at_ns += ns;
    }
    spans
}
