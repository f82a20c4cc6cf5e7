//! A world of votes and nothing else: correct replicas follow the rules, the others sign everything,
//! and a certificate is genuine if everybody named in it signed. Signatures are a set of records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use types::{
    BlockId, CommitRule, Digest, Epoch, Fraud, Header, Multisig, Qc, ReplicaId, SignerSet, Tc,
    TimeoutClaim, View,
};

use crate::accountability::Segment;
use crate::rules::{Rules, rules_for};
use crate::safety::Safety;
use crate::tests::fixture;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

pub struct Toy {
    pub rule: CommitRule,
    pub epoch: Epoch,
    pub culprits: SignerSet,
    rules: Box<dyn Rules>,
    rng: Rng,
    /// Of correct replicas: state, and on which side of the partition each is.
    correct: BTreeMap<ReplicaId, (Safety, usize)>,
    pub headers: BTreeMap<BlockId, Arc<Header>>,
    certs: BTreeMap<BlockId, Qc>,
    /// Certified blocks that each side knows, in the order in which it learnt of them.
    known: [Vec<BlockId>; 2],
    pub votes: BTreeSet<(ReplicaId, View, BlockId)>,
    /// View given up and claim.
    pub claims: BTreeMap<(ReplicaId, View), View>,
}

impl Toy {
    pub fn run(rule: CommitRule, n: usize, seed: u64) -> Toy {
        let mut rng = Rng(seed);
        let epoch = fixture::epoch(n);
        let least = epoch.split();
        let count = least + rng.below(n - 1 - least);
        let mut toy = Toy {
            rule,
            epoch,
            culprits: SignerSet::EMPTY,
            rules: rules_for(rule),
            rng,
            correct: BTreeMap::new(),
            headers: BTreeMap::new(),
            certs: BTreeMap::new(),
            known: Default::default(),
            votes: BTreeSet::new(),
            claims: BTreeMap::new(),
        };
        while toy.culprits.len() < count {
            let replica = ReplicaId(toy.rng.below(n) as u16);
            toy.culprits.insert(replica);
        }
        // As even as can be: this is how a coalition of the least size splits the rest.
        let correct = epoch.members.difference(toy.culprits).iter();
        toy.correct = correct
            .zip([0, 1].into_iter().cycle())
            .map(|(replica, side)| (replica, (Safety::fresh(&epoch), side)))
            .collect();
        let mut active = [true, false];
        for view in 1..40 {
            if toy.rng.chance(20) {
                active = [toy.rng.chance(60), toy.rng.chance(60)];
            }
            for side in (0..2).filter(|side| active[*side]) {
                toy.view(View(view), side);
            }
            toy.mix();
        }
        toy
    }

    /// Now and then somebody changes sides, or a certificate crosses over.
    fn mix(&mut self) {
        if self.rng.chance(5) {
            let at = self.rng.below(self.correct.len());
            let moved = self.correct.values_mut().nth(at).expect("one of them");
            moved.1 = 1 - moved.1;
        }
        if self.rng.chance(4) {
            let from = self.rng.below(2);
            if let Some(block) = self.known[from].last().copied() {
                self.known[1 - from].push(block);
            }
        }
    }

    fn view(&mut self, view: View, side: usize) {
        let Some(header) = self.propose(view, side) else {
            return;
        };
        let header = Arc::new(header);
        let id = header.id();
        self.headers.insert(id, header.clone());
        let mut signers = self.culprits;
        let voters: Vec<ReplicaId> = self.correct.keys().copied().collect();
        for replica in voters {
            let hears = self.correct[&replica].1 == side && self.rng.chance(90);
            if hears && self.votes_for(replica, &header, id) {
                signers.insert(replica);
            }
        }
        for replica in signers.iter() {
            self.votes.insert((replica, view, id));
        }
        if signers.len() >= self.epoch.quorum() {
            // Whoever adds up leaves out whom it likes.
            while signers.len() > self.epoch.quorum() && self.rng.chance(50) {
                let at = self.rng.below(signers.len());
                signers.remove(signers.iter().nth(at).expect("one of them"));
            }
            self.certs.insert(id, self.qc(view, id, signers));
            self.known[side].push(id);
        }
    }

    fn propose(&mut self, view: View, side: usize) -> Option<Header> {
        let known = &self.known[side];
        let newest = known.iter().max_by_key(|id| self.headers[id].view).copied();
        let back = 1 + self.rng.below(4);
        let parent = match self.rng.chance(12) {
            true => known.iter().rev().nth(back).copied(),
            false => newest,
        };
        let mut justify = match parent {
            Some(id) => self.certs[&id].clone(),
            None => Qc::root(&self.epoch),
        };
        let height = parent.map_or(0, |id| self.headers[&id].height.0) + 1;
        // What no correct replica votes for: with a quorum of culprits it is certified all the same.
        let lawless = self.culprits.len() >= self.epoch.quorum() && self.rng.chance(15);
        let kind = self.rng.below(3);
        if lawless && kind == 0 && parent.is_some() {
            justify.votes.signers = self.any_quorum();
        }
        if justify.view >= view {
            return None;
        }
        let mut header = fixture::header(&self.epoch, view.0, height, justify)
            .as_ref()
            .clone();
        header.payload = Digest([1 + side as u8; 32]);
        if header.justify.view.next() != view {
            header.tc = match lawless {
                true if kind == 1 => None,
                true if kind == 2 => Some(self.forged_tc(&header)),
                _ => Some(self.tc(&header, side)?),
            };
        }
        Some(header)
    }

    /// Timeouts of the view before from whoever claims nothing newer than the proposal's certificate.
    fn tc(&mut self, header: &Header, side: usize) -> Option<Tc> {
        let view = View(header.view.0 - 1);
        let most = header.justify.view;
        let mut claims: BTreeMap<ReplicaId, View> = BTreeMap::new();
        for (replica, (safety, of)) in &mut self.correct {
            let said = self.claims.get(&(*replica, view)).copied();
            let may = *of == side && safety.timeout_view < view && safety.last_voted_view() <= view;
            let claim = said.or_else(|| {
                may.then(|| {
                    safety.timeout_view = view;
                    safety.high_qc.view
                })
            });
            if let Some(claim) = claim {
                self.claims.insert((*replica, view), claim);
                if claim <= most {
                    claims.insert(*replica, claim);
                }
            }
        }
        for replica in self.culprits.iter() {
            let claim = View(self.rng.next() % (most.0 + 1));
            claims.insert(replica, claim);
        }
        let tc = self.of_claims(view, claims);
        (tc.claims.len() >= self.epoch.quorum()).then_some(tc)
    }

    fn forged_tc(&mut self, header: &Header) -> Tc {
        let claims = self.any_quorum().iter().map(|replica| (replica, View(0)));
        self.of_claims(View(header.view.0 - 1), claims.collect())
    }

    pub fn of_claims(&self, view: View, claims: BTreeMap<ReplicaId, View>) -> Tc {
        let claim = |(replica, high_qc_view)| TimeoutClaim {
            replica,
            high_qc_view,
            signature: [0; 64],
        };
        Tc {
            epoch: self.epoch.id,
            view,
            excluded: SignerSet::EMPTY,
            claims: claims.into_iter().map(claim).collect(),
        }
    }

    fn any_quorum(&mut self) -> SignerSet {
        let mut signers = self.epoch.members;
        while signers.len() > self.epoch.quorum() {
            let at = self.rng.below(signers.len());
            signers.remove(signers.iter().nth(at).expect("one of them"));
        }
        signers
    }

    /// A correct replica's decision: checks, certificates first, rules, record.
    fn votes_for(&mut self, replica: ReplicaId, header: &Header, id: BlockId) -> bool {
        if !self.is_justified(header) {
            return false;
        }
        let parent = self.headers.get(&header.parent()).cloned();
        let (safety, _) = self.correct.get_mut(&replica).expect("a correct one");
        if header.justify.view > safety.high_qc.view {
            safety.high_qc = header.justify.clone();
        }
        let votes = self.rules.is_fresh(safety, header) && self.rules.lock_allows(safety, header);
        if votes {
            safety.lock = self.rules.lock_after(safety, header, parent.as_deref());
            safety.record_vote(header.view, id);
        }
        votes
    }

    pub fn qc(&self, view: View, block: BlockId, signers: SignerSet) -> Qc {
        Qc {
            epoch: self.epoch.id,
            view,
            block,
            excluded: SignerSet::EMPTY,
            votes: Multisig {
                signers,
                bytes: Bytes::new(),
            },
        }
    }

    fn is_genuine(&self, qc: &Qc) -> bool {
        qc.votes.signers.iter().all(|replica| {
            self.culprits.contains(replica) || self.votes.contains(&(replica, qc.view, qc.block))
        })
    }

    fn is_genuine_tc(&self, tc: &Tc) -> bool {
        tc.claims.iter().all(|claim| {
            self.culprits.contains(claim.replica)
                || self.claims.get(&(claim.replica, tc.view)) == Some(&claim.high_qc_view)
        })
    }

    /// What every correct replica checks of a proposal.
    fn is_justified(&self, header: &Header) -> bool {
        let justify = &header.justify;
        let rests = *justify == Qc::root(&self.epoch)
            || justify.votes.signers.len() >= self.epoch.quorum() && self.is_genuine(justify);
        let skips = match &header.tc {
            None => justify.view.next() == header.view,
            Some(tc) => {
                tc.claims.len() >= self.epoch.quorum()
                    && self.is_genuine_tc(tc)
                    && tc.view.next() == header.view
                    && justify.view >= tc.high_qc_view()
            }
        };
        header.view > justify.view && rests && skips
    }

    /// What the crypto room decides about a proof.
    pub fn verifies(&self, fraud: &Fraud) -> bool {
        match fraud {
            Fraud::DoubleVote { first, second } => {
                self.is_genuine(first) && self.is_genuine(second)
            }
            Fraud::LockBreak {
                locking, breaking, ..
            } => self.is_genuine(locking) && self.is_genuine(breaking),
            Fraud::StaleTimeout {
                votes, timeouts, ..
            } => self.is_genuine(votes) && self.is_genuine_tc(timeouts),
            Fraud::UnjustifiedVote { votes, header } => {
                self.is_genuine(votes) && !self.is_justified(header)
            }
            other => panic!("not from branches: {other:?}"),
        }
    }

    /// `block` and its ancestors, newest first.
    fn ancestry(&self, block: BlockId) -> Vec<BlockId> {
        let up = |id: &BlockId| self.headers.get(id).map(|header| header.parent());
        let all = std::iter::successors(Some(block), up);
        all.filter(|id| self.headers.contains_key(id)).collect()
    }

    /// Ends of commit proofs: blocks with which `chain_len` consecutive ones are genuinely certified.
    fn commits(&self) -> Vec<BlockId> {
        let len = self.rule.chain_len();
        let ends = self.certs.keys().copied();
        ends.filter(|end| {
            let chain = self.ancestry(*end);
            chain.len() >= len
                && chain[..len].windows(2).all(|pair| {
                    let (child, parent) = (&self.headers[&pair[0]], &self.headers[&pair[1]]);
                    child.view == parent.view.next() && self.is_genuine(&child.justify)
                })
        })
        .collect()
    }

    /// Pairs of branches, each with a commit proof at its end, that commit conflicting blocks.
    pub fn conflicts(&self) -> Vec<[Segment; 2]> {
        let ends = self.commits();
        let paths: Vec<Vec<BlockId>> = ends.iter().map(|end| self.ancestry(*end)).collect();
        let committed = self.rule.chain_len() - 1;
        let mut out = Vec::new();
        for (i, a) in paths.iter().enumerate() {
            for b in &paths[..i] {
                if !a.contains(&b[committed]) && !b.contains(&a[committed]) {
                    out.push([self.segment(a, b), self.segment(b, a)]);
                }
            }
        }
        out
    }

    fn segment(&self, ours: &[BlockId], theirs: &[BlockId]) -> Segment {
        let mut own: Vec<BlockId> = ours.to_vec();
        own.retain(|id| !theirs.contains(id));
        own.reverse();
        let headers: Vec<Arc<Header>> = own.iter().map(|id| self.headers[id].clone()).collect();
        let last = &headers[headers.len() + 1 - self.rule.chain_len()..];
        let mut certs: Vec<Qc> = last.iter().map(|header| header.justify.clone()).collect();
        certs.push(self.certs[&own[own.len() - 1]].clone());
        Segment {
            headers,
            tail: Vec::new(),
            certs,
        }
    }
}
