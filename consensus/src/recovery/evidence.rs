//! From two conflicting commits to proofs of fraud: the open-box detector's second half.

use std::collections::{BTreeMap, BTreeSet};

use types::{BlockId, CommitProof, Conflict, Digest, Fraud, Height, ReplicaId, Verified};

use super::{Recovery, top_of};
use crate::accountability::{Attribution, Segment};
use crate::core::Core;
use crate::effect::{Check, Effect, Nanos};
use crate::tree::Linked;

/// Most pairs of proofs compared, and candidates examined.
const PAIRS_MAX: usize = 512;
const CANDIDATES_MAX: usize = 2048;

/// Two committed tips, the lower id first.
type Pair = (BlockId, BlockId);

/// Whatever makes a pair comparable adds to one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Comparable {
    reports: usize,
    conflict: bool,
    linked: usize,
}

/// What was compared, and what is being examined.
#[derive(Debug)]
pub(super) struct Attributing {
    done: BTreeSet<Pair>,
    /// Where each candidate came from: its branches offer another one if it does not verify.
    asked: BTreeMap<Digest, usize>,
    open: Vec<Attribution>,
    /// What there was to compare when it was looked at last.
    looked_at: Option<Comparable>,
    /// When everything was said again last.
    pub told_ns: Nanos,
}

impl Attributing {
    pub fn new(now: Nanos) -> Attributing {
        Attributing {
            done: BTreeSet::new(),
            asked: BTreeMap::new(),
            open: Vec::new(),
            looked_at: None,
            told_ns: now,
        }
    }
}

impl Recovery {
    /// A peer, or a client, shows a conflict of this epoch (checked): another pair to compare.
    pub fn handle_conflict(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        conflict: Verified<Conflict>,
        split: &mut Core,
        out: &mut Vec<Effect>,
    ) {
        let conflict = conflict.into_inner();
        if conflict.epoch != self.of.id || self.merged {
            return;
        }
        for proof in [&conflict.first, &conflict.second] {
            split.want_branch(now, proof, from, self.executed, out);
        }
        self.begin(now, conflict, out);
        self.advance(now, split, out);
    }

    /// Proofs of fraud whose signatures were checked.
    pub fn handle_frauds(
        &mut self,
        now: Nanos,
        frauds: Vec<Verified<Fraud>>,
        split: &mut Core,
        out: &mut Vec<Effect>,
    ) {
        for fraud in frauds {
            self.convict(now, fraud.into_inner(), out);
        }
        self.advance(now, split, out);
    }

    /// Whether a proof could convict anybody new: only then is it worth checking.
    pub fn wants_fraud(&self, fraud: &Fraud) -> bool {
        let of_us = fraud.epoch() == self.of.id || fraud.epoch() == self.epoch().id;
        of_us && !self.core.rules.convicts(fraud).is_subset(self.excluded)
    }

    /// Compares pairs of commit proofs whose chains are known by now: called after every event, so it looks
    /// only where something is new. A proof that says nothing which a longer chain does not say is left out
    /// ([`Recovery::attribute_all`]).
    pub(super) fn attribute(&mut self, split: &Core, out: &mut Vec<Effect>) {
        let comparable = Comparable {
            reports: self.reports.len(),
            conflict: self.conflict.is_some(),
            linked: split.linked_branches(),
        };
        if self.attribution.looked_at.replace(comparable) == Some(comparable) {
            return;
        }
        self.compare_pairs(split, false, out);
    }

    /// With time, while the gate is closed: compares the rest, too. Above `F` a longer chain may rest on so many
    /// forged certificates that it accuses nobody.
    pub(super) fn attribute_all(&mut self, split: &Core, out: &mut Vec<Effect>) {
        if self.gate.is_some() {
            self.compare_pairs(split, true, out);
        }
    }

    fn compare_pairs(&mut self, split: &Core, all: bool, out: &mut Vec<Effect>) {
        for (key, first, second) in self.fresh_pairs(split, all) {
            if let Some(mut found) = self.compare(split, key, &first, &second) {
                let candidates = found.candidates();
                self.attribution.open.push(found);
                self.examine(self.attribution.open.len() - 1, candidates, out);
            }
        }
    }

    /// Pairs of commit proofs that were not compared yet: all, or without those that add nothing.
    fn fresh_pairs(&self, split: &Core, all: bool) -> Vec<(Pair, CommitProof, CommitProof)> {
        let mut proofs = self.proofs();
        let height = |(tip, proof): &(BlockId, &CommitProof)| Some((*tip, proof.block()?.height));
        let tips: BTreeMap<BlockId, Height> = proofs.iter().filter_map(height).collect();
        proofs.retain(|(_, proof)| all || !split.adds_nothing(proof, &tips, self.executed));
        let mut out = Vec::new();
        for (at, (a, first)) in proofs.iter().enumerate() {
            for (b, second) in &proofs[at + 1..] {
                let key = (*a.min(b), *a.max(b));
                if !self.attribution.done.contains(&key) {
                    out.push((key, CommitProof::clone(first), CommitProof::clone(second)));
                }
            }
        }
        out
    }

    /// Candidates that did not verify: a certificate in them is forged, and whoever built on it is
    /// the next to be looked at.
    pub fn candidates_failed(&mut self, frauds: &[Fraud], out: &mut Vec<Effect>) {
        for fraud in frauds {
            let Some(at) = self.attribution.asked.get(&fraud.digest()).copied() else {
                continue;
            };
            let next = self.attribution.open[at].failed(fraud);
            self.examine(at, next, out);
        }
    }

    fn examine(&mut self, from: usize, mut candidates: Vec<Fraud>, out: &mut Vec<Effect>) {
        candidates.retain(|fraud| {
            let fresh = self.wants_fraud(fraud)
                && self.attribution.asked.len() < CANDIDATES_MAX
                && !self.attribution.asked.contains_key(&fraud.digest());
            if fresh {
                self.attribution.asked.insert(fraud.digest(), from);
            }
            fresh
        });
        if !candidates.is_empty() {
            out.push(Effect::Check(Check::Frauds {
                epoch: self.of,
                frauds: candidates,
            }));
        }
    }

    /// All checked commit proofs of the split epoch, one for each tip.
    fn proofs(&self) -> Vec<(BlockId, &CommitProof)> {
        let conflict = self.conflict.iter().flat_map(|c| [&c.first, &c.second]);
        let reports = self.reports.values().filter_map(|r| r.proof.as_ref());
        let mut seen = BTreeSet::new();
        let tips = conflict
            .chain(reports)
            .filter_map(|proof| Some((proof.chain.first()?.id(), proof)));
        tips.filter(|(tip, _)| seen.insert(*tip)).collect()
    }

    fn compare(
        &mut self,
        split: &Core,
        key: Pair,
        first: &CommitProof,
        second: &CommitProof,
    ) -> Option<Attribution> {
        let (Some(a), Some(b)) = (first.chain.first(), second.chain.first()) else {
            return None;
        };
        if self.attribution.done.len() >= PAIRS_MAX {
            return None;
        }
        let base =
            |core: &types::HeaderCore| split.branch_base(core.id(), core.height, self.executed);
        let (Some(base_a), Some(base_b)) = (base(a), base(b)) else {
            return None;
        };
        let floor = base_a.min(base_b);
        let (Some(mut one), Some(mut two)) = (
            self.headers(split, first, floor),
            self.headers(split, second, floor),
        ) else {
            return None;
        };
        self.attribution.done.insert(key);
        let shared = one.iter().zip(&two).take_while(|(x, y)| x.id == y.id);
        let shared = shared.count();
        one.drain(..shared);
        two.drain(..shared);
        if one.is_empty() || two.is_empty() {
            return None;
        }
        let segment = |headers: Vec<Linked>, proof: &CommitProof| Segment {
            tail: above(&headers, proof),
            headers: headers.into_iter().map(|h| h.header).collect(),
            certs: proof.certs.clone(),
        };
        let (a, b) = (segment(one, first), segment(two, second));
        Attribution::new(self.rule, &self.of, a, b).ok()
    }

    /// Headers of the chain behind a proof above `floor`, up to its last certified one.
    fn headers(
        &self,
        split: &Core,
        proof: &CommitProof,
        floor: types::Height,
    ) -> Option<Vec<Linked>> {
        let tip = proof.chain.first()?;
        let id = tip.id();
        if split.executed_block(tip.height, self.executed) == Some(id) {
            let mut headers = split.own_headers(top_of(proof)?, floor);
            if headers.is_empty() {
                headers = split.own_headers(id, floor);
            }
            return (!headers.is_empty()).then_some(headers);
        }
        let base = split.branch_base(id, tip.height, self.executed)?;
        let mut headers = match split.executed_block(base, self.executed) {
            Some(block) if base > floor => split.own_headers(block, floor),
            _ => Vec::new(),
        };
        headers.extend(split.branch_headers(id)?);
        Some(headers)
    }
}

/// Blocks of a proof whose headers are not among `headers`: nobody may have them any more.
fn above(headers: &[Linked], proof: &CommitProof) -> Vec<types::HeaderCore> {
    let top = headers.last().map(|header| header.header.height);
    let missing = proof.chain.iter().filter(|core| Some(core.height) > top);
    missing.cloned().collect()
}
