//! Recovery from more faults than the protocol tolerates (Gong et al., USENIX Security 2025, and
//! `docs/protocol.md`, section 6): evidence, reports and branches are gathered, one value is agreed
//! on in the recovery epoch, and what it means is worked out for the driver.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use types::{
    CommitProof, Conflict, Digest, Epoch, ForkReport, Fraud, Header, Height, Message, Mode,
    Proposal, Qc, RecoveryValue, ReplicaId, Resumption, SignerSet, Tc, Timeout, Verified,
};

use crate::core::{Core, Recovered};
use crate::effect::{Config, Durable, Effect, Nanos};
use crate::rules::Rules;

mod evidence;
pub mod merge;
mod resume;
mod value;

pub use resume::MergePlan;
pub use value::Standing;

/// Messages kept that declare culprits whose proofs have not come yet.
const PENDING_MAX: usize = 256;
/// Values kept: one of every leader, and some that were outgrown.
const VALUES_MAX: usize = 64;

/// What a restarted replica found of a recovery.
#[derive(Debug, Default)]
pub struct FoundRecovery {
    pub conflict: Option<Conflict>,
    pub frauds: Vec<Fraud>,
    pub report: Option<ForkReport>,
    pub values: Vec<RecoveryValue>,
    pub resumption: Option<Resumption>,
    /// Safety state and headers of the recovery epoch.
    pub core: Recovered,
}

impl FoundRecovery {
    pub fn is_some(&self) -> bool {
        self.conflict.is_some() || self.resumption.is_some() || self.core.safety.is_some()
    }
}

/// Something that may declare culprits before their proofs are here.
#[derive(Debug)]
pub(crate) enum Declared {
    Proposal(Verified<Proposal>),
    Timeout(Verified<Timeout>),
    NewView(Verified<types::NewView>),
    Qc(Verified<Qc>),
    Chain(Verified<types::ChainResponse>),
}

/// The recovery of one epoch. See the module.
#[derive(Debug)]
pub struct Recovery {
    /// The epoch that was split.
    of: Epoch,
    /// Ordering core of the recovery epoch.
    pub core: Core,
    rule: types::CommitRule,
    /// The last block executed in the split epoch when it was frozen here.
    executed: Height,
    conflict: Option<Conflict>,
    /// Verified proofs, each of which convicted somebody new when it came.
    frauds: BTreeMap<Digest, Fraud>,
    excluded: SignerSet,
    /// Candidates under examination, so that a failed one leads to the next.
    attribution: evidence::Attributing,
    reports: BTreeMap<ReplicaId, ForkReport>,
    values: BTreeMap<Digest, RecoveryValue>,
    /// Values that some header named and that nobody sent yet.
    wanted: BTreeSet<Digest>,
    /// Numbers of reports and values, and whether there is a resumption, when their branches were followed last.
    followed: Option<(usize, usize, bool)>,
    /// Since when this replica could propose.
    ready_ns: Option<Nanos>,
    own_value: Option<Digest>,
    pending: VecDeque<(ReplicaId, Declared)>,
    resumption: Option<Resumption>,
    /// The recovery block is final, but its value is still on its way.
    decided: Option<CommitProof>,
    merged: bool,
    /// The operator's or the policy's consent (Eq. 2, Eq. 6).
    consent: bool,
    gate: Option<String>,
    again_ns: Nanos,
}

impl Recovery {
    /// Begins, or goes on after a restart. `config` is that of the split epoch's core, frozen by now.
    pub fn new(
        config: &Config,
        rules: Box<dyn Rules>,
        found: FoundRecovery,
        executed: Height,
        now: Nanos,
    ) -> (Recovery, Vec<Effect>) {
        let rule = rules.rule();
        let of = config.epoch;
        let config = Config {
            epoch: of.recovery(),
            checkpoint_step: u64::MAX,
            notices: None,
            ..config.clone()
        };
        let (core, mut out) = Core::new(config, rules, found.core, now);
        let mut recovery = Recovery {
            of,
            core,
            rule,
            executed,
            conflict: found.conflict,
            frauds: BTreeMap::new(),
            excluded: SignerSet::EMPTY,
            attribution: evidence::Attributing::new(now),
            reports: found.report.into_iter().map(|r| (r.replica, r)).collect(),
            values: BTreeMap::new(),
            wanted: BTreeSet::new(),
            followed: None,
            ready_ns: None,
            own_value: None,
            pending: VecDeque::new(),
            resumption: found.resumption,
            decided: None,
            merged: false,
            consent: true,
            gate: Some("no proof of fraud yet".into()),
            again_ns: now,
        };
        for fraud in found.frauds {
            recovery.convict(now, fraud, &mut out);
        }
        for value in found.values {
            recovery.values.insert(value.digest(), value);
        }
        out.retain(|effect| !matches!(effect, Effect::Persist(_)));
        // On record before the restart, or not: once more does no harm.
        if let Some(resumption) = &recovery.resumption {
            out.push(Effect::Resumed(Box::new(resumption.clone())));
        }
        (recovery, out)
    }

    // ---- what others may ask ----------------------------------------------------------------

    /// The epoch that was split.
    pub fn of(&self) -> &Epoch {
        &self.of
    }

    pub fn epoch(&self) -> &Epoch {
        &self.core.config.epoch
    }

    pub fn mode(&self) -> Mode {
        match self.gate {
            None => Mode::RecoveryInProgress,
            Some(_) if self.is_refuted() => Mode::DegradedSafe,
            Some(_) if self.resumption.is_some() => Mode::RecoveryInProgress,
            Some(_) => Mode::DegradedSafe,
        }
    }

    /// Why the gate is closed; none: it is open.
    pub fn closed(&self) -> Option<&str> {
        self.gate.as_deref()
    }

    /// `B` as far as this replica can prove it.
    pub fn excluded(&self) -> SignerSet {
        self.excluded
    }

    /// More members lied than the cluster reckons with: whatever the others agreed on, an operator must
    /// decide here. Nothing opens this gate again.
    pub fn is_refuted(&self) -> bool {
        self.excluded.len() > self.of.envelope
    }

    pub fn resumption(&self) -> Option<&Resumption> {
        self.resumption.as_ref()
    }

    pub fn conflict(&self) -> Option<&Conflict> {
        self.conflict.as_ref()
    }

    pub fn executed(&self) -> Height {
        self.executed
    }

    pub fn has_report(&self, of: ReplicaId) -> bool {
        self.reports.contains_key(&of)
    }

    fn others(&self) -> SignerSet {
        self.core.config.others()
    }

    // ---- beginning and gossip ---------------------------------------------------------------

    // Proofs of fraud, values and the resumption convince anybody and promise nothing: they leave before
    // this replica's disk has them. A conflict says that it left the epoch, a report where it stood: it
    // must not come back and say something else.

    /// The replica left `NOMINAL`: says why, where it stood, and begins to find out who lied.
    pub fn begin(&mut self, now: Nanos, conflict: Conflict, out: &mut Vec<Effect>) {
        if self.conflict.is_some() {
            return;
        }
        out.push(Effect::Persist(Durable::Conflict(Box::new(
            conflict.clone(),
        ))));
        self.conflict = Some(conflict.clone());
        out.push(Effect::Send {
            to: self.others(),
            message: Message::Conflict(Box::new(conflict)),
            durable: true,
        });
        self.again_ns = now;
    }

    /// Everything that a peer may lack, in an order in which each piece can be used at once.
    pub fn tell(&self, to: SignerSet, out: &mut Vec<Effect>) {
        let mut send = |message| {
            out.push(Effect::Send {
                to,
                durable: matches!(message, Message::Conflict(_) | Message::ForkReport(_)),
                message,
            });
        };
        if let Some(resumption) = &self.resumption {
            return send(Message::Resumption(Box::new(resumption.clone())));
        }
        if let Some(conflict) = &self.conflict {
            send(Message::Conflict(Box::new(conflict.clone())));
        }
        if !self.frauds.is_empty() {
            send(Message::Frauds(self.frauds.values().cloned().collect()));
        }
        if let Some(report) = self.reports.get(&self.core.config.me) {
            send(Message::ForkReport(Box::new(report.clone())));
        }
    }

    /// A link came up.
    pub fn handle_peer_up(&mut self, peer: ReplicaId, out: &mut Vec<Effect>) {
        let to = SignerSet::from_iter([peer]);
        self.tell(to, out);
        if self.resumption.is_none() {
            self.core.send_new_view(peer, out);
        }
    }

    pub fn deadline_ns(&self) -> Nanos {
        match self.merged {
            true => Nanos::MAX,
            false => self.core.deadline_ns().min(self.again_ns),
        }
    }

    pub fn tick(&mut self, now: Nanos, split: &mut Core, out: &mut Vec<Effect>) {
        if self.merged {
            return;
        }
        if now >= self.core.deadline_ns() {
            self.core.tick(now, out);
        }
        if now >= self.again_ns {
            let patience = self.core.config.timing.fetch_ns;
            self.again_ns = now + patience / 2;
            split.retry_branches(now, self.executed, out);
            self.attribute_all(split, out);
            self.ask_values(out);
            self.tell_again(now, out);
        }
        self.advance(now, split, out);
    }

    /// Says everything again now and then, in case it was lost.
    fn tell_again(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let patience = 8 * self.core.config.timing.fetch_ns;
        if now >= self.attribution.told_ns + patience {
            self.attribution.told_ns = now;
            self.tell(self.others(), out);
        }
    }

    /// Works on everything that is not finished: after every event, and with time.
    pub fn advance(&mut self, now: Nanos, split: &mut Core, out: &mut Vec<Effect>) {
        if self.merged {
            return;
        }
        split.gather_arrived(now, out);
        self.attribute(split, out);
        self.follow_reports(now, split, out);
        self.judge_values(now, split, out);
        self.propose_value(now, split, out);
        self.try_merge(split, out);
    }

    // ---- certificates that declare culprits ---------------------------------------------------

    /// Whether the proofs for everybody that a message declares are here.
    fn knows(&self, declared: SignerSet) -> bool {
        self.gate.is_none() && declared.is_subset(self.excluded)
    }

    fn later(&mut self, from: ReplicaId, what: Declared) {
        if self.pending.len() >= PENDING_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back((from, what));
    }

    fn take_pending(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        for (from, what) in std::mem::take(&mut self.pending) {
            match what {
                Declared::Proposal(m) => self.handle_proposal(now, m, out),
                Declared::Timeout(m) => self.handle_timeout(now, m, out),
                Declared::NewView(m) => self.handle_new_view(now, from, m, out),
                Declared::Qc(m) => self.handle_qc(now, m, from, out),
                Declared::Chain(m) => self.handle_chain(now, from, m, out),
            }
        }
    }

    pub fn handle_proposal(
        &mut self,
        now: Nanos,
        proposal: Verified<Proposal>,
        out: &mut Vec<Effect>,
    ) {
        let header = &proposal.header;
        let from = header.proposer;
        if self.excluded.contains(from) {
            return;
        }
        // A proposer that knows less is told; one that knows more sent its proofs before.
        if !self.excluded.is_subset(header.excluded_set()) {
            let frauds: Vec<Fraud> = self.frauds.values().cloned().collect();
            out.push(Effect::Send {
                to: SignerSet::from_iter([from]),
                message: Message::Frauds(frauds),
                durable: false,
            });
        }
        if !self.knows(declared_by(header)) {
            return self.later(from, Declared::Proposal(proposal));
        }
        self.core.handle_proposal(now, proposal, out);
        self.want_value(out);
    }

    pub fn handle_timeout(
        &mut self,
        now: Nanos,
        timeout: Verified<Timeout>,
        out: &mut Vec<Effect>,
    ) {
        let from = timeout.replica;
        if !self.knows(timeout.high_qc.excluded) {
            return self.later(from, Declared::Timeout(timeout));
        }
        self.core.handle_timeout(now, timeout, out);
    }

    pub fn handle_new_view(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        message: Verified<types::NewView>,
        out: &mut Vec<Effect>,
    ) {
        let of_tc = message.tc.as_ref().map(|tc: &Tc| tc.excluded);
        if !self.knows(message.high_qc.excluded.union(of_tc.unwrap_or_default())) {
            return self.later(from, Declared::NewView(message));
        }
        self.core.handle_new_view(now, from, message, out);
    }

    pub fn handle_qc(
        &mut self,
        now: Nanos,
        qc: Verified<Qc>,
        from: ReplicaId,
        out: &mut Vec<Effect>,
    ) {
        if !self.knows(qc.excluded) {
            return self.later(from, Declared::Qc(qc));
        }
        self.core.handle_qc(now, qc, from, out);
    }

    pub fn handle_chain(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        chain: Verified<types::ChainResponse>,
        out: &mut Vec<Effect>,
    ) {
        let of_tip = chain.tip.as_ref().map(|tip| tip.excluded);
        let declared = chain.headers.iter().map(declared_by);
        let declared = declared.fold(of_tip.unwrap_or_default(), SignerSet::union);
        if !self.knows(declared) {
            return self.later(from, Declared::Chain(chain));
        }
        self.core.handle_chain(now, from, chain, out);
    }

    // ---- convictions --------------------------------------------------------------------------

    /// A proof whose signatures were checked. True if it convicts somebody new.
    fn convict(&mut self, now: Nanos, fraud: Fraud, out: &mut Vec<Effect>) -> bool {
        let of_us = fraud.epoch() == self.of.id || fraud.epoch() == self.epoch().id;
        let found = self.core.rules.convicts(&fraud);
        let found = found.intersection(self.of.members);
        if !of_us
            || found.is_subset(self.excluded)
            || self.frauds.len() >= types::limits::FRAUDS_MAX
        {
            return false;
        }
        self.excluded = self.excluded.union(found);
        self.frauds.insert(fraud.digest(), fraud.clone());
        out.push(Effect::Persist(Durable::Fraud(Box::new(fraud.clone()))));
        out.push(Effect::Convicted {
            fraud: Box::new(fraud.clone()),
            culprits: found,
            excluded: self.excluded,
        });
        out.push(Effect::Send {
            to: self.others(),
            message: Message::Frauds(vec![fraud]),
            durable: false,
        });
        self.own_value = None;
        self.ready_ns = None;
        self.open_gate(now, out);
        true
    }

    /// Eq. 1 and the operator's or the policy's consent.
    fn open_gate(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let (n, b, envelope) = (self.of.members.len(), self.excluded.len(), self.of.envelope);
        let why = if self.is_refuted() {
            Some(format!(
                "{b} convicted of {n}, but the cluster reckons with at most F = {envelope} faults: the envelope is refuted, an operator must decide"
            ))
        } else if !types::committee::recoverable(n, b, envelope) {
            Some(format!(
                "Eq. 1 does not hold: n - |B| = {} must exceed 3 (F - |B|) = {}; waiting for more proofs of fraud",
                n - b,
                3 * (envelope - b)
            ))
        } else if !self.consent {
            Some("detector confidence or precision is too low to go on without an operator (Eq. 2, Eq. 6)".into())
        } else {
            None
        };
        let was_open = self.gate.is_none();
        if self.gate != why || !was_open {
            out.push(Effect::Gate {
                open: why.is_none(),
                why: why.clone().unwrap_or_default(),
            });
        }
        self.gate = why;
        if self.gate.is_none() {
            self.core.exclude(now, self.excluded, out);
            self.take_pending(now, out);
        }
    }

    /// Whether the detectors are good enough to go on without an operator (Eq. 2 and Eq. 6), or the
    /// operator agreed.
    pub fn set_consent(&mut self, now: Nanos, consent: bool, out: &mut Vec<Effect>) {
        self.consent = consent;
        self.open_gate(now, out);
    }
}

/// Everybody whom some certificate in a header, or the header, declares.
fn declared_by(header: &Header) -> SignerSet {
    let of_tc = header.tc.as_ref().map(|tc| tc.excluded).unwrap_or_default();
    let excluded = header.excluded_set();
    excluded.union(header.justify.excluded).union(of_tc)
}

/// Last header of a proof.
pub(crate) fn top_of(proof: &CommitProof) -> Option<types::BlockId> {
    proof.chain.last().map(types::HeaderCore::id)
}
