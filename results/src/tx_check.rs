//! Was anything lost, and does anything count twice? From what clients were told, against the chain
//! that stands in the end.
//!
//! Ledgers hold blocks, not transactions, so this is what can be said:
//! * *lost*: the last word on a transaction is a receipt of a block that does not stand in the end;
//!   nobody reported it as moved, or it was moved to a height where there is no block;
//! * *twice*: two transactions have the same place; or the chain executed more transactions than were
//!   ever sent (each has one name, sent again or not), or fewer than clients hold receipts for.

use std::collections::{BTreeMap, HashMap};

use measure::{LedgerRecord, ReceiptKind, ReceiptRecord, Receipts};
use serde::{Deserialize, Serialize};

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxCheck {
    /// Transactions with at least one receipt.
    pub receipted: u64,
    /// Of these, such whose block stands in the end.
    pub standing: u64,
    /// Of these, such whose last word is a report of a place, with an effect, that has a block.
    pub moved: u64,
    /// Of these, such whose last word is that they have no effect.
    pub without_effect: u64,
    /// Of these, such whose place was told without a proof and has a block: a receipt that says "ordered
    /// before, there" proves its own block and not that one.
    pub told: u64,
    /// Lost: neither standing nor reported.
    pub lost: u64,
    /// As `lost`, but the generator had ended before the last merge: nobody could report to it.
    #[serde(default)]
    pub unheard: u64,
    /// Places above the end of every ledger: they say nothing.
    pub beyond_end: u64,
    /// Transactions at a place that another one has as well.
    pub same_place: u64,
    /// Transactions that the final chain executed; absent if heights are missing.
    pub executed: Option<u64>,
    /// Different transactions that generators sent.
    pub sent: u64,
    /// The first transaction that was lost, in words.
    pub example: Option<String>,
}

impl TxCheck {
    /// The chain executed more than was sent: something counts twice.
    #[must_use]
    pub fn executed_twice(&self) -> u64 {
        self.executed.map_or(0, |txs| txs.saturating_sub(self.sent))
    }
}

/// Checks the receipts of every generator, each with whether it was there until after the last merge.
/// `sent`: transactions of all generators.
#[must_use]
pub fn check(
    receipts: &[(Receipts, bool)],
    chain: &BTreeMap<u64, LedgerRecord>,
    executed: Option<u64>,
    sent: u64,
) -> TxCheck {
    let mut check = TxCheck {
        executed,
        sent,
        ..TxCheck::default()
    };
    let end = chain.keys().next_back().copied().unwrap_or(0);
    let mut places: HashMap<(u64, u32), u32> = HashMap::new();
    for (generator, (receipts, listened)) in receipts.iter().enumerate() {
        // Ordered, so that the example is the same every time.
        let mut last: BTreeMap<(u32, u64), &ReceiptRecord> = BTreeMap::new();
        for record in &receipts.records {
            last.insert((record.session, record.seq), record);
        }
        check.receipted += last.len() as u64;
        for ((session, seq), record) in last {
            let block = chain.get(&record.height);
            let stands = block
                .is_some_and(|block| record.block == [0; 8] || block.block[..8] == record.block);
            if stands && record.outcome[0] <= 1 {
                *places.entry((record.height, record.position)).or_default() += 1;
            }
            match record.kind {
                _ if record.height > end => check.beyond_end += 1,
                _ if !stands && !listened => check.unheard += 1,
                _ if !stands => {
                    check.lost += 1;
                    check.example.get_or_insert_with(|| {
                        format!(
                            "transaction {seq} of session {session} of generator {generator}, \
                             last heard of at height {}",
                            record.height
                        )
                    });
                }
                ReceiptKind::Moved if !record.has_effect() => check.without_effect += 1,
                ReceiptKind::Moved => check.moved += 1,
                ReceiptKind::Proven if record.block != [0; 8] => check.standing += 1,
                ReceiptKind::Proven | ReceiptKind::Told => check.told += 1,
            }
        }
    }
    let shared = places.values().filter(|&&count| count > 1);
    check.same_place = shared.map(|&count| u64::from(count)).sum();
    check
}

#[cfg(test)]
mod tests;
