//! Fork reports and recovery values: who stood where, and what a leader makes of it.

use std::collections::btree_map::Entry;

use types::{
    BlockId, CommitProof, Digest, ForkReport, Height, Message, RecoveryValue, ReplicaId, SignerSet,
    Verified, View,
};

use super::merge::Chain;
use super::{Recovery, VALUES_MAX};
use crate::core::Core;
use crate::effect::{Durable, Effect, Nanos};

/// See [`Recovery::standing`].
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    pub view: View,
    pub leader: ReplicaId,
    /// `|B|`.
    pub excluded: usize,
    /// Reports of those who stay, and those of them whose branches are here.
    pub reports: usize,
    pub held: usize,
    pub needed: usize,
    /// Values that are known, and those that this replica would vote for.
    pub values: usize,
    pub fit: usize,
    /// Whether it has one to propose itself.
    pub proposes: bool,
    /// Whose header of the current view waits for its value or for what that needs.
    pub waits: Option<ReplicaId>,
}

impl Recovery {
    // ---- reports ------------------------------------------------------------------------------

    /// Asks the driver to sign this replica's report, unless it reported before.
    pub fn report(&mut self, tip: BlockId, proof: Option<CommitProof>, out: &mut Vec<Effect>) {
        if self.reports.contains_key(&self.core.config.me) || !self.core.config.is_member() {
            return;
        }
        out.push(Effect::SignReport {
            height: self.executed,
            tip,
            proof: proof.map(Box::new),
        });
    }

    /// The own report, signed: durable before anybody sees it.
    pub fn own_report(&mut self, report: ForkReport, out: &mut Vec<Effect>) {
        out.push(Effect::Persist(Durable::Report(Box::new(report.clone()))));
        out.push(Effect::Send {
            to: self.others(),
            message: Message::ForkReport(Box::new(report.clone())),
            durable: true,
        });
        self.reports.insert(report.replica, report);
    }

    /// A checked report. The first one of a replica counts.
    pub fn handle_report(
        &mut self,
        now: Nanos,
        report: Verified<ForkReport>,
        split: &mut Core,
        out: &mut Vec<Effect>,
    ) {
        let report = report.into_inner();
        if report.epoch == self.epoch().id && !self.reports.contains_key(&report.replica) {
            self.reports.insert(report.replica, report);
            self.advance(now, split, out);
        }
    }

    /// Follows the branch behind every report of somebody who is not convicted, and of every value: called
    /// after every event, so it looks only where one came.
    pub(super) fn follow_reports(&mut self, now: Nanos, split: &mut Core, out: &mut Vec<Effect>) {
        let (reports, values) = (self.reports.len(), self.values.len());
        let named = (reports, values, self.resumption.is_some());
        if self.followed.replace(named) == Some(named) {
            return;
        }
        let of_values = self.values.values().flat_map(|value| &value.reports);
        let own = self
            .reports
            .values()
            .filter(|r| !self.excluded.contains(r.replica));
        let of_resumption = self.resumption.iter().flat_map(|r| &r.value.reports);
        for report in own.chain(of_values).chain(of_resumption) {
            if let Some(proof) = &report.proof {
                split.want_branch(now, proof, report.replica, self.executed, out);
            }
        }
        // Whoever voted for what was agreed on held all of it.
        if let Some(resumption) = &self.resumption {
            let certs = resumption.proof.certs.iter();
            let voters = certs.fold(SignerSet::EMPTY, |all, qc| all.union(qc.votes.signers));
            for report in &resumption.value.reports {
                split.add_holders(report.tip, voters);
            }
        }
    }

    /// What the agreement waits for, for the log.
    pub fn standing(&self, split: &Core) -> Standing {
        let seats = self.of.members.difference(self.excluded);
        let reports = || self.reports.values().filter(|r| seats.contains(r.replica));
        Standing {
            view: self.core.view(),
            leader: self.core.leader(self.core.view()),
            excluded: self.excluded.len(),
            reports: reports().count(),
            held: reports().filter(|r| self.holds(split, r)).count(),
            needed: self.reports_needed(self.excluded),
            values: self.values.len(),
            fit: self
                .values
                .keys()
                .filter(|d| self.core.endorses(**d))
                .count(),
            proposes: self.own_value.is_some(),
            waits: self.core.awaited_value().map(|(leader, _)| leader),
        }
    }

    fn holds(&self, split: &Core, report: &ForkReport) -> bool {
        split.holds_branch(report.tip, report.height, self.executed)
    }

    // ---- values -------------------------------------------------------------------------------

    /// `n' - f'`: how many reports a value needs.
    fn reports_needed(&self, excluded: SignerSet) -> usize {
        let left = self.of.members.len() - excluded.len();
        left - self.of.envelope.saturating_sub(excluded.len())
    }

    /// Proposes a value as soon as there are enough reports whose data is here; waits a little for
    /// those that are still on their way, so that as few branches as possible become orphans.
    pub(super) fn propose_value(&mut self, now: Nanos, split: &mut Core, out: &mut Vec<Effect>) {
        if self.gate.is_some() || self.resumption.is_some() {
            return;
        }
        let seats = self.of.members.difference(self.excluded);
        let reports: Vec<&ForkReport> = self
            .reports
            .values()
            .filter(|r| seats.contains(r.replica) && self.holds(split, r))
            .collect();
        if reports.len() < self.reports_needed(self.excluded) {
            self.ready_ns = None;
            return;
        }
        let ready = *self.ready_ns.get_or_insert(now);
        let patience = self.core.config.timing.fetch_ns / 2;
        let all = reports.len() == seats.len();
        if !all && now < ready + patience {
            self.again_ns = self.again_ns.min(ready + patience);
            return;
        }
        let known = self.own_value.and_then(|digest| self.values.get(&digest));
        if known.is_some_and(|value| value.reports.len() >= reports.len()) {
            return;
        }
        let reports: Vec<ForkReport> = reports.into_iter().cloned().collect();
        let frauds = self.frauds.values().cloned().collect();
        let Some((base, root_height)) = self.base_of(split, &reports) else {
            return;
        };
        let value = RecoveryValue {
            excluded: self.excluded,
            standbys: self.of.substitutes(self.excluded),
            base,
            root_height,
            frauds,
            reports,
        };
        let digest = value.digest();
        self.own_value = Some(digest);
        self.keep_value(value, out);
        self.core.endorse(digest, out);
        self.core.propose_value(now, digest, out);
    }

    fn keep_value(&mut self, value: RecoveryValue, out: &mut Vec<Effect>) {
        if self.values.len() < VALUES_MAX
            && let Entry::Vacant(slot) = self.values.entry(value.digest())
        {
            out.push(Effect::Persist(Durable::Value(Box::new(value.clone()))));
            slot.insert(value);
        }
    }

    /// The value behind a digest, for a peer that asks or before a proposal that names it.
    pub fn value(&self, digest: Digest) -> Option<&RecoveryValue> {
        let decided = self.resumption.as_ref().map(|r| &r.value);
        let decided = decided.filter(|value| value.digest() == digest);
        self.values.get(&digest).or(decided)
    }

    pub fn handle_value_request(&self, from: ReplicaId, digest: Digest, out: &mut Vec<Effect>) {
        if let Some(value) = self.value(digest) {
            out.push(Effect::Send {
                to: SignerSet::from_iter([from]),
                message: Message::Value(self.epoch().id, Box::new(value.clone())),
                durable: false,
            });
        }
    }

    /// Whether a value is worth checking.
    pub fn wants_value(&self, value: &RecoveryValue) -> bool {
        !self.merged && self.values.len() < VALUES_MAX && self.value(value.digest()).is_none()
    }

    /// A value whose evidence and reports were checked: its evidence becomes this replica's too.
    pub fn handle_value(
        &mut self,
        now: Nanos,
        value: Verified<RecoveryValue>,
        split: &mut Core,
        out: &mut Vec<Effect>,
    ) {
        let value = value.into_inner();
        for fraud in &value.frauds {
            self.convict(now, fraud.clone(), out);
        }
        self.wanted.remove(&value.digest());
        self.keep_value(value, out);
        if let Some(proof) = self.decided.take() {
            self.committed(now, proof, split, out);
        }
        self.advance(now, split, out);
    }

    /// A header names a value that nobody sent: ask its proposer.
    pub(super) fn want_value(&mut self, out: &mut Vec<Effect>) {
        if let Some((proposer, digest)) = self.core.awaited_value()
            && digest != Digest::ZERO
            && !self.values.contains_key(&digest)
            && self.wanted.len() < VALUES_MAX
            && self.wanted.insert(digest)
        {
            let message = Message::ValueRequest(self.epoch().id, digest);
            out.push(Effect::Send {
                to: SignerSet::from_iter([proposer]),
                message,
                durable: false,
            });
        }
    }

    pub(super) fn ask_values(&mut self, out: &mut Vec<Effect>) {
        for digest in &self.wanted {
            out.push(Effect::Send {
                to: self.core.config.others(),
                message: Message::ValueRequest(self.epoch().id, *digest),
                durable: false,
            });
        }
    }

    /// Endorses every value that says what this replica would say, and whose data it holds.
    pub(super) fn judge_values(&mut self, now: Nanos, split: &mut Core, out: &mut Vec<Effect>) {
        if self.gate.is_some() || self.resumption.is_some() {
            return;
        }
        // A value that was fit stays endorsed until `B` grows: what it names is here for good.
        let fit: Vec<Digest> = self
            .values
            .iter()
            .filter(|(digest, value)| !self.core.endorses(**digest) && self.is_fit(split, value))
            .map(|(digest, _)| *digest)
            .collect();
        for digest in fit {
            self.core.endorse(digest, out);
        }
        self.core.try_propose(now, out);
    }

    fn is_fit(&self, split: &Core, value: &RecoveryValue) -> bool {
        let seats = self.of.members.difference(self.excluded);
        value.excluded == self.excluded
            && value.standbys == self.of.substitutes(value.excluded)
            && value.excluded.is_subset(self.core.convicted(&value.frauds))
            && value.reports.len() >= self.reports_needed(self.excluded)
            && value.reports.iter().all(|r| seats.contains(r.replica))
            && value.reports.iter().all(|r| self.holds(split, r))
            && self.base_of(split, &value.reports) == Some((value.base, value.root_height))
    }

    /// Tip of the base, and the height of the root above it.
    fn base_of(&self, split: &Core, reports: &[ForkReport]) -> Option<(BlockId, Height)> {
        let (chains, _) = self.chains(split, reports)?;
        match self.core.rules.merge_order(chains).first() {
            Some(base) => Some((base.tip, base.height.next())),
            // Nobody executed anything: the epoch's own root is the base.
            None => Some((self.of.root(), self.of.root_height.next())),
        }
    }

    /// The chains behind reports above their lowest branching from the own chain, and that height.
    pub(super) fn chains(
        &self,
        split: &Core,
        reports: &[ForkReport],
    ) -> Option<(Vec<Chain>, Height)> {
        let base = |r: &ForkReport| split.branch_base(r.tip, r.height, self.executed);
        let bases: Option<Vec<Height>> = reports.iter().map(base).collect();
        let floor = bases?.into_iter().min().unwrap_or(self.of.root_height);
        let mut chains: Vec<Chain> = Vec::new();
        for report in reports {
            if let Some(known) = chains.iter_mut().find(|c| c.tip == report.tip) {
                known.reporters += 1;
                continue;
            }
            let headers = split.chain_headers(report.tip, floor, self.executed)?;
            chains.push(Chain {
                tip: report.tip,
                height: report.height,
                reporters: 1,
                blocks: headers.iter().map(|h| h.id).collect(),
            });
        }
        // A tip at the floor has no block of its own, and so no say about forks above it; it counts
        // where it stands.
        Some((chains, floor))
    }
}
