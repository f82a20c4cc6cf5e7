//! Sets of replicas as one machine word pair.

use crate::ids::ReplicaId;
use crate::limits::REPLICAS_MAX;

/// A set of replica indices below [`REPLICAS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct SignerSet(pub u128);

impl SignerSet {
    pub const EMPTY: SignerSet = SignerSet(0);

    /// The set `{0, …, n-1}`; `n` is at most [`REPLICAS_MAX`].
    pub fn all(n: usize) -> SignerSet {
        assert!(n <= REPLICAS_MAX, "committee of {n} exceeds {REPLICAS_MAX}");
        if n == REPLICAS_MAX {
            SignerSet(u128::MAX)
        } else {
            SignerSet((1u128 << n) - 1)
        }
    }

    pub fn contains(self, id: ReplicaId) -> bool {
        id.index() < REPLICAS_MAX && self.0 >> id.0 & 1 == 1
    }

    /// Adds `id`; false if it was already there. Panics if `id` is no index of any committee.
    pub fn insert(&mut self, id: ReplicaId) -> bool {
        assert!(
            id.index() < REPLICAS_MAX,
            "replica index {id} exceeds {REPLICAS_MAX}"
        );
        let fresh = !self.contains(id);
        self.0 |= 1u128 << id.0;
        fresh
    }

    pub fn remove(&mut self, id: ReplicaId) {
        if id.index() < REPLICAS_MAX {
            self.0 &= !(1u128 << id.0);
        }
    }

    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn is_subset(self, other: SignerSet) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn union(self, other: SignerSet) -> SignerSet {
        SignerSet(self.0 | other.0)
    }

    pub fn intersection(self, other: SignerSet) -> SignerSet {
        SignerSet(self.0 & other.0)
    }

    pub fn difference(self, other: SignerSet) -> SignerSet {
        SignerSet(self.0 & !other.0)
    }

    /// Members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = ReplicaId> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            (rest != 0).then(|| {
                let index = rest.trailing_zeros() as u16;
                rest &= rest - 1;
                ReplicaId(index)
            })
        })
    }
}

impl FromIterator<ReplicaId> for SignerSet {
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(iter: I) -> SignerSet {
        let mut set = SignerSet::EMPTY;
        iter.into_iter().for_each(|id| {
            set.insert(id);
        });
        set
    }
}

impl std::fmt::Debug for SignerSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
