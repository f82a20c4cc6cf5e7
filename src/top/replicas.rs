//! The table of replicas: as many columns as the width has room for, as many lines as it is given.

use measure::incident::mode;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use super::board::Row;
use super::text::short;

/// Title, width, and what stands there. The first two stay on any screen.
type Column = (&'static str, usize, fn(&Row) -> String);

const COLUMNS: [Column; 16] = [
    ("#", 3, |row| {
        format!("{}{}", row.replica, if row.lies { LIES } else { "" })
    }),
    ("mode", MODE_WIDTH, |_| String::new()),
    ("ready", 5, |row| {
        if row.is_ready { "yes" } else { "no" }.into()
    }),
    ("view", 7, |row| whole(row.view)),
    ("height", 7, |row| whole(row.height)),
    ("lag", 5, |row| whole(row.lag)),
    ("tx/s", 7, |row| row.tx_per_s.map_or(dash(), short)),
    ("rss B", 7, |row| row.rss_bytes.map_or(dash(), short)),
    ("jrnl B", 7, |row| row.journal_bytes.map_or(dash(), short)),
    ("cpu %", 6, |row| {
        row.cpu.map_or(dash(), |cpu| format!("{:.0}", cpu * 100.0))
    }),
    ("peers", 5, |row| whole(row.peers)),
    ("timeouts", 8, |row| whole(row.timeouts)),
    ("conflict", 8, |row| seen(row, "conflict")),
    ("convicted", 9, |row| seen(row, "convicted")),
    ("merged", 6, |row| seen(row, "merged")),
    ("false-alarm", 11, |row| seen(row, "false-alarm")),
];
const MODE_WIDTH: usize = mode::RECOVERY_IN_PROGRESS.len();
const MODE_AT: usize = 1;
/// Behind the number of a replica that lies by the plan.
pub const LIES: &str = "*";

fn dash() -> String {
    "-".into()
}

fn whole(value: Option<u64>) -> String {
    value.map_or(dash(), |value| match value {
        0..1_000_000 => value.to_string(),
        _ => short(value as f64),
    })
}

fn seen(row: &Row, kind: &str) -> String {
    row.incidents.get(kind).map_or(dash(), u64::to_string)
}

fn columns(width: usize) -> &'static [Column] {
    let mut used = 0;
    let fits = COLUMNS.iter().take_while(|(_, own, _)| {
        used += own + 1;
        used <= width + 1
    });
    &COLUMNS[..fits.count().max(MODE_AT + 1)]
}

pub fn head(width: usize) -> Line<'static> {
    let titles = columns(width).iter().enumerate();
    let titles = titles.map(|(at, (title, width, _))| cell(at, title, *width));
    let style = Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED);
    Line::styled(titles.collect::<String>(), style)
}

pub fn line(row: &Row, width: usize, has_ended: bool) -> Line<'static> {
    let number = cell(0, &(COLUMNS[0].2)(row), COLUMNS[0].1);
    if row.is_silent() {
        let (said, style) = match has_ended {
            true => ("ended", Style::new().add_modifier(Modifier::DIM)),
            false => ("no answer", Style::new().fg(Color::Red)),
        };
        return Line::from(vec![Span::raw(number), Span::styled(said, style)]);
    }
    let mut spans = vec![Span::raw(number)];
    let mode = row.mode.as_deref().unwrap_or("?");
    spans.push(Span::styled(cell(MODE_AT, mode, MODE_WIDTH), style(mode)));
    let others = columns(width).iter().enumerate().skip(MODE_AT + 1);
    for (at, (title, width, of)) in others {
        let text = of(row);
        let style = match *title == "ready" && !row.is_ready {
            true => Style::new().fg(Color::Yellow),
            false => Style::new(),
        };
        spans.push(Span::styled(cell(at, &text, *width), style));
    }
    Line::from(spans)
}

fn cell(at: usize, text: &str, width: usize) -> String {
    match at {
        MODE_AT => format!("{text:<width$} "),
        _ => format!("{text:>width$} "),
    }
}

fn style(name: &str) -> Style {
    match name {
        mode::NOMINAL => Style::new().fg(Color::Green),
        mode::SAFE_RESUMED => Style::new().fg(Color::Cyan),
        mode::RECOVERY_IN_PROGRESS => Style::new().fg(Color::Yellow),
        _ => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
    }
}
