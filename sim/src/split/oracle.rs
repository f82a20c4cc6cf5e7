//! What must hold when more replicas lie than the protocol tolerates, said without any predicate of
//! the consensus room: from what correct replicas executed, announced and hold in their state.

use std::collections::{BTreeMap, BTreeSet};

use measure::LedgerRecord;
use node::incident::{Incident, What};
use types::batch::SessionId;
use types::{Digest, Epoch, EpochId, Height, Mode, Offence, ReplicaId, Resumption, SignerSet};

use super::plan::{SplitPlan, seats};
use super::told::Told;
use crate::event::Seat;
use crate::oracle::{Verdict, violation};

/// A transaction by session and sequence number.
pub type TxName = (SessionId, u64);

/// One correct replica as its ledger and timeline show it.
#[derive(Debug, Default)]
pub struct Witness {
    /// Its present history, by height.
    pub chain: BTreeMap<u64, LedgerRecord>,
    /// A new life has not executed anything yet.
    fresh: bool,
    pub mode: Option<Mode>,
    /// Whom it convicted, by the epoch in which they lied; a recovery epoch counts as the one that it
    /// recovers. Evidence of one epoch says nothing about the next.
    pub convicted: BTreeMap<EpochId, SignerSet>,
    /// The gate was closed for this reason, and what had been admitted by then.
    pub gate: Option<(bool, String)>,
    pub merged: u64,
    pub saw_conflict: bool,
    /// It was in one of the modes in which nothing is acknowledged.
    pub alarmed: bool,
    pub admitted_when_closed: Option<u64>,
    /// Payments that it had executed when its report of the first epoch left.
    pub reported: Option<BTreeSet<TxName>>,
    /// What was agreed on, until it is merged here.
    pub agreed: Option<Box<Resumption>>,
}

/// Figures for the table.
#[derive(Debug, Default, Clone, Copy)]
pub struct Figures {
    pub growths: u64,
    pub rollbacks: u64,
    pub moved: u64,
    pub invalidated: u64,
    pub orphans: u64,
    pub recoveries: u64,
    /// States taken over from a later epoch.
    pub crossings: u64,
    pub false_alarms: u64,
}

/// See the module.
#[derive(Debug)]
pub struct SplitOracle {
    correct: SignerSet,
    genesis: Epoch,
    /// Every epoch that a correct replica worked in.
    pub epochs: BTreeMap<EpochId, Epoch>,
    pub witnesses: Vec<Witness>,
    /// By epoch and height, the blocks that correct replicas executed, each with the first of them.
    blocks: BTreeMap<([u8; 8], u64), BTreeMap<[u8; 32], Seat>>,
    /// First height at which two correct replicas executed different blocks of one epoch, and that
    /// epoch as ledgers name it.
    pub parted: Option<(u64, [u8; 8])>,
    pub convicted: SignerSet,
    pub offences: BTreeMap<Offence, SignerSet>,
    /// Payments that were executed at a correct replica before it knew of the split.
    pub before: BTreeMap<TxName, Seat>,
    states: BTreeMap<([u8; 8], u64), (Digest, Seat)>,
    pub figures: Figures,
    pub told: Told,
}

impl SplitOracle {
    pub fn new(plan: &SplitPlan, genesis: Epoch) -> SplitOracle {
        let correct = (0..plan.base.n).filter(|seat| !plan.base.is_evil(*seat));
        let correct: Vec<Seat> = correct.collect();
        SplitOracle {
            correct: seats(&correct),
            witnesses: (0..plan.base.n).map(|_| Witness::default()).collect(),
            genesis,
            epochs: BTreeMap::from([(genesis.id, genesis)]),
            blocks: BTreeMap::new(),
            parted: None,
            convicted: SignerSet::EMPTY,
            offences: BTreeMap::new(),
            before: BTreeMap::new(),
            states: BTreeMap::new(),
            figures: Figures::default(),
            told: Told::default(),
        }
    }

    pub fn is_correct(&self, seat: Seat) -> bool {
        self.correct.contains(ReplicaId(seat as u16))
    }

    /// A life of `seat` begins.
    pub fn starts(&mut self, seat: Seat) {
        self.witnesses[seat].fresh = true;
    }

    /// Blocks that correct replica `at` executed since the last call.
    pub fn executed(&mut self, at: Seat, records: &[LedgerRecord]) -> Verdict {
        for record in records {
            self.record(at, record)?;
        }
        Ok(())
    }

    fn record(&mut self, at: Seat, record: &LedgerRecord) -> Verdict {
        let witness = &mut self.witnesses[at];
        if record.is_rollback() {
            self.figures.rollbacks += 1;
            witness.chain.split_off(&(record.height + 1));
            return Ok(());
        }
        if std::mem::take(&mut witness.fresh) {
            // It executes again what came after its last snapshot, perhaps of an abandoned branch.
            witness.chain.split_off(&record.height);
        }
        let tip = witness.chain.last_key_value().map(|(height, _)| *height);
        if let Some(tip) = tip
            && record.height <= tip
        {
            let what = format!(
                "replica {at} executed height {} after {tip} without a rollback",
                record.height
            );
            return violation("order", what);
        }
        witness.chain.insert(record.height, *record);
        let known = self
            .blocks
            .entry((record.epoch, record.height))
            .or_default();
        known.entry(record.block).or_insert(at);
        if known.len() > 1 && self.parted.is_none() {
            self.parted = Some((record.height, record.epoch));
        }
        // One block has one outcome only on one history; above a split only within one branch.
        Ok(())
    }

    /// The state of `at`, which has just executed the last block of its ledger.
    pub fn state(&mut self, at: Seat, state: Digest) -> Verdict {
        let Some((height, record)) = self.witnesses[at].chain.last_key_value() else {
            return Ok(());
        };
        if record.epoch == self.genesis.id.0.0[..8] {
            return Ok(());
        }
        let key = (record.epoch, *height);
        let (known, first) = *self.states.entry(key).or_insert((state, at));
        match known == state {
            true => Ok(()),
            false => violation(
                "state",
                format!("replicas {first} and {at} differ in their state at height {height}"),
            ),
        }
    }

    /// What correct replica `at` announced.
    pub fn incidents(&mut self, at: Seat, incidents: &[Incident], admitted: u64) -> Verdict {
        for incident in incidents {
            let witness = &mut self.witnesses[at];
            match &incident.what {
                What::Mode { mode, .. } => {
                    witness.mode = Some(*mode);
                    witness.alarmed |=
                        matches!(mode, Mode::DegradedSafe | Mode::RecoveryInProgress);
                }
                What::Conflict(_) => witness.saw_conflict = true,
                What::Convicted {
                    fraud,
                    culprits,
                    excluded,
                } => {
                    let epoch = self
                        .epochs
                        .values()
                        .find(|e| e.recovery().id == fraud.epoch());
                    let epoch = epoch.map_or(fraud.epoch(), |epoch| epoch.id);
                    let known = witness.convicted.entry(epoch).or_default();
                    if !known.is_empty() && !excluded.is_subset(*known) {
                        self.figures.growths += 1;
                    }
                    *known = known.union(*excluded);
                    let slandered = culprits.union(*excluded).intersection(self.correct);
                    if !slandered.is_empty() {
                        let what = format!(
                            "replica {at} convicts correct replicas {slandered:?} of {}",
                            fraud.offence().name()
                        );
                        return violation("convicted-correct", what);
                    }
                    self.convicted = self.convicted.union(*culprits);
                    let by = self.offences.entry(fraud.offence()).or_default();
                    *by = by.union(*culprits);
                }
                What::Gate { open, why } => {
                    witness.gate = Some((*open, why.clone()));
                    witness.admitted_when_closed = (!open).then_some(admitted);
                }
                What::Committed(resumption) => {
                    self.figures.recoveries += 1;
                    // Whoever takes a resumption over from others convicts whom that one excludes.
                    let known = witness.convicted.entry(resumption.of).or_default();
                    *known = known.union(resumption.value.excluded);
                    witness.agreed = Some(resumption.clone());
                }
                What::Merged {
                    members,
                    moved,
                    invalidated,
                    orphans,
                    ..
                } => {
                    witness.merged += 1;
                    self.figures.moved += moved;
                    self.figures.invalidated += invalidated;
                    self.figures.orphans += orphans;
                    self.resumed_with(at, *members)?;
                }
                What::Crossed { members, .. } => {
                    // What lies between is not executed here.
                    witness.agreed = None;
                    self.figures.crossings += 1;
                    self.resumed_with(at, *members)?;
                }
                What::FirstBlock { .. } => {}
                What::FalseAlarm { .. } => self.figures.false_alarms += 1,
            }
        }
        Ok(())
    }

    fn resumed_with(&self, at: Seat, members: SignerSet) -> Verdict {
        let out = self.correct.difference(members);
        match out.is_empty() {
            true => Ok(()),
            false => violation(
                "evicted-correct",
                format!("replica {at} resumed without correct {out:?}"),
            ),
        }
    }

    /// (b): a real conflict names enough culprits of its epoch, at every one of `lasting`.
    pub fn attributed(&self, lasting: &[Seat]) -> Verdict {
        let Some((height, name)) = self.parted else {
            return Ok(());
        };
        let mut epochs = self.epochs.values();
        let epoch = epochs.find(|epoch| epoch.id.0.0[..8] == name);
        let epoch = epoch.unwrap_or(&self.genesis);
        let least = epoch.split();
        for seat in lasting {
            let found = self.witnesses[*seat].convicted.get(&epoch.id);
            let found = found.copied().unwrap_or_default();
            if found.len() < least {
                let what = format!(
                    "the histories parted at height {height}, and replica {seat} convicted {found:?}; expected at least {least}"
                );
                return violation("attribution", what);
            }
        }
        Ok(())
    }

    /// An epoch in which `seat` convicted more than the envelope of that epoch allows.
    pub fn refuted(&self, seat: Seat) -> Option<(Epoch, SignerSet)> {
        let mut all = self.witnesses[seat].convicted.iter();
        all.find_map(|(id, found)| {
            let epoch = self.epochs.get(id)?;
            (found.len() > epoch.envelope).then_some((*epoch, *found))
        })
    }

    /// (c): one history at all of `lasting`.
    pub fn one_history(&self, lasting: &[Seat]) -> Verdict {
        let mut common: BTreeMap<u64, (Seat, LedgerRecord)> = BTreeMap::new();
        for seat in lasting {
            for (height, record) in &self.witnesses[*seat].chain {
                let (first, known) = *common.entry(*height).or_insert((*seat, *record));
                if known != *record {
                    let what = format!(
                        "replicas {first} and {seat} hold different blocks at height {height} in the end: {known:?}, {record:?}"
                    );
                    return violation("one-ledger", what);
                }
            }
        }
        Ok(())
    }

    /// Nobody ever stopped to acknowledge. An eviction in band is no alarm.
    pub fn never_alarmed(&self) -> Verdict {
        for (seat, witness) in self.witnesses.iter().enumerate() {
            if self.is_correct(seat) && (witness.alarmed || witness.saw_conflict) {
                let what = format!("replica {seat} was alarmed, and is {:?} now", witness.mode);
                return violation("false-alarm", what);
            }
        }
        Ok(())
    }

    pub fn height_max(&self) -> u64 {
        let chains = self.witnesses.iter().map(|witness| &witness.chain);
        let tips = chains.filter_map(|chain| chain.last_key_value());
        tips.map(|(height, _)| *height).max().unwrap_or(0)
    }

    /// Height of the last block of `seat`'s present history, in which epoch.
    pub fn tip(&self, seat: Seat) -> Option<(Height, [u8; 8])> {
        let (height, record) = self.witnesses[seat].chain.last_key_value()?;
        Some((Height(*height), record.epoch))
    }
}
