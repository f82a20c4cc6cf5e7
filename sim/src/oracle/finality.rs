//! Which blocks are final, from certificates that replicas really put together: a rule of its own,
//! written against the paper and not against the core.

use std::collections::{HashMap, HashSet};

use types::{BlockId, Header};

use super::{Verdict, violation};

#[derive(Debug, Clone, Copy)]
struct Node {
    view: u64,
    height: u64,
    parent: BlockId,
}

/// See the module.
#[derive(Debug)]
pub struct Finality {
    root: BlockId,
    chain_len: usize,
    nodes: HashMap<BlockId, Node>,
    children: HashMap<BlockId, Vec<BlockId>>,
    certified: HashSet<BlockId>,
    final_at: HashMap<u64, BlockId>,
    finals: HashSet<BlockId>,
    /// Two final blocks at one height are what is expected.
    pub may_fork: bool,
}

impl Finality {
    pub fn new(root: BlockId, chain_len: usize) -> Finality {
        Finality {
            root,
            chain_len,
            nodes: HashMap::new(),
            children: HashMap::new(),
            certified: HashSet::new(),
            final_at: HashMap::new(),
            finals: HashSet::new(),
            may_fork: false,
        }
    }

    pub fn is_final(&self, block: BlockId) -> bool {
        self.finals.contains(&block)
    }

    pub fn is_certified(&self, block: BlockId) -> bool {
        self.certified.contains(&block)
    }

    pub fn height_max(&self) -> u64 {
        self.final_at.keys().copied().max().unwrap_or(0)
    }

    /// Headers come in any order: a replica may see a proposal before it has fetched what is below.
    pub fn header(&mut self, header: &Header) -> Verdict {
        let node = Node {
            view: header.view.0,
            height: header.height.0,
            parent: header.justify.block,
        };
        let id = header.id();
        if self.nodes.insert(id, node).is_some() {
            return Ok(());
        }
        self.children.entry(node.parent).or_default().push(id);
        if self.finals.remove(&id) {
            self.mark(id)?;
        }
        // The missing link of a chain that ends in it, or in what was built on it.
        let mut ends = vec![id];
        for _ in 0..self.chain_len {
            for end in &ends {
                if self.certified.contains(end) {
                    self.finalize(*end)?;
                }
            }
            ends = ends
                .iter()
                .filter_map(|end| self.children.get(end))
                .flatten()
                .copied()
                .collect();
        }
        Ok(())
    }

    pub fn certified(&mut self, block: BlockId) -> Verdict {
        match self.certified.insert(block) {
            true => self.finalize(block),
            false => Ok(()),
        }
    }

    /// `newest` is certified: do certificates at consecutive views end in it?
    fn finalize(&mut self, newest: BlockId) -> Verdict {
        let Some(mut node) = self.nodes.get(&newest).copied() else {
            return Ok(());
        };
        let mut block = newest;
        for _ in 1..self.chain_len {
            let parent = node.parent;
            match self.nodes.get(&parent) {
                Some(below) if below.view + 1 == node.view && self.certified.contains(&parent) => {
                    (block, node) = (parent, *below);
                }
                _ => return Ok(()),
            }
        }
        self.mark(block)
    }

    /// `block` is final, and so is everything below it; from a header that is missing on, later.
    fn mark(&mut self, mut block: BlockId) -> Verdict {
        while block != self.root && self.finals.insert(block) {
            let Some(node) = self.nodes.get(&block) else {
                return Ok(());
            };
            if let Some(other) = self.final_at.insert(node.height, block)
                && other != block
                && !self.may_fork
            {
                let what = format!(
                    "blocks {other:?} and {block:?} are both final at height {}",
                    node.height
                );
                return violation("fork", what);
            }
            block = node.parent;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
