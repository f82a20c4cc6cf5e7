//! One order: every correct replica executes the same block at the same height, in order, also across
//! its restarts, and arrives at the same state.

use std::collections::HashMap;

use measure::LedgerRecord;
use types::{CheckpointShare, Digest};

use super::{Verdict, violation};
use crate::event::Seat;

/// See the module.
#[derive(Debug)]
pub struct Ledger {
    canonical: HashMap<u64, ([u8; 32], [u8; 32])>,
    /// Height that each seat executed last in its present life.
    height: Vec<u64>,
    states: HashMap<u64, Digest>,
    pub txs: u64,
    height_max: u64,
}

impl Ledger {
    pub fn new(n: usize) -> Ledger {
        Ledger {
            canonical: HashMap::new(),
            height: vec![0; n],
            states: HashMap::new(),
            txs: 0,
            height_max: 0,
        }
    }

    pub fn height_max(&self) -> u64 {
        self.height_max
    }

    pub fn block_at(&self, height: u64) -> Option<[u8; 32]> {
        self.canonical.get(&height).map(|(block, _)| *block)
    }

    pub fn executed(&mut self, at: Seat, record: &LedgerRecord) -> Verdict {
        let LedgerRecord {
            height,
            block,
            digest,
            ..
        } = *record;
        match self.canonical.get(&height) {
            None => {
                self.canonical.insert(height, (block, digest));
                self.txs += u64::from(record.txs);
                self.height_max = self.height_max.max(height);
            }
            Some((known, _)) if *known != block => {
                let what = format!(
                    "replica {at} executed another block at height {height} than somebody before it"
                );
                return violation("order", what);
            }
            Some((_, known)) if *known != digest => {
                let what =
                    format!("replica {at} executed the block at height {height} to another result");
                return violation("execution", what);
            }
            Some(_) => {}
        }
        let before = std::mem::replace(&mut self.height[at], height);
        match height > before {
            true => Ok(()),
            false => violation(
                "order",
                format!("replica {at} executed height {height} after {before}"),
            ),
        }
    }

    /// A life of `at` begins with the state after `height`.
    pub fn starts_at(&mut self, at: Seat, height: u64) {
        self.height[at] = height;
    }

    /// What a correct replica signs about its state.
    pub fn state(&mut self, share: &CheckpointShare) -> Verdict {
        let known = *self.states.entry(share.height.0).or_insert(share.state);
        match known == share.state {
            true => Ok(()),
            false => violation(
                "state",
                format!(
                    "replica {} signed another state at height {} than somebody before it",
                    share.replica, share.height
                ),
            ),
        }
    }
}
