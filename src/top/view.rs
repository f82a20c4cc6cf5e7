//! The state of the screen: what is known, and what the user asked for.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::board::Board;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct View {
    /// What is watched, as the user named it.
    pub watched: String,
    /// None until there is a run.
    pub board: Option<Board>,
    pub is_paused: bool,
    /// Whether there is somebody who could press keys.
    pub has_keys: bool,
    /// Replicas above the first line of the table.
    pub scrolled: usize,
}

/// What a key led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    GoOn,
    Quit,
}

impl View {
    pub fn of(watched: String, has_keys: bool) -> View {
        View {
            watched,
            has_keys,
            ..View::default()
        }
    }

    /// Takes what was seen, unless the screen is held.
    pub fn see(&mut self, board: Option<Board>) {
        if !self.is_paused {
            self.board = board;
        }
    }

    /// `visible` is the number of replicas that the last drawing had room for.
    pub fn press(&mut self, key: KeyEvent, visible: usize) -> Then {
        let rows = self.board.as_ref().map_or(0, |board| board.rows.len());
        let last = rows.saturating_sub(visible.max(1));
        let page = visible.max(1);
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if is_control => return Then::Quit,
            KeyCode::Char('q') | KeyCode::Esc => return Then::Quit,
            KeyCode::Char('p') => self.is_paused = !self.is_paused,
            KeyCode::Up => self.scrolled = self.scrolled.saturating_sub(1),
            KeyCode::Down => self.scrolled += 1,
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(page),
            KeyCode::PageDown => self.scrolled += page,
            KeyCode::Home => self.scrolled = 0,
            KeyCode::End => self.scrolled = last,
            _ => {}
        }
        self.scrolled = self.scrolled.min(last);
        Then::GoOn
    }
}

#[cfg(test)]
mod tests;
