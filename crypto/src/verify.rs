//! What is checked of each message before anybody else may look at it. Cheap checks come first, then
//! the sender's own signature, then the certificates that it carries.

use types::message::{ChainResponse, CheckpointShare, NewView};
use types::{
    Car, CarId, Epoch, EpochId, Header, Proposal, Qc, ReplicaId, Timeout, Verified, View, Vote,
    statement,
};

use crate::certificates::{check_car_cert_shape, check_lane, check_tc_shape};
use crate::engine::Engine;
use crate::error::Reject;
use crate::scheme::{IdentityScheme, Signed, VoteScheme};

pub(crate) type Checked<T> = Result<Verified<T>, Reject>;

fn malformed<T>(what: &'static str, why: &'static str) -> Result<T, Reject> {
    Err(Reject::Malformed { what, why })
}

pub(crate) fn ensure(holds: bool, what: &'static str, why: &'static str) -> Result<(), Reject> {
    match holds {
        true => Ok(()),
        false => malformed(what, why),
    }
}

pub(crate) fn same_epoch(epoch: &Epoch, found: EpochId, what: &'static str) -> Result<(), Reject> {
    match found == epoch.id {
        true => Ok(()),
        false => Err(Reject::Epoch { what }),
    }
}

/// Checks of single messages. All of them: epoch id equal, signers members of the epoch, quorums.
impl<S: VoteScheme> Engine<S> {
    /// Shape of the header (see [`Engine::check_chain`] too), proposer's signature over view and id,
    /// `justify`, and `tc` if the view was not the next one after `justify`.
    ///
    /// The certificates in `cut` are checked for their shape only, not their signatures: a voter that
    /// holds a car itself needs no certificate for it, and what it does not hold goes through
    /// [`Engine::check_car_certs`]. They are bound by the block's id all the same.
    pub fn check_proposal(&self, epoch: &Epoch, proposal: Proposal) -> Checked<Proposal> {
        let what = "proposal";
        let header = &proposal.header;
        check_header(epoch, header)?;
        let statement = statement::proposal(epoch, header.view, header.id());
        let (proposer, signature) = (header.proposer, &proposal.signature);
        self.check_identity(epoch, what, proposer, &statement, signature)?;
        self.check_qc(epoch, &header.justify)?;
        if let Some(tc) = &header.tc {
            self.check_tc(epoch, tc)?;
        }
        Ok(Verified::attest(proposal))
    }

    /// Signature, `high_qc` of a view not above the one given up, and the shape of `last_vote`: the
    /// sender's own, not newer than the timeout. The share in it is *not* verified; that happens when
    /// votes are added up, or by [`Engine::check_vote`].
    pub fn check_timeout(&self, epoch: &Epoch, timeout: Timeout) -> Checked<Timeout> {
        let what = "timeout";
        same_epoch(epoch, timeout.epoch, what)?;
        let high_qc_view = timeout.high_qc.view;
        ensure(timeout.view >= View(1), what, "of view 0")?;
        ensure(
            high_qc_view <= timeout.view,
            what,
            "certificate of a later view than its own",
        )?;
        if let Some(vote) = &timeout.last_vote {
            same_epoch(epoch, vote.epoch, "last vote of a timeout")?;
            ensure(
                vote.voter == timeout.replica,
                what,
                "last vote of another replica",
            )?;
            ensure(
                vote.view <= timeout.view,
                what,
                "last vote of a later view than its own",
            )?;
        }
        let statement = statement::timeout(epoch, timeout.view, high_qc_view);
        self.check_identity(epoch, what, timeout.replica, &statement, &timeout.signature)?;
        self.check_qc(epoch, &timeout.high_qc)?;
        Ok(Verified::attest(timeout))
    }

    /// Both certificates, and that the timeout certificate comes with a quorum certificate at least as
    /// new as its highest claim.
    pub fn check_new_view(&self, epoch: &Epoch, new_view: NewView) -> Checked<NewView> {
        if let Some(tc) = &new_view.tc {
            ensure(
                new_view.high_qc.view >= tc.high_qc_view(),
                "new view",
                "certificate older than the highest claim of its timeout certificate",
            )?;
        }
        self.check_qc(epoch, &new_view.high_qc)?;
        if let Some(tc) = &new_view.tc {
            self.check_tc(epoch, tc)?;
        }
        Ok(Verified::attest(new_view))
    }

    /// Of each car: the owner's signature, an index of at least 1, and no predecessor iff it is the
    /// first. All signatures in one batch. That a car follows its predecessor is the lane's business.
    pub fn check_cars(&self, epoch: &Epoch, cars: Vec<Car>) -> Vec<Checked<Car>> {
        let mut verdicts: Vec<Result<(), Reject>> = cars
            .iter()
            .map(|car| self.check_car_shape(epoch, car))
            .collect();
        let fit: Vec<usize> = (0..cars.len()).filter(|&at| verdicts[at].is_ok()).collect();
        let statement = |car: &Car| statement::car(epoch, car.lane, car.index, car.id());
        let statements: Vec<_> = fit.iter().map(|&at| statement(&cars[at])).collect();
        let items: Vec<_> = fit
            .iter()
            .zip(&statements)
            .map(|(&at, statement)| Signed {
                key: &self.identities[cars[at].lane.index()],
                statement: &statement[..],
                signature: &cars[at].signature,
            })
            .collect();
        for bad in S::Identity::verify_batch(&items) {
            verdicts[fit[bad]] = Err(Reject::Signature { what: "car" });
        }
        let attest =
            |(verdict, car): (Result<(), Reject>, Car)| verdict.map(|()| Verified::attest(car));
        verdicts.into_iter().zip(cars).map(attest).collect()
    }

    /// Of every header its shape, and that it is the child of the one before it, in id, height and
    /// view. Of signatures only the last header's `justify` and `tc`, `tip` (which must certify the last
    /// header), and `pruned`.
    ///
    /// That is enough: an id binds the certificates inside of its header, and among the `q` voters of a
    /// certified block is a correct one, which verified them before it voted. So the last `justify`
    /// vouches for its whole ancestry, as long as at most `f` replicas are faulty. With more than that
    /// nothing vouches for an inner certificate: verify it by itself (`check_new_view`) before it
    /// convicts anybody. Without `tip` nobody vouches for the last header either: it has no proposer's
    /// signature here, and is whatever the asker asked for by id.
    pub fn check_chain(&self, epoch: &Epoch, chain: ChainResponse) -> Checked<ChainResponse> {
        let what = "chain";
        same_epoch(epoch, chain.epoch, what)?;
        for header in &chain.headers {
            check_header(epoch, header)?;
        }
        for pair in chain.headers.windows(2) {
            let (parent, child) = (&pair[0], &pair[1]);
            let linked = child.parent() == parent.id()
                && child.justify.view == parent.view
                && child.height.0 == parent.height.0.saturating_add(1);
            ensure(linked, what, "a header is not the child of the one before")?;
        }
        match (chain.headers.last(), &chain.tip) {
            (Some(last), tip) => {
                let certified = tip
                    .as_ref()
                    .is_none_or(|tip| tip.block == last.id() && tip.view == last.view);
                ensure(certified, what, "tip does not certify the last header")?;
                let qcs: Vec<&Qc> = tip.iter().chain([&last.justify]).collect();
                self.check_qcs(epoch, &qcs)?;
                if let Some(tc) = &last.tc {
                    self.check_tc(epoch, tc)?;
                }
            }
            (None, Some(_)) => return malformed(what, "a tip of no headers"),
            (None, None) => {}
        }
        if let Some(cert) = &chain.pruned {
            self.check_checkpoint(epoch, cert)?;
        }
        Ok(Verified::attest(chain))
    }

    pub fn check_checkpoint_share(
        &self,
        epoch: &Epoch,
        share: CheckpointShare,
    ) -> Checked<CheckpointShare> {
        let what = "checkpoint share";
        same_epoch(epoch, share.epoch, what)?;
        let statement = statement::checkpoint(epoch, share.height, share.block, share.state);
        self.check_identity(epoch, what, share.replica, &statement, &share.signature)?;
        Ok(Verified::attest(share))
    }

    /// One vote by itself, as evidence needs it. The normal path adds votes up instead.
    pub fn check_vote(&self, epoch: &Epoch, vote: Vote) -> Checked<Vote> {
        let what = "vote";
        same_epoch(epoch, vote.epoch, what)?;
        self.is_member(epoch, what, vote.voter)?;
        let statement = statement::vote(epoch, vote.view, vote.block, vote.excluded);
        match S::verify_share(&self.ring, vote.voter, &statement, &vote.share) {
            true => Ok(Verified::attest(vote)),
            false => Err(Reject::Signature { what }),
        }
    }

    fn check_car_shape(&self, epoch: &Epoch, car: &Car) -> Result<(), Reject> {
        let what = "car";
        same_epoch(epoch, car.epoch, what)?;
        self.is_member(epoch, what, car.lane)?;
        ensure(car.index >= 1, what, "index 0, lanes count from 1")?;
        ensure(
            (car.prev == CarId::ZERO) == (car.index == 1),
            what,
            "the first car of a lane has no predecessor, and every other has one",
        )
    }

    fn check_identity(
        &self,
        epoch: &Epoch,
        what: &'static str,
        signer: ReplicaId,
        statement: &[u8],
        signature: &[u8; 64],
    ) -> Result<(), Reject> {
        self.is_member(epoch, what, signer)?;
        match S::Identity::verify(self.identity(what, signer)?, statement, signature) {
            true => Ok(()),
            false => Err(Reject::Signature { what }),
        }
    }

    pub(crate) fn is_member(
        &self,
        epoch: &Epoch,
        what: &'static str,
        replica: ReplicaId,
    ) -> Result<(), Reject> {
        match self.seats(epoch).contains(replica) {
            true => Ok(()),
            false => Err(Reject::NotMember { what, replica }),
        }
    }

    pub(crate) fn identity(
        &self,
        what: &'static str,
        replica: ReplicaId,
    ) -> Result<&<S::Identity as IdentityScheme>::Public, Reject> {
        self.identities
            .get(replica.index())
            .ok_or(Reject::NotMember { what, replica })
    }
}

/// Everything about a header that needs no key.
fn check_header(epoch: &Epoch, header: &Header) -> Result<(), Reject> {
    let what = "header";
    check_justification(epoch, header)?;
    ensure(header.height.0 >= 1, what, "height 0 is the root's")?;
    ensure(
        epoch
            .members
            .difference(header.excluded_set())
            .contains(header.proposer),
        what,
        "proposer is no member of the epoch",
    )?;
    ensure(
        !epoch.is_recovery() || header.cut.is_empty(),
        what,
        "a recovery orders no cars",
    )?;
    header.cut.iter().try_for_each(|cert| match cert.is_bare() {
        true => check_lane(epoch, cert),
        false => check_car_cert_shape(epoch, cert),
    })
}

/// Of these the part that `E5` convicts for: what the header says about its own right to exist.
pub(crate) fn check_justification(epoch: &Epoch, header: &Header) -> Result<(), Reject> {
    let what = "header";
    same_epoch(epoch, header.epoch, what)?;
    ensure(
        header.view > header.justify.view,
        what,
        "view not above that of its certificate",
    )?;
    match header.excluded {
        Some(_) if !epoch.is_recovery() => {
            return malformed(what, "an ordinary epoch excludes nobody");
        }
        None if epoch.is_recovery() => {
            return malformed(what, "a recovery epoch states whom it excludes");
        }
        None => {}
        Some(excluded) => ensure(
            epoch.quorum_without(excluded).is_some(),
            what,
            "excludes whom no recovery may exclude",
        )?,
    }
    let follows = header.view == header.justify.view.next();
    match &header.tc {
        None => ensure(follows, what, "skips views without a timeout certificate"),
        Some(_) if follows => malformed(what, "a timeout certificate that it does not need"),
        Some(tc) => {
            check_tc_shape(epoch, tc)?;
            ensure(
                tc.excluded.is_subset(header.excluded_set()),
                what,
                "timeout certificate that excludes others than the header",
            )?;
            ensure(
                tc.view.next() == header.view && tc.view != header.view,
                what,
                "timeout certificate of another view than the one before",
            )?;
            ensure(
                header.justify.view >= tc.high_qc_view(),
                what,
                "certificate older than the highest claim of its timeout certificate",
            )
        }
    }
}

#[cfg(test)]
mod tests;
