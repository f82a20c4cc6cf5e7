//! A view as cells: a pure function.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Sparkline, Widget};

use super::board::Board;
use super::view::View;
use super::{facts, replicas};

/// Lines of bars at most.
const BARS_MAX: u16 = 6;

/// Draws, and says for how many replicas there was room.
pub fn draw(view: &View, area: Rect, to: &mut Buffer) -> usize {
    let mut page = Page { area, to };
    let Some(board) = &view.board else {
        page.line(Line::from(format!("waiting for a run in {}", view.watched)));
        if view.has_keys {
            page.line(facts::keys(view));
        }
        return 0;
    };
    let room = Room::of(board, view, area.height);
    page.line(facts::title(board, view));
    if room.point {
        page.line(Line::from(board.point.clone()));
    }
    if room.planned {
        page.line(facts::planned(board));
    }
    if room.happened {
        page.line(facts::happened(board));
    }
    if room.incidents {
        page.line(facts::incidents(board));
    }
    let visible = page.replicas(board, view.scrolled, room.replicas);
    page.loads(board, room.loads);
    page.throughput(board, room.throughput);
    if room.keys {
        page.line(facts::keys(view));
    }
    visible
}

/// Lines that a drawing needs which leaves nothing out.
pub fn height(view: &View) -> u16 {
    let Some(board) = &view.board else { return 2 };
    let tables = board.rows.len().max(1) + board.loads.len().max(1) + 2;
    let facts = 6 + usize::from(BARS_MAX) + 1;
    u16::try_from(tables + facts).unwrap_or(u16::MAX)
}

/// Lines for each part. What matters most is given its lines first.
#[derive(Debug, Default)]
struct Room {
    point: bool,
    planned: bool,
    happened: bool,
    incidents: bool,
    keys: bool,
    replicas: u16,
    loads: u16,
    throughput: u16,
}

impl Room {
    fn of(board: &Board, view: &View, height: u16) -> Room {
        let lines = |rows: usize| u16::try_from(rows.max(1) + 1).unwrap_or(u16::MAX);
        let (all_replicas, all_loads) = (lines(board.rows.len()), lines(board.loads.len()));
        // The title has the first one.
        let mut left = height.saturating_sub(1);
        let mut take = |wanted: u16| {
            let given = wanted.min(left);
            left -= given;
            given
        };
        let mut room = Room {
            replicas: take(all_replicas.min(3)),
            ..Room::default()
        };
        room.incidents = take(1) == 1;
        room.loads = take(all_loads.min(2));
        room.keys = view.has_keys && take(1) == 1;
        room.happened = take(1) == 1;
        room.throughput = take(3);
        room.planned = take(1) == 1;
        room.point = take(1) == 1;
        room.replicas += take(all_replicas - room.replicas);
        room.loads += take(all_loads - room.loads);
        room.throughput += take(BARS_MAX + 1 - room.throughput.min(BARS_MAX + 1));
        room
    }
}

/// Lines from the top down; what is below the last one is dropped.
struct Page<'a> {
    area: Rect,
    to: &'a mut Buffer,
}

impl Page<'_> {
    fn line(&mut self, line: Line<'_>) {
        let area = self.take(1);
        line.render(area, self.to);
    }

    fn take(&mut self, height: u16) -> Rect {
        let height = height.min(self.area.height);
        let taken = Rect {
            height,
            ..self.area
        };
        self.area.y += height;
        self.area.height -= height;
        taken
    }

    fn replicas(&mut self, board: &Board, scrolled: usize, room: u16) -> usize {
        let width = usize::from(self.area.width);
        let Some(room) = usize::from(room).checked_sub(1) else {
            return 0;
        };
        self.line(replicas::head(width));
        let all = board.rows.len();
        if all == 0 && room > 0 {
            self.line(Line::from("no replica has a configuration yet"));
        }
        // The last line says what there is no room for.
        let visible = if all > room {
            room.saturating_sub(1)
        } else {
            all
        };
        let first = scrolled.min(all - visible);
        for row in board.rows.iter().skip(first).take(visible) {
            self.line(replicas::line(row, width, board.has_ended));
        }
        if all > room && room > 0 {
            self.line(more(first, all - first - visible));
        }
        visible
    }

    fn loads(&mut self, board: &Board, room: u16) {
        let Some(room) = usize::from(room).checked_sub(1) else {
            return;
        };
        self.line(facts::loads_head());
        let all = board.loads.len();
        if all == 0 && room > 0 {
            self.line(Line::from("no generator has reported a second yet"));
        }
        // One that fits says more than that there is one.
        let visible = if all > room && room > 1 {
            room - 1
        } else {
            all.min(room)
        };
        for row in board.loads.iter().take(visible) {
            self.line(facts::load(row));
        }
        if all > room && room > 1 {
            self.line(more(0, all - visible));
        }
    }

    fn throughput(&mut self, board: &Board, room: u16) {
        let Some(bars) = room.checked_sub(1) else {
            return;
        };
        let all = &board.finished_tps;
        let shown = &all[all.len().saturating_sub(usize::from(self.area.width))..];
        self.line(facts::throughput(board, shown));
        let area = self.take(bars);
        let style = Style::new().fg(Color::Green);
        Sparkline::default()
            .data(shown)
            .style(style)
            .render(area, self.to);
    }
}

fn more(above: usize, below: usize) -> Line<'static> {
    let text = match above {
        0 => format!("… {below} more"),
        _ => format!("… {above} more above, {below} below"),
    };
    Line::styled(text, Style::new().add_modifier(Modifier::DIM))
}

#[cfg(test)]
mod tests;
