//! Which certificates were verified already: the same one arrives from many peers.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use types::Digest;

/// Two generations of hashes: when the young one is full it becomes the old one. Keeps the newest
/// `capacity` entries at least and twice as many at most, in constant time, without a list.
#[derive(Debug)]
pub(crate) struct Seen {
    generations: Mutex<Generations>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashSet<Digest>,
    old: HashSet<Digest>,
}

impl Seen {
    pub(crate) fn new(capacity: usize) -> Seen {
        assert!(capacity > 0, "a cache of nothing");
        Seen {
            generations: Mutex::default(),
            capacity,
        }
    }

    pub(crate) fn contains(&self, key: &Digest) -> bool {
        let mut both = self.lock();
        if both.young.contains(key) {
            return true;
        }
        // An old one that is still asked for moves to the young: least recently used goes first.
        let found = both.old.contains(key);
        if found {
            self.put(&mut both, *key);
        }
        found
    }

    pub(crate) fn insert(&self, key: Digest) {
        self.put(&mut self.lock(), key);
    }

    fn put(&self, both: &mut Generations, key: Digest) {
        if both.young.len() >= self.capacity {
            both.old = std::mem::take(&mut both.young);
        }
        both.young.insert(key);
    }

    // A panic elsewhere cannot leave a set of hashes half-written: go on with it.
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_only_what_was_not_asked_for() {
        let seen = Seen::new(4);
        let key = |i: u8| Digest([i; 32]);
        for i in 0..20 {
            seen.insert(key(i));
            assert!(seen.contains(&key(0)), "0 is asked for all the time");
        }
        assert!((17..20).all(|i| seen.contains(&key(i))));
        assert!(!seen.contains(&key(5)));
        let both = seen.lock();
        assert!(both.young.len() + both.old.len() <= 8);
    }
}
