//! The terminal table: one line per run, the reasons below, the verdict last.

mod recovery;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};

use crate::judgement::{Judgement, RunJudgement};
use crate::verdict::Verdict;

const HEADER: &[&str] = &[
    "#",
    "n",
    "rule",
    "scheme",
    "durab.",
    "net",
    "offered/s",
    "done/s",
    "good %",
    "p50",
    "p99",
    "p99.9",
    "svc p50",
    "svc p99",
    "lag p99",
    "faults",
    "verdict",
];
/// Columns of numbers, aligned to the right.
const NUMBERS: std::ops::RangeInclusive<usize> = 6..=14;

/// Renders a judgement; latencies in milliseconds.
#[must_use]
pub fn table(judgement: &Judgement) -> String {
    let rows = judgement.runs.iter().map(row).collect();
    let table = plain(HEADER, NUMBERS, rows);
    let mut text = String::new();
    if let Some(experiment) = &judgement.experiment {
        let hash = judgement.spec_hash.as_deref().unwrap_or("?");
        text.push_str(&format!(
            "{experiment} (spec {}): latency in ms from the intended send to the verified receipt\n",
            hash.get(..12).unwrap_or(hash)
        ));
    }
    text.push_str(&table.to_string());
    text.push('\n');
    recovery::append(&mut text, judgement);
    for search in &judgement.capacity {
        text.push_str(&crate::capacity::text(search));
    }
    append_reasons(&mut text, judgement);
    text.push_str(&format!("verdict: {}\n", judgement.verdict.name()));
    text
}

/// A table without frames; `numbers` are aligned to the right.
pub(crate) fn plain(
    header: &[&str],
    numbers: std::ops::RangeInclusive<usize>,
    rows: Vec<Vec<String>>,
) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    for column in numbers {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    table
}

fn row(run: &RunJudgement) -> Vec<String> {
    let ms = |ns: u64| {
        if run.corrected.count == 0 {
            "-".to_owned()
        } else {
            milliseconds(ns)
        }
    };
    let mut cells = match &run.point {
        Some(point) => vec![
            format!("{}", point.index),
            point.replicas.to_string(),
            point.rule.clone(),
            point.scheme.clone(),
            point.durability.clone(),
            transport(&point.backend, point.encryption),
        ],
        None => {
            let mut cells = vec!["-".to_owned(); 6];
            cells[0].clone_from(&run.name);
            cells
        }
    };
    cells.extend([
        format!("{:.0}", run.offered_tps),
        format!("{:.0}", run.achieved_tps),
        run.goodput
            .map_or("-".into(), |goodput| format!("{:.2}", goodput * 100.0)),
        ms(run.corrected.p50_ns),
        ms(run.corrected.p99_ns),
        ms(run.corrected.p999_ns),
        ms(run.service.p50_ns),
        ms(run.service.p99_ns),
        ms(run.lag.p99_ns),
        run.point
            .as_ref()
            .map_or("-".into(), measure::RunRecord::fault_summary),
        run.verdict.name().to_owned(),
    ]);
    cells
}

fn transport(backend: &str, encryption: bool) -> String {
    if encryption {
        format!("{backend}+enc")
    } else {
        backend.to_owned()
    }
}

/// Three significant digits or so.
fn milliseconds(ns: u64) -> String {
    let ms = ns as f64 * 1e-6;
    match ms {
        ms if ms < 10.0 => format!("{ms:.2}"),
        ms if ms < 100.0 => format!("{ms:.1}"),
        ms => format!("{ms:.0}"),
    }
}

fn append_reasons(text: &mut String, judgement: &Judgement) {
    for reason in &judgement.reasons {
        text.push_str(&format!("! {}: {}\n", reason.verdict.name(), reason.text));
    }
    for run in &judgement.runs {
        let id = run
            .point
            .as_ref()
            .map_or_else(|| run.name.clone(), |point| format!("#{}", point.index));
        if let Some(bound) = &run.dissemination {
            text.push_str(&format!(
                "{id} dissemination alone: {:.0}/s just before; the run reached {:.1} % of it\n",
                bound.bound_tps,
                bound.share * 100.0
            ));
        }
        if let Some(floor_ms) = run.wan_floor_p50_ms.filter(|_| run.corrected.count > 0) {
            let p50_ms = run.corrected.p50_ns as f64 * 1e-6;
            text.push_str(&format!(
                "{id} regions: their delays allow a median of {floor_ms:.0} ms at best; p50 is {:.2} of it\n",
                p50_ms / floor_ms
            ));
        }
        if let Some(effect) = &run.fault_effect {
            let tps = |tps: Option<f64>| tps.map_or("?".into(), |tps| format!("{tps:.0}"));
            text.push_str(&format!(
                "{id} faults: {}/s before, {}/s from 5 s after, outage {:.0} s\n",
                tps(effect.before_tps),
                tps(effect.after_tps),
                effect.outage_s
            ));
        }
        if run.verdict == Verdict::Pass {
            continue;
        }
        for reason in &run.reasons {
            text.push_str(&format!(
                "{id} {}: {}\n",
                reason.verdict.name(),
                reason.text
            ));
        }
    }
    // The same note of many runs is said once.
    let notes: std::collections::BTreeSet<&str> = judgement
        .runs
        .iter()
        .flat_map(|run| run.notes.iter().map(String::as_str))
        .collect();
    for note in notes {
        text.push_str(&format!("note: {note}\n"));
    }
}
