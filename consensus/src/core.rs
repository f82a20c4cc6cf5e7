//! One replica's protocol state in one epoch, and the transitions which everything else hangs on:
//! a certificate, a proposal, a vote, a timeout.

use std::collections::BTreeMap;
use std::sync::Arc;

use types::codec::{CodecError, Reader, Wire, put_list};
use types::{
    BlockId, Car, Header, Height, Message, NewView, ReplicaId, SignerSet, Timeout, View, Vote,
};

use crate::branches::{Arrived, Branches};
use crate::chain_sync::ChainSync;
use crate::checkpoints::Checkpoints;
use crate::delivery::Delivery;
use crate::detector::Detector;
use crate::effect::{Config, Effect, Nanos};
use crate::lanes::{CutEntry, Lanes};
use crate::leaders::Leaders;
use crate::pacemaker::Pacemaker;
use crate::propose::Proposer;
use crate::rules::Rules;
use crate::safety::Safety;
use crate::tips::Tips;
use crate::tree::{Tip, Tree};
use crate::values::Values;
use crate::votes::Votes;

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
    pub(crate) orphans: Vec<Header>,
    /// A proposal of the current view that waits for certificates of its cut to be checked, or for
    /// cars that it names without.
    pub(crate) waiting_cut: Option<Header>,
    pub(crate) tips: Tips,
    pub(crate) last_vote: Option<Vote>,
    pub(crate) resend_ns: Nanos,
    pub(crate) halted: bool,
    /// A block that ends the epoch is final: nothing after it counts.
    pub(crate) ended: bool,
    /// `B` of a recovery epoch; nobody in an ordinary one.
    pub(crate) excluded: SignerSet,
    pub(crate) values: Values,
    pub(crate) branches: Branches,
    /// Bytes of some branch arrived, and nobody looked yet.
    pub(crate) branches_due: Arrived,
    pub(crate) detector: Detector,
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
        let mut delivery = Delivery::new(config.epoch.n, config.epoch.root_height);
        if let Some(order) = &found.order {
            tree = Tree::at(tip_of(order));
            leaders = order.leaders.clone();
            lanes.jump(&order.cut);
            delivery.jump(&order.cut, order.header.height);
        }
        let mut core = Core {
            pacemaker: Pacemaker::new(&config.epoch, config.timing, &safety, now),
            votes: Votes::default(),
            order_states: BTreeMap::new(),
            proposer: Proposer::default(),
            sync: ChainSync::default(),
            checkpoints: Checkpoints::default(),
            orphans: Vec::new(),
            waiting_cut: None,
            tips: Tips::new(config.epoch.n),
            last_vote: None,
            resend_ns: now + config.timing.fetch_ns,
            halted: false,
            ended: false,
            excluded: SignerSet::EMPTY,
            values: Values::default(),
            branches: Branches::new(),
            branches_due: Arrived::default(),
            detector: Detector::new(config.epoch.n),
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
        core.lanes.view = core.view();
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
        let commit_qc = self.safety.commit_qc.clone();
        let (own, others) = parted(headers, commit_qc.block);
        let mut effects = Vec::new();
        // What was final here comes first: a certificate of another branch only contradicts it.
        self.replay_headers(own, &mut effects);
        self.try_commit(&commit_qc, &mut effects);
        self.replay_headers(others, &mut effects);
        let high_qc = self.safety.high_qc.clone();
        if !self.tree.knows(high_qc.block) {
            self.want_chain(now, (high_qc.block, high_qc.view), self.config.me, out);
        }
        self.tree.note_cert(&high_qc);
        self.try_commit(&high_qc, &mut effects);
        out.extend(
            effects
                .into_iter()
                .filter(|e| !matches!(e, Effect::Persist(_))),
        );
        let cut = self.tree.tip().cut.clone();
        self.lanes.committed(&cut);
        self.deliver(out);
    }

    fn replay_headers(&mut self, mut headers: Vec<Header>, out: &mut Vec<Effect>) {
        headers.sort_by_key(|h| (h.height, h.view));
        for header in headers {
            self.try_commit(&header.justify, out);
            if let Ok(id) = self.tree.insert(Arc::new(header), true) {
                self.tree.persist_once(id);
            }
        }
    }

    // ---- what others may ask ----------------------------------------------------------------

    pub fn view(&self) -> View {
        self.pacemaker.view()
    }

    pub fn committed_height(&self) -> Height {
        self.tree.tip().height
    }

    pub fn horizon(&self) -> Height {
        self.tree.horizon()
    }

    pub fn leader(&self, view: View) -> ReplicaId {
        self.leader_without(view, self.excluded)
    }

    /// In a recovery epoch: round robin over everybody but `excluded`, without reputation.
    fn leader_without(&self, view: View, excluded: SignerSet) -> ReplicaId {
        if !self.config.epoch.is_recovery() {
            return self.leaders.leader(view);
        }
        let seats = self.config.epoch.members.difference(excluded);
        let turn = (view.0 % seats.len().max(1) as u64) as usize;
        seats.iter().nth(turn).unwrap_or_default()
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
            && self.leader_without(header.view, header.excluded_set()) == header.proposer
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

    // ---- time -------------------------------------------------------------------------------

    /// When [`Core::tick`] must be called at the latest.
    pub fn deadline_ns(&self) -> Nanos {
        if self.halted {
            return Nanos::MAX;
        }
        if self.delivery.eager {
            return 0;
        }
        let propose = self.proposer.due_ns.unwrap_or(Nanos::MAX);
        let car = self.lanes.car_due_ns().filter(|_| self.config.is_member());
        let car = car.unwrap_or(Nanos::MAX);
        self.pacemaker
            .deadline_ns()
            .min(propose)
            .min(car)
            .min(self.resend_ns)
            .min(self.notice_due_ns())
            .min(self.tips.deadline_ns())
    }

    pub fn tick(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.halted {
            return;
        }
        if now >= self.pacemaker.deadline_ns() {
            let view = self.view().max(self.safety.timeout_view);
            self.give_up(now, view, out);
        }
        self.tell_commits(now, out);
        self.try_propose(now, out);
        self.cut_car(now, out);
        self.ask_for_tips(now, out);
        if self.delivery.eager {
            self.delivery.eager = false;
            self.ask_for_committed_now(now, out);
        }
        if now >= self.resend_ns {
            self.resend_ns = now + self.config.timing.fetch_ns;
            self.fetch_again(now, out);
        }
    }

    /// A link to `peer` came up: tell it where we are.
    pub fn handle_peer_up(&mut self, peer: ReplicaId, out: &mut Vec<Effect>) {
        self.tell_commit(SignerSet::from_iter([peer]), out);
        self.send_new_view(peer, out);
        let own = self.lanes.lane(self.config.me);
        if let Some(cert) = own.and_then(|lane| lane.verified.clone()) {
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

/// The headers from block `tip` down, and all others.
fn parted(headers: Vec<Header>, tip: BlockId) -> (Vec<Header>, Vec<Header>) {
    let mut others: BTreeMap<BlockId, Header> = headers.into_iter().map(|h| (h.id(), h)).collect();
    let (mut own, mut next) = (Vec::new(), tip);
    while let Some(header) = others.remove(&next) {
        next = header.parent();
        own.push(header);
    }
    (own, others.into_values().collect())
}
