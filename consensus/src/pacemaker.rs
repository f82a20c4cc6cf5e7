//! When to give up on a view, and when others have.

use types::{Epoch, ReplicaId, SignerSet, Tc, Timeout, TimeoutClaim, View};

use crate::effect::{Nanos, Timing};
use crate::safety::Safety;

/// Views may take this many times their usual duration before they are given up.
const SLACK: u64 = 8;
const BACKOFF_MAX: u32 = 6;
/// A dead leader costs two views: nobody collects the votes of the one before its own.
const VIEWS_PER_DEAD_LEADER: u32 = 2;
/// Where the votes of a view were cast and nobody collected them, the next leader has a fraction of the
/// usual patience left: it was that leader who should have.
const SILENT_LEADER_SHARE: u64 = 4;

/// Current view, its timer, and everybody's newest timeout.
#[derive(Debug)]
pub struct Pacemaker {
    view: View,
    pub started_ns: Nanos,
    deadline_ns: Nanos,
    /// Views given up since the last commit.
    given_up: u32,
    /// So many are what `f` dead leaders cost in one round.
    excused: u32,
    /// Smoothed duration of views that ended in a certificate.
    usual_ns: Nanos,
    /// The same, but falling at once and rising slowly: a single slow view hardly moves it.
    brisk_ns: Nanos,
    timeouts: Vec<Option<Timeout>>,
    /// Certificate for the view before the current one, if that is how it was entered.
    tc: Option<Tc>,
    timing: Timing,
}

impl Pacemaker {
    /// Starts in the view that the safety state can justify to others: by its certificate, or by
    /// the timeout certificate that it kept.
    pub fn new(epoch: &Epoch, timing: Timing, safety: &Safety, now: Nanos) -> Pacemaker {
        let certified = safety.high_qc.view.next();
        let tc = safety.tc.clone().filter(|tc| tc.view.next() > certified);
        let view = tc.as_ref().map_or(certified, |tc| tc.view.next());
        let mut pacemaker = Pacemaker {
            view,
            started_ns: now,
            deadline_ns: now,
            given_up: 0,
            excused: VIEWS_PER_DEAD_LEADER * epoch.faults() as u32,
            usual_ns: 0,
            brisk_ns: 0,
            timeouts: vec![None; epoch.n],
            tc,
            timing,
        };
        pacemaker.deadline_ns = now + pacemaker.patience_ns();
        pacemaker
    }

    pub fn view(&self) -> View {
        self.view
    }

    pub fn tc(&self) -> Option<&Tc> {
        self.tc.as_ref()
    }

    /// Smoothed duration of views that ended in a certificate, in nanoseconds.
    pub fn usual_ns(&self) -> Nanos {
        self.usual_ns
    }

    /// Duration of a view in which nothing goes wrong, in nanoseconds.
    pub fn brisk_ns(&self) -> Nanos {
        self.brisk_ns
    }

    pub fn deadline_ns(&self) -> Nanos {
        self.deadline_ns
    }

    /// The view timeout now in force, in nanoseconds. Once more views were given up without a commit than `f`
    /// dead leaders explain, it doubles with each, up to the largest: whatever the network's delay is, some
    /// day it suffices for the views in a row that a commit needs. With a commit it is shown to
    /// suffice, and starts over.
    pub fn patience_ns(&self) -> Nanos {
        let base = self.timing.view_timeout_ns.max(SLACK * self.usual_ns);
        let backoff = self.given_up.saturating_sub(self.excused);
        (base << backoff.min(BACKOFF_MAX)).min(self.timing.view_timeout_max_ns)
    }

    /// Something became final.
    pub fn committed(&mut self) {
        self.given_up = 0;
    }

    /// Enters `view` because the one before was certified; false if it is not news.
    pub fn enter_certified(&mut self, view: View, now: Nanos) -> bool {
        if view <= self.view {
            return false;
        }
        if view == self.view.next() {
            let took = now.saturating_sub(self.started_ns);
            let took = took.min(self.timing.view_timeout_ns);
            self.usual_ns = (7 * self.usual_ns + took) / 8;
            self.brisk_ns = match self.brisk_ns {
                0 => took,
                brisk if took < brisk => took,
                brisk => (15 * brisk + took) / 16,
            };
        }
        self.enter(view, None, now);
        true
    }

    /// Enters the view after `tc`'s; false if it is not news. `silent`: its leader has let the votes of the
    /// view before lie.
    pub fn enter_timed_out(&mut self, tc: Tc, silent: bool, now: Nanos) -> bool {
        if tc.view.next() <= self.view {
            return false;
        }
        self.given_up = self.given_up.saturating_add(1);
        self.enter(tc.view.next(), Some(tc), now);
        if silent {
            self.deadline_ns = now + self.patience_ns() / SILENT_LEADER_SHARE;
        }
        true
    }

    fn enter(&mut self, view: View, tc: Option<Tc>, now: Nanos) {
        self.view = view;
        self.tc = tc;
        self.started_ns = now;
        self.deadline_ns = now + self.patience_ns();
    }

    /// The timer fired: say it (again), and wait as long once more.
    pub fn rearm(&mut self, now: Nanos) {
        self.deadline_ns = now + self.patience_ns();
    }

    /// Takes a peer's timeout; only its newest counts. False if it says nothing new.
    pub fn add(&mut self, timeout: Timeout) -> bool {
        let Some(slot) = self.timeouts.get_mut(timeout.replica.index()) else {
            return false;
        };
        if slot
            .as_ref()
            .is_some_and(|known| known.view >= timeout.view)
        {
            return false;
        }
        *slot = Some(timeout);
        true
    }

    /// A certificate out of the timeouts for `view`, if a quorum gave it up.
    pub fn certificate(&self, epoch: &Epoch, view: View, excluded: SignerSet) -> Option<Tc> {
        let seats = epoch.members.difference(excluded);
        let claims: Vec<TimeoutClaim> = self
            .timeouts
            .iter()
            .flatten()
            .filter(|t| t.view == view && seats.contains(t.replica))
            .map(|t| TimeoutClaim {
                replica: t.replica,
                high_qc_view: t.high_qc.view,
                signature: t.signature,
            })
            .collect();
        let tc = Tc {
            epoch: epoch.id,
            view,
            excluded,
            claims,
        };
        epoch
            .is_quorum_without(tc.signers(), excluded)
            .then_some(tc)
    }

    /// The highest view that more than `f` replicas gave up: at least one of them is correct, so
    /// joining them is no lie.
    pub fn given_up_by_some_correct(&self, epoch: &Epoch, excluded: SignerSet) -> View {
        let seats = epoch.members.difference(excluded);
        let timeouts = self.timeouts.iter().flatten();
        let mut views: Vec<View> = timeouts
            .filter(|t| seats.contains(t.replica))
            .map(|t| t.view)
            .collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        let faults = types::committee::faults(seats.len());
        views.get(faults).copied().unwrap_or_default()
    }

    /// Views at or above the current one that anybody gave up, ascending.
    pub fn views_given_up(&self) -> Vec<View> {
        let views = self.timeouts.iter().flatten().map(|t| t.view);
        let mut views: Vec<View> = views.filter(|view| *view >= self.view).collect();
        views.sort_unstable();
        views.dedup();
        views
    }

    /// The newest timeout that `id` sent.
    pub fn timeout_of(&self, id: ReplicaId) -> Option<&Timeout> {
        self.timeouts.get(id.index()).and_then(Option::as_ref)
    }
}
