//! The blocks above the retention horizon: a committed chain, and what may still grow out of its tip.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use types::limits::PROOF_CHAIN_MAX;
use types::{BlockId, CommitProof, Epoch, Header, HeaderCore, Height, Qc, View};

use crate::lanes::CutEntry;

/// Most uncommitted headers kept; far more than a correct run needs, little enough to be harmless.
const UNCOMMITTED_MAX: usize = 4096;
/// Most headers kept for one height above the committed tip (an equivocating leader's).
const PER_VIEW_MAX: usize = 4;

/// A header whose parent is known.
#[derive(Debug, Clone)]
pub struct Block {
    pub id: BlockId,
    pub header: Arc<Header>,
    pub core: HeaderCore,
    /// Newest car of every lane that this block and its ancestors order.
    pub cut: Arc<Vec<CutEntry>>,
    /// Whether it was written to the journal.
    pub persisted: bool,
}

impl Block {
    pub fn carries_data(&self) -> bool {
        !self.header.cut.is_empty()
    }

    pub fn linked(&self) -> Linked {
        Linked {
            id: self.id,
            header: self.header.clone(),
        }
    }
}

/// A header with its id, which costs four hashes to work out.
#[derive(Debug, Clone)]
pub struct Linked {
    pub id: BlockId,
    pub header: Arc<Header>,
}

impl From<Header> for Linked {
    fn from(header: Header) -> Linked {
        Linked {
            id: header.id(),
            header: Arc::new(header),
        }
    }
}

/// The committed tip (or the root, or a checkpoint): what every live block descends from.
#[derive(Debug, Clone)]
pub struct Tip {
    pub height: Height,
    pub id: BlockId,
    pub view: View,
    pub cut: Arc<Vec<CutEntry>>,
}

/// Why a header does not fit in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    Known,
    /// The parent is not known: fetch it.
    Orphan,
    /// Height, view or cut contradict the parent, or it lies below the committed tip.
    Invalid,
    /// More headers of one view or in all than are kept.
    Full,
}

/// See the module.
#[derive(Debug)]
pub struct Tree {
    blocks: HashMap<BlockId, Block>,
    /// Uncommitted blocks by view: for bounds and for pruning.
    by_view: BTreeMap<(View, BlockId), ()>,
    /// Certificates of known blocks.
    certs: HashMap<BlockId, Qc>,
    tip: Tip,
    /// Committed blocks still kept; the first has height `horizon`.
    committed: VecDeque<BlockId>,
}

impl Tree {
    pub fn new(epoch: &Epoch) -> Tree {
        let cut = Arc::new(vec![CutEntry::default(); epoch.n]);
        Tree::at(Tip {
            height: epoch.root_height,
            id: epoch.root(),
            view: View(0),
            cut,
        })
    }

    /// A tree that grows out of `tip`, with nothing kept below it.
    pub fn at(tip: Tip) -> Tree {
        Tree {
            blocks: HashMap::new(),
            by_view: BTreeMap::new(),
            certs: HashMap::new(),
            tip,
            committed: VecDeque::new(),
        }
    }

    pub fn tip(&self) -> &Tip {
        &self.tip
    }

    pub fn get(&self, id: BlockId) -> Option<&Block> {
        self.blocks.get(&id)
    }

    /// True if a block may be built on `id`.
    pub fn knows(&self, id: BlockId) -> bool {
        id == self.tip.id || self.blocks.contains_key(&id)
    }

    pub fn cert(&self, id: BlockId) -> Option<&Qc> {
        self.certs.get(&id)
    }

    pub fn note_cert(&mut self, qc: &Qc) {
        if self.blocks.contains_key(&qc.block) {
            self.certs.entry(qc.block).or_insert_with(|| qc.clone());
        }
    }

    /// Height, view and effective cut of a block on which one may build.
    pub fn base(&self, id: BlockId) -> Option<Tip> {
        if id == self.tip.id {
            return Some(self.tip.clone());
        }
        self.blocks.get(&id).map(|b| Tip {
            height: b.header.height,
            id,
            view: b.header.view,
            cut: b.cut.clone(),
        })
    }

    /// Takes a header in. Its signatures were checked, or are bound by a certified descendant.
    /// A certified header always finds room: there is at most one of a view.
    pub fn insert(&mut self, header: Arc<Header>, certified: bool) -> Result<BlockId, Misfit> {
        let core = header.core();
        let id = core.id();
        if self.blocks.contains_key(&id) {
            return Err(Misfit::Known);
        }
        let Some(parent) = self.base(header.parent()) else {
            return Err(if header.height <= self.tip.height {
                Misfit::Invalid
            } else {
                Misfit::Orphan
            });
        };
        let fits = header.height == parent.height.next()
            && header.justify.view == parent.view
            && header.view > parent.view
            && header.height > self.tip.height;
        if !fits {
            return Err(Misfit::Invalid);
        }
        let cut = extend_cut(&parent.cut, &header).ok_or(Misfit::Invalid)?;
        let same_view = self
            .by_view
            .range((header.view, BlockId::ZERO)..)
            .take_while(|e| e.0.0 == header.view);
        let full = self.by_view.len() >= UNCOMMITTED_MAX || same_view.count() >= PER_VIEW_MAX;
        if full && !certified {
            return Err(Misfit::Full);
        }
        self.by_view.insert((header.view, id), ());
        self.certs
            .entry(header.justify.block)
            .or_insert_with(|| header.justify.clone());
        self.blocks.insert(
            id,
            Block {
                id,
                header,
                core,
                cut,
                persisted: false,
            },
        );
        Ok(id)
    }

    /// The header to write to the journal, unless it is there already.
    pub fn persist_once(&mut self, id: BlockId) -> Option<Arc<Header>> {
        let block = self.blocks.get_mut(&id).filter(|block| !block.persisted)?;
        block.persisted = true;
        Some(block.header.clone())
    }

    /// `id` and its ancestors above the committed tip, newest first.
    pub fn uncommitted_ancestry(&self, id: BlockId) -> Vec<&Block> {
        let mut out = Vec::new();
        let mut next = id;
        while let Some(block) = self.blocks.get(&next) {
            if block.header.height <= self.tip.height {
                break;
            }
            out.push(block);
            next = block.header.parent();
        }
        out
    }

    /// `id` and its ancestors, committed ones included, newest first, at most `most`.
    pub fn ancestry(&self, id: BlockId, most: usize) -> Vec<&Block> {
        let mut out = Vec::new();
        let mut next = id;
        while out.len() < most {
            match self.blocks.get(&next) {
                Some(block) => {
                    out.push(block);
                    next = block.header.parent();
                }
                None => break,
            }
        }
        out
    }

    /// Moves the committed tip up to `id`. The newly committed blocks in order of height, or none if
    /// `id` does not descend from the tip (then two conflicting blocks were committed).
    pub fn commit(&mut self, id: BlockId) -> Option<Vec<Block>> {
        let mut path = Vec::new();
        let mut next = id;
        while next != self.tip.id {
            let block = self.blocks.get(&next)?;
            if block.header.height <= self.tip.height {
                return None;
            }
            path.push(block.clone());
            next = block.header.parent();
        }
        path.reverse();
        for block in &path {
            self.committed.push_back(block.id);
        }
        if let Some(last) = path.last() {
            self.tip = Tip {
                height: last.header.height,
                id: last.id,
                view: last.header.view,
                cut: last.cut.clone(),
            };
            self.drop_dead_branches();
        }
        Some(path)
    }

    /// Uncommitted blocks at or below the tip's view can never be built upon again.
    fn drop_dead_branches(&mut self) {
        let live = self
            .by_view
            .split_off(&(self.tip.view.next(), BlockId::ZERO));
        let low = std::mem::replace(&mut self.by_view, live);
        let kept_from = self.horizon();
        for (_, id) in low.into_keys() {
            let committed = self.blocks.get(&id).is_some_and(|b| {
                let slot = b.header.height.0.checked_sub(kept_from.0);
                slot.and_then(|at| self.committed.get(at as usize)) == Some(&id)
            });
            if !committed {
                self.blocks.remove(&id);
                self.certs.remove(&id);
            }
        }
    }

    /// Height of the lowest block that is kept (one above the tip if none is).
    pub fn horizon(&self) -> Height {
        Height(self.tip.height.0 + 1 - self.committed.len() as u64)
    }

    pub fn committed_at(&self, height: Height) -> Option<&Block> {
        let at = height.0.checked_sub(self.horizon().0)? as usize;
        self.committed.get(at).and_then(|id| self.blocks.get(id))
    }

    /// Name of the committed block at `height`; also of the one below the lowest that is kept.
    pub fn block_id_at(&self, height: Height) -> Option<BlockId> {
        if height.next() == self.horizon() {
            let first = self.committed.front().and_then(|id| self.blocks.get(id));
            return Some(first.map_or(self.tip.id, |block| block.header.parent()));
        }
        self.committed_at(height).map(|block| block.id)
    }

    /// Forgets committed blocks below `height`.
    pub fn prune_below(&mut self, height: Height) {
        while self.horizon() < height {
            let Some(id) = self.committed.pop_front() else {
                return;
            };
            self.certs.remove(&id);
            self.blocks.remove(&id);
        }
    }

    /// Headers from `tip` down to, without, `above`, at most `most`; ascending.
    pub fn branch(&self, tip: BlockId, above: Height, most: usize) -> Vec<Linked> {
        let blocks = self.ancestry(tip, most);
        let wanted = blocks.iter().take_while(|b| b.header.height > above);
        let mut out: Vec<_> = wanted.map(|b| b.linked()).collect();
        out.reverse();
        out
    }

    /// All headers kept, in order of height.
    pub fn live_headers(&self) -> Vec<Arc<Header>> {
        let mut out: Vec<Arc<Header>> = self.blocks.values().map(|b| b.header.clone()).collect();
        out.sort_by_key(|h| (h.height, h.view, h.proposer));
        out
    }

    /// The proof for `block`, which `newest` (certified by `qc`) commits: `chain_len` certificates at
    /// its end. None if the chain between them is longer than a proof may be.
    pub fn proof(&self, block: BlockId, qc: &Qc, chain_len: usize) -> Option<CommitProof> {
        let mut chain = Vec::new();
        let mut certs = vec![qc.clone()];
        let mut next = qc.block;
        loop {
            let found = self.blocks.get(&next)?;
            chain.push(found.core.clone());
            if certs.len() < chain_len {
                certs.push(found.header.justify.clone());
            }
            if next == block {
                break;
            }
            if chain.len() >= PROOF_CHAIN_MAX {
                return None;
            }
            next = found.header.parent();
        }
        chain.reverse();
        certs.reverse();
        (chain.len() >= chain_len).then_some(CommitProof { chain, certs })
    }

    /// The proof for the committed block at `height`, out of the headers above it. None where too few of
    /// them are kept, or the next blocks of consecutive views are further up than a proof may reach.
    pub fn proof_at(&self, height: Height, chain_len: usize) -> Option<CommitProof> {
        let block = self.committed_at(height)?.id;
        for at in height.0..height.0 + PROOF_CHAIN_MAX as u64 {
            let run = (at..at + chain_len as u64).map(|h| self.committed_at(Height(h)));
            let run: Vec<&Block> = run.collect::<Option<_>>()?;
            let follows = |pair: &[&Block]| pair[1].header.view == pair[0].header.view.next();
            if run.windows(2).all(follows) {
                let above = self.committed_at(Height(at + chain_len as u64))?;
                return self.proof(block, &above.header.justify, chain_len);
            }
        }
        None
    }
}

/// The lane-wise maximum: a cut names only lanes that advance, each by a higher index.
pub(crate) fn extend_cut(
    parent: &Arc<Vec<CutEntry>>,
    header: &Header,
) -> Option<Arc<Vec<CutEntry>>> {
    if header.cut.is_empty() {
        return Some(parent.clone());
    }
    let mut cut = parent.as_ref().clone();
    for cert in &header.cut {
        let entry = cut.get_mut(cert.lane.index())?;
        if cert.index <= entry.index {
            return None;
        }
        *entry = CutEntry {
            index: cert.index,
            car: cert.car,
        };
    }
    Some(Arc::new(cut))
}
