//! Wrong replicas, to test the tester: each breaks one rule, and the oracle must catch it.

use std::sync::Arc;

use consensus::{Lock, Rules, Safety, rules_for};
use node::replica::{RulesFactory, Signer};
use storage::Record;
use types::{
    Ack, BlockId, Car, CarId, CheckpointShare, CommitRule, Digest, Epoch, Header, Height, Proposal,
    Qc, ReplicaId, Timeout, View, Vote, Wire,
};

use crate::keys::Keys;

/// One way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// Votes without a look at its lock.
    VoteWithoutLock,
    /// Votes in a view as often as it is asked.
    VoteWithoutFreshness,
    /// Commits one certificate too early.
    CommitEarly,
    /// Comes back without its last votes and the views that it gave up.
    ForgetVotes,
    /// Believes certificates that nobody signed.
    BelieveCertificates,
    /// Comes back without the last cars of its own lane.
    LoseLaneTail,
    /// Acknowledges cars whose bytes it never saw.
    AcknowledgeWithoutData,
    /// Claims an older certificate in its timeouts than it has.
    LowClaims,
    /// Executes another application.
    ExecuteOtherwise,
    /// Its disk says that it is done when it is not.
    EarlySync,
}

const SAFETY: u8 = 1;
const CAR: u8 = 3;

impl Mutant {
    pub const ALL: [Mutant; 10] = [
        Mutant::VoteWithoutLock,
        Mutant::VoteWithoutFreshness,
        Mutant::CommitEarly,
        Mutant::ForgetVotes,
        Mutant::BelieveCertificates,
        Mutant::LoseLaneTail,
        Mutant::AcknowledgeWithoutData,
        Mutant::LowClaims,
        Mutant::ExecuteOtherwise,
        Mutant::EarlySync,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Mutant::VoteWithoutLock => "vote-without-lock",
            Mutant::VoteWithoutFreshness => "vote-without-freshness",
            Mutant::CommitEarly => "commit-early",
            Mutant::ForgetVotes => "forget-votes",
            Mutant::BelieveCertificates => "believe-certificates",
            Mutant::LoseLaneTail => "lose-lane-tail",
            Mutant::AcknowledgeWithoutData => "acknowledge-without-data",
            Mutant::LowClaims => "low-claims",
            Mutant::ExecuteOtherwise => "execute-otherwise",
            Mutant::EarlySync => "early-sync",
        }
    }

    /// Whether breaking the rule means anything under `rule`. The two-chain lock is a check of
    /// certificates, which the crypto room makes before the core sees the header.
    pub fn applies(self, rule: CommitRule) -> bool {
        self != Mutant::VoteWithoutLock || rule == CommitRule::ThreeChain
    }

    /// The checks that may catch it; being caught by any other would be chance.
    pub fn caught_by(self) -> &'static [&'static str] {
        match self {
            Mutant::VoteWithoutLock => &["E3-lock"],
            Mutant::VoteWithoutFreshness => &["E2-double-vote", "V1-backwards", "V1-after-timeout"],
            Mutant::CommitEarly => &["executed-not-final", "order", "fork"],
            Mutant::ForgetVotes => &["E2-double-vote", "V1-backwards", "V1-after-timeout"],
            Mutant::BelieveCertificates => &["E5-unjustified", "E5-unknown", "fork", "order"],
            Mutant::LoseLaneTail => &["E6-lane"],
            Mutant::AcknowledgeWithoutData => &["acknowledged-without-data", "E7-acknowledgement"],
            Mutant::LowClaims => &["E4-stale-timeout"],
            Mutant::ExecuteOtherwise => &["execution", "state"],
            Mutant::EarlySync => &[
                "E1-equivocation",
                "E2-double-vote",
                "E3-lock",
                "E4-stale-timeout",
                "E6-lane",
                "E7-acknowledgement",
                "V1-backwards",
                "V1-after-timeout",
                "receipt",
                "executed-twice",
                "order",
            ],
        }
    }

    /// What a restarted mutant believes that it found on its disk.
    pub(crate) fn recovered(self, me: ReplicaId, mut records: Vec<Record>) -> Vec<Record> {
        match self {
            Mutant::ForgetVotes => {
                for record in &mut records {
                    if record.kind() == SAFETY
                        && let Ok(mut safety) = Safety::decode(record.bytes())
                    {
                        let nothing = Lock {
                            view: View(0),
                            block: safety.lock.block,
                        };
                        safety.last_votes = [nothing; 2];
                        safety.timeout_view = View(0);
                        *record = Record::new(SAFETY, [0; 32], [safety.encode()])
                            .expect("as long as the record that it was");
                    }
                }
                records
            }
            Mutant::LoseLaneTail => {
                let mine = |record: &Record| {
                    record.kind() == CAR
                        && Car::decode(record.bytes()).is_ok_and(|car| car.lane == me)
                };
                for _ in 0..2 {
                    if let Some(at) = records.iter().rposition(mine) {
                        records.remove(at);
                    }
                }
                records
            }
            _ => records,
        }
    }
}

/// Rules with one predicate broken.
#[derive(Debug)]
pub(crate) struct BrokenRules {
    pub rules: Box<dyn Rules>,
    pub mutant: Mutant,
}

impl Rules for BrokenRules {
    fn rule(&self) -> CommitRule {
        self.rules.rule()
    }
    fn is_fresh(&self, safety: &Safety, header: &Header) -> bool {
        self.mutant == Mutant::VoteWithoutFreshness || self.rules.is_fresh(safety, header)
    }
    fn lock_allows(&self, safety: &Safety, header: &Header) -> bool {
        self.mutant == Mutant::VoteWithoutLock || self.rules.lock_allows(safety, header)
    }
    fn lock_after(&self, safety: &Safety, header: &Header, parent: Option<&Header>) -> Lock {
        self.rules.lock_after(safety, header, parent)
    }
    fn commits(&self, qc: &Qc, newest_first: &[&Header]) -> Option<usize> {
        match self.mutant {
            Mutant::CommitEarly => {
                let len = self.rule().chain_len() - 1;
                let chain = newest_first.get(..len)?;
                let in_row = chain
                    .windows(2)
                    .all(|pair| pair[0].view == pair[1].view.next());
                (in_row && chain[0].view == qc.view).then_some(len - 1)
            }
            _ => self.rules.commits(qc, newest_first),
        }
    }
}

/// A signer that understates its certificate.
pub(crate) struct LowSigner(pub Arc<dyn Keys>);

impl Signer for LowSigner {
    fn proposal(&self, epoch: &Epoch, header: Header) -> Proposal {
        self.0.proposal(epoch, header)
    }
    fn timeout(&self, epoch: &Epoch, view: View, _: Qc, last: Option<Vote>) -> Timeout {
        self.0.timeout(epoch, view, Qc::root(epoch), last)
    }
    fn car(&self, epoch: &Epoch, car: Car) -> Car {
        self.0.car(epoch, car)
    }
    fn ack(&self, epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Ack {
        self.0.ack(epoch, lane, index, car)
    }
    fn checkpoint(
        &self,
        epoch: &Epoch,
        height: Height,
        block: BlockId,
        state: Digest,
    ) -> CheckpointShare {
        self.0.checkpoint(epoch, height, block, state)
    }
    fn report(
        &self,
        epoch: &Epoch,
        height: Height,
        tip: BlockId,
        proof: Option<types::CommitProof>,
    ) -> types::ForkReport {
        self.0.report(epoch, height, tip, proof)
    }
}

/// The rule set of a correct replica, or of one with one predicate broken.
pub(crate) fn rules(rule: CommitRule, mutant: Option<Mutant>) -> RulesFactory {
    Arc::new(move || match mutant {
        Some(mutant) => Box::new(BrokenRules {
            rules: rules_for(rule),
            mutant,
        }),
        None => rules_for(rule),
    })
}
