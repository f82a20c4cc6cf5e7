//! Giving up on views: lines O5 to O8 of `docs/protocol.md`.

use types::{Message, NewView, ReplicaId, SignerSet, Timeout, Verified, View};

use crate::core::Core;
use crate::effect::{Durable, Effect, Nanos};

impl Core {
    // ---- timeouts ---------------------------------------------------------------------------

    pub fn handle_timeout(
        &mut self,
        now: Nanos,
        timeout: Verified<Timeout>,
        out: &mut Vec<Effect>,
    ) {
        self.take_timeout(now, timeout.into_inner(), out);
    }

    pub(crate) fn take_timeout(&mut self, now: Nanos, timeout: Timeout, out: &mut Vec<Effect>) {
        let (from, view) = (timeout.replica, timeout.view);
        if self.halted {
            return;
        }
        self.process_qc(now, &timeout.high_qc, from, out);
        if let Some(vote) = timeout.last_vote.clone() {
            self.handle_vote(now, from, vote, out);
        }
        if view < self.view() && from != self.config.me {
            self.send_new_view(from, out);
        }
        if !self.pacemaker.add(timeout) {
            return;
        }
        self.collect_votes(out);
        if let Some(tc) = self
            .pacemaker
            .certificate(&self.config.epoch, view, self.excluded)
        {
            self.stats.tcs_formed += 1;
            self.handle_tc(now, &tc, out);
            return;
        }
        let given_up = self.given_up_by_some_correct();
        if given_up >= self.view() && self.safety.timeout_view < given_up {
            self.give_up(now, given_up, out);
        }
    }

    /// The highest view that some correct replica gave up.
    pub(crate) fn given_up_by_some_correct(&self) -> View {
        self.pacemaker
            .given_up_by_some_correct(&self.config.epoch, self.excluded)
    }

    pub(crate) fn send_new_view(&mut self, to: ReplicaId, out: &mut Vec<Effect>) {
        let message = NewView {
            high_qc: self.safety.high_qc.clone(),
            tc: self.pacemaker.tc().cloned(),
        };
        let to = SignerSet::from_iter([to]);
        out.push(Effect::Send {
            to,
            message: Message::NewView(message),
            durable: false,
        });
    }

    pub fn handle_new_view(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        message: Verified<NewView>,
        out: &mut Vec<Effect>,
    ) {
        let message = message.into_inner();
        self.process_qc(now, &message.high_qc, from, out);
        if let Some(tc) = &message.tc {
            self.handle_tc(now, tc, out);
        }
    }

    /// States, durably first, that this replica votes in no view up to `view` any more.
    pub(crate) fn give_up(&mut self, now: Nanos, view: View, out: &mut Vec<Effect>) {
        self.pacemaker.rearm(now);
        if !self.config.is_member() {
            return;
        }
        self.safety.timeout_view = self.safety.timeout_view.max(view);
        self.stats.timeouts_sent += 1;
        out.push(Effect::Persist(Durable::Safety(Box::new(
            self.safety.clone(),
        ))));
        let last_vote = self.last_vote.clone().filter(|vote| vote.view <= view);
        let high_qc = Box::new(self.safety.high_qc.clone());
        out.push(Effect::SignTimeout {
            view,
            high_qc,
            last_vote,
        });
    }
}
