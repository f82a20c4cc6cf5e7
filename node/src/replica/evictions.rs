//! In-band eviction: while at most `f` replicas are convicted nothing is split, and a block of the
//! working epoch carries their eviction. The epoch ends with it (`docs/protocol.md`, section 7).

use std::collections::BTreeMap;

use consensus::accountability::Watch;
use consensus::{Core, DeliveredBlock, Durable, FoundRecovery};
use crypto::Job;
use types::{
    BlockId, Digest, Epoch, Fraud, Height, Message, RecoveryValue, Resumption, SignerSet, Verified,
    committee,
};

use super::outbox::Out;
use super::{Pending, Replica, epochs, records};
use crate::incident::What;
use crate::platform::Platform;

/// Values kept: one of every leader, and some that were outgrown.
const VALUES_MAX: usize = 32;
/// A value that is missing is asked for this often.
const ASK_NS: u64 = 100_000_000;

/// Evidence against members of the working epoch while it is not split.
#[derive(Debug)]
pub(super) struct Evictions {
    watch: Watch,
    frauds: BTreeMap<Digest, Fraud>,
    pub culprits: SignerSet,
    values: BTreeMap<Digest, RecoveryValue>,
    /// The block that ended the epoch, while its value or its proof is missing.
    ending: Option<DeliveredBlock>,
    asked_ns: u64,
}

impl Evictions {
    pub fn new(epoch: &Epoch) -> Evictions {
        Evictions {
            watch: Watch::new(epoch),
            frauds: BTreeMap::new(),
            culprits: SignerSet::EMPTY,
            values: BTreeMap::new(),
            ending: None,
            asked_ns: 0,
        }
    }

    /// When to ask again for what the end of the epoch waits for.
    pub fn retry_ns(&self) -> u64 {
        match self.ending {
            Some(_) => self.asked_ns + ASK_NS,
            None => u64::MAX,
        }
    }

    pub fn value(&self, digest: Digest) -> Option<&RecoveryValue> {
        self.values.get(&digest)
    }

    /// Proofs of fraud found before the epoch was split.
    pub fn frauds(&self) -> Vec<Fraud> {
        self.frauds.values().cloned().collect()
    }
}

/// Whether the working epoch goes on without `excluded`: at most `f`, and as safe as before, or with
/// others in their seats.
fn evictable(epoch: &Epoch, excluded: SignerSet) -> bool {
    let (n, b, f) = (epoch.members.len(), excluded.len(), epoch.faults());
    let filled = epoch.substitutes(excluded).len() == b;
    b >= 1 && b <= f && (filled || f - b <= committee::faults(n - b))
}

/// Value of a block that evicts: no branches, no reports.
fn value_of(epoch: &Epoch, excluded: SignerSet, frauds: Vec<Fraud>) -> RecoveryValue {
    RecoveryValue {
        excluded,
        standbys: epoch.substitutes(excluded),
        base: BlockId::ZERO,
        root_height: Height(0),
        frauds,
        reports: Vec::new(),
    }
}

fn is_fit(core: &Core, epoch: &Epoch, value: &RecoveryValue) -> bool {
    let convicted = core.convicted(&value.frauds);
    value.excluded == convicted.intersection(epoch.members)
        && evictable(epoch, value.excluded)
        && *value == value_of(epoch, value.excluded, value.frauds.clone())
}

impl<P: Platform> Replica<P> {
    fn may_evict(&self) -> bool {
        self.config.recovery.is_some() && self.recovery.is_none()
    }

    /// Looks whether a statement contradicts an earlier one of its signer.
    pub(super) fn watch(&mut self, look: impl FnOnce(&mut Watch) -> Option<Fraud>) {
        if self.may_evict()
            && let Some(fraud) = look(&mut self.evictions.watch)
        {
            self.examine(vec![fraud]);
        }
    }

    /// Has proofs of fraud checked that convict somebody new.
    pub(super) fn examine(&mut self, mut frauds: Vec<Fraud>) {
        frauds.retain(|fraud| self.is_news(fraud));
        if !frauds.is_empty() {
            self.submit(Pending::Core(Vec::new()), Job::Frauds(frauds));
        }
    }

    /// Whether a proof, if its signatures are good, convicts somebody new in an epoch that is not split.
    pub(super) fn is_news(&self, fraud: &Fraud) -> bool {
        let known = self.evictions.culprits;
        fraud.epoch() == self.config.epoch.id && !self.core.convicts(fraud).is_subset(known)
    }

    /// A verified proof of fraud of an epoch that is not split.
    pub(super) fn accuse(&mut self, now: u64, fraud: Verified<Fraud>) {
        let fraud = fraud.into_inner();
        let epoch = self.config.epoch;
        let found = self.core.convicts(&fraud).intersection(epoch.members);
        let known = self.evictions.culprits;
        if fraud.epoch() != epoch.id || found.is_subset(known) {
            return;
        }
        self.evictions.culprits = known.union(found);
        self.append(records::encode(&Durable::Fraud(Box::new(fraud.clone()))));
        self.evictions.frauds.insert(fraud.digest(), fraud.clone());
        let excluded = self.evictions.culprits;
        tracing::warn!(culprits = ?found, offence = fraud.offence().name(), "convicted");
        self.note(
            now,
            What::Convicted {
                fraud: Box::new(fraud.clone()),
                culprits: found,
                excluded,
            },
        );
        let others = self.core.config().others();
        self.outbox
            .push(Out::Peers(others, Message::Frauds(vec![fraud])));
        if excluded.len() > epoch.faults() {
            // More than f liars: what they can do to this epoch is what recovery is for.
            return self.begin_recovery(now);
        }
        self.propose_eviction(now);
    }

    /// What was proven before the epoch was split counts in its recovery.
    pub(super) fn hand_over_frauds(&mut self) {
        let frauds = self.evictions.frauds();
        if !frauds.is_empty() {
            self.submit(Pending::Core(Vec::new()), Job::Frauds(frauds));
        }
    }

    /// A vote for a header rests on the value that it names: kept beyond a crash.
    fn keep_eviction(&mut self, value: RecoveryValue) {
        let digest = value.digest();
        if self.evictions.values.len() < VALUES_MAX && self.eviction(digest).is_none() {
            self.append(records::encode(&Durable::Value(Box::new(value.clone()))));
            self.evictions.values.insert(digest, value);
        }
    }

    /// What a restarted replica had proven and endorsed.
    pub(super) fn restore_evictions(&mut self, now: u64, mut found: FoundRecovery) {
        for fraud in std::mem::take(&mut found.frauds)
            .into_iter()
            .filter(|f| f.epoch() == self.config.epoch.id)
        {
            let found = self.core.convicts(&fraud);
            let found = found.intersection(self.config.epoch.members);
            self.evictions.culprits = self.evictions.culprits.union(found);
            self.evictions.frauds.insert(fraud.digest(), fraud);
        }
        for value in std::mem::take(&mut found.values) {
            self.evictions.values.insert(value.digest(), value);
        }
        if self.evictions.culprits.len() > self.config.epoch.faults() {
            // It stopped between the proof that was one too many and the recovery that follows: nobody's
            // proofs are new to it any more, so nothing else would begin it.
            // What it reported then still holds.
            return self.open_recovery(now, found);
        }
        self.propose_eviction(now);
    }

    /// Proposes the eviction of everybody who is convicted, if the epoch can go on without them.
    fn propose_eviction(&mut self, now: u64) {
        let (epoch, excluded) = (self.config.epoch, self.evictions.culprits);
        if self.may_evict() && evictable(&epoch, excluded) {
            let value = value_of(&epoch, excluded, self.evictions.frauds());
            let digest = value.digest();
            self.keep_eviction(value);
            self.core.endorse(digest, &mut self.effects);
            self.core.propose_value(now, digest, &mut self.effects);
        }
    }

    /// Records of evidence that a new journal must hold.
    pub(super) fn eviction_records(&self) -> Vec<storage::Record> {
        let frauds = self.evictions.frauds.values();
        let frauds = frauds.map(|f| Durable::Fraud(Box::new(f.clone())));
        let values = self.evictions.values.values();
        let values = values.map(|v| Durable::Value(Box::new(v.clone())));
        frauds.chain(values).map(|d| records::encode(&d)).collect()
    }

    pub(super) fn eviction(&self, digest: Digest) -> Option<&RecoveryValue> {
        self.evictions.values.get(&digest)
    }

    /// A value that some header of this epoch names.
    pub(super) fn on_eviction_value(&mut self, value: RecoveryValue) {
        let fresh = self.may_evict() && self.eviction(value.digest()).is_none();
        if fresh && is_fit(&self.core, &self.config.epoch, &value) {
            let frauds = value.frauds.clone();
            let pending = Pending::Eviction {
                value: Box::new(value),
            };
            self.submit(pending, Job::Frauds(frauds));
        }
    }

    /// Its proofs were checked: they count here, too, and the value may be voted for if it says what
    /// this replica would say.
    pub(super) fn eviction_checked(
        &mut self,
        now: u64,
        value: RecoveryValue,
        frauds: Vec<Verified<Fraud>>,
    ) {
        if frauds.len() != value.frauds.len() {
            self.counters.messages_rejected += 1;
            return;
        }
        let digest = value.digest();
        // The block that names it is final here: whatever else it proves, the epoch is over.
        let ending = &mut self.evictions.ending;
        if self.recovery.is_none()
            && let Some(block) = ending.take_if(|block| block.header.payload == digest)
        {
            self.keep_eviction(value);
            return self.end_epoch(now, block);
        }
        for fraud in frauds {
            self.accuse(now, fraud);
        }
        let agreed = value.excluded == self.evictions.culprits;
        self.keep_eviction(value);
        if agreed {
            self.core.endorse(digest, &mut self.effects);
        }
    }

    /// Asks for the value that a header of the current view names.
    pub(super) fn want_eviction(&mut self) {
        if let Some((proposer, digest)) = self.core.awaited_value()
            && digest != Digest::ZERO
            && self.eviction(digest).is_none()
        {
            self.ask_eviction(SignerSet::from_iter([proposer]), digest);
        }
    }

    fn ask_eviction(&mut self, to: SignerSet, digest: Digest) {
        let message = Message::ValueRequest(self.config.epoch.id, digest);
        self.outbox.push(Out::Peers(to, message));
    }

    /// The block that ends this epoch was executed: the next one begins without those it evicts.
    pub(super) fn end_epoch(&mut self, now: u64, block: DeliveredBlock) {
        let payload = block.header.payload;
        let height = block.header.height;
        let proof = self.proofs.get(&height).map(|p| p.as_ref().clone());
        let (Some(value), Some(proof)) = (self.eviction(payload).cloned(), proof) else {
            if now >= self.evictions.asked_ns + ASK_NS {
                self.evictions.asked_ns = now;
                self.ask_eviction(self.core.config().others(), payload);
                // Whoever is in the next epoch answers this with the proof that ended it.
                let others = self.core.config().others();
                self.core.tell_commit(others, &mut self.effects);
            }
            self.evictions.ending = Some(block);
            return;
        };
        self.core.freeze();
        let of = self.config.epoch;
        let resumption = Resumption {
            of: of.id,
            value,
            proof,
        };
        let epoch = consensus::Recovery::working_epoch(&of, &resumption);
        tracing::warn!(evicted = ?resumption.value.excluded, %height, "the epoch ends");
        let (keep, root) = (height, epoch.root_height);
        self.note(now, What::Committed(Box::new(resumption.clone())));
        self.config.epoch = epoch;
        let entries = self.execute_batches(root, epoch.root().0.0, 0, &[]);
        self.note(
            now,
            What::Merged {
                epoch: epoch.id,
                members: epoch.members,
                rolled_back_to: keep,
                root_height: root,
                moved: 0,
                invalidated: 0,
                orphans: 0,
            },
        );
        self.begin_epoch(now, epochs::Step { of, resumption }, epoch, None, &[]);
        self.tell_clients(vec![(root, entries)]);
    }

    /// Asks again for a value that is missing.
    pub(super) fn retry_ending(&mut self, now: u64) {
        if self.recovery.is_none()
            && let Some(block) = self.evictions.ending.take()
        {
            self.end_epoch(now, block);
        }
    }
}
