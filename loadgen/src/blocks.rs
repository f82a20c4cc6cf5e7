//! Height to block over the whole run, and what happens when two final blocks share a height.

use std::collections::VecDeque;

use types::{BlockId, EpochId};

/// Heights remembered; the oldest is forgotten first.
pub const HEIGHTS_MAX: usize = 1 << 20;

/// What the client knows to be final, by height.
#[derive(Debug)]
pub struct Blocks {
    capacity: usize,
    /// Height of the first entry.
    first: u64,
    entries: VecDeque<Option<BlockId>>,
}

/// What [`Blocks::insert`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The first block of its height.
    New,
    /// The same block as before.
    Same,
    /// Another block: two final blocks contradict each other.
    Conflict(BlockId),
    /// The height is too far from the others to be remembered.
    OutOfRange,
}

impl Default for Blocks {
    fn default() -> Blocks {
        Blocks::with_capacity(HEIGHTS_MAX)
    }
}

impl Blocks {
    fn with_capacity(capacity: usize) -> Blocks {
        Blocks {
            capacity,
            first: 0,
            entries: VecDeque::new(),
        }
    }

    /// Notes that `block` at `height` is final.
    pub fn insert(&mut self, height: u64, block: BlockId) -> Known {
        if self.entries.is_empty() {
            self.first = height;
        }
        while height < self.first {
            if self.entries.len() >= self.capacity
                || self.first - height > (self.capacity - self.entries.len()) as u64
            {
                return Known::OutOfRange;
            }
            self.entries.push_front(None);
            self.first -= 1;
        }
        if height - self.first >= 2 * self.capacity as u64 {
            // Farther ahead than anything remembered could reach: begin anew there.
            self.entries.clear();
            self.first = height;
        }
        while height - self.first >= self.entries.len() as u64 {
            if self.entries.len() >= self.capacity {
                self.entries.pop_front();
                self.first += 1;
            }
            self.entries.push_back(None);
        }
        let entry = &mut self.entries[(height - self.first) as usize];
        match *entry {
            None => {
                *entry = Some(block);
                Known::New
            }
            Some(known) if known == block => Known::Same,
            Some(known) => Known::Conflict(known),
        }
    }

    /// The final block of a height.
    #[must_use]
    pub fn get(&self, height: u64) -> Option<BlockId> {
        let at = height.checked_sub(self.first)?;
        self.entries.get(usize::try_from(at).ok()?).copied()?
    }

    /// All remembered, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, BlockId)> + '_ {
        let numbered = self.entries.iter().enumerate();
        numbered.filter_map(|(at, block)| Some((self.first.wrapping_add(at as u64), (*block)?)))
    }

    /// Appends per block its height (u64, little endian) and id (32 bytes).
    fn encode(&self, out: &mut Vec<u8>) {
        for (height, block) in self.iter() {
            out.extend_from_slice(&height.to_le_bytes());
            out.extend_from_slice(&block.0.0);
        }
    }
}

/// The same for every epoch that receipts may be of: a working epoch orders anew what the split one
/// had ordered, so that only blocks of one epoch can contradict each other.
#[derive(Debug)]
pub struct EpochBlocks(Vec<(EpochId, Blocks)>);

impl EpochBlocks {
    /// The first epoch, without a block.
    #[must_use]
    pub fn new(epoch: EpochId) -> EpochBlocks {
        EpochBlocks(vec![(epoch, Blocks::default())])
    }

    /// Receipts may be of this epoch from now on.
    pub fn begin(&mut self, epoch: EpochId) {
        if !self.knows(epoch) {
            self.0.push((epoch, Blocks::default()));
        }
    }

    /// Whether receipts may be of this epoch.
    #[must_use]
    pub fn knows(&self, epoch: EpochId) -> bool {
        self.0.iter().any(|(known, _)| *known == epoch)
    }

    /// Whether both are known and `epoch` began after `other`.
    #[must_use]
    pub fn is_later(&self, epoch: EpochId, other: EpochId) -> bool {
        let rank = |id| self.0.iter().position(|(known, _)| *known == id);
        rank(other).is_some_and(|other| rank(epoch) > Some(other))
    }

    /// The newest epoch.
    #[must_use]
    pub fn newest(&self) -> EpochId {
        self.0.last().map_or(EpochId::ZERO, |(epoch, _)| *epoch)
    }

    /// As [`Blocks::insert`].
    pub fn insert(&mut self, epoch: EpochId, height: u64, block: BlockId) -> Known {
        let mut of = self.0.iter_mut().filter(|(known, _)| *known == epoch);
        match of.next() {
            Some((_, blocks)) => blocks.insert(height, block),
            None => Known::OutOfRange,
        }
    }

    /// Whether a block of this height is known to be final, in any epoch.
    #[must_use]
    pub fn has(&self, height: u64) -> bool {
        self.0
            .iter()
            .any(|(_, blocks)| blocks.get(height).is_some())
    }

    /// `blocks.bin`: "RFBLOCK1", then per block its height (u64, little endian) and id (32 bytes),
    /// epoch after epoch; heights begin anew below the end of the epoch before.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = b"RFBLOCK1".to_vec();
        self.0
            .iter()
            .for_each(|(_, blocks)| blocks.encode(&mut out));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Digest;

    fn block(tag: u8) -> BlockId {
        BlockId(Digest([tag; 32]))
    }

    #[test]
    fn two_blocks_of_one_height_are_a_conflict() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.insert(10, block(1)), Known::New);
        assert_eq!(blocks.insert(12, block(2)), Known::New);
        assert_eq!(blocks.insert(10, block(1)), Known::Same);
        assert_eq!(blocks.insert(12, block(3)), Known::Conflict(block(2)));
        assert_eq!(blocks.insert(11, block(4)), Known::New);
        assert_eq!(blocks.insert(9, block(5)), Known::New);
        assert_eq!(blocks.get(9), Some(block(5)));
        assert_eq!(blocks.get(8), None);
        let mut bytes = Vec::new();
        blocks.encode(&mut bytes);
        assert_eq!(bytes.len(), 4 * 40);
    }

    #[test]
    fn blocks_of_different_epochs_contradict_nothing() {
        let (old, new) = (EpochId(Digest([1; 32])), EpochId(Digest([2; 32])));
        let mut blocks = EpochBlocks::new(old);
        assert_eq!(blocks.insert(old, 5, block(1)), Known::New);
        assert_eq!(blocks.insert(new, 5, block(2)), Known::OutOfRange);
        blocks.begin(new);
        blocks.begin(new);
        assert_eq!(blocks.newest(), new);
        assert!(blocks.is_later(new, old) && !blocks.is_later(old, new));
        assert!(!blocks.is_later(new, new) && !blocks.is_later(new, EpochId::ZERO));
        assert_eq!(blocks.insert(new, 5, block(2)), Known::New);
        assert_eq!(blocks.insert(new, 5, block(3)), Known::Conflict(block(2)));
        assert_eq!(blocks.insert(old, 5, block(3)), Known::Conflict(block(1)));
        assert!(blocks.has(5) && !blocks.has(6));
        assert_eq!(blocks.encode().len(), 8 + 2 * 40);
    }

    #[test]
    fn memory_is_bounded_and_far_heights_are_survived() {
        let mut blocks = Blocks::with_capacity(8);
        for height in 0..100 {
            blocks.insert(height, block(1));
        }
        assert_eq!(blocks.iter().count(), 8);
        assert_eq!(blocks.insert(5, block(2)), Known::OutOfRange);
        assert_eq!(blocks.insert(u64::MAX, block(2)), Known::New);
        assert_eq!(blocks.iter().count(), 1);
        assert_eq!(blocks.insert(0, block(2)), Known::OutOfRange);
        assert_eq!(blocks.get(u64::MAX), Some(block(2)));
    }
}
