//! One snapshot as plain text.

use std::path::Path;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw::{draw, height};
use super::view::View;
use super::watch::Watch;

/// Room for every column.
const WIDTH: u16 = 150;

/// None if there is no run. Rates are those of `interval`, so that it takes that long.
pub fn snapshot(root: &Path, interval: Duration) -> Option<String> {
    let mut watch = Watch::new(root);
    let mut board = watch.look()?;
    if !board.has_ended {
        std::thread::sleep(interval);
        board = watch.look()?;
    }
    let mut view = View::of(root.display().to_string(), false);
    view.see(Some(board));
    Some(plain(&view, WIDTH))
}

/// The whole drawing without its colours.
pub fn plain(view: &View, width: u16) -> String {
    let area = Rect::new(0, 0, width, height(view));
    let mut cells = Buffer::empty(area);
    draw(view, area, &mut cells);
    lines(&cells).join("\n").trim_end().to_owned() + "\n"
}

/// The text of each line.
pub fn lines(cells: &Buffer) -> Vec<String> {
    let rows = cells.content().chunks(usize::from(cells.area.width).max(1));
    let line = |row: &[ratatui::buffer::Cell]| {
        let text: String = row.iter().map(|cell| cell.symbol()).collect();
        text.trim_end().to_owned()
    };
    rows.map(line).collect()
}
