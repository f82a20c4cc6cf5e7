//! Which branch a merge begins with, worked out for itself from what was reported.

use std::collections::BTreeMap;

use types::{BlockId, Height};

/// One report: where it stood, and every block from the epoch's root to there.
#[derive(Debug)]
pub struct Stand {
    pub height: Height,
    pub path: Vec<BlockId>,
}

/// The block that is reached from the root by following, at each fork, most reporters, else whoever
/// stands highest, else the lowest id. None: nobody stands above the root.
pub fn base(stands: &[Stand]) -> Option<BlockId> {
    let mut best = None;
    let mut with_us: Vec<&Stand> = stands.iter().collect();
    for depth in 0.. {
        let mut votes: BTreeMap<BlockId, (usize, Height)> = BTreeMap::new();
        for stand in &with_us {
            if let Some(block) = stand.path.get(depth) {
                let (count, height) = votes.entry(*block).or_default();
                *count += 1;
                *height = (*height).max(stand.height);
            }
        }
        let by_weight = votes
            .into_iter()
            .map(|(block, weight)| (weight, std::cmp::Reverse(block)));
        let Some((_, std::cmp::Reverse(block))) = by_weight.max() else {
            break;
        };
        with_us.retain(|stand| stand.path.get(depth) == Some(&block));
        best = Some(block);
    }
    best
}

#[cfg(test)]
mod tests;
