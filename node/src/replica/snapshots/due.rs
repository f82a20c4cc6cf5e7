//! When a checkpoint is due: after so many blocks, or sooner after so many bytes. What lies between two
//! checkpoints stays in memory, and blocks grow with the load: counted in blocks alone, a replica that
//! falls behind would need more and more of it, and fall further behind over the page faults.
//!
//! Every replica must choose the same heights. It does, because it counts from a checkpoint (or the root of the
//! epoch) whatever it starts from, and because the bytes of a block are the same everywhere.

use types::Height;

/// Checkpoints lie at multiples of an eighth of the interval: for these heights the ordering state is kept.
const STEPS: u64 = 8;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(in crate::replica) struct Due {
    blocks_max: u64,
    bytes_max: u64,
    blocks: u64,
    bytes: u64,
}

/// Heights at which a checkpoint may lie are multiples of this.
pub(in crate::replica) fn step(blocks_max: u64) -> u64 {
    (blocks_max / STEPS).max(1)
}

impl Due {
    pub fn new(blocks_max: u64, bytes_max: u64) -> Due {
        Due {
            blocks_max,
            bytes_max,
            blocks: 0,
            bytes: 0,
        }
    }

    /// The state is that of a checkpoint or of the epoch's root.
    pub fn restart(&mut self) {
        (self.blocks, self.bytes) = (0, 0);
    }

    /// A block was executed; whether a checkpoint lies here.
    pub fn executed(&mut self, height: Height, bytes: u64) -> bool {
        self.blocks += 1;
        self.bytes += bytes;
        let step = step(self.blocks_max);
        // Heights do not begin at a multiple: the last step may be cut short.
        let full = self.blocks + step > self.blocks_max || self.bytes >= self.bytes_max;
        let here = full && height.0.is_multiple_of(step);
        if here {
            self.restart();
        }
        here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heights(due: &mut Due, from: u64, until: u64, bytes: u64) -> Vec<u64> {
        let here = (from..until).filter(|height| due.executed(Height(*height), bytes));
        here.collect()
    }

    #[test]
    fn empty_blocks_are_counted_and_full_ones_weighed() {
        let mut due = Due::new(128, 1000);
        assert_eq!(heights(&mut due, 1, 400, 0), [128, 256, 384]);
        due.restart();
        assert_eq!(heights(&mut due, 1, 70, 40), [32, 64]);
    }

    #[test]
    fn whoever_starts_from_a_checkpoint_meets_the_others_at_the_next() {
        let weight = |height: u64| height * 37 % 91;
        let run = |from: u64| -> Vec<u64> {
            let mut due = Due::new(40, 900);
            (from + 1..1000)
                .filter(|height| due.executed(Height(*height), weight(*height)))
                .collect()
        };
        let all = run(0);
        assert!(all.len() > 20);
        for (at, from) in all.iter().enumerate() {
            assert_eq!(run(*from), all[at + 1..]);
        }
    }

    #[test]
    fn an_epoch_that_begins_anywhere_has_its_first_within_the_interval() {
        for root in 0..200 {
            let mut due = Due::new(64, u64::MAX);
            let first = (root + 1..).find(|height| due.executed(Height(*height), 1));
            assert!(first.unwrap() - root <= 64, "{root}: {first:?}");
        }
    }
}
