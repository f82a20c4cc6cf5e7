//! From single signatures to certificates.

use bytes::Bytes;
use types::{
    BlockId, CarCert, CarId, CheckpointCert, Digest, Epoch, Height, Qc, ReplicaId, SignerSet,
    Verified, View, statement,
};

use crate::certificates::qc_key;
use crate::engine::Engine;
use crate::job::Done;
use crate::list::aggregate_list;
use crate::scheme::VoteScheme;

/// Shares of members, ascending by signer and each signer once; and whoever is no member.
fn sort_out<Share>(
    seats: SignerSet,
    shares: Vec<(ReplicaId, Share)>,
) -> (Vec<(ReplicaId, Share)>, Vec<ReplicaId>) {
    let (mut members, strangers): (Vec<_>, Vec<_>) = shares
        .into_iter()
        .partition(|(signer, _)| seats.contains(*signer));
    // Stable: of several shares of one signer the first stays.
    members.sort_by_key(|(signer, _)| *signer);
    members.dedup_by_key(|(signer, _)| *signer);
    let strangers = strangers.into_iter().map(|(signer, _)| signer).collect();
    (members, strangers)
}

fn named(bad: SignerSet, mut strangers: Vec<ReplicaId>) -> Vec<ReplicaId> {
    strangers.extend(bad.iter());
    strangers.sort_unstable();
    strangers.dedup();
    strangers
}

impl<S: VoteScheme> Engine<S> {
    pub(crate) fn aggregate_votes(
        &self,
        epoch: &Epoch,
        view: View,
        block: BlockId,
        excluded: SignerSet,
        shares: Vec<(ReplicaId, Bytes)>,
    ) -> Done {
        let (shares, strangers) = sort_out(self.seats(epoch).difference(excluded), shares);
        let statement = statement::vote(epoch, view, block, excluded);
        let sum = S::aggregate(&self.ring, &statement, &shares);
        let good = sum.multisig.signers;
        let qc = epoch.is_quorum_without(good, excluded).then(|| {
            let qc = Qc {
                epoch: epoch.id,
                view,
                block,
                excluded,
                votes: sum.multisig,
            };
            self.seen.insert(qc_key(&qc));
            Verified::attest(qc)
        });
        Done::Votes {
            view,
            block,
            qc,
            good: good.iter().collect(),
            bad: named(sum.bad, strangers),
        }
    }

    pub(crate) fn aggregate_acks(
        &self,
        epoch: &Epoch,
        lane: ReplicaId,
        index: u64,
        car: CarId,
        shares: Vec<(ReplicaId, [u8; 64])>,
    ) -> Done {
        let (shares, strangers) = sort_out(self.seats(epoch), shares);
        let statement = statement::ack(epoch, lane, index, car);
        let list = aggregate_list::<S::Identity>(&self.identities, &statement, &shares);
        let good = list.multisig.signers;
        let of_a_lane = epoch.members.contains(lane) && index >= 1;
        let cert = (of_a_lane && epoch.is_quorum(good)).then(|| {
            Verified::attest(CarCert {
                epoch: epoch.id,
                lane,
                index,
                car,
                acks: list.multisig,
            })
        });
        Done::Acks {
            lane,
            index,
            car,
            cert,
            good: good.iter().collect(),
            bad: named(list.bad, strangers),
        }
    }

    pub(crate) fn aggregate_checkpoint(
        &self,
        epoch: &Epoch,
        height: Height,
        block: BlockId,
        state: Digest,
        shares: Vec<(ReplicaId, [u8; 64])>,
    ) -> Done {
        let (shares, strangers) = sort_out(self.seats(epoch), shares);
        let statement = statement::checkpoint(epoch, height, block, state);
        let list = aggregate_list::<S::Identity>(&self.identities, &statement, &shares);
        let good = list.multisig.signers;
        let cert = epoch.is_quorum(good).then(|| {
            Verified::attest(CheckpointCert {
                epoch: epoch.id,
                height,
                block,
                state,
                signatures: list.multisig,
            })
        });
        Done::CheckpointVotes {
            height,
            block,
            state,
            cert,
            good: good.iter().collect(),
            bad: named(list.bad, strangers),
        }
    }
}

#[cfg(test)]
mod tests;
