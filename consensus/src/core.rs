//! One replica's protocol state in one epoch, and the transitions which everything else hangs on:
//! a certificate, a proposal, a vote, a timeout.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::codec::{CodecError, Reader, Wire, put_list};
use types::{
    BlockId, Car, Header, Height, Message, NewView, Proposal, Qc, ReplicaId, SignerSet, Tc,
    Timeout, Verified, View, Vote,
};

use crate::chain_sync::ChainSync;
use crate::checkpoints::Checkpoints;
use crate::delivery::Delivery;
use crate::effect::{Check, Config, Durable, Effect, Nanos};
use crate::lanes::{CutEntry, Lanes};
use crate::leaders::Leaders;
use crate::pacemaker::Pacemaker;
use crate::propose::Proposer;
use crate::rules::Rules;
use crate::safety::Safety;
use crate::tree::{Misfit, Tip, Tree};
use crate::votes::Votes;

/// Most proposals kept whose parents are not known yet.
const ORPHANS_MAX: usize = 16;

/// Counters of the protocol; monotonic but for the gauges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreStats {
    pub views_entered: u64,
    pub timeouts_sent: u64,
    pub tcs_formed: u64,
    pub qcs_formed: u64,
    pub votes_sent: u64,
    pub proposals_sent: u64,
    pub blocks_committed: u64,
    pub bad_shares: u64,
    pub chain_requests: u64,
    pub car_requests: u64,
    pub batch_requests: u64,
    pub acks_sent: u64,
    pub cars_cut: u64,
    pub proposals_refused: u64,
    pub checkpoints: u64,
    pub snapshots_installed: u64,
}

/// The part of the ordering state which every replica has alike at a height; goes into snapshots.
#[derive(Debug, Clone, PartialEq)]
pub struct OrderState {
    pub header: Header,
    pub cut: Vec<CutEntry>,
    pub leaders: Leaders,
}

impl Wire for OrderState {
    fn put(&self, out: &mut Vec<u8>) {
        self.header.put(out);
        put_list(out, &self.cut);
        self.leaders.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(OrderState {
            header: Wire::take(reader)?,
            cut: reader.list("cut", types::limits::REPLICAS_MAX)?,
            leaders: Wire::take(reader)?,
        })
    }
}

/// What a restarted replica found on its disk.
#[derive(Debug, Default)]
pub struct Recovered {
    pub safety: Option<Safety>,
    /// In the order in which they were written.
    pub headers: Vec<Header>,
    pub cars: Vec<Car>,
    /// Batches whose bytes are there.
    pub batches: Vec<types::BatchDigest>,
    /// From the newest snapshot.
    pub order: Option<OrderState>,
}

/// See the module.
#[derive(Debug)]
pub struct Core {
    pub(crate) config: Config,
    pub(crate) rules: Box<dyn Rules>,
    pub(crate) safety: Safety,
    pub(crate) tree: Tree,
    pub(crate) lanes: Lanes,
    pub(crate) pacemaker: Pacemaker,
    pub(crate) votes: Votes,
    pub(crate) leaders: Leaders,
    /// Leaders as of each kept checkpoint height are needed for snapshots.
    pub(crate) order_states: BTreeMap<Height, OrderState>,
    pub(crate) delivery: Delivery,
    pub(crate) proposer: Proposer,
    pub(crate) sync: ChainSync,
    pub(crate) checkpoints: Checkpoints,
    orphans: Vec<Header>,
    /// A proposal of the current view that waits for certificates of its cut to be checked.
    waiting_cut: Option<Header>,
    last_vote: Option<Vote>,
    pub(crate) resend_ns: Nanos,
    pub(crate) halted: bool,
    pub stats: CoreStats,
}

impl Core {
    pub fn new(
        config: Config,
        rules: Box<dyn Rules>,
        found: Recovered,
        now: Nanos,
    ) -> (Core, Vec<Effect>) {
        let fresh = Safety::fresh(&config.epoch);
        let safety = found
            .safety
            .filter(|s| s.epoch == config.epoch.id)
            .unwrap_or(fresh);
        let mut tree = Tree::new(&config.epoch);
        let mut leaders = Leaders::new(&config.epoch);
        let mut lanes = Lanes::new(&config.epoch, config.me, config.lanes);
        let mut delivery = Delivery::new(config.epoch.n);
        if let Some(order) = &found.order {
            tree = Tree::at(tip_of(order));
            leaders = order.leaders.clone();
            lanes.jump(&order.cut);
            delivery.jump(&order.cut, order.header.height);
        }
        let view = safety.high_qc.view.max(safety.timeout_view).next();
        let mut core = Core {
            pacemaker: Pacemaker::new(&config.epoch, config.timing, view, now),
            votes: Votes::default(),
            order_states: BTreeMap::new(),
            proposer: Proposer::default(),
            sync: ChainSync::default(),
            checkpoints: Checkpoints::default(),
            orphans: Vec::new(),
            waiting_cut: None,
            last_vote: None,
            resend_ns: now + config.timing.fetch_ns,
            halted: false,
            stats: CoreStats::default(),
            safety,
            tree,
            lanes,
            leaders,
            delivery,
            rules,
            config,
        };
        let mut out = Vec::new();
        for digest in found.batches {
            core.lanes.batch_stored(digest);
        }
        core.replay(found.headers, found.cars, now, &mut out);
        (core, out)
    }

    /// Rebuilds the committed chain and the acknowledged lanes from what was durable. Signatures were
    /// checked before it was written.
    fn replay(&mut self, headers: Vec<Header>, cars: Vec<Car>, now: Nanos, out: &mut Vec<Effect>) {
        for car in cars {
            self.recover_car(Arc::new(car), now);
        }
        let mut headers: Vec<Arc<Header>> = headers.into_iter().map(Arc::new).collect();
        headers.sort_by_key(|h| (h.height, h.view));
        let mut effects = Vec::new();
        for header in headers {
            let justify = header.justify.clone();
            self.try_commit(&justify, &mut effects);
            if let Ok(id) = self.tree.insert(header) {
                self.tree.persist_once(id);
            }
        }
        let high_qc = self.safety.high_qc.clone();
        if !self.tree.knows(high_qc.block) {
            self.want_chain(now, high_qc.block, self.config.me, out);
        }
        self.tree.note_cert(&high_qc);
        self.try_commit(&high_qc, &mut effects);
        out.extend(
            effects
                .into_iter()
                .filter(|e| !matches!(e, Effect::Persist(_))),
        );
        self.deliver(out);
    }

    // ---- what others may ask ----------------------------------------------------------------

    pub fn view(&self) -> View {
        self.pacemaker.view()
    }

    pub fn committed_height(&self) -> Height {
        self.tree.tip().height
    }

    pub fn committed_block(&self) -> BlockId {
        self.tree.tip().id
    }

    pub fn horizon(&self) -> Height {
        self.tree.horizon()
    }

    pub fn leader(&self, view: View) -> ReplicaId {
        self.leaders.leader(view)
    }

    pub fn safety(&self) -> &Safety {
        &self.safety
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Replicas caught giving a bad or a second vote share.
    pub fn offenders(&self) -> SignerSet {
        self.votes.offenders
    }

    /// Whether a proposal is worth the price of checking its signatures.
    pub fn wants_proposal(&self, header: &Header) -> bool {
        !self.halted
            && header.epoch == self.config.epoch.id
            && header.view.0.saturating_add(2) >= self.view().0
            && header.height > self.tree.tip().height
            && self.leader(header.view) == header.proposer
    }

    pub fn wants_timeout(&self, timeout: &Timeout) -> bool {
        let known = self.pacemaker.timeout_of(timeout.replica);
        timeout.epoch == self.config.epoch.id && known.is_none_or(|t| t.view < timeout.view)
    }

    pub fn wants_new_view(&self, message: &NewView) -> bool {
        let tc_view = message.tc.as_ref().map_or(View(0), |tc| tc.view);
        message.high_qc.epoch == self.config.epoch.id
            && (message.high_qc.view > self.safety.high_qc.view || tc_view >= self.view())
    }

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
            self.want_chain(now, qc.block, from, out);
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
    fn try_commit(&mut self, qc: &Qc, out: &mut Vec<Effect>) {
        let len = self.rules.rule().chain_len();
        let chain = self.tree.ancestry(qc.block, len);
        let headers: Vec<&Header> = chain.iter().map(|b| b.header.as_ref()).collect();
        let Some(at) = self.rules.commits(qc, &headers) else {
            return;
        };
        let target = chain[at].id;
        let height = chain[at].header.height;
        if height <= self.tree.tip().height {
            return;
        }
        let proofs: Vec<_> = self
            .tree
            .ancestry(target, usize::MAX)
            .iter()
            .take_while(|b| b.header.height > self.tree.tip().height)
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
        out.push(Effect::Persist(Durable::Safety(Box::new(
            self.safety.clone(),
        ))));
        for (block, (_, proof)) in path.into_iter().zip(proofs.into_iter().rev()) {
            let (height, view) = (block.header.height, block.header.view);
            self.leaders.committed(&block.header);
            if height.0.is_multiple_of(self.config.checkpoint_interval) {
                self.keep_order_state(&block);
            }
            self.delivery
                .push(block.header.clone(), block.id, block.cut.clone());
            self.stats.blocks_committed += 1;
            out.push(Effect::Committed {
                height,
                block: block.id,
                view,
                proof,
            });
        }
        self.deliver(out);
    }

    fn handle_tc(&mut self, now: Nanos, tc: &Tc, out: &mut Vec<Effect>) {
        if tc.epoch == self.config.epoch.id && self.pacemaker.enter_timed_out(tc.clone(), now) {
            self.entered_view(now, out);
        }
    }

    pub(crate) fn entered_view(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.stats.views_entered += 1;
        self.waiting_cut = None;
        self.proposer = Proposer::default();
        self.votes.prune(View(self.view().0.saturating_sub(3)));
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
        let header = Arc::new(header);
        match self.tree.insert(header.clone()) {
            Ok(id) => self.header_known(now, id, out),
            Err(Misfit::Known) => self.try_vote(now, &header, out),
            Err(Misfit::Orphan) => {
                if self.orphans.len() >= ORPHANS_MAX {
                    self.orphans.remove(0);
                }
                self.want_chain(now, header.parent(), from, out);
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
        self.try_vote(now, &header, out);
        self.adopt_orphans(now, out);
        self.try_propose(now, out);
    }

    pub(crate) fn adopt_orphans(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let tip = self.tree.tip().height;
        self.orphans.retain(|h| h.height > tip);
        let ready = self
            .orphans
            .iter()
            .position(|h| self.tree.knows(h.parent()));
        if let Some(at) = ready {
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
        let inserted = self.tree.insert(Arc::new(header));
        if let Ok(id) = inserted {
            self.sync.arrived(id);
        }
        self.process_qc(now, &justify, from, out);
        matches!(inserted, Ok(_) | Err(Misfit::Known))
    }

    fn try_vote(&mut self, now: Nanos, header: &Arc<Header>, out: &mut Vec<Effect>) {
        let id = header.id();
        let in_turn = header.view == self.view() && self.leader(header.view) == header.proposer;
        if self.halted || !in_turn || self.tree.get(id).is_none() {
            return;
        }
        let parent = self.tree.get(header.parent()).map(|b| b.header.clone());
        let allowed = self.rules.is_fresh(&self.safety, header)
            && self.rules.lock_allows(&self.safety, header)
            && header.payload == types::Digest::ZERO
            && header.excluded.is_none();
        if !allowed {
            self.stats.proposals_refused += 1;
            return;
        }
        let doubtful: Vec<_> = header
            .cut
            .iter()
            .filter(|cert| !self.trusts(cert))
            .cloned()
            .collect();
        if !doubtful.is_empty() {
            if self
                .waiting_cut
                .as_ref()
                .is_none_or(|w| w.view < header.view)
            {
                self.waiting_cut = Some(header.as_ref().clone());
                out.push(Effect::Check(Check::CarCerts(doubtful)));
            }
            return;
        }
        self.vote(now, header, parent.as_deref(), id, out);
    }

    /// A voter that holds a car with its prefix needs no certificate for it; see docs/protocol.md.
    pub(crate) fn trusts(&self, cert: &types::CarCert) -> bool {
        let verified = |lane: &crate::lanes::Lane| {
            lane.cert
                .as_ref()
                .is_some_and(|(known, ok)| *ok && known == cert)
        };
        self.lanes.holds(cert) || self.lanes.lane(cert.lane).is_some_and(verified)
    }

    fn vote(
        &mut self,
        now: Nanos,
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
            to,
        });
        let _ = now;
    }

    /// The own vote, signed: it goes along with timeouts.
    pub fn own_vote(&mut self, vote: Vote) {
        self.last_vote = Some(vote);
    }

    /// Certificates of the cut that a vote or the own proposal waits for were checked.
    pub fn handle_car_certs(
        &mut self,
        now: Nanos,
        good: Vec<Verified<types::CarCert>>,
        bad: &[types::CarCert],
        out: &mut Vec<Effect>,
    ) {
        for cert in bad {
            self.lanes.drop_cert(cert);
            if self
                .waiting_cut
                .as_ref()
                .is_some_and(|h| h.cut.contains(cert))
            {
                self.waiting_cut = None;
                self.stats.proposals_refused += 1;
            }
        }
        let good: Vec<types::CarCert> = good.into_iter().map(Verified::into_inner).collect();
        if let Some(header) = self.waiting_cut.take() {
            let covered = header
                .cut
                .iter()
                .all(|cert| self.trusts(cert) || good.contains(cert));
            let header = Arc::new(header);
            let (id, view) = (header.id(), header.view);
            let fresh = self.rules.is_fresh(&self.safety, &header)
                && self.rules.lock_allows(&self.safety, &header);
            if covered && fresh && view == self.view() && self.tree.get(id).is_some() {
                let parent = self.tree.get(header.parent()).map(|b| b.header.clone());
                self.vote(now, &header, parent.as_deref(), id, out);
            } else if !covered {
                self.waiting_cut = Some(header.as_ref().clone());
            }
        }
        for cert in good {
            self.lanes.note_cert(cert, true);
        }
        self.proposer.checking = false;
        self.try_propose(now, out);
    }

    /// A vote share from its authenticated sender.
    pub fn handle_vote(&mut self, _now: Nanos, from: ReplicaId, vote: Vote, out: &mut Vec<Effect>) {
        if vote.voter == from && self.votes.add(&self.config.epoch, self.view(), vote) {
            self.collect_votes(out);
        }
    }

    /// Asks for the check of every quorum that this replica needs: the next leader at once, the one
    /// after it only when somebody gave up on the view between, or every certificate would be made twice.
    fn collect_votes(&mut self, out: &mut Vec<Effect>) {
        let from = self.view().0.saturating_sub(2);
        for view in (from..=self.view().0 + 64).map(View) {
            if view <= self.safety.high_qc.view {
                continue;
            }
            let me = self.config.me;
            let mine = self.leader(view.next()) == me
                || (self.leader(view.next().next()) == me
                    && (self.pacemaker.anybody_gave_up(view.next()) || self.view() > view.next()));
            if mine && let Some((block, shares)) = self.votes.take_quorum(&self.config.epoch, view)
            {
                out.push(Effect::Check(Check::Votes {
                    view,
                    block,
                    shares,
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

    // ---- timeouts ---------------------------------------------------------------------------

    pub fn handle_timeout(
        &mut self,
        now: Nanos,
        timeout: Verified<Timeout>,
        out: &mut Vec<Effect>,
    ) {
        let timeout = timeout.into_inner();
        let (from, view) = (timeout.replica, timeout.view);
        if self.halted {
            return;
        }
        self.process_qc(now, &timeout.high_qc, from, out);
        if let Some(vote) = timeout.last_vote.clone() {
            self.handle_vote(now, from, vote, out);
        }
        if view < self.view() && from != self.config.me {
            self.send_new_view(from, out);
        }
        if !self.pacemaker.add(timeout) {
            return;
        }
        self.collect_votes(out);
        if let Some(tc) = self.pacemaker.certificate(&self.config.epoch, view) {
            self.stats.tcs_formed += 1;
            self.handle_tc(now, &tc, out);
        } else if self.pacemaker.given_up_by_some_correct(&self.config.epoch) >= self.view()
            && self.safety.timeout_view
                < self.pacemaker.given_up_by_some_correct(&self.config.epoch)
        {
            let view = self.pacemaker.given_up_by_some_correct(&self.config.epoch);
            self.give_up(now, view, out);
        }
    }

    pub(crate) fn send_new_view(&mut self, to: ReplicaId, out: &mut Vec<Effect>) {
        let message = NewView {
            high_qc: self.safety.high_qc.clone(),
            tc: self.pacemaker.tc().cloned(),
        };
        let to = SignerSet::from_iter([to]);
        out.push(Effect::Send {
            to,
            message: Message::NewView(message),
            durable: false,
        });
    }

    pub fn handle_new_view(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        message: Verified<NewView>,
        out: &mut Vec<Effect>,
    ) {
        let message = message.into_inner();
        self.process_qc(now, &message.high_qc, from, out);
        if let Some(tc) = &message.tc {
            self.handle_tc(now, tc, out);
        }
    }

    /// States, durably first, that this replica votes in no view up to `view` any more.
    pub(crate) fn give_up(&mut self, now: Nanos, view: View, out: &mut Vec<Effect>) {
        self.safety.timeout_view = self.safety.timeout_view.max(view);
        self.stats.timeouts_sent += 1;
        self.pacemaker.rearm(now);
        out.push(Effect::Persist(Durable::Safety(Box::new(
            self.safety.clone(),
        ))));
        let last_vote = self.last_vote.clone().filter(|vote| vote.view <= view);
        let high_qc = Box::new(self.safety.high_qc.clone());
        out.push(Effect::SignTimeout {
            view,
            high_qc,
            last_vote,
        });
    }

    // ---- time -------------------------------------------------------------------------------

    /// When [`Core::tick`] must be called at the latest.
    pub fn deadline_ns(&self) -> Nanos {
        let propose = self.proposer.due_ns.unwrap_or(Nanos::MAX);
        let car = self.lanes.car_due_ns().unwrap_or(Nanos::MAX);
        self.pacemaker
            .deadline_ns()
            .min(propose)
            .min(car)
            .min(self.resend_ns)
    }

    pub fn tick(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.halted {
            return;
        }
        if now >= self.pacemaker.deadline_ns() {
            let view = self.view().max(self.safety.timeout_view);
            self.give_up(now, view, out);
        }
        self.try_propose(now, out);
        self.cut_car(now, out);
        if now >= self.resend_ns {
            self.resend_ns = now + self.config.timing.fetch_ns;
            self.fetch_again(now, out);
        }
    }

    /// A link to `peer` came up: tell it where we are.
    pub fn handle_peer_up(&mut self, peer: ReplicaId, out: &mut Vec<Effect>) {
        self.send_new_view(peer, out);
        if let Some((cert, true)) = self.lanes.lane(self.config.me).and_then(|l| l.cert.clone()) {
            let to = SignerSet::from_iter([peer]);
            out.push(Effect::Send {
                to,
                message: Message::CarCert(cert),
                durable: false,
            });
        }
    }
}

pub(crate) fn tip_of(order: &OrderState) -> Tip {
    Tip {
        height: order.header.height,
        id: order.header.id(),
        view: order.header.view,
        cut: Arc::new(order.cut.clone()),
    }
}
