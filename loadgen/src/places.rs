//! Where receipts said that transactions stand, as long as somebody may say otherwise.

use std::collections::{HashMap, VecDeque};

use types::client::{Entry, Outcome};
use types::{EpochId, Height};

/// Receipts remembered; the oldest is forgotten first.
const PLACES_MAX: usize = 1 << 20;

/// A transaction's place and outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Of the receipt, or of the report that it moved.
    pub epoch: EpochId,
    pub height: Height,
    pub position: u32,
    pub outcome: Outcome,
}

impl Place {
    /// What an entry says.
    #[must_use]
    pub fn of(epoch: EpochId, entry: &Entry) -> Place {
        Place {
            epoch,
            height: entry.height,
            position: entry.position,
            outcome: entry.outcome,
        }
    }
}

/// What became of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is as it was: somebody else told the same before.
    Same,
    /// The same height and position, told anew in another epoch: it is in another block now.
    Restated,
    /// Another place, the same effect.
    Moved,
    /// It has no effect any more.
    Invalidated,
    /// It had no effect, and has one now.
    Revived,
    /// Nobody remembers a receipt.
    Unknown,
}

/// Session and sequence number to place.
#[derive(Debug)]
pub struct Places {
    capacity: usize,
    places: HashMap<(u32, u64), Place>,
    order: VecDeque<(u32, u64)>,
}

impl Default for Places {
    fn default() -> Places {
        Places::with_capacity(PLACES_MAX)
    }
}

impl Places {
    fn with_capacity(capacity: usize) -> Places {
        Places {
            capacity,
            places: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// A receipt was given.
    pub fn add(&mut self, session: u32, seq: u64, place: Place) {
        if self.places.insert((session, seq), place).is_none() {
            self.order.push_back((session, seq));
        }
        if self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
    }

    /// The epoch of the last word on a transaction.
    #[must_use]
    pub fn epoch(&self, session: u32, seq: u64) -> Option<EpochId> {
        self.places.get(&(session, seq)).map(|place| place.epoch)
    }

    /// Receipts whose last word is not of `epoch`, the newest `most` of those that `wanted` says.
    #[must_use]
    pub fn not_of(
        &self,
        epoch: EpochId,
        most: usize,
        wanted: impl Fn(u32) -> bool,
    ) -> Vec<(u32, u64)> {
        let is_old = |key: &&(u32, u64)| {
            wanted(key.0)
                && self
                    .places
                    .get(*key)
                    .is_some_and(|place| place.epoch != epoch)
        };
        let newest = self.order.iter().rev().filter(is_old).take(most);
        let mut found: Vec<(u32, u64)> = newest.copied().collect();
        found.sort_unstable();
        found
    }

    /// A receipt is said to stand elsewhere.
    pub fn move_to(&mut self, session: u32, seq: u64, to: Place) -> Fate {
        let Some(place) = self.places.get_mut(&(session, seq)) else {
            return Fate::Unknown;
        };
        let from = std::mem::replace(place, to);
        let has_effect =
            |place: &Place| matches!(place.outcome, Outcome::Applied | Outcome::Duplicate);
        match (has_effect(&from), has_effect(&to)) {
            (true, false) => Fate::Invalidated,
            (false, true) => Fate::Revived,
            _ if from == to => Fate::Same,
            _ if (from.height, from.position) == (to.height, to.position) => {
                match from.epoch == to.epoch {
                    true => Fate::Same,
                    false => Fate::Restated,
                }
            }
            _ => Fate::Moved,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(height: u64, outcome: Outcome) -> Place {
        Place {
            epoch: EpochId::ZERO,
            height: Height(height),
            position: 3,
            outcome,
        }
    }

    #[test]
    fn fates_are_told_apart_and_told_once() {
        use Outcome::{Applied, Duplicate, Rejected};
        let mut places = Places::default();
        for seq in 1..=4 {
            places.add(0, seq, place(10, Applied));
        }
        assert_eq!(places.move_to(0, 1, place(20, Applied)), Fate::Moved);
        assert_eq!(places.move_to(0, 1, place(20, Applied)), Fate::Same);
        // "Ordered before, there" is the same effect.
        assert_eq!(places.move_to(0, 2, place(10, Duplicate)), Fate::Same);
        let rejected = place(20, Rejected(1));
        assert_eq!(places.move_to(0, 3, rejected), Fate::Invalidated);
        assert_eq!(places.move_to(0, 3, rejected), Fate::Same);
        assert_eq!(places.move_to(0, 3, place(21, Applied)), Fate::Revived);
        assert_eq!(places.move_to(0, 9, rejected), Fate::Unknown);
        // Ordered at the same place of another branch.
        let mut anew = place(10, Applied);
        anew.epoch = EpochId(types::Digest([1; 32]));
        assert_eq!(places.move_to(0, 4, anew), Fate::Restated);
        assert_eq!(places.move_to(0, 4, anew), Fate::Same);
        assert_eq!(places.move_to(1, 4, rejected), Fate::Unknown);
    }

    #[test]
    fn memory_is_bounded() {
        let mut places = Places::with_capacity(2);
        for seq in 1..=3 {
            places.add(0, seq, place(10, Outcome::Applied));
            places.add(0, seq, place(10, Outcome::Applied));
        }
        let to = place(11, Outcome::Applied);
        assert_eq!(places.move_to(0, 1, to), Fate::Unknown);
        assert_eq!(places.move_to(0, 2, to), Fate::Moved);
        assert_eq!(places.order.len(), places.places.len());
    }
}
