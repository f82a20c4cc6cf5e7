//! What clients were told, held against what happened.

use std::collections::HashMap;

use types::batch::SessionId;
use types::client::{Entry, Outcome};
use types::{Digest, Height};

use super::ledger::Ledger;
use super::{Verdict, violation};

/// A transaction by session and sequence number.
pub type TxName = (SessionId, u64);

/// See the module.
#[derive(Debug, Default)]
pub struct Receipts {
    places: HashMap<TxName, (Height, u32)>,
    blocks: HashMap<u64, Digest>,
    taken: HashMap<(u64, u32), TxName>,
    height_max: u64,
    pub count: u64,
    pub duplicates: u64,
}

impl Receipts {
    /// Height of the newest block that a client was told of.
    pub fn height_max(&self) -> u64 {
        self.height_max
    }

    /// A client was told of a block at `height`, on whatever history.
    pub fn told(&mut self, height: Height) {
        self.count += 1;
        self.height_max = self.height_max.max(height.0);
    }

    /// The block that a receipt with a valid proof names.
    pub fn block(&mut self, height: Height, block: Digest) -> Verdict {
        self.height_max = self.height_max.max(height.0);
        let known = *self.blocks.entry(height.0).or_insert(block);
        match known == block {
            true => Ok(()),
            false => violation(
                "receipt",
                format!("two receipts name different blocks at height {height}"),
            ),
        }
    }

    /// One entry for a transaction that an honest client sent once or more often, always the same.
    pub fn entry(&mut self, session: SessionId, entry: &Entry) -> Verdict {
        let tx = (session, entry.seq);
        self.count += 1;
        self.height_max = self.height_max.max(entry.height.0);
        self.duplicates += u64::from(entry.outcome == Outcome::Duplicate);
        if matches!(
            entry.outcome,
            Outcome::SequenceReused | Outcome::BelowWindow
        ) {
            return violation(
                "receipt",
                format!(
                    "transaction {} of an honest client was refused as {:?}",
                    entry.seq, entry.outcome
                ),
            );
        }
        let place = (entry.height, entry.position);
        let known = *self.places.entry(tx).or_insert(place);
        if known != place {
            let what = format!(
                "transaction {} has two places: {known:?} and {place:?}",
                entry.seq
            );
            return violation("executed-twice", what);
        }
        let owner = *self
            .taken
            .entry((entry.height.0, entry.position))
            .or_insert(tx);
        match owner == tx {
            true => Ok(()),
            false => violation("receipt", format!("two transactions at place {place:?}")),
        }
    }

    /// At the end: every block that a client was told of is in the ledger.
    pub fn settle(&self, ledger: &Ledger) -> Verdict {
        let mut heights: Vec<_> = self.blocks.iter().collect();
        heights.sort();
        for (height, block) in heights {
            match ledger.block_at(*height) {
                Some(known) if known == block.0 => {}
                found => {
                    let what = format!(
                        "a client holds a receipt for block {block:?} at height {height}, the ledger has {found:?}"
                    );
                    return violation("receipt", what);
                }
            }
        }
        Ok(())
    }
}
