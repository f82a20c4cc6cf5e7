//! What replicas and clients are told about a split and its end. `epoch` is the epoch that was split.

use types::offence::convicted;
use types::recovery::frauds_digest;
use types::{
    CommitProof, Conflict, Digest, Epoch, EpochChange, ForkReport, Fraud, HeaderCore,
    RecoveryValue, Resumption, SignerSet, ValueCore, Verified, View, statement,
};

use crate::batch::Batch;
use crate::engine::Engine;
use crate::error::{ProofReject, Reject};
use crate::evidence::epoch_or_recovery;
use crate::scheme::VoteScheme;
use crate::verify::{Checked, ensure, same_epoch};

fn rejected(what: &'static str) -> impl Fn(ProofReject) -> Reject {
    move |why| Reject::Proof { what, why }
}

fn first_of<'a>(proof: &'a CommitProof, what: &'static str) -> Result<&'a HeaderCore, Reject> {
    let empty = Reject::Malformed {
        what,
        why: "an empty chain",
    };
    proof.block().ok_or(empty)
}

impl<S: VoteScheme> Engine<S> {
    /// A proof for its own first block, of `epoch` or of its recovery epoch.
    pub fn check_own_proof(&self, epoch: &Epoch, proof: CommitProof) -> Checked<CommitProof> {
        let what = "commit proof";
        let first = first_of(&proof, what)?;
        let epoch = epoch_or_recovery(epoch, first.epoch, what)?;
        self.check_commit_proof(&epoch, self.rule, &proof, first.id())
            .map_err(rejected(what))?;
        Ok(Verified::attest(proof))
    }

    /// Two valid proofs of one epoch, `epoch` or its recovery epoch, whose first blocks differ at one
    /// height.
    pub fn check_conflict(&self, epoch: &Epoch, conflict: Conflict) -> Checked<Conflict> {
        let what = "conflict";
        let epoch = epoch_or_recovery(epoch, conflict.epoch, what)?;
        let (first, second) = (
            first_of(&conflict.first, what)?,
            first_of(&conflict.second, what)?,
        );
        let (ids, height) = ((first.id(), second.id()), first.height);
        ensure(height == second.height, what, "of different heights")?;
        ensure(ids.0 != ids.1, what, "of one block with itself")?;
        let proofs = [(&conflict.first, ids.0), (&conflict.second, ids.1)];
        self.check_commit_proofs(&epoch, self.rule, &proofs)
            .into_iter()
            .collect::<Result<(), _>>()
            .map_err(rejected(what))?;
        Ok(Verified::attest(conflict))
    }

    /// The reporter's signature, and the proof for what it reports.
    pub fn check_report(&self, epoch: &Epoch, report: ForkReport) -> Checked<ForkReport> {
        let mut batch = Batch::default();
        self.gather_report(&mut batch, 0, epoch, &report)?;
        match self.bad_of(&batch).is_empty() {
            true => Ok(Verified::attest(report)),
            false => Err(Reject::Signature {
                what: "fork report",
            }),
        }
    }

    /// Everything that makes a value acceptable to anybody: each proof of fraud, that they convict all
    /// of `excluded`, Eq. 1 for it, who may take the seats, and enough reports of the others. All
    /// signatures in one batch. Not looked at: which branch is the base, and where the next epoch begins.
    pub fn check_value(&self, epoch: &Epoch, value: RecoveryValue) -> Checked<RecoveryValue> {
        self.check_parts_of_value(epoch, &value)?;
        Ok(Verified::attest(value))
    }

    /// A valid value, and the proof that the recovery block which binds it is final.
    pub fn check_resumption(&self, epoch: &Epoch, resumption: Resumption) -> Checked<Resumption> {
        same_epoch(epoch, resumption.of, "resumption")?;
        let (core, proof) = (resumption.value.core(), &resumption.proof);
        if proof.block().is_some_and(|block| block.epoch == epoch.id) {
            self.check_eviction(epoch, &core, &resumption.value.frauds, proof)?;
            return Ok(Verified::attest(resumption));
        }
        self.check_recovery_proof(&epoch.recovery(), &core, core.digest(), proof)?;
        self.check_parts_of_value(epoch, &resumption.value)?;
        Ok(Verified::attest(resumption))
    }

    /// The same as a client sees it: without the reports, which are the replicas' business. The working
    /// epoch that it opens.
    pub fn check_epoch_change(&self, epoch: &Epoch, change: &EpochChange) -> Result<Epoch, Reject> {
        let what = "epoch change";
        same_epoch(epoch, change.of, what)?;
        let (recovery, core) = (epoch.recovery(), &change.core);
        ensure(
            frauds_digest(&change.frauds) == core.frauds,
            what,
            "other proofs of fraud than its value names",
        )?;
        if change
            .proof
            .block()
            .is_some_and(|block| block.epoch == epoch.id)
        {
            let block = self.check_eviction(epoch, core, &change.frauds, &change.proof)?;
            let root = block.height.next();
            return Ok(epoch.evicted(block.id(), core.excluded, core.standbys, root));
        }
        self.check_seats(&recovery, core)?;
        self.check_convictions(core.excluded, &change.frauds)?;
        self.check_recovery_proof(&recovery, core, core.digest(), &change.proof)?;
        self.verdicts_on_frauds(epoch, &change.frauds)
            .into_iter()
            .collect::<Result<(), _>>()?;
        Ok(recovery.resumed(
            core.digest(),
            core.excluded,
            core.standbys,
            core.root_height,
        ))
    }

    /// That a block of `epoch` itself is final which evicts at most `f` convicted members; that block.
    fn check_eviction<'a>(
        &self,
        epoch: &Epoch,
        core: &ValueCore,
        frauds: &[Fraud],
        proof: &'a CommitProof,
    ) -> Result<&'a HeaderCore, Reject> {
        let what = "eviction";
        let block = first_of(proof, what)?;
        let few = (1..=epoch.faults()).contains(&core.excluded.len());
        let bound = block.payload == core.digest() && block.excluded.is_none();
        ensure(few, what, "of nobody, or of more than f members")?;
        ensure(bound, what, "of another value than its block binds")?;
        let fit = core.standbys.is_subset(epoch.standbys);
        ensure(
            fit && core.standbys.len() <= core.excluded.len(),
            what,
            "standbys that cannot take the seats",
        )?;
        self.check_convictions(core.excluded, frauds)?;
        self.check_commit_proof(epoch, self.rule, proof, block.id())
            .map_err(rejected(what))?;
        self.verdicts_on_frauds(epoch, frauds)
            .into_iter()
            .collect::<Result<(), _>>()?;
        Ok(block)
    }

    fn check_parts_of_value(&self, epoch: &Epoch, value: &RecoveryValue) -> Result<(), Reject> {
        let (what, recovery) = ("recovery value", epoch.recovery());
        self.check_seats(&recovery, &value.core())?;
        self.check_convictions(value.excluded, &value.frauds)?;
        let seats = recovery.members.difference(value.excluded);
        let reporters: SignerSet = value.reports.iter().map(|r| r.replica).collect();
        ensure(
            reporters.len() == value.reports.len() && reporters.is_subset(seats),
            what,
            "reports are not of members that stay, each one",
        )?;
        let tolerated = recovery.envelope.saturating_sub(value.excluded.len());
        let needed = seats.len().saturating_sub(tolerated);
        if reporters.len() < needed {
            return Err(Reject::NoQuorum {
                what,
                found: reporters.len(),
                needed,
            });
        }
        let mut batch = Batch::default();
        for (of, fraud) in (0..).zip(&value.frauds) {
            self.gather_fraud(&mut batch, of, epoch, fraud)?;
        }
        for (of, report) in (value.frauds.len()..).zip(&value.reports) {
            self.gather_report(&mut batch, of, epoch, report)?;
        }
        match self.bad_of(&batch).is_empty() {
            true => Ok(()),
            false => Err(Reject::Signature { what }),
        }
    }

    /// Eq. 1 for `B`, and standbys that are no members and no more than the seats they take.
    fn check_seats(&self, recovery: &Epoch, core: &ValueCore) -> Result<(), Reject> {
        let what = "recovery value";
        ensure(
            recovery.quorum_without(core.excluded).is_some(),
            what,
            "excludes whom no recovery may exclude",
        )?;
        let fit = core.standbys.is_subset(recovery.standbys);
        ensure(
            fit && core.standbys.len() <= core.excluded.len(),
            what,
            "standbys that cannot take the seats",
        )
    }

    fn check_convictions(&self, excluded: SignerSet, frauds: &[Fraud]) -> Result<(), Reject> {
        ensure(
            excluded.is_subset(convicted(self.rule, frauds)),
            "recovery value",
            "excludes somebody whom no proof convicts",
        )
    }

    /// That `proof` ends the recovery with the value of this digest: it is for the first block of the
    /// recovery's chain, which binds the value and excludes whom it excludes.
    fn check_recovery_proof(
        &self,
        recovery: &Epoch,
        core: &ValueCore,
        value: Digest,
        proof: &CommitProof,
    ) -> Result<(), Reject> {
        let what = "recovery block";
        let first = first_of(proof, what)?;
        let is_first = first.view > View(0)
            && first.justify_view == View(0)
            && first.parent == recovery.root();
        ensure(is_first, what, "not the first of its epoch")?;
        ensure(first.payload == value, what, "of another value")?;
        ensure(
            first.excluded == Some(core.excluded),
            what,
            "excludes others than its value",
        )?;
        self.check_commit_proof(recovery, self.rule, proof, first.id())
            .map_err(rejected(what))
    }

    fn gather_report<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        epoch: &Epoch,
        report: &'a ForkReport,
    ) -> Result<(), Reject> {
        let (what, recovery) = ("fork report", epoch.recovery());
        same_epoch(&recovery, report.epoch, what)?;
        match &report.proof {
            None => ensure(
                report.tip == epoch.root() && report.height == epoch.root_height,
                what,
                "without a proof of another block than the root",
            )?,
            Some(proof) => {
                let height = first_of(proof, what)?.height;
                ensure(height == report.height, what, "of another height")?;
                let shape = proof.check(self.rule, epoch, report.tip);
                shape.map_err(|why| rejected(what)(ProofReject::Shape(why)))?;
                for qc in &proof.certs {
                    self.gather_qc(batch, of, epoch, qc);
                }
            }
        }
        let statement = statement::report(&recovery, report.height, report.tip);
        let signer = (report.replica, &report.signature);
        self.gather_single(batch, of, (&recovery, what), signer, statement)
    }
}

#[cfg(test)]
mod tests;
