//! Looks again and again, at the newest run.

use std::path::{Path, PathBuf};

use super::board::Board;
use crate::live::{self, Moment};

#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    before: Option<Moment>,
}

impl Watch {
    pub fn new(root: &Path) -> Watch {
        Watch {
            root: root.to_owned(),
            before: None,
        }
    }

    /// None as long as there is no run.
    pub fn look(&mut self) -> Option<Board> {
        let now = live::run_of(&self.root).map(|run| live::look(&run));
        let board = now.as_ref().map(|now| Board::of(self.before.as_ref(), now));
        self.before = now;
        board
    }
}
