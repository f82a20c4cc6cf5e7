//! Everything that correct replicas ever signed, held against the offences `E1` to `E7`: no correct
//! replica may convict itself, whatever crashed in between. The predicates here are the auditor's,
//! written from the table in the protocol, and share nothing with the core.

use std::collections::{BTreeMap, HashMap, HashSet};

use types::{
    BlockId, CarId, CommitRule, Epoch, Header, Message, Qc, ReplicaId, Timeout, View, Vote,
};

use super::{Verdict, violation};

#[derive(Debug, Clone)]
struct Seen {
    view: View,
    parent: BlockId,
    justify: Qc,
    /// View and highest claim of the timeout certificate.
    tc: Option<(View, View)>,
}

/// One correct replica's own words.
#[derive(Debug, Default)]
struct Words {
    votes: BTreeMap<View, BlockId>,
    proposals: HashMap<View, BlockId>,
    cars: HashMap<u64, CarId>,
    acks: HashMap<(ReplicaId, u64), CarId>,
    timeouts: BTreeMap<View, View>,
    /// Highest view that a vote locked, and the vote's view.
    locked: (View, View),
}

/// See the module.
#[derive(Debug)]
pub struct Signed {
    epoch: Epoch,
    rule: CommitRule,
    honest: Vec<bool>,
    words: Vec<Words>,
    headers: HashMap<BlockId, Seen>,
    /// Votes that were ever signed, sent or not: what certificates may rest on.
    votes: HashSet<(ReplicaId, View, BlockId)>,
    made: HashSet<(View, BlockId)>,
}

impl Signed {
    pub fn new(epoch: Epoch, rule: CommitRule, honest: Vec<bool>) -> Signed {
        let words = honest.iter().map(|_| Words::default()).collect();
        Signed {
            epoch,
            rule,
            honest,
            words,
            headers: HashMap::new(),
            votes: HashSet::new(),
            made: HashSet::new(),
        }
    }

    pub fn header(&mut self, header: &Header) {
        let seen = || Seen {
            view: header.view,
            parent: header.justify.block,
            justify: header.justify.clone(),
            tc: header.tc.as_ref().map(|tc| (tc.view, tc.high_qc_view())),
        };
        self.headers.entry(header.id()).or_insert_with(seen);
    }

    pub fn parent(&self, block: BlockId) -> Option<BlockId> {
        self.headers.get(&block).map(|seen| seen.parent)
    }

    /// Correct replica `from` decided to vote in `view`: it must not have given that view up. The vote
    /// itself may leave later than a timeout that was decided after it.
    pub fn decided(&self, from: ReplicaId, view: View) -> Verdict {
        match self.words[from.index()].timeouts.range(view..).next_back() {
            Some((given_up, _)) => violation(
                "V1-after-timeout",
                format!("replica {from} votes in view {view} after it gave up {given_up}"),
            ),
            None => Ok(()),
        }
    }

    pub fn signed_vote(&mut self, vote: &Vote) {
        self.votes.insert((vote.voter, vote.view, vote.block));
    }

    pub fn certified(&mut self, qc: &Qc) {
        self.made.insert((qc.view, qc.block));
    }

    /// A message which left correct replica `from`.
    pub fn said(&mut self, from: ReplicaId, message: &Message) -> Verdict {
        match message {
            Message::Proposal(p) => {
                let (view, id) = (p.header.view, p.header.id());
                match self.words[from.index()].proposals.insert(view, id) {
                    Some(first) if first != id => violation(
                        "E1-equivocation",
                        format!("replica {from} proposed twice in view {view}"),
                    ),
                    _ => Ok(()),
                }
            }
            Message::Vote(vote) => self.vote(from, vote),
            Message::Timeout(timeout) => {
                if let Some(vote) = &timeout.last_vote {
                    self.vote(from, vote)?;
                }
                self.timeout(from, timeout)
            }
            Message::Car(car) if car.lane == from => {
                match self.words[from.index()].cars.insert(car.index, car.id()) {
                    Some(first) if first != car.id() => violation(
                        "E6-lane",
                        format!("replica {from} signed two cars of index {}", car.index),
                    ),
                    _ => Ok(()),
                }
            }
            Message::Ack(ack) => {
                match self.words[from.index()]
                    .acks
                    .insert((ack.lane, ack.index), ack.car)
                {
                    Some(first) if first != ack.car => violation(
                        "E7-acknowledgement",
                        format!(
                            "replica {from} acknowledged two cars of lane {} at index {}",
                            ack.lane, ack.index
                        ),
                    ),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn vote(&mut self, from: ReplicaId, vote: &Vote) -> Verdict {
        let (view, block) = (vote.view, vote.block);
        let words = &mut self.words[from.index()];
        match words.votes.get(&view) {
            Some(first) if *first == block => return Ok(()),
            Some(_) => {
                return violation(
                    "E2-double-vote",
                    format!("replica {from} voted twice in view {view}"),
                );
            }
            None => {}
        }
        if let Some((last, _)) = words.votes.last_key_value()
            && *last > view
        {
            return violation(
                "V1-backwards",
                format!("replica {from} voted in view {view} after {last}"),
            );
        }
        words.votes.insert(view, block);
        let Some(seen) = self.headers.get(&block).cloned() else {
            return violation(
                "E5-unknown",
                format!("replica {from} voted for a block that nobody proposed"),
            );
        };
        self.justified(from, view, &seen)?;
        let words = &mut self.words[from.index()];
        if self.rule == CommitRule::ThreeChain {
            let (lock, locked_in) = words.locked;
            if seen.justify.view < lock {
                return violation(
                    "E3-lock",
                    format!(
                        "replica {from} voted in view {view} over view {}, though its vote in view {locked_in} locked view {lock}",
                        seen.justify.view
                    ),
                );
            }
            if let Some(parent) = self.headers.get(&seen.parent)
                && parent.justify.view > lock
            {
                words.locked = (parent.justify.view, view);
            }
        }
        let lower = words
            .timeouts
            .range(view..)
            .find(|(_, claim)| **claim < seen.justify.view);
        match lower.map(|(given_up, claim)| (*given_up, *claim)) {
            Some((given_up, claim)) => self.stale(from, view, seen.justify.view, given_up, claim),
            None => Ok(()),
        }
    }

    /// What anyone can check of a header that a correct replica voted for.
    fn justified(&self, from: ReplicaId, view: View, seen: &Seen) -> Verdict {
        let fail = |why: String| {
            violation(
                "E5-unjustified",
                format!("replica {from} voted in view {view}: {why}"),
            )
        };
        let justify = &seen.justify;
        if seen.view != view || justify.view >= view {
            return fail("the header is of another view, or not above its certificate".into());
        }
        let consecutive = justify.view.0 + 1 == view.0;
        let excused = seen
            .tc
            .is_some_and(|(at, high)| at.0 + 1 == view.0 && justify.view >= high);
        if self.rule == CommitRule::TwoChain && !consecutive && !excused {
            return fail(
                "neither the view before is certified nor does a timeout certificate excuse it"
                    .into(),
            );
        }
        if justify.view == View(0) {
            return match justify.block == self.epoch.root() {
                true => Ok(()),
                false => fail("a certificate of view 0 for another block than the root".into()),
            };
        }
        if !self
            .epoch
            .is_quorum_without(justify.votes.signers, justify.excluded)
        {
            return fail("its certificate has no quorum".into());
        }
        let liar = justify.votes.signers.iter().find(|id| {
            self.honest[id.index()] && !self.votes.contains(&(*id, justify.view, justify.block))
        });
        if let Some(id) = liar {
            return fail(format!(
                "its certificate names replica {id}, which never voted so"
            ));
        }
        match self.made.contains(&(justify.view, justify.block)) {
            true => Ok(()),
            false => fail("its certificate was made by nobody".into()),
        }
    }

    fn timeout(&mut self, from: ReplicaId, timeout: &Timeout) -> Verdict {
        let (view, claim) = (timeout.view, timeout.high_qc.view);
        let words = &mut self.words[from.index()];
        let slot = words.timeouts.entry(view).or_insert(claim);
        *slot = (*slot).min(claim);
        let stale = words.votes.range(..=view).rev().find_map(|(voted, block)| {
            let justify = self.headers.get(block)?.justify.view;
            (justify > claim).then_some((*voted, justify))
        });
        match stale {
            Some((voted, justify)) => self.stale(from, voted, justify, view, claim),
            None => Ok(()),
        }
    }

    fn stale(
        &self,
        from: ReplicaId,
        voted: View,
        justify: View,
        given_up: View,
        claim: View,
    ) -> Verdict {
        violation(
            "E4-stale-timeout",
            format!(
                "replica {from} voted in view {voted} over view {justify}, and gave up view {given_up} claiming {claim}"
            ),
        )
    }
}
