//! The driver: one replica's core, executor, store and gateway over any [`Platform`]. The node runs
//! it over sockets and disks, the simulator over a seeded world; it is the same code.
//!
//! Order of every step: decode → check signatures → core → append → sync → send → reply.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use consensus::{Config, Core, Effect, LanesConfig, MergePlan, Recovery, Rules, Timing};
use crypto::{Job, VoteScheme};
use execution::{AppKind, Executor};
use measure::LedgerRecord;
use storage::{Record, SyncToken};
use types::{
    Ack, BlockId, Car, CarId, CheckpointShare, CommitProof, Digest, Epoch, EpochId, ForkReport,
    Header, Height, Mode, Proposal, Qc, ReplicaId, Timeout, Vote,
};

use crate::NodeError;
use crate::incident::Incident;
use crate::platform::{NodeEvent, Platform};

mod archive;
mod crossing;
mod done;
mod effects;
mod epochs;
mod evictions;
mod evidence;
mod foreign;
mod gateway;
mod inbound;
mod outbox;
mod records;
mod rested;
mod snapshots;
mod store;
mod supersede;

use archive::Archive;
use crossing::Crossing;
use epochs::{Past, Step};
use evictions::Evictions;
use gateway::Gateway;
use inbound::{Budgets, Pending};
use outbox::Outbox;
use rested::Rested;
use snapshots::Snapshots;
use snapshots::due::{self, Due};
use store::BatchStore;

/// Heights whose commit proofs are kept for receipts.
const PROOFS_MAX: usize = 4096;

/// Signatures that are made on the loop's own thread: 20 us each, cheaper than a hand-off.
pub trait Signer: Send + Sync {
    fn proposal(&self, epoch: &Epoch, header: Header) -> Proposal;
    fn timeout(&self, epoch: &Epoch, view: types::View, qc: Qc, last: Option<Vote>) -> Timeout;
    fn car(&self, epoch: &Epoch, car: Car) -> Car;
    fn ack(&self, epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Ack;
    fn checkpoint(
        &self,
        epoch: &Epoch,
        height: Height,
        block: BlockId,
        state: Digest,
    ) -> CheckpointShare;
    /// `epoch` is the recovery epoch.
    fn report(
        &self,
        epoch: &Epoch,
        height: Height,
        tip: BlockId,
        proof: Option<CommitProof>,
    ) -> ForkReport;
}

impl<S: VoteScheme> Signer for crypto::Engine<S> {
    fn proposal(&self, epoch: &Epoch, header: Header) -> Proposal {
        self.sign_proposal(epoch, header)
    }
    fn timeout(&self, epoch: &Epoch, view: types::View, qc: Qc, last: Option<Vote>) -> Timeout {
        self.sign_timeout(epoch, view, qc, last)
    }
    fn car(&self, epoch: &Epoch, car: Car) -> Car {
        self.sign_car(epoch, car)
    }
    fn ack(&self, epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Ack {
        self.sign_ack(epoch, lane, index, car)
    }
    fn checkpoint(
        &self,
        epoch: &Epoch,
        height: Height,
        block: BlockId,
        state: Digest,
    ) -> CheckpointShare {
        self.sign_checkpoint(epoch, height, block, state)
    }
    fn report(
        &self,
        epoch: &Epoch,
        height: Height,
        tip: BlockId,
        proof: Option<CommitProof>,
    ) -> ForkReport {
        self.sign_report(epoch, height, tip, proof)
    }
}

/// Makes the rule set of a core: every epoch has a core of its own.
pub type RulesFactory = Arc<dyn Fn() -> Box<dyn Rules> + Send + Sync>;

/// How one replica is set up.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    pub me: ReplicaId,
    pub epoch: Epoch,
    pub app: AppKind,
    pub timing: Timing,
    pub lanes: LanesConfig,
    /// Most blocks between two checkpoints.
    pub checkpoint_interval: u64,
    /// After so many bytes of batches a checkpoint is due sooner.
    pub checkpoint_bytes: u64,
    /// False: `memory` durability, nothing is written and nothing waits for a disk.
    pub durable: bool,
    /// A batch is cut at this size at the latest, in bytes.
    pub batch_bytes: usize,
    /// Most own bytes that wait for their commit; beyond, submissions are refused.
    pub window_bytes: u64,
    /// Bytes of executed batches kept for replicas that lag.
    pub retention_bytes: u64,
    /// The journal is rewritten when it holds more than this.
    pub journal_bytes: u64,
    /// Groups of clients must be signed.
    pub signed_clients: bool,
    /// Most transactions admitted per second; none: no cap.
    pub admission_tx_per_s: Option<u64>,
    /// None: recovery is switched off, as in a `baseline`; a conflict halts the replica.
    pub recovery: Option<RecoveryConfig>,
}

/// The recovery-ready replica's own parameters (local policy; the envelope is the cluster's).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecoveryConfig {
    /// Shortest distance of commit notices, in nanoseconds.
    pub notice_ns: u64,
    /// Longest silence about an advanced commit, in nanoseconds.
    pub notice_max_ns: u64,
    /// Eq. 6: recover without an operator if detector confidence and precision reach these.
    pub theta_detect: f64,
    pub theta_precision: f64,
    /// Eq. 2: largest tolerated probability of misclassification.
    pub tau_ops: f64,
    /// Admission while degraded: least detector confidence, and most verifications waiting.
    pub admission_confidence: f64,
    pub admission_backlog: u64,
}

impl Default for RecoveryConfig {
    fn default() -> RecoveryConfig {
        RecoveryConfig {
            notice_ns: 4_000_000,
            notice_max_ns: 25_000_000,
            theta_detect: 0.92,
            theta_precision: 0.99,
            tau_ops: 0.05,
            admission_confidence: 0.92,
            admission_backlog: 10_000,
        }
    }
}

/// What a replica has done; monotonic but for the gauges at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub core: consensus::CoreStats,
    pub txs_executed: u64,
    pub txs_applied: u64,
    pub txs_rejected: u64,
    pub txs_duplicate: u64,
    pub txs_sequence_reused: u64,
    pub txs_below_window: u64,
    pub payload_bytes: u64,
    pub txs_admitted: u64,
    pub txs_refused: u64,
    pub own_batches: u64,
    pub own_batch_bytes: u64,
    pub receipts_sent: u64,
    /// Frames that could not be decoded or came from the wrong replica.
    pub frames_malformed: u64,
    /// Messages whose signatures were bad.
    pub messages_rejected: u64,
    /// Batches beyond their lane's quota or never asked for.
    pub batches_unwanted: u64,
    pub jobs_dropped: u64,
    /// Questions beyond a peer's budget.
    pub requests_dropped: u64,
    pub height_committed: u64,
    pub height_executed: u64,
    pub height_horizon: u64,
    pub view: u64,
    pub leader: u16,
    pub store_bytes: u64,
    pub own_backlog_bytes: u64,
    pub clients: u64,
    pub catching_up: bool,
}

/// See the module.
pub struct Replica<P: Platform> {
    config: ReplicaConfig,
    core: Core,
    signer: Arc<dyn Signer>,
    platform: P,
    exec: Executor,
    store: BatchStore,
    gateway: Gateway,
    outbox: Outbox,
    snapshots: Snapshots,
    checkpoint_due: Due,
    /// What the present journal began with; nothing for the one found at the start.
    journal_began_bytes: u64,
    rules: RulesFactory,
    effects: Vec<Effect>,
    /// While the working epoch is split: what comes after it.
    recovery: Option<Box<Recovery>>,
    recovery_effects: Vec<Effect>,
    /// Worked out, and executed at the end of the turn: others hear of the resumption first.
    merging: Option<Box<MergePlan>>,
    past: Option<Past>,
    /// As `past`, after a restart.
    archive: Option<Archive>,
    /// Epochs that ended, oldest first, with the proof of what followed.
    lineage: Vec<Step>,
    crossing: Crossing,
    evictions: Evictions,
    /// Messages of epochs that this replica has not reached.
    early: VecDeque<(ReplicaId, types::Message)>,
    /// The working epoch began with a recovery, and has no checkpoint yet.
    resumed: bool,
    first_block_due: bool,
    shown_mode: Mode,
    /// Digest of the state at the working epoch's root, unless that is the first one's.
    root_state: Digest,
    pending: HashMap<u64, (EpochId, Pending)>,
    pending_by_peer: Vec<u32>,
    next_tag: u64,
    proofs: BTreeMap<Height, Arc<CommitProof>>,
    ledger: Vec<LedgerRecord>,
    incidents: Vec<Incident>,
    loopback: VecDeque<types::Message>,
    /// Peers that say again and again that they are behind.
    behind: Rested,
    /// Peers of epochs that are not known here.
    strangers: Rested,
    /// Peers that show proofs which nobody asked for.
    shown: Rested,
    /// All of them together.
    all_shown: Rested,
    /// Peers that show conflicts.
    alarms: Rested,
    budgets: Budgets,
    /// To whom votes go that are being signed.
    vote_targets: BTreeMap<(EpochId, types::View), types::SignerSet>,
    counters: Counters,
    /// A quorum signed another state of this height; fatal once it is sure that the block is the same.
    diverged: Option<(Height, String)>,
    fatal: Option<String>,
}

impl<P: Platform> Replica<P> {
    /// A replica that goes on from `recovered`: the records of its journal, in order.
    ///
    /// # Errors
    /// [`NodeError::Recovery`] if the records do not make a replica.
    pub fn new(
        mut config: ReplicaConfig,
        rules: RulesFactory,
        signer: Arc<dyn Signer>,
        recovered: Vec<Record>,
        platform: P,
        now_ns: u64,
    ) -> Result<Self, NodeError> {
        let n = config.epoch.n;
        let found = records::read(recovered, config.app, &config.epoch)?;
        let mut lineage = Vec::new();
        let mut root_state = Digest::ZERO;
        if let Some(base) = found.base {
            let mut of = config.epoch;
            for resumption in base.lineage {
                let next = Recovery::working_epoch(&of, &resumption);
                lineage.push(Step { of, resumption });
                of = next;
            }
            config.epoch = base.epoch;
            root_state = base.state;
        }
        let mut store = BatchStore::new(n, config.retention_bytes, 2 * config.window_bytes);
        for (digest, bytes) in found.batches {
            store.recover(digest, bytes);
        }
        for car in records::unexecuted(&found.core) {
            car.batches
                .iter()
                .for_each(|batch| store.pin(&batch.digest, car.lane));
        }
        let core_is_fresh = found.checkpoint.is_none();
        let exec = found.executor.unwrap_or_else(|| Executor::new(config.app));
        let core_config = Config {
            me: config.me,
            epoch: config.epoch,
            timing: config.timing,
            lanes: config.lanes,
            checkpoint_step: due::step(config.checkpoint_interval),
            notices: config.recovery.map(|policy| consensus::Notices {
                interval_ns: policy.notice_ns,
                idle_ns: policy.notice_max_ns,
            }),
        };
        let (mut core, effects) = Core::new(core_config, rules(), found.core, now_ns);
        let mut snapshots = Snapshots::new(config.recovery.is_some());
        if let Some(cert) = found.checkpoint {
            core.restore_checkpoint(cert.clone());
            snapshots.restore(cert, &exec, found.order_bytes);
        } else {
            // The state at the epoch's root: what a split may have to go back to.
            snapshots.take(&exec, &[]);
        }
        let mut replica = Replica {
            gateway: Gateway::new(config.batch_bytes, config.admission_tx_per_s, now_ns),
            outbox: Outbox::new(config.durable),
            core,
            signer,
            platform,
            exec,
            store,
            snapshots,
            checkpoint_due: Due::new(config.checkpoint_interval, config.checkpoint_bytes),
            journal_began_bytes: 0,
            rules,
            effects,
            recovery: None,
            recovery_effects: Vec::new(),
            merging: None,
            past: None,
            archive: found.archive,
            resumed: !lineage.is_empty() && core_is_fresh,
            // Perhaps told of before the restart, perhaps not: once more does no harm.
            first_block_due: !lineage.is_empty() && core_is_fresh,
            lineage,
            crossing: Crossing::default(),
            evictions: Evictions::new(&config.epoch),
            early: VecDeque::new(),
            shown_mode: Mode::Nominal,
            root_state,
            pending: HashMap::new(),
            pending_by_peer: vec![0; n],
            next_tag: 0,
            proofs: BTreeMap::new(),
            ledger: Vec::new(),
            incidents: Vec::new(),
            loopback: VecDeque::new(),
            behind: Rested::new(n, inbound::BEHIND_NS),
            strangers: Rested::new(n, foreign::STRANGER_NS),
            shown: Rested::new(n, evidence::UNASKED_NS),
            all_shown: Rested::new(1, evidence::UNASKED_OF_ALL_NS),
            alarms: Rested::new(n, evidence::ALARM_NS),
            budgets: Budgets::new(n, now_ns),
            vote_targets: BTreeMap::new(),
            counters: Counters::default(),
            diverged: None,
            fatal: None,
            config,
        };
        replica.settle(now_ns);
        if !found.recovery.is_some() && replica.config.recovery.is_some() {
            replica.restore_evictions(now_ns, found.recovery);
            replica.settle(now_ns);
        } else if replica.config.recovery.is_some() {
            replica.open_recovery(now_ns, found.recovery);
            replica.settle(now_ns);
        }
        Ok(replica)
    }

    /// Takes one event. Cheap enough to be called for a whole burst before [`Replica::turn`].
    pub fn handle(&mut self, now_ns: u64, event: NodeEvent) {
        match event {
            NodeEvent::PeerUp(peer) => self.on_peer_up(peer),
            NodeEvent::PeerDown(_) => {}
            NodeEvent::Peer {
                from,
                frame,
                body_hash,
            } => self.on_frame(now_ns, from, frame, body_hash),
            NodeEvent::ClientUp(client) => self.greet(client),
            NodeEvent::ClientDown(client) => self.gateway.client_down(client),
            NodeEvent::Client { client, frame } => self.on_request(now_ns, client, frame),
            NodeEvent::Done { tag, done } => self.on_done(now_ns, tag, done),
            NodeEvent::Synced(token) => self.release(token),
        }
        self.settle(now_ns);
    }

    /// Ends a burst of events: cuts what waited for company, asks for one sync for all of it, and
    /// lets go what is durable.
    pub fn turn(&mut self, now_ns: u64) {
        if now_ns >= self.core.deadline_ns() {
            self.core.tick(now_ns, &mut self.effects);
            self.settle(now_ns);
        }
        self.gateway.measure(now_ns, self.counters.txs_executed);
        self.advance_recovery(now_ns);
        self.retry_ending(now_ns);
        self.advance_crossing(now_ns);
        self.watch_mode(now_ns);
        self.cut_batch(now_ns);
        self.hash_some();
        self.let_go();
        self.retry_snapshot(now_ns);
        self.settle(now_ns);
        self.send_receipts();
        self.flush_outbox(now_ns);
        // A proof that came meanwhile may have been one too many.
        let refuted = self.recovery.as_ref().is_some_and(|r| r.is_refuted());
        if let Some(plan) = self.merging.take().filter(|_| !refuted) {
            self.platform.flush();
            self.merge(now_ns, *plan);
            self.watch_mode(now_ns);
            self.settle(now_ns);
            self.flush_outbox(now_ns);
        }
        self.maybe_rotate();
    }

    /// When [`Replica::turn`] must be called at the latest, on the clock of `now_ns`.
    pub fn deadline_ns(&self) -> Option<u64> {
        let slot = match self.gateway.is_empty() {
            true => u64::MAX,
            false => self.core.car_slot_ns().unwrap_or(u64::MAX),
        };
        let recovery = self.recovery.as_ref().map_or(u64::MAX, |r| r.deadline_ns());
        Some(
            self.core
                .deadline_ns()
                .min(recovery)
                .min(self.evictions.retry_ns())
                .min(self.snapshots.deadline_ns())
                .min(self.crossing.deadline_ns())
                .min(slot),
        )
    }

    pub fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    pub fn executor(&self) -> &Executor {
        &self.exec
    }

    /// The working epoch.
    pub fn epoch(&self) -> &Epoch {
        &self.config.epoch
    }

    pub fn counters(&self) -> Counters {
        let view = self.core.view();
        Counters {
            core: self.core.stats,
            height_committed: self.core.committed_height().0,
            height_executed: self.exec.height().0,
            height_horizon: self.core.horizon().0,
            view: view.0,
            leader: self.core.leader(view).0,
            store_bytes: self.store.bytes(),
            own_backlog_bytes: self.store.backlog_bytes(self.config.me),
            clients: self.gateway.clients(),
            catching_up: self.core.is_catching_up() || self.core.undelivered() > 64,
            ..self.counters
        }
    }

    /// Blocks executed since the last call.
    pub fn take_ledger(&mut self) -> Vec<LedgerRecord> {
        std::mem::take(&mut self.ledger)
    }

    /// The incident timeline since the last call.
    pub fn take_incidents(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.incidents)
    }

    /// Graceful stop: new submissions are refused, what was admitted goes on.
    pub fn begin_stop(&mut self) {
        self.gateway.stopping = true;
    }

    /// Why this replica must not go on, if so.
    pub fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }

    /// A job of the working epoch.
    fn submit(&mut self, pending: Pending, job: Job) {
        let epoch = self.config.epoch;
        self.submit_of(&epoch, pending, job);
    }

    fn submit_of(&mut self, epoch: &Epoch, pending: Pending, job: Job) {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.pending.insert(tag, (epoch.id, pending));
        self.platform.submit(tag, epoch, job);
    }

    fn on_peer_up(&mut self, peer: ReplicaId) {
        self.core.handle_peer_up(peer, &mut self.effects);
        self.with_recovery(|recovery, _, out| recovery.handle_peer_up(peer, out));
    }

    /// Gives the recovery its time, and what arrived for the split epoch's core meanwhile.
    fn advance_recovery(&mut self, now_ns: u64) {
        if self.recovery.is_none() {
            return;
        }
        self.with_recovery(|recovery, core, out| {
            if now_ns < recovery.deadline_ns() {
                return recovery.advance(now_ns, core, out);
            }
            let given_up = recovery.core.safety().timeout_view;
            recovery.tick(now_ns, core, out);
            if recovery.core.safety().timeout_view > given_up {
                tracing::warn!(standing = ?recovery.standing(core), "gave up a view of the recovery");
            }
        });
        self.settle(now_ns);
    }

    fn release(&mut self, token: SyncToken) {
        self.outbox.synced(token);
    }
}

impl<P: Platform> std::fmt::Debug for Replica<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replica")
            .field("me", &self.config.me)
            .finish_non_exhaustive()
    }
}
