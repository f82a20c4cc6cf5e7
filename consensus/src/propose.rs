//! The leader's part: when to propose, and which cut.

use types::{CarCert, Checkpoint, Header, ReplicaId};

use crate::core::Core;
use crate::effect::{Check, Durable, Effect, Nanos};
use crate::lanes::CutEntry;

/// State of the attempt to propose in the current view.
#[derive(Debug, Default)]
pub(crate) struct Proposer {
    /// When to look again.
    pub due_ns: Option<Nanos>,
    /// Certificates for the cut are being checked.
    pub checking: bool,
    /// They were checked once in this view: what is still doubtful stays out of the cut.
    pub checked: bool,
    /// The header was handed out for signing.
    pub done: bool,
}

impl Core {
    /// Proposes if this replica leads the current view, may do so, and has a reason to.
    pub(crate) fn try_propose(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let view = self.view();
        self.proposer.due_ns = None;
        if self.halted || self.ended || self.proposer.done || self.leader(view) != self.config.me {
            return;
        }
        if view <= self.safety.proposed_view || view <= self.safety.timeout_view {
            return;
        }
        let high = self.safety.high_qc.clone();
        let tc = match high.view.next() == view {
            true => None,
            false => match self.pacemaker.tc() {
                Some(tc) if tc.view.next() == view && high.view >= tc.high_qc_view() => {
                    Some(tc.clone())
                }
                _ => return,
            },
        };
        // A newer certificate may be on its way out of votes that nobody collected.
        if tc.is_some() && self.votes.checking_above(high.view) {
            return;
        }
        let Some(parent) = self.tree.base(high.block) else {
            return;
        };
        let Some((payload, excluded)) = self.content(&high) else {
            return;
        };
        let ends = self.ends_above(high.block);
        let (verified, doubtful) = match excluded.is_some() || ends {
            true => Default::default(),
            false => self.candidate_cut(&parent.cut),
        };
        // After a view that was given up the others' patience may be shorter than the idle interval.
        let late = tc.is_some();
        // Everybody waits for an epoch's first commit: it says that the epoch works.
        let depth = self.rules.rule().chain_len() as u64;
        let begins = parent.height.0 <= self.config.epoch.root_height.0 + depth;
        let urgent = late || begins || excluded.is_some() || ends || payload != types::Digest::ZERO;
        let has_work =
            urgent || !verified.is_empty() || !doubtful.is_empty() || self.data_waits(high.block);
        if !has_work {
            let due = self.pacemaker.started_ns + self.config.timing.idle_view_ns;
            if now < due {
                self.proposer.due_ns = Some(due);
                return;
            }
        } else if let Some(due) = self.paced_until(high.block, now) {
            self.proposer.due_ns = Some(due);
            return;
        }
        if self.proposer.checking {
            return;
        }
        if !doubtful.is_empty() {
            (self.proposer.checking, self.proposer.checked) = (true, true);
            out.push(Effect::Check(Check::CarCerts(doubtful)));
            return;
        }
        let header = Header {
            epoch: self.config.epoch.id,
            view,
            height: parent.height.next(),
            justify: high,
            tc,
            cut: verified,
            payload,
            proposer: self.config.me,
            checkpoint: self
                .checkpoints
                .newest
                .as_ref()
                .map_or(Checkpoint::default(), |c| Checkpoint {
                    height: c.height,
                    block: c.block,
                    state: c.state,
                }),
            excluded,
        };
        self.proposer.done = true;
        self.safety.proposed_view = view;
        self.stats.proposals_sent += 1;
        out.push(Effect::Persist(Durable::Safety(Box::new(
            self.safety.clone(),
        ))));
        out.push(Effect::SignProposal(Box::new(header)));
    }

    /// Ends of the lanes that advance over `base`: what this replica holds or has checked a certificate
    /// for, and, once per view, newer certificates to check. Without that limit one owner could keep a
    /// leader checking for ever.
    fn candidate_cut(&self, base: &[CutEntry]) -> (Vec<CarCert>, Vec<CarCert>) {
        let (mut verified, mut doubtful) = (Vec::new(), Vec::new());
        for (at, entry) in base.iter().enumerate() {
            let lane = ReplicaId(at as u16);
            let (good, heard) = self.lanes.candidates(lane, entry.index);
            let certified = good.map_or(entry.index, |cert| cert.index);
            let held = self
                .bare_tip(lane, *entry)
                .filter(|tip| tip.index > certified);
            let reached = held.as_ref().map_or(certified, |tip| tip.index);
            let heard = heard.filter(|cert| !self.proposer.checked && cert.index > reached);
            verified.extend(held.or_else(|| good.cloned()));
            doubtful.extend(heard.cloned());
        }
        (verified, doubtful)
    }

    /// True while some block that carries data is not yet committed at everybody who holds the
    /// chain up to `parent`: the next block brings them the certificate which commits it.
    fn data_waits(&self, parent: types::BlockId) -> bool {
        let depth = self.rules.rule().chain_len();
        self.tree
            .ancestry(parent, depth)
            .iter()
            .any(|block| block.carries_data())
    }

    /// Under load a view should carry a few milliseconds' worth of data: until when to wait.
    fn paced_until(&self, parent: types::BlockId, now: Nanos) -> Option<Nanos> {
        let pace = self.config.timing.pace_ns;
        let block = self.tree.get(parent)?;
        let lanes = block
            .header
            .cut
            .iter()
            .filter_map(|cert| Some(self.lanes.car(cert.lane, &cert.car)?.len_bytes()));
        let bytes: u64 = lanes.sum();
        // Linear up to a quarter of a megabyte per view, the full distance from there on.
        let wait = pace * bytes.min(PACE_FULL_BYTES) / PACE_FULL_BYTES;
        let due = self.pacemaker.started_ns + wait;
        (now < due).then_some(due)
    }

    /// Whether this replica is about to propose: then certificates are checked as they arrive, while
    /// others are still voting.
    pub(crate) fn leads_next(&self) -> bool {
        let (me, view) = (self.config.me, self.view());
        self.leader(view.next()) == me || (self.leader(view) == me && !self.proposer.done)
    }
}

const PACE_FULL_BYTES: u64 = 256 << 10;
