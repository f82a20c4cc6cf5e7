//! The merge: a deterministic function of the reports in a recovery value and the chains behind them.

use std::collections::{BTreeMap, BTreeSet};

use types::{BlockId, Height};

/// The chain behind one reported tip, from the first block above some ancestor of all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub tip: BlockId,
    pub height: Height,
    /// Replicas that reported this tip.
    pub reporters: usize,
    /// Ascending by height; all chains begin at the same height. The last one is `tip`.
    pub blocks: Vec<BlockId>,
}

/// The order in which chains are executed: the base first, then the others by tip. Tips that lie on
/// the base are left out.
///
/// The base: from the common ancestor on, at each fork the child with most reporters above it, else
/// the one that leads to the greatest height, else the lowest id.
pub fn order(mut chains: Vec<Chain>) -> Vec<Chain> {
    let Some(base) = base(&chains) else {
        return Vec::new();
    };
    let on_base: BTreeSet<BlockId> = chains[base].blocks.iter().copied().collect();
    let base = chains.remove(base);
    chains.retain(|chain| !on_base.contains(&chain.tip) && !chain.blocks.is_empty());
    chains.sort_by_key(|chain| chain.tip);
    chains.insert(0, base);
    chains
}

fn base(chains: &[Chain]) -> Option<usize> {
    let mut group: Vec<usize> = (0..chains.len()).collect();
    let longest = chains.iter().map(|c| c.blocks.len()).max()?;
    for at in 0..longest {
        let mut children: BTreeMap<BlockId, Vec<usize>> = BTreeMap::new();
        for index in &group {
            if let Some(block) = chains[*index].blocks.get(at) {
                children.entry(*block).or_default().push(*index);
            }
        }
        let weight = |members: &Vec<usize>| {
            let reporters: usize = members.iter().map(|i| chains[*i].reporters).sum();
            let height = members.iter().map(|i| chains[*i].height).max();
            (reporters, height)
        };
        // Ascending by id: a later child must be strictly better.
        let mut best: Option<(&BlockId, &Vec<usize>)> = None;
        for child in &children {
            if best.is_none_or(|(_, members)| weight(child.1) > weight(members)) {
                best = Some(child);
            }
        }
        match best {
            Some((_, members)) => group = members.clone(),
            None => break,
        }
    }
    group.first().copied()
}
