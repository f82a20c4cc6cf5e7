//! What a block may carry beside its cut: in a recovery epoch the first block of the chain binds a
//! recovery value, and every header declares `B`; in an ordinary epoch a block may evict.

use std::collections::BTreeSet;
use std::sync::Arc;

use types::{Digest, Header, Qc, SignerSet};

use crate::core::Core;
use crate::effect::{Effect, Nanos};

/// Most values that are endorsed at the same time: one of every leader, and some that were outgrown.
const ENDORSED_MAX: usize = 256;

/// Values that this replica knows.
#[derive(Debug, Default)]
pub(crate) struct Values {
    /// The one that it proposes.
    own: Option<Digest>,
    /// Those whose data it holds and whose evidence it checked: it may vote for them.
    endorsed: BTreeSet<Digest>,
    /// A header of the current view that waits for its value to be endorsed.
    pub waiting: Option<Arc<Header>>,
}

/// Whether a header's payload and `B` allow a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Fit,
    /// Not yet: the value behind the payload is unknown, or its data is missing.
    Later,
    Unfit,
}

impl Core {
    /// `B` of this recovery epoch.
    pub fn excluded(&self) -> SignerSet {
        self.excluded
    }

    pub(crate) fn allows_content(&self, header: &Header) -> Content {
        let starts = header.justify.view.0 == 0;
        let fit = match (self.config.epoch.is_recovery(), header.excluded) {
            (false, None) => return self.allows_eviction(header),
            // The declared `B` must be what the evidence, merged with the proposal's, amounts to.
            (true, Some(excluded)) => {
                if excluded != self.excluded {
                    return match self.excluded.is_subset(excluded) {
                        true => Content::Later,
                        false => Content::Unfit,
                    };
                }
                let of_tc = header
                    .tc
                    .as_ref()
                    .map_or(SignerSet::EMPTY, |tc| tc.excluded);
                let plain = header.cut.is_empty() && of_tc.is_subset(excluded);
                match starts {
                    true if !plain => false,
                    true => {
                        return match self.endorses(header.payload) {
                            true => Content::Fit,
                            false => Content::Later,
                        };
                    }
                    false => plain && header.payload == Digest::ZERO,
                }
            }
            _ => false,
        };
        match fit {
            true => Content::Fit,
            false => Content::Unfit,
        }
    }

    /// Payload and `B` of this replica's next header over `high`; none: it has nothing to propose yet.
    pub(crate) fn content(&self, high: &Qc) -> Option<(Digest, Option<SignerSet>)> {
        if !self.config.epoch.is_recovery() {
            let payload = match self.ends_above(high.block) {
                true => Digest::ZERO,
                false => self.values.own.unwrap_or_default(),
            };
            return Some((payload, None));
        }
        let enough = self.config.epoch.quorum_without(self.excluded).is_some();
        let payload = match high.view.0 {
            0 => self.values.own?,
            _ => Digest::ZERO,
        };
        enough.then_some((payload, Some(self.excluded)))
    }

    /// In an ordinary epoch a block may evict, if this voter holds the same evidence; what is built on
    /// such a block orders nothing: the epoch ends with it.
    fn allows_eviction(&self, header: &Header) -> Content {
        let evicts = header.payload != Digest::ZERO;
        match (self.ends_above(header.parent()), evicts) {
            (true, true) => Content::Unfit,
            (true, false) if !header.cut.is_empty() => Content::Unfit,
            (_, false) => Content::Fit,
            (false, true) if self.endorses(header.payload) => Content::Fit,
            (false, true) => Content::Later,
        }
    }

    /// Whether an uncommitted block up to `id` ends the epoch.
    pub(crate) fn ends_above(&self, id: types::BlockId) -> bool {
        let uncommitted = self.tree.uncommitted_ancestry(id);
        uncommitted.iter().any(|b| b.header.payload != Digest::ZERO)
    }

    /// `B` grew: votes, locks, certificates and timeouts carry over, leaders change.
    pub fn exclude(&mut self, now: Nanos, excluded: SignerSet, out: &mut Vec<Effect>) {
        if self.excluded == excluded {
            return;
        }
        self.excluded = excluded;
        self.values.own = None;
        // They leave out fewer than are known now: nobody may have them decided under the larger `B`.
        self.values.endorsed.clear();
        let given_up: Vec<_> = self.pacemaker.views_given_up();
        for view in given_up {
            let tc = self
                .pacemaker
                .certificate(&self.config.epoch, view, self.excluded);
            if let Some(tc) = tc {
                self.stats.tcs_formed += 1;
                self.handle_tc(now, &tc, out);
            }
        }
        self.collect_votes(out);
        self.vote_for_waiting(out);
        self.try_propose(now, out);
    }

    /// Whether this replica may vote for the value.
    pub fn endorses(&self, value: Digest) -> bool {
        self.values.endorsed.contains(&value)
    }

    /// This replica holds everything that the value needs: it may vote for it.
    pub fn endorse(&mut self, value: Digest, out: &mut Vec<Effect>) {
        if self.values.endorsed.len() < ENDORSED_MAX {
            self.values.endorsed.insert(value);
        }
        self.vote_for_waiting(out);
    }

    /// The value that this replica proposes from now on if it leads; endorsed before.
    pub fn propose_value(&mut self, now: Nanos, value: Digest, out: &mut Vec<Effect>) {
        self.values.own = Some(value);
        self.try_propose(now, out);
    }

    /// The value that a header of the current view waits for.
    pub fn awaited_value(&self) -> Option<(types::ReplicaId, Digest)> {
        let header = self.values.waiting.as_ref()?;
        Some((header.proposer, header.payload))
    }

    fn vote_for_waiting(&mut self, out: &mut Vec<Effect>) {
        if let Some(header) = self.values.waiting.take() {
            self.try_vote(&header, out);
        }
    }

    /// Neither votes nor commits any more; what it holds is still served.
    pub fn freeze(&mut self) {
        self.halted = true;
    }

    pub fn is_frozen(&self) -> bool {
        self.halted
    }
}
