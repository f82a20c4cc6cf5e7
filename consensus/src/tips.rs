//! Uncertified lane ends in a cut. A leader names what it holds itself; whoever votes for it holds it
//! too, so that the block's certificate is the certificate of the data (docs/protocol.md, section 2;
//! Giridharan et al., *Autobahn*, SOSP 2024, call them optimistic tips). Acknowledgements are given
//! only for cars that no block has named in time.

use types::{CarCert, CarId, CarRequest, Header, ReplicaId, SignerSet, View};

use crate::core::Core;
use crate::effect::{Effect, Nanos};
use crate::lanes::{CutEntry, Missing};

/// A car that is named in the next view is committed in fewer views than these, under both rules.
const ACK_VIEWS: u64 = 8;
/// For so many views a lane is named by certificates only, after its uncertified end kept somebody.
const WARY_VIEWS: u64 = 32;
/// The same after a view was given up over it; doubled by every further one.
const STRIKE_VIEWS: u64 = 64;
const STRIKES_MAX: u32 = 6;
/// So many uncertified ends of a lane must be committed before one strike is forgiven.
const FORGIVEN_AFTER: u32 = 512;

/// How far a lane's owner is trusted to have given its cars to everybody.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Standing {
    wary_until: View,
    strikes: u32,
    good: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Tips {
    standing: Vec<Standing>,
    /// Lanes that the newest proposal named without a certificate, and its view.
    named: (View, SignerSet),
    /// When to ask the proposer for what the waiting proposal names.
    ask_ns: Option<Nanos>,
    /// It was asked for cars, and their bytes come next.
    asked: SignerSet,
}

impl Tips {
    pub fn new(n: usize) -> Tips {
        Tips {
            standing: vec![Standing::default(); n],
            ..Tips::default()
        }
    }

    pub fn is_trusted(&self, lane: ReplicaId, view: View) -> bool {
        let standing = self.standing.get(lane.index());
        standing.is_some_and(|standing| standing.wary_until < view)
    }

    pub fn deadline_ns(&self) -> Nanos {
        self.ask_ns.unwrap_or(Nanos::MAX)
    }

    pub fn note_named(&mut self, header: &Header) {
        if header.view > self.named.0 {
            let bare = header.cut.iter().filter(|cert| cert.is_bare());
            self.named = (header.view, bare.map(|cert| cert.lane).collect());
        }
    }

    fn be_wary(&mut self, lane: ReplicaId, view: View) {
        if let Some(standing) = self.standing.get_mut(lane.index()) {
            standing.wary_until = standing.wary_until.max(View(view.0 + WARY_VIEWS));
        }
    }

    /// `view` was given up, perhaps over these lanes: their owners may have told others otherwise.
    pub fn strike(&mut self, lanes: SignerSet, view: View) {
        for lane in lanes.iter() {
            if let Some(standing) = self.standing.get_mut(lane.index()) {
                let views = STRIKE_VIEWS << standing.strikes;
                standing.wary_until = standing.wary_until.max(View(view.0 + views));
                standing.strikes = (standing.strikes + 1).min(STRIKES_MAX);
                standing.good = 0;
            }
        }
    }

    pub fn committed(&mut self, header: &Header) {
        for cert in header.cut.iter().filter(|cert| cert.is_bare()) {
            if let Some(standing) = self.standing.get_mut(cert.lane.index()) {
                standing.good += 1;
                if standing.good >= FORGIVEN_AFTER {
                    standing.good = 0;
                    standing.strikes = standing.strikes.saturating_sub(1);
                }
            }
        }
    }
}

impl Core {
    /// The end of a lane that this replica holds beyond `base`, for a proposal.
    pub(crate) fn bare_tip(&self, lane: ReplicaId, base: CutEntry) -> Option<CarCert> {
        if !self.tips.is_trusted(lane, self.view()) {
            return None;
        }
        let tip = self.lanes.held_above(lane, base)?;
        Some(CarCert::bare(
            self.config.epoch.id,
            lane,
            tip.index,
            tip.car,
        ))
    }

    /// A proposal of the current view was seen.
    pub(crate) fn note_tips(&mut self, header: &Header) {
        self.tips.note_named(header);
    }

    /// A proposal waits for cars or batches that its proposer holds: on a good day they are on their
    /// way already.
    pub(crate) fn await_tips(&mut self) {
        self.tips.ask_ns = Some(self.pacemaker.started_ns + self.grace_ns());
        self.tips.asked = SignerSet::EMPTY;
    }

    /// A car of `lane` was taken. If the proposer was asked for it, its bytes are not on their way from the
    /// lane's owner either: no need to wait for them.
    pub(crate) fn ask_on(&mut self, lane: ReplicaId) {
        if self.tips.asked.contains(lane) && self.tips.ask_ns.is_some() {
            self.tips.asked.remove(lane);
            self.tips.ask_ns = Some(0);
        }
    }

    fn grace_ns(&self) -> Nanos {
        let brisk = self.pacemaker.brisk_ns();
        brisk.max(self.config.lanes.car_interval_ns)
    }

    /// `view` was given up. Whoever could not vote knows which lanes it lacked; whoever led knows what it
    /// had named. Everybody else voted, and holds nothing against anybody: often it is the next leader
    /// that was missing. What waited for a block is acknowledged now: a certificate helps where the
    /// holders do not suffice.
    pub(crate) fn gave_up_over_tips(&mut self, view: View) {
        let lacked = self
            .waiting_cut
            .as_ref()
            .filter(|header| header.view == view);
        let lacked = lacked.map_or(SignerSet::EMPTY, |header| {
            let bare = header.cut.iter().filter(|cert| cert.is_bare());
            bare.filter(|cert| !self.trusts(cert))
                .map(|cert| cert.lane)
                .collect()
        });
        let led = self.leader(view) == self.config.me && self.tips.named.0 == view;
        let named = if led {
            self.tips.named.1
        } else {
            SignerSet::EMPTY
        };
        self.tips.strike(lacked.union(named), view);
        self.lanes.hurry_acks();
    }

    /// Something new is held: perhaps it is what the proposal waited for.
    pub(crate) fn vote_if_complete(&mut self, out: &mut Vec<Effect>) {
        let complete = |header: &Header| header.cut.iter().all(|cert| self.trusts(cert));
        if self.waiting_cut.as_ref().is_some_and(complete)
            && let Some(header) = self.waiting_cut.take()
        {
            self.tips.ask_ns = None;
            self.vote_after_check(header, out);
        }
    }

    /// Asks the proposer for what its proposal names and is not here.
    pub(crate) fn ask_for_tips(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.tips.ask_ns.is_none_or(|due| now < due) {
            return;
        }
        self.tips.ask_ns = None;
        let view = self.view();
        let Some(header) = self.waiting_cut.clone().filter(|h| h.view == view) else {
            return;
        };
        let to = SignerSet::from_iter([header.proposer]);
        for cert in header.cut.iter().filter(|cert| cert.is_bare()) {
            if self.trusts(cert) {
                continue;
            }
            self.tips.be_wary(cert.lane, view);
            self.tips.ask_ns = Some(now + self.grace_ns());
            let (lane, tip) = (cert.lane, cert.car);
            match self.lanes.missing_below(lane, tip) {
                Missing::Nothing => {}
                Missing::Batches(digests) => self.request_batches(to, digests, out),
                Missing::Cars { from_index, tip } => {
                    self.tips.asked.insert(lane);
                    self.request_cars(to, lane, from_index, tip, out);
                }
            }
        }
    }

    /// Somebody lacks what this leader named: its owner gave it to some only.
    pub(crate) fn note_asked(&mut self, request: &CarRequest) {
        let named = self.tips.named.1.contains(request.lane);
        if named
            && request.tip != CarId::ZERO
            && self.lanes.is_uncommitted(request.lane, request.tip)
        {
            let view = self.view();
            self.tips.be_wary(request.lane, view);
        }
    }

    /// Acknowledges what no block has named in time.
    pub(crate) fn acknowledge_late(&mut self, out: &mut Vec<Effect>) {
        for (lane, entry) in self.lanes.owed_now() {
            self.stats.acks_sent += 1;
            out.push(Effect::SignAck {
                lane,
                index: entry.index,
                car: entry.car,
            });
        }
    }

    /// The view in which an acknowledgement of a car that was just taken is due: this one where only a
    /// certificate will do, or else one in which it should have been committed. Not a time: where
    /// everything is slow, acknowledgements would make it slower.
    pub(crate) fn ack_due(&self, lane: ReplicaId) -> View {
        match self.tips.is_trusted(lane, self.view()) {
            true => View(self.view().0 + ACK_VIEWS),
            false => self.view(),
        }
    }
}
