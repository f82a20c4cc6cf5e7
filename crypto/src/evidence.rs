//! Proofs of fraud: that everybody named in one signed what it holds out. What that convicts of is
//! [`types::offence`]; only `E5` is decided here, since it is about signatures.

use types::offence::is_miscast;
use types::{Epoch, EpochId, Fraud, Header, SignedCore, Verified, statement};

use crate::batch::Batch;
use crate::engine::Engine;
use crate::error::Reject;
use crate::scheme::{Claim, VoteScheme};
use crate::verify::{Checked, check_justification, ensure, same_epoch};

/// `epoch` or its recovery epoch, whichever has this id.
pub(crate) fn epoch_or_recovery(
    epoch: &Epoch,
    id: EpochId,
    what: &'static str,
) -> Result<Epoch, Reject> {
    [*epoch, epoch.recovery()]
        .into_iter()
        .find(|known| known.id == id)
        .ok_or(Reject::Epoch { what })
}

impl<S: VoteScheme> Engine<S> {
    /// Of each proof, of `epoch` or of its recovery epoch: every signature in it, by members, with no
    /// threshold. All in one batch.
    pub fn check_frauds(&self, epoch: &Epoch, frauds: Vec<Fraud>) -> Vec<Checked<Fraud>> {
        let verdicts = self.verdicts_on_frauds(epoch, &frauds);
        let attest = |(verdict, fraud): (Result<(), Reject>, Fraud)| {
            verdict.map(|()| Verified::attest(fraud))
        };
        verdicts.into_iter().zip(frauds).map(attest).collect()
    }

    pub(crate) fn verdicts_on_frauds(
        &self,
        epoch: &Epoch,
        frauds: &[Fraud],
    ) -> Vec<Result<(), Reject>> {
        let mut batch = Batch::default();
        let mut verdicts: Vec<_> = (0..)
            .zip(frauds)
            .map(|(of, fraud)| self.gather_fraud(&mut batch, of, epoch, fraud))
            .collect();
        for of in self.bad_of(&batch) {
            verdicts[of] = Err(Reject::Signature {
                what: "proof of fraud",
            });
        }
        verdicts
    }

    /// Everything about a proof but the signatures that it adds to `batch`.
    pub(crate) fn gather_fraud<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        epoch: &Epoch,
        fraud: &'a Fraud,
    ) -> Result<(), Reject> {
        let epoch = &epoch_or_recovery(epoch, fraud.epoch(), "proof of fraud")?;
        match fraud {
            Fraud::Equivocation { first, second } => {
                self.gather_core(batch, of, epoch, first)?;
                self.gather_core(batch, of, epoch, second)
            }
            Fraud::DoubleVote { first, second } => {
                self.gather_votes(batch, of, epoch, first)?;
                self.gather_votes(batch, of, epoch, second)
            }
            Fraud::LockBreak {
                locking, breaking, ..
            } => {
                self.gather_votes(batch, of, epoch, locking)?;
                self.gather_votes(batch, of, epoch, breaking)
            }
            Fraud::StaleTimeout {
                votes, timeouts, ..
            } => {
                self.gather_votes(batch, of, epoch, votes)?;
                self.gather_timeouts(batch, of, epoch, timeouts)
            }
            Fraud::UnjustifiedVote { votes, header } => {
                self.gather_votes(batch, of, epoch, votes)?;
                let unjustified = is_miscast(votes, header) || !self.is_justified(epoch, header);
                ensure(unjustified, "unjustified vote", "the header justifies it")
            }
            Fraud::LaneEquivocation { first, second } => [first, second]
                .map(|car| {
                    same_epoch(epoch, car.epoch, "car")?;
                    let statement = statement::car(epoch, car.lane, car.index, car.id());
                    let signer = (car.lane, &car.signature);
                    self.gather_single(batch, of, (epoch, "car"), signer, statement)
                })
                .into_iter()
                .collect(),
            Fraud::DoubleAck { first, second } => [first, second]
                .map(|cert| {
                    let what = "acknowledgements";
                    same_epoch(epoch, cert.epoch, what)?;
                    let claim = Claim {
                        statement: statement::ack(epoch, cert.lane, cert.index, cert.car),
                        multisig: &cert.acks,
                    };
                    self.gather_list(batch, of, (epoch, what), claim)
                })
                .into_iter()
                .collect(),
        }
    }

    fn gather_core<'a>(
        &self,
        batch: &mut Batch<'a>,
        of: usize,
        epoch: &Epoch,
        signed: &'a SignedCore,
    ) -> Result<(), Reject> {
        let (what, core) = ("proposal", &signed.core);
        same_epoch(epoch, core.epoch, what)?;
        let statement = statement::proposal(epoch, core.view, core.id());
        let signer = (core.proposer, &signed.signature);
        self.gather_single(batch, of, (epoch, what), signer, statement)
    }

    /// `E5`: whether a header justifies itself, to whoever sees it alone. No correct replica votes for
    /// one that does not: this is a part of [`Engine::check_proposal`], which comes before every vote.
    /// Not looked at: leader, height, cut, checkpoint, payload, and who holds proofs for `B`.
    pub fn is_justified(&self, epoch: &Epoch, header: &Header) -> bool {
        check_justification(epoch, header).is_ok()
            && self.check_qc(epoch, &header.justify).is_ok()
            && header
                .tc
                .as_ref()
                .is_none_or(|tc| self.check_tc(epoch, tc).is_ok())
    }
}

#[cfg(test)]
mod tests;
