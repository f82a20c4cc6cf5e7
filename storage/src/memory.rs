//! The `memory` durability axis: nothing is kept, nothing is written, every token completes at once.
use crate::{Journal, Record, Stats, StorageError, SyncToken, Usage, Waker};

/// A journal that forgets. For comparison with systems that sync nothing; every result names it.
///
/// It calls the waker from within [`Journal::sync`], so that a loop built on wake-ups needs no second path.
pub struct MemoryJournal {
    appended: u64,
    asked: u64,
    staged_bytes: u64,
    stats: Stats,
    on_synced: Waker,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new(on_synced: Waker) -> Self {
        Self {
            appended: 0,
            asked: 0,
            staged_bytes: 0,
            stats: Stats::default(),
            on_synced,
        }
    }

    fn count(&mut self, record: &Record) {
        self.stats.records += 1;
        self.staged_bytes += record.len_bytes() as u64;
    }
}

impl Journal for MemoryJournal {
    fn append(&mut self, record: Record) {
        self.count(&record);
        self.appended += 1;
    }

    fn sync(&mut self) -> SyncToken {
        if self.asked < self.appended {
            self.asked = self.appended;
            self.stats.syncs += 1;
            self.stats.bytes += std::mem::take(&mut self.staged_bytes);
            (self.on_synced)();
        }
        SyncToken(self.asked)
    }

    fn synced(&mut self) -> Result<SyncToken, StorageError> {
        Ok(SyncToken(self.asked))
    }

    fn rotate(&mut self, base: Vec<Record>) {
        base.iter().for_each(|record| self.count(record));
        self.stats.rotations += 1;
        self.appended += 1;
    }

    fn staged_bytes(&self) -> u64 {
        self.staged_bytes
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn stats(&self) -> Stats {
        self.stats
    }
}

impl std::fmt::Debug for MemoryJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryJournal")
            .field("appended", &self.appended)
            .finish_non_exhaustive()
    }
}
