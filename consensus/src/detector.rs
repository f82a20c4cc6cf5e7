//! The open-box detector's first half: commit notices. Every replica tells others its newest
//! committed block; one that committed another block at that height asks for the proof. A notice
//! alone changes nothing, and costs at most one constant-size question per peer and interval.
//!
//! Only a few others are told at a time, in turn: two halves of a committee find each other through the first pair
//! that talks, and all of them together say it to many pairs at once, while everybody telling everybody cost
//! thirty replicas on two cores a third of their latency (docs/adr/0007-notices-in-turn.md).

use types::{Height, Message, Mode, Notice, ProofRequest, ReplicaId, SignerSet};

use crate::core::Core;
use crate::effect::{Effect, Nanos};

/// How often commits are told, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Notices {
    /// Shortest distance.
    pub interval_ns: Nanos,
    /// Longest silence, even if nothing new was committed: a peer may not have heard it.
    pub idle_ns: Nanos,
}

/// All others are told at once while they are so few.
const ALL_AT_ONCE: usize = 6;
/// So many of more others are told at a time: each notice is a frame of its own that somebody wakes up for.
const FANOUT: usize = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Detector {
    told: Height,
    told_ns: Nanos,
    /// Whose turn it is next, among all others.
    turn: usize,
    /// Each peer's newest notice beyond the own tip.
    heard: Vec<Option<Notice>>,
    /// What each peer was asked to prove, and when.
    asked: Vec<Option<(Height, Nanos)>>,
    /// The height at which a peer's notice differed last.
    differed: Vec<Height>,
}

impl Detector {
    pub fn new(n: usize) -> Detector {
        Detector {
            told: Height(0),
            told_ns: 0,
            turn: 0,
            heard: vec![None; n],
            asked: vec![None; n],
            differed: vec![Height(0); n],
        }
    }

    /// The next few of `others`, who come after `me` in a ring.
    fn next_audience(&mut self, me: ReplicaId, others: SignerSet) -> SignerSet {
        let later = others.iter().filter(|id| *id > me);
        let ring: Vec<ReplicaId> = later.chain(others.iter().filter(|id| *id < me)).collect();
        let told = match ring.len() <= ALL_AT_ONCE {
            true => ring.len(),
            false => FANOUT,
        };
        let some = ring.iter().cycle().skip(self.turn).take(told).copied();
        self.turn = (self.turn + told) % ring.len().max(1);
        some.collect()
    }
}

impl Core {
    /// When the next notice is due; never if nothing was committed or the detector is off.
    pub(crate) fn notice_due_ns(&self) -> Nanos {
        let tip = self.tree.tip().height;
        match self.config.notices {
            Some(notices) if tip > self.detector.told => {
                self.detector.told_ns + notices.interval_ns.max(self.pacemaker.usual_ns())
            }
            Some(notices) if tip > self.config.epoch.root_height => {
                self.detector.told_ns + notices.idle_ns
            }
            _ => Nanos::MAX,
        }
    }

    pub(crate) fn tell_commits(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if now < self.notice_due_ns() {
            return;
        }
        self.detector.told = self.tree.tip().height;
        self.detector.told_ns = now;
        let audience = self
            .detector
            .next_audience(self.config.me, self.config.others());
        self.tell_commit(audience, out);
        for at in 0..self.detector.heard.len() {
            if let Some(notice) = self.detector.heard[at].take() {
                self.handle_notice(now, ReplicaId(at as u16), &notice, out);
            }
        }
    }

    /// Tells where this replica is.
    pub fn tell_commit(&self, to: SignerSet, out: &mut Vec<Effect>) {
        let tip = self.tree.tip();
        if self.config.notices.is_none() || tip.height <= self.config.epoch.root_height {
            return;
        }
        let mode = match self.halted {
            true => Mode::DegradedSafe,
            false => Mode::Nominal,
        };
        let notice = Notice {
            epoch: self.config.epoch.id,
            height: tip.height,
            block: tip.id,
            mode,
        };
        out.push(Effect::Send {
            to,
            message: Message::Notice(notice),
            durable: false,
        });
    }

    /// Compares a peer's newest committed block with the own chain, now or when it gets there.
    pub fn handle_notice(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        notice: &Notice,
        out: &mut Vec<Effect>,
    ) {
        let known = notice.epoch == self.config.epoch.id && self.config.notices.is_some();
        let Some(heard) = self.detector.heard.get_mut(from.index()).filter(|_| known) else {
            return;
        };
        if notice.height > self.tree.tip().height {
            *heard = Some(*notice);
            return;
        }
        let own = self.tree.block_id_at(notice.height);
        if own.is_none_or(|own| own == notice.block) {
            return;
        }
        self.detector.differed[from.index()] = notice.height;
        self.ask_proof(now, from, notice.height, out);
    }

    /// Whether a peer's notice named another block than the own one at `height`.
    pub fn heard_otherwise(&self, from: ReplicaId, height: Height) -> bool {
        self.detector.differed.get(from.index()) == Some(&height)
    }

    /// Asks a peer to prove what it committed at `height`, unless it was asked just now.
    pub fn ask_proof(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        height: Height,
        out: &mut Vec<Effect>,
    ) {
        let patience = 2 * self.config.timing.fetch_ns;
        let Some(asked) = self.detector.asked.get_mut(from.index()) else {
            return;
        };
        if asked.is_some_and(|(_, at)| now < at + patience) {
            return;
        }
        *asked = Some((height, now));
        out.push(Effect::Send {
            to: SignerSet::from_iter([from]),
            message: Message::ProofRequest(ProofRequest {
                epoch: self.config.epoch.id,
                height,
            }),
            durable: false,
        });
    }

    /// Whether this peer owes a proof for `height`. It does so once: a lie must not open the door to any
    /// number of them.
    pub fn take_expected(&mut self, from: ReplicaId, height: Height) -> bool {
        let asked = self.detector.asked.get_mut(from.index());
        let Some((at, _)) = asked.and_then(Option::as_mut) else {
            return false;
        };
        // Nobody proves the root; and when it was asked still counts.
        let expected = *at == height && height > Height(0);
        if expected {
            *at = Height(0);
        }
        expected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One false notice must not open the door to any number of proofs, which are dear to check.
    #[test]
    fn a_peer_that_was_asked_owes_one_proof() {
        let mut core = crate::tests::fixture::core(0);
        let (peer, height, mut out) = (ReplicaId(2), Height(5), Vec::new());
        assert!(!core.take_expected(peer, height), "nobody asked");
        core.ask_proof(0, peer, height, &mut out);
        assert!(!core.take_expected(ReplicaId(1), height));
        assert!(!core.take_expected(peer, Height(6)));
        assert!(core.take_expected(peer, height));
        assert!(!core.take_expected(peer, height), "once");

        core.ask_proof(1, peer, height, &mut out);
        assert_eq!(out.len(), 1, "nor is it asked again at once");
        assert!(!core.take_expected(peer, height));
        core.ask_proof(1_000_000_000, peer, height, &mut out);
        assert!(core.take_expected(peer, height));
    }

    #[test]
    fn a_small_committee_is_told_at_once_and_a_large_one_in_turn() {
        let (me, all) = (ReplicaId(3), SignerSet::all(7));
        let others = all.difference([me].into_iter().collect());
        assert_eq!(Detector::new(7).next_audience(me, others), others);

        let others = SignerSet::all(30).difference([me].into_iter().collect());
        let mut detector = Detector::new(30);
        let mut told = SignerSet::EMPTY;
        for round in 1..=15 {
            let audience = detector.next_audience(me, others);
            assert_eq!(audience.len(), FANOUT);
            told = told.union(audience);
            assert!(
                told.len() == (round * FANOUT).min(29),
                "nobody twice before all were told"
            );
        }
        assert_eq!(told, others);
    }
}
