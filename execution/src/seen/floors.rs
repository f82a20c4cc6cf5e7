//! Floors of forgotten sessions: one number per cell, the maximum over all sessions of that cell.

use std::sync::{Arc, OnceLock};

use types::Digest;
use types::batch::SessionId;

use crate::hash::part_of;
use crate::parts::{Input, RestoreError, ensure};

/// Number of cells.
pub const CELLS: usize = 1 << 20;
const PAGE_CELLS: usize = 1024;
const PAGES: usize = CELLS / PAGE_CELLS;

#[derive(Debug, Clone)]
struct Page {
    cells: [u64; PAGE_CELLS],
    digest: OnceLock<Digest>,
}

/// Pages exist once one of their cells is raised.
#[derive(Debug, Clone)]
pub(super) struct Floors {
    pages: Vec<Option<Arc<Page>>>,
}

impl Floors {
    pub(super) fn new() -> Floors {
        Floors {
            pages: vec![None; PAGES],
        }
    }

    pub(super) fn pages(&self) -> usize {
        PAGES
    }

    pub(super) fn get(&self, session: &SessionId) -> u64 {
        let cell = part_of(session, CELLS);
        match &self.pages[cell / PAGE_CELLS] {
            Some(page) => page.cells[cell % PAGE_CELLS],
            None => 0,
        }
    }

    pub(super) fn raise(&mut self, session: &SessionId, floor: u64) {
        let cell = part_of(session, CELLS);
        self.raise_cell(cell / PAGE_CELLS, cell % PAGE_CELLS, floor);
    }

    fn raise_cell(&mut self, page: usize, cell: usize, floor: u64) {
        if floor == 0 {
            return;
        }
        let page = self.pages[page].get_or_insert_with(|| Arc::new(Page::new()));
        let page = Arc::make_mut(page);
        page.cells[cell] = page.cells[cell].max(floor);
        page.digest.take();
    }

    pub(super) fn page_digest(&self, page: usize) -> Digest {
        let Some(page) = &self.pages[page] else {
            return Digest::ZERO;
        };
        *page.digest.get_or_init(|| {
            let mut bytes = Vec::new();
            page.encode(&mut bytes);
            Digest::of("reforge seen floors v1", &bytes)
        })
    }

    pub(super) fn page_len_bytes(&self, page: usize) -> usize {
        4 + 12 * self.pages[page].as_ref().map_or(0, |p| p.raised().count())
    }

    pub(super) fn encode_page(&self, page: usize, out: &mut Vec<u8>) {
        match &self.pages[page] {
            Some(page) => page.encode(out),
            None => out.extend_from_slice(&0u32.to_le_bytes()),
        }
    }

    pub(super) fn restore_page(
        &mut self,
        page: usize,
        input: &mut Input<'_>,
    ) -> Result<(), RestoreError> {
        for _ in 0..input.u32("floors")? {
            let (cell, floor) = (input.u32("floor")? as usize, input.u64("floor")?);
            ensure(cell < PAGE_CELLS, "floor", "is of no cell of its page")?;
            self.raise_cell(page, cell, floor);
        }
        Ok(())
    }
}

impl Page {
    fn new() -> Page {
        Page {
            cells: [0; PAGE_CELLS],
            digest: OnceLock::new(),
        }
    }

    fn raised(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.cells
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, floor)| *floor > 0)
    }

    /// `cells:u32 { cell:u32 floor:u64 }`, raised cells only, ascending.
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.raised().count() as u32).to_le_bytes());
        for (cell, floor) in self.raised() {
            out.extend_from_slice(&(cell as u32).to_le_bytes());
            out.extend_from_slice(&floor.to_le_bytes());
        }
    }
}
