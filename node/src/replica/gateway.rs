//! The clients' door: submissions become batches of the own lane, executed blocks become receipts.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use consensus::DeliveredBlock;
use consensus::accountability::gate;
use types::batch::{self, Group, SessionId};
use types::client::{Receipts, Refusal, Request, Response, SessionEntries};
use types::limits::BATCH_LEN_MAX;
use types::{BatchRef, Message, Wire};

use super::outbox::Out;
use super::{Pending, Replica, records};
use crate::platform::{ClientId, Platform};

/// Most sessions whose connections are remembered.
const SESSIONS_MAX: usize = 1 << 18;
const RETRY_HINT_MS: u32 = 50;
const STOPPING_HINT_MS: u32 = 1000;
/// `epsilon` of Eq. 4 as a share of `mu_verify`.
const INTAKE_MARGIN: f64 = 0.05;
const METER_NS: u64 = 500_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Gateway {
    /// The next own batch.
    buffer: Vec<u8>,
    buffer_txs: u32,
    batch_bytes: usize,
    /// Length of the last batch: what the next one is given room for. A full batch's room for a few
    /// transactions would be mapped and unmapped again for every one of them.
    last_len: usize,
    sessions: HashMap<SessionId, ClientId>,
    clients: HashMap<ClientId, HashSet<SessionId>>,
    /// Receipts of the blocks executed in this turn.
    receipts: Vec<(ClientId, Response)>,
    tokens: Option<Tokens>,
    /// Intake while the order is at rest (Eq. 4).
    rest: Option<Tokens>,
    meter: Meter,
    pub stopping: bool,
}

/// A token bucket of transactions: at most a tenth of a second's worth at once.
#[derive(Debug)]
struct Tokens {
    per_s: u64,
    /// In billionths of a transaction, so that no fraction is lost.
    level: u128,
    filled_ns: u64,
}

impl Tokens {
    fn take(&mut self, txs: u64, now_ns: u64) -> bool {
        let passed = u128::from(now_ns.saturating_sub(self.filled_ns));
        self.filled_ns = now_ns;
        let most = u128::from(self.per_s) * 100_000_000;
        self.level = (self.level + passed * u128::from(self.per_s)).min(most);
        let price = u128::from(txs) * 1_000_000_000;
        // A group larger than the bucket passes when the bucket is full, and empties it.
        let enough = self.level >= price.min(most);
        if enough {
            self.level = self.level.saturating_sub(price);
        }
        enough
    }
}

/// `mu_verify`, measured online: the best rate of verified and executed transactions of any half
/// second so far. What a replica has done it can do.
#[derive(Debug, Default)]
struct Meter {
    since_ns: u64,
    executed: u64,
    best_per_s: u64,
}

impl Meter {
    fn look(&mut self, now_ns: u64, executed: u64) {
        let passed_ns = now_ns.saturating_sub(self.since_ns);
        if passed_ns < METER_NS {
            return;
        }
        let done = executed.saturating_sub(self.executed);
        // A pause between two looks says nothing about what is possible.
        if passed_ns < 2 * METER_NS {
            let per_s = done.saturating_mul(1_000_000_000) / passed_ns;
            self.best_per_s = self.best_per_s.max(per_s);
        }
        (self.since_ns, self.executed) = (now_ns, executed);
    }
}

impl Gateway {
    pub fn new(batch_bytes: usize, tx_per_s: Option<u64>, now_ns: u64) -> Gateway {
        Gateway {
            buffer: Vec::new(),
            buffer_txs: 0,
            last_len: 0,
            batch_bytes: batch_bytes.min(BATCH_LEN_MAX),
            sessions: HashMap::new(),
            clients: HashMap::new(),
            receipts: Vec::new(),
            tokens: tx_per_s.map(|per_s| Tokens {
                per_s,
                level: 0,
                filled_ns: now_ns,
            }),
            rest: None,
            meter: Meter::default(),
            stopping: false,
        }
    }

    /// The order is at rest from now on: Eq. 4, with a twentieth of what was verified at best as
    /// the safety margin.
    pub fn rest(&mut self, now_ns: u64) {
        let mu = self.meter.best_per_s as f64;
        self.rest = Some(Tokens {
            per_s: gate::intake_cap(mu, mu * INTAKE_MARGIN) as u64,
            level: 0,
            filled_ns: now_ns,
        });
    }

    pub fn resume(&mut self) {
        self.rest = None;
    }

    /// Looks how many transactions were verified and executed by now.
    pub fn measure(&mut self, now_ns: u64, executed: u64) {
        self.meter.look(now_ns, executed);
    }

    /// True if no transaction waits for a batch.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Every connection, in no order that means anything but the same at every run.
    pub fn all(&self) -> Vec<ClientId> {
        let mut all: Vec<ClientId> = self.clients.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Entries by the connection that each session came from.
    pub fn by_client(&self, sessions: Vec<SessionEntries>) -> Vec<(ClientId, Vec<SessionEntries>)> {
        let mut out: Vec<(ClientId, Vec<SessionEntries>)> = Vec::new();
        for entries in sessions {
            let Some(client) = self.sessions.get(&entries.session).copied() else {
                continue;
            };
            match out.iter_mut().find(|(id, _)| *id == client) {
                Some((_, list)) => list.push(entries),
                None => out.push((client, vec![entries])),
            }
        }
        out
    }

    pub fn clients(&self) -> u64 {
        self.clients.len() as u64
    }

    pub fn client_down(&mut self, client: ClientId) {
        for session in self.clients.remove(&client).unwrap_or_default() {
            if self.sessions.get(&session) == Some(&client) {
                self.sessions.remove(&session);
            }
        }
    }

    fn route(&mut self, session: SessionId, client: ClientId) {
        if self.sessions.get(&session) == Some(&client) || self.sessions.len() >= SESSIONS_MAX {
            return;
        }
        if let Some(before) = self.sessions.insert(session, client)
            && let Some(sessions) = self.clients.get_mut(&before)
        {
            sessions.remove(&session);
        }
        self.clients.entry(client).or_default().insert(session);
    }
}

impl<P: Platform> Replica<P> {
    pub(super) fn greet(&mut self, client: ClientId) {
        self.gateway.clients.entry(client).or_default();
        let (cluster, epoch) = (self.config.epoch.cluster, self.config.epoch.id);
        let hello = Response::Hello {
            cluster,
            epoch,
            replica: self.config.me,
            mode: self.mode(),
        };
        self.outbox.push(Out::Client(client, hello));
    }

    pub(super) fn on_request(&mut self, now: u64, client: ClientId, frame: Bytes) {
        match Request::decode(frame) {
            Ok(Request::Submit(groups)) => self.on_submit(now, client, groups),
            Ok(Request::Query { id, query }) => {
                let answer = self.exec.query(&query);
                let height = self.exec.height();
                self.outbox
                    .push(Out::Client(client, Response::Answer { id, height, answer }));
            }
            Ok(Request::Status) => {
                let status = Response::Status {
                    mode: self.mode(),
                    height: self.core.committed_height(),
                    executed: self.exec.height(),
                    epoch: self.config.epoch.id,
                };
                self.outbox.push(Out::Client(client, status));
            }
            Ok(Request::Conflict { id, conflict }) => {
                self.on_client_conflict(client, id, *conflict);
            }
            Err(_) => self.counters.frames_malformed += 1,
        }
    }

    /// The admission gate (article, section 5): while the order is at rest, only once Eq. 1 holds,
    /// and while the verifiers keep up. What is admitted then waits for the working epoch.
    fn admits(&mut self, txs: u64, now: u64) -> bool {
        let (Some(recovery), Some(policy)) = (&self.recovery, &self.config.recovery) else {
            return true;
        };
        // Verified proofs have no false positives: the detector's confidence is 1.
        let open = gate::admits(
            recovery.mode(),
            recovery.closed().is_none(),
            1.0,
            self.pending.len() as u64,
            policy.admission_confidence,
            policy.admission_backlog,
        );
        let rest = self.gateway.rest.as_mut();
        open && rest.is_none_or(|rest| rest.take(txs, now))
    }

    /// Own bytes that are not executed yet.
    fn backlog_bytes(&self) -> u64 {
        self.store.backlog_bytes(self.config.me) + self.gateway.buffer.len() as u64
    }

    fn on_submit(&mut self, now: u64, client: ClientId, groups: Bytes) {
        let Ok(txs) = batch::validate(&groups) else {
            self.counters.frames_malformed += 1;
            return self.refuse(client, &groups, Refusal::Malformed);
        };
        let overloaded = self.backlog_bytes() + groups.len() as u64 > self.config.window_bytes
            || self
                .gateway
                .tokens
                .as_mut()
                .is_some_and(|t| !t.take(u64::from(txs), now));
        if self.gateway.stopping || !self.core.config().is_member() {
            return self.refuse(client, &groups, Refusal::Unavailable);
        }
        if !self.admits(u64::from(txs), now) {
            return self.refuse(client, &groups, Refusal::Mode);
        }
        if overloaded {
            return self.refuse(client, &groups, Refusal::Overloaded);
        }
        match self.config.signed_clients {
            true => {
                let digest = types::BatchDigest::ZERO;
                let pending = Pending::Submission {
                    client,
                    groups: groups.clone(),
                };
                self.submit(
                    pending,
                    crypto::Job::Groups {
                        digest,
                        batch: groups,
                    },
                );
            }
            false => self.admit(now, client, &groups, txs),
        }
    }

    /// Copies admitted groups into the next batch: the one copy between socket and store.
    pub(super) fn admit(&mut self, now: u64, client: ClientId, groups: &[u8], txs: u32) {
        if self.backlog_bytes() + groups.len() as u64 > self.config.window_bytes {
            return self.refuse(client, groups, Refusal::Overloaded);
        }
        if self.gateway.buffer.len() + groups.len() > self.gateway.batch_bytes {
            self.cut_batch_now(now);
        }
        for group in batch::groups(groups) {
            self.gateway.route(group.session, client);
        }
        if self.gateway.buffer.capacity() == 0 {
            self.gateway
                .buffer
                .reserve(self.gateway.last_len.max(groups.len()));
        }
        self.gateway.buffer.extend_from_slice(groups);
        self.gateway.buffer_txs += txs;
        self.counters.txs_admitted += u64::from(txs);
        if self.gateway.buffer.len() >= self.gateway.batch_bytes {
            self.cut_batch_now(now);
        }
    }

    pub(super) fn refuse(&mut self, client: ClientId, groups: &[u8], reason: Refusal) {
        let retry_after_ms = match reason {
            Refusal::Unavailable => STOPPING_HINT_MS,
            _ => RETRY_HINT_MS,
        };
        let mut rest = groups;
        while let Ok(group) = Group::take(&mut rest) {
            let seqs: Vec<u64> = group.txs().map(|tx| tx.seq).collect();
            self.counters.txs_refused += seqs.len() as u64;
            let (mode, session) = (self.mode(), group.session);
            let refused = Response::Refused {
                reason,
                mode,
                retry_after_ms,
                session,
                seqs,
            };
            self.outbox.push(Out::Client(client, refused));
            if rest.is_empty() {
                break;
            }
        }
    }

    /// Cuts what has gathered if a car could take it at once: no fixed delay at low load, full
    /// batches at high load.
    pub(super) fn cut_batch(&mut self, now: u64) {
        let free = self.core.could_cut_car(now);
        if !self.gateway.buffer.is_empty() && free {
            self.cut_batch_now(now);
        }
    }

    pub(super) fn cut_batch_now(&mut self, now: u64) {
        if self.gateway.buffer.is_empty() {
            return;
        }
        let txs = std::mem::take(&mut self.gateway.buffer_txs);
        let mut full = std::mem::take(&mut self.gateway.buffer);
        self.gateway.last_len = full.len();
        if full.len() < full.capacity() / 2 {
            full.shrink_to_fit();
        }
        let bytes = Bytes::from(full);
        let digest = batch::digest(&bytes);
        // A client that sends again what another connection of its sent makes the same bytes: they
        // are ordered again, or it would wait for its receipts for ever.
        if self.store.get(&digest).is_some() {
            self.store.push_again(&digest, self.config.me);
        } else if !self.store.push(digest, bytes.clone(), self.config.me) {
            return;
        }
        self.counters.own_batches += 1;
        self.counters.own_batch_bytes += bytes.len() as u64;
        self.append(records::batch(digest, bytes.clone()));
        let len_bytes = bytes.len() as u32;
        // A batch promises nothing: it may leave before it is on disk; the car that names it may not.
        self.outbox.push(Out::Peers(
            self.core.config().others(),
            Message::Batch(bytes),
        ));
        self.core.own_batch(
            now,
            BatchRef {
                digest,
                len_bytes,
                txs,
            },
            &mut self.effects,
        );
    }

    /// Executes a block and gathers the receipts of the own lane's transactions.
    pub(super) fn execute(&mut self, block: DeliveredBlock) {
        let height = block.header.height;
        if height <= self.exec.height() {
            return self.store.executed(block);
        }
        let (id, view) = (block.id.0.0, block.header.view.0);
        let sessions = self.execute_batches(height, id, view, &block.batches);
        if self.fatal.is_some() {
            return;
        }
        self.gather_receipts(&block, sessions);
        self.store.executed(block);
    }

    pub(super) fn count(&mut self, summary: &execution::BlockSummary) {
        self.counters.txs_executed += summary.txs;
        self.counters.txs_applied += summary.applied;
        self.counters.txs_rejected += summary.rejected;
        self.counters.txs_duplicate += summary.duplicates;
        self.counters.txs_sequence_reused += summary.sequence_reused;
        self.counters.txs_below_window += summary.below_window;
        self.counters.payload_bytes += summary.payload_bytes;
    }

    fn gather_receipts(&mut self, block: &DeliveredBlock, sessions: Vec<SessionEntries>) {
        let height = block.header.height;
        let by_client = self.gateway.by_client(sessions);
        for (_, sessions) in &by_client {
            let entries = sessions.iter().map(|s| s.entries.len() as u64);
            self.counters.receipts_sent += entries.sum::<u64>();
        }
        let proof = self.proofs.get(&height).cloned();
        for (client, sessions) in by_client {
            match &proof {
                Some(proof) => {
                    let receipts = Receipts {
                        epoch: self.config.epoch.id,
                        block: block.id,
                        height,
                        mode: self.mode(),
                        proof: proof.as_ref().clone(),
                        sessions,
                    };
                    self.gateway
                        .receipts
                        .push((client, Response::Receipts(receipts)));
                }
                None => self.gateway.receipts.extend(
                    sessions
                        .into_iter()
                        .map(|entries| (client, Response::Settled(entries))),
                ),
            }
        }
    }

    /// Receipts leave when the certificates that they rest on are durable here.
    pub(super) fn send_receipts(&mut self) {
        for (client, response) in std::mem::take(&mut self.gateway.receipts) {
            self.outbox.push_durable(Out::Client(client, response));
        }
    }
}
