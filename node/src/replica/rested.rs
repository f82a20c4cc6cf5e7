//! Things that a peer may cause now and then, but not more often.

use types::ReplicaId;

/// When each peer may cause it again.
#[derive(Debug)]
pub(super) struct Rested {
    gap_ns: u64,
    next_ns: Vec<u64>,
}

impl Rested {
    /// For `n` seats, with `gap_ns` between two times of one peer.
    pub fn new(n: usize, gap_ns: u64) -> Rested {
        Rested {
            gap_ns,
            next_ns: vec![0; n],
        }
    }

    /// True if `peer` has rested long enough; then it must rest again.
    pub fn take(&mut self, peer: ReplicaId, now_ns: u64) -> bool {
        let rested = self.is_rested(peer, now_ns);
        if rested {
            self.next_ns[peer.index()] = now_ns + self.gap_ns;
        }
        rested
    }

    pub fn is_rested(&self, peer: ReplicaId, now_ns: u64) -> bool {
        let next_ns = self.next_ns.get(peer.index());
        next_ns.is_some_and(|next_ns| now_ns >= *next_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_one_peer_costs_a_fixed_share_and_nobody_else() {
        let mut rested = Rested::new(2, 100);
        let taken = (0..1000).filter(|now| rested.take(ReplicaId(0), *now));
        assert_eq!(taken.count(), 10);
        assert!(rested.take(ReplicaId(1), 999));
        assert!(!rested.take(ReplicaId(2), 999), "nobody has this seat");
    }
}
