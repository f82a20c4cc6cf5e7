//! The lines about the run as a whole, and about its generators.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::board::{Board, LoadRow};
use super::replicas::LIES;
use super::text::{duration, latency, short};
use super::view::View;

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const RED: Style = Style::new().fg(Color::Red);
/// Of what happened, the newest are said.
const HAPPENED_MAX: usize = 4;

pub fn title(board: &Board, view: &View) -> Line<'static> {
    let state = if board.has_ended {
        "ended after"
    } else {
        "running"
    };
    let elapsed = board.elapsed_s.map_or("-".to_owned(), duration);
    let phase = if board.has_ended {
        String::new()
    } else {
        format!("  {}", board.phase)
    };
    let mut spans = vec![
        Span::styled(board.run.clone(), BOLD),
        Span::raw(format!("  {state} {elapsed}{phase}")),
    ];
    if view.is_paused {
        spans.push(Span::styled("  PAUSED", BOLD.fg(Color::Yellow)));
    }
    Line::from(spans)
}

pub fn planned(board: &Board) -> Line<'static> {
    match board.planned.as_str() {
        "" | "-" => Line::from("planned: no faults"),
        planned => {
            let is_lied = board.rows.iter().any(|row| row.lies);
            let legend = if is_lied {
                format!(" ({LIES} lies)")
            } else {
                String::new()
            };
            Line::from(format!("planned: {planned}{legend}"))
        }
    }
}

pub fn happened(board: &Board) -> Line<'static> {
    let mut spans = vec![Span::raw("happened:")];
    let left_out = board.happened.len().saturating_sub(HAPPENED_MAX);
    if left_out > 0 {
        spans.push(Span::raw(format!(" {left_out} before,")));
    }
    for (at, happening) in board.happened.iter().skip(left_out).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let style = if happening.is_fault {
            RED
        } else {
            Style::new()
        };
        let text = format!("{comma} {} at {}", happening.what, duration(happening.at_s));
        spans.push(Span::styled(text, style));
    }
    if board.happened.is_empty() {
        spans.push(Span::raw(" nothing yet"));
    }
    Line::from(spans)
}

pub fn incidents(board: &Board) -> Line<'static> {
    let mut spans = vec![Span::raw("incidents of all replicas:")];
    for (kind, count) in &board.incidents {
        let style = if *count > 0 { RED } else { Style::new() };
        spans.push(Span::styled(format!(" {kind} {count}"), style));
    }
    Line::from(spans)
}

pub fn loads_head() -> Line<'static> {
    let text = format!(
        "{:>4} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8} {:>9}  {}",
        "load", "offered", "done", "refused", "failed", "p50", "p99", "in flight", "told of"
    );
    Line::styled(text, BOLD.add_modifier(Modifier::UNDERLINED))
}

pub fn load(row: &LoadRow) -> Line<'static> {
    Line::from(format!(
        "{:>4} {:>8} {:>8} {:>8} {:>7} {:>8} {:>8} {:>9}  {}",
        row.generator,
        short(row.offered_tps),
        short(row.finished_tps),
        short(row.refused_tps),
        short(row.failed_tps),
        latency(row.p50_ns),
        latency(row.p99_ns),
        row.in_flight,
        row.mode
    ))
}

pub fn throughput(board: &Board, shown: &[u64]) -> Line<'static> {
    let (Some(newest), Some(most)) = (shown.last(), shown.iter().max()) else {
        return Line::from("throughput: no generator has reported a second yet");
    };
    Line::from(format!(
        "throughput: {} tx/s of {} offered; {} s, at most {}",
        short(*newest as f64),
        short(board.offered_tps()),
        shown.len(),
        short(*most as f64)
    ))
}

pub fn keys(view: &View) -> Line<'static> {
    let pause = if view.is_paused {
        "p goes on"
    } else {
        "p holds the screen"
    };
    Line::styled(
        format!("q quits  {pause}  arrows, PageUp, PageDown scroll"),
        Style::new().add_modifier(Modifier::DIM),
    )
}
