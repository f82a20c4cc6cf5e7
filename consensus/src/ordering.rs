//! Certificates, proposals and votes: lines O1 to O4 of `docs/protocol.md`.

use std::sync::Arc;

use types::{
    BlockId, CarCert, Digest, Header, Proposal, Qc, ReplicaId, Resumption, SignerSet, Tc, Verified,
    View, Vote,
};

use crate::core::Core;
use crate::effect::{Check, Durable, Effect, Nanos};
use crate::propose::Proposer;
use crate::tree::Misfit;
use crate::values::Content;

/// Most proposals kept whose parents are not known yet.
const ORPHANS_MAX: usize = 16;

impl Core {
    // ---- certificates -----------------------------------------------------------------------

    /// A certificate whose signatures were checked, here or by the quorum of a descendant.
    pub fn handle_qc(
        &mut self,
        now: Nanos,
        qc: Verified<Qc>,
        from: ReplicaId,
        out: &mut Vec<Effect>,
    ) {
        self.process_qc(now, qc.get(), from, out);
    }

    /// The block that ended this epoch at others is final here, too, once its headers are known: the
    /// certificates that make it so come with it. Whoever restarted in the next epoch has no others.
    pub fn handle_end(
        &mut self,
        now: Nanos,
        end: &Verified<Resumption>,
        from: ReplicaId,
        out: &mut Vec<Effect>,
    ) {
        for qc in &end.get().proof.certs {
            self.process_qc(now, qc, from, out);
        }
    }

    pub(crate) fn process_qc(
        &mut self,
        now: Nanos,
        qc: &Qc,
        from: ReplicaId,
        out: &mut Vec<Effect>,
    ) {
        if qc.epoch != self.config.epoch.id || self.halted {
            return;
        }
        self.tree.note_cert(qc);
        if qc.view > self.safety.high_qc.view {
            self.safety.high_qc = qc.clone();
        }
        if self.tree.get(qc.block).is_some() {
            self.persist_header(qc.block, out);
            self.try_commit(qc, out);
        } else if qc.view > self.tree.tip().view {
            self.want_chain(now, (qc.block, qc.view), from, out);
        }
        if self.pacemaker.enter_certified(qc.view.next(), now) {
            self.entered_view(now, out);
        }
    }

    fn persist_header(&mut self, id: BlockId, out: &mut Vec<Effect>) {
        if let Some(header) = self.tree.persist_once(id) {
            out.push(Effect::Persist(Durable::Header(header)));
        }
    }

    /// C1 of the rules: what does this certificate commit?
    pub(crate) fn try_commit(&mut self, qc: &Qc, out: &mut Vec<Effect>) {
        let len = self.rules.rule().chain_len();
        let chain = self.tree.ancestry(qc.block, len);
        let headers: Vec<&Header> = chain.iter().map(|b| b.header.as_ref()).collect();
        let Some(at) = self.rules.commits(qc, &headers) else {
            return;
        };
        let target = chain[at].id;
        let height = chain[at].header.height;
        if height <= self.tree.tip().height || self.ended {
            return;
        }
        let proofs: Vec<_> = self
            .tree
            .uncommitted_ancestry(target)
            .iter()
            .map(|b| (b.id, self.tree.proof(b.id, qc, len).map(Arc::new)))
            .collect();
        let own = (self.tree.tip().height, self.tree.tip().id);
        let Some(path) = self.tree.commit(target) else {
            self.halted = true;
            if let Some((_, Some(proof))) = proofs.first() {
                out.push(Effect::Conflict {
                    own,
                    other: Box::new(proof.as_ref().clone()),
                });
            }
            return;
        };
        self.pacemaker.committed();
        self.safety.commit_qc = qc.clone();
        out.push(Effect::Persist(Durable::Safety(Box::new(
            self.safety.clone(),
        ))));
        for (block, (_, proof)) in path.into_iter().zip(proofs.into_iter().rev()) {
            let (height, view) = (block.header.height, block.header.view);
            self.leaders.committed(&block.header);
            if height.0.is_multiple_of(self.config.checkpoint_step) {
                self.keep_order_state(&block);
            }
            self.lanes.committed(&block.cut);
            self.tips.committed(&block.header);
            self.delivery
                .push(block.header.clone(), block.id, block.cut.clone());
            self.stats.blocks_committed += 1;
            out.push(Effect::Committed {
                height,
                block: block.id,
                view,
                proof,
            });
            if block.header.payload != Digest::ZERO && !self.config.epoch.is_recovery() {
                self.ended = true;
                break;
            }
        }
        self.deliver(out);
    }

    pub(crate) fn handle_tc(&mut self, now: Nanos, tc: &Tc, out: &mut Vec<Effect>) {
        if tc.epoch != self.config.epoch.id || tc.view < self.view() {
            return;
        }
        self.gave_up_over_tips(tc.view);
        let voted = |vote: &Vote| vote.view == tc.view;
        let silent = self.last_vote.as_ref().is_some_and(voted);
        if self.pacemaker.enter_timed_out(tc.clone(), silent, now) {
            self.safety.tc = Some(tc.clone());
            self.entered_view(now, out);
        }
    }

    pub(crate) fn entered_view(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.stats.views_entered += 1;
        self.lanes.view = self.view();
        self.lanes.usual_view_ns = self.pacemaker.usual_ns();
        self.waiting_cut = None;
        self.values.waiting = None;
        self.proposer = Proposer::default();
        self.votes.prune(View(self.view().0.saturating_sub(3)));
        self.acknowledge_late(out);
        self.collect_votes(out);
        self.try_propose(now, out);
    }

    // ---- proposals and votes ----------------------------------------------------------------

    pub fn handle_proposal(
        &mut self,
        now: Nanos,
        proposal: Verified<Proposal>,
        out: &mut Vec<Effect>,
    ) {
        let proposer = proposal.header.proposer;
        self.take_header(now, proposal.into_inner().header, proposer, out);
    }

    /// This replica's own proposal, signed: the driver gives it back.
    pub fn own_proposal(&mut self, now: Nanos, proposal: &Proposal, out: &mut Vec<Effect>) {
        self.take_header(now, proposal.header.clone(), self.config.me, out);
    }

    fn take_header(&mut self, now: Nanos, header: Header, from: ReplicaId, out: &mut Vec<Effect>) {
        if self.halted {
            return;
        }
        self.process_qc(now, &header.justify, from, out);
        if let Some(tc) = &header.tc {
            self.handle_tc(now, tc, out);
        }
        self.note_tips(&header);
        let header = Arc::new(header);
        let certified = self.safety.high_qc.view == header.view;
        match self.tree.insert(header.clone(), certified) {
            Ok(id) => self.header_known(now, id, out),
            Err(Misfit::Known) => self.try_vote(&header, out),
            Err(Misfit::Orphan) => {
                if self.orphans.len() >= ORPHANS_MAX {
                    self.orphans.remove(0);
                }
                let parent = (header.parent(), header.justify.view);
                self.want_chain(now, parent, from, out);
                self.orphans.push(header.as_ref().clone());
            }
            Err(Misfit::Invalid | Misfit::Full) => self.stats.proposals_refused += 1,
        }
    }

    /// A header found its place: certificates for it may have come before it did.
    fn header_known(&mut self, now: Nanos, id: BlockId, out: &mut Vec<Effect>) {
        let high_qc = self.safety.high_qc.clone();
        if high_qc.block == id {
            self.process_qc(now, &high_qc, self.config.me, out);
        }
        let Some(header) = self.tree.get(id).map(|b| b.header.clone()) else {
            return;
        };
        self.sync.arrived(id);
        self.try_vote(&header, out);
        self.adopt_orphans(now, out);
        self.try_propose(now, out);
    }

    pub(crate) fn adopt_orphans(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let tip = self.tree.tip().height;
        self.orphans.retain(|h| h.height > tip);
        while let Some(at) = self
            .orphans
            .iter()
            .position(|h| self.tree.knows(h.parent()))
        {
            let header = self.orphans.remove(at);
            let from = header.proposer;
            self.take_header(now, header, from, out);
        }
    }

    /// Inserts a header that a verified chain brought.
    pub(crate) fn take_chain_header(
        &mut self,
        now: Nanos,
        header: Header,
        from: ReplicaId,
        out: &mut Vec<Effect>,
    ) -> bool {
        let justify = header.justify.clone();
        let inserted = self.tree.insert(Arc::new(header), true);
        if let Ok(id) = inserted {
            self.sync.arrived(id);
        }
        self.process_qc(now, &justify, from, out);
        matches!(inserted, Ok(_) | Err(Misfit::Known))
    }

    pub(crate) fn try_vote(&mut self, header: &Arc<Header>, out: &mut Vec<Effect>) {
        let id = header.id();
        let in_turn = header.view == self.view()
            && self.leader(header.view) == header.proposer
            && self.config.is_member()
            && !self.ended;
        if self.halted || !in_turn || self.tree.get(id).is_none() {
            return;
        }
        let parent = self.tree.get(header.parent()).map(|b| b.header.clone());
        match self.allows_content(header) {
            Content::Fit => {}
            Content::Later => {
                self.values.waiting = Some(header.clone());
                return;
            }
            Content::Unfit => {
                self.stats.proposals_refused += 1;
                return;
            }
        }
        let allowed = self.rules.is_fresh(&self.safety, header)
            && self.rules.lock_allows(&self.safety, header);
        if !allowed {
            self.stats.proposals_refused += 1;
            return;
        }
        let lacking = header.cut.iter().filter(|cert| !self.trusts(cert));
        let (bare, doubtful): (Vec<_>, Vec<_>) = lacking.cloned().partition(CarCert::is_bare);
        if !(bare.is_empty() && doubtful.is_empty()) {
            if self
                .waiting_cut
                .as_ref()
                .is_none_or(|w| w.view < header.view)
            {
                self.waiting_cut = Some(header.as_ref().clone());
                if !bare.is_empty() {
                    self.await_tips();
                }
                if !doubtful.is_empty() {
                    out.push(Effect::Check(Check::CarCerts(doubtful)));
                }
            }
            return;
        }
        self.vote(header, parent.as_deref(), id, out);
    }

    /// A voter that holds a car with its prefix needs no certificate for it; see docs/protocol.md.
    pub(crate) fn trusts(&self, cert: &CarCert) -> bool {
        let held = self.lanes.holds(cert);
        if cert.is_bare() {
            return self.rules.accepts_bare(held);
        }
        let lane = self.lanes.lane(cert.lane);
        held || lane.is_some_and(|l| l.verified.as_ref() == Some(cert))
    }

    fn vote(
        &mut self,
        header: &Arc<Header>,
        parent: Option<&Header>,
        id: BlockId,
        out: &mut Vec<Effect>,
    ) {
        self.safety.lock = self.rules.lock_after(&self.safety, header, parent);
        self.safety.record_vote(header.view, id);
        self.stats.votes_sent += 1;
        let mut to = SignerSet::EMPTY;
        to.insert(self.leader(header.view.next()));
        to.insert(self.leader(header.view.next().next()));
        self.persist_header(id, out);
        out.push(Effect::Persist(Durable::Safety(Box::new(
            self.safety.clone(),
        ))));
        out.push(Effect::SignVote {
            view: header.view,
            block: id,
            excluded: header.excluded_set(),
            to,
        });
    }

    /// The own vote, signed: it goes along with timeouts.
    pub fn own_vote(&mut self, vote: Vote) {
        self.last_vote = Some(vote);
    }

    /// Certificates of the cut that a vote or the own proposal waits for were checked.
    pub fn handle_car_certs(
        &mut self,
        now: Nanos,
        good: Vec<Verified<CarCert>>,
        bad: &[CarCert],
        out: &mut Vec<Effect>,
    ) {
        if self.halted {
            return;
        }
        let good: Vec<CarCert> = good.into_iter().map(Verified::into_inner).collect();
        for cert in bad {
            self.lanes.bad_cert(cert);
        }
        if let Some(header) = self.waiting_cut.take() {
            let spoiled = header.cut.iter().any(|cert| bad.contains(cert));
            let covered = |cert: &CarCert| self.trusts(cert) || good.contains(cert);
            if spoiled {
                self.stats.proposals_refused += 1;
            } else if header.cut.iter().all(covered) {
                self.vote_after_check(header, out);
            } else {
                self.waiting_cut = Some(header);
            }
        }
        for cert in good {
            self.lanes.note_verified(cert);
        }
        self.proposer.checking = false;
        self.try_propose(now, out);
    }

    pub(crate) fn vote_after_check(&mut self, header: Header, out: &mut Vec<Effect>) {
        let header = Arc::new(header);
        let id = header.id();
        let allowed = header.view == self.view()
            && self.config.is_member()
            && self.rules.is_fresh(&self.safety, &header)
            && self.rules.lock_allows(&self.safety, &header);
        if allowed && self.tree.get(id).is_some() {
            let parent = self.tree.get(header.parent()).map(|b| b.header.clone());
            self.vote(&header, parent.as_deref(), id, out);
        }
    }

    /// A vote share from its authenticated sender.
    pub fn handle_vote(&mut self, _now: Nanos, from: ReplicaId, vote: Vote, out: &mut Vec<Effect>) {
        if vote.voter == from && self.votes.add(&self.config.epoch, self.view(), vote) {
            self.collect_votes(out);
        }
    }

    /// Asks for the check of every quorum that this replica needs: the next leader at once, the one
    /// after it only when some correct replica waited in vain for the next, or every certificate would be
    /// made twice.
    pub(crate) fn collect_votes(&mut self, out: &mut Vec<Effect>) {
        let newer = self.safety.high_qc.view;
        for view in self.votes.views_with_quorum(&self.config.epoch, newer) {
            let me = self.config.me;
            let mine = self.leader(view.next()) == me
                || (self.leader(view.next().next()) == me
                    && (self.view() > view.next() || self.given_up_by_some_correct() >= view));
            if mine && let Some(quorum) = self.votes.take_quorum(&self.config.epoch, view) {
                out.push(Effect::Check(Check::Votes {
                    view,
                    block: quorum.block,
                    excluded: quorum.excluded,
                    shares: quorum.shares,
                }));
            }
        }
    }

    /// The check of shares ended: a certificate, or the names of those whose shares were bad.
    pub fn handle_votes_checked(
        &mut self,
        now: Nanos,
        view: View,
        block: BlockId,
        qc: Option<Verified<Qc>>,
        bad: &[ReplicaId],
        out: &mut Vec<Effect>,
    ) {
        self.stats.bad_shares += bad.len() as u64;
        self.votes.failed(view, block, bad);
        if let Some(qc) = qc {
            self.stats.qcs_formed += 1;
            self.votes.prune(view);
            self.handle_qc(now, qc, self.config.me, out);
        }
        self.collect_votes(out);
        self.try_propose(now, out);
    }
}
