//! Do all correct replicas tell the same history? Judged from their ledgers, block by block.
//!
//! Crashes and pauses are benign faults: a replica which was killed has to agree as well, as far as
//! it came. What a recovery undid is marked in the ledger, and judged no further: what counts is what
//! stands in the end. A difference without a marker is a contradiction.

use std::collections::BTreeMap;

use measure::{Ledger, LedgerRecord};
use serde::{Deserialize, Serialize};

/// What the comparison covered and found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// Ledgers compared.
    pub replicas: u32,
    /// Different heights seen.
    pub heights: u64,
    /// Heights told by at least two replicas: only these can prove or refute agreement.
    pub heights_shared: u64,
    /// Highest height told by any replica.
    pub height_max: u64,
    /// Transactions executed up to there, if no height is missing in between.
    pub txs: Option<u64>,
    /// The lowest contradiction.
    pub divergence: Option<Divergence>,
    /// Contradicted heights.
    pub divergent_heights: u64,
    /// Markers of recoveries in all ledgers.
    #[serde(default)]
    pub rollbacks: u64,
    /// Blocks that they undid, in all ledgers.
    #[serde(default)]
    pub blocks_undone: u64,
}

/// Two records for the same height which differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Divergence {
    /// The height.
    pub height: u64,
    /// The replica whose record was met first.
    pub one: u32,
    /// The replica that differs; the same one when it contradicts itself after a restart.
    pub other: u32,
    /// `block`, `digest`, `epoch` or `txs`: the first field that differs.
    pub field: String,
}

/// Who told a height first, what, and how many different replicas agree.
struct Told {
    by: u32,
    record: LedgerRecord,
    last: u32,
    shared: bool,
}

/// Compares ledgers given with their replicas' indices.
#[must_use]
pub fn compare(ledgers: &[(u32, Ledger)]) -> Consistency {
    let mut told: BTreeMap<u64, Told> = BTreeMap::new();
    let mut divergences: BTreeMap<u64, Divergence> = BTreeMap::new();
    let (mut rollbacks, mut blocks_undone) = (0, 0);
    for (replica, ledger) in ledgers {
        let mut diverge = |height, one, field: &str| {
            divergences.entry(height).or_insert_with(|| Divergence {
                height,
                one,
                other: *replica,
                field: field.to_owned(),
            });
        };
        let mut chain: BTreeMap<u64, LedgerRecord> = BTreeMap::new();
        for record in &ledger.records {
            if record.is_rollback() {
                rollbacks += 1;
                let undone = chain.split_off(&record.height.saturating_add(1));
                blocks_undone += undone.len() as u64;
                continue;
            }
            let own = chain.entry(record.height).or_insert(*record);
            if let Some(field) = difference(own, record) {
                diverge(record.height, *replica, field);
            }
        }
        for record in chain.values() {
            let first = told.entry(record.height).or_insert_with(|| Told {
                by: *replica,
                record: *record,
                last: *replica,
                shared: false,
            });
            first.shared |= first.last != *replica;
            first.last = *replica;
            if let Some(field) = difference(&first.record, record) {
                diverge(record.height, first.by, field);
            }
        }
    }
    let height_max = told.keys().next_back().copied().unwrap_or(0);
    let height_min = told.keys().next().copied().unwrap_or(0);
    // A chain that starts at genesis and has every height since.
    let complete = height_min <= 1 && told.len() as u64 == height_max - height_min + 1;
    Consistency {
        replicas: ledgers.len() as u32,
        heights: told.len() as u64,
        heights_shared: told.values().filter(|told| told.shared).count() as u64,
        height_max,
        txs: (complete && !told.is_empty())
            .then(|| told.values().map(|told| u64::from(told.record.txs)).sum()),
        divergent_heights: divergences.len() as u64,
        divergence: divergences.into_values().next(),
        rollbacks,
        blocks_undone,
    }
}

/// The view is left out: a block has one id, in whatever view a replica saw it committed.
fn difference(one: &LedgerRecord, other: &LedgerRecord) -> Option<&'static str> {
    if one.block != other.block {
        Some("block")
    } else if one.digest != other.digest {
        Some("digest")
    } else if one.epoch != other.epoch {
        Some("epoch")
    } else if one.txs != other.txs {
        Some("txs")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
