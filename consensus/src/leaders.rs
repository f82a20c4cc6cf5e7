//! Who leads a view. Views are grouped in windows; the schedule of a window is computed only from
//! blocks committed at least one window earlier, so that all replicas compute the same one.
//!
//! A replica that neither signed a certificate nor got a block committed in a window is *absent*:
//! it leads no more until it signs again. One that signs but whose turns all failed (a leader that
//! proposes to a few only) is *failing*: it sits out exponentially longer. At most `f` replicas are
//! excluded at a time. This feeds the schedule only: suspicion evicts nobody (Chandra and Toueg).

use std::collections::BTreeMap;

use types::codec::{CodecError, Reader, Wire, put_list};
use types::{Epoch, Header, ReplicaId, SignerSet, View, wire_struct};

const STRIKES_MAX: u8 = 5;
const WINDOWS_KEPT: usize = 64;
/// A verdict holds for so many windows unless a newer one replaces it. Three-chain at n = 4 commits
/// nothing with a crashed leader among three: where a correct one sits out meanwhile, no block would
/// ever be committed that could change the schedule.
const VERDICT_WINDOWS: u64 = 4;

/// One replica's record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    strikes: u8,
    absent: u8,
    /// First window in which a failing leader may lead again.
    until_window: u64,
}
wire_struct!(Standing {
    strikes,
    absent,
    until_window
});

/// The schedule and the record that it is computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaders {
    members: SignerSet,
    faults: usize,
    window_len: u64,
    /// Excluded sets by the first window in which they hold.
    excluded: BTreeMap<u64, SignerSet>,
    standing: Vec<Standing>,
    /// Window that committed blocks are being counted in.
    window: u64,
    signed: SignerSet,
    proposed: SignerSet,
    blocks: u64,
}

impl Leaders {
    pub fn new(epoch: &Epoch) -> Leaders {
        Leaders {
            members: epoch.members,
            faults: epoch.faults(),
            window_len: (epoch.n as u64).max(4),
            excluded: BTreeMap::new(),
            standing: vec![Standing::default(); epoch.n],
            window: 0,
            signed: SignerSet::EMPTY,
            proposed: SignerSet::EMPTY,
            blocks: 0,
        }
    }

    /// Leader of `view` under the newest schedule that applies to it.
    pub fn leader(&self, view: View) -> ReplicaId {
        let candidates = self.members.difference(self.excluded(view));
        let turn = (view.0 % candidates.len().max(1) as u64) as usize;
        candidates.iter().nth(turn).unwrap_or_default()
    }

    /// Replicas that lead no view of `view`'s window.
    pub fn excluded(&self, view: View) -> SignerSet {
        let window = view.0 / self.window_len;
        let newest = self.excluded.range(..=window).next_back();
        newest
            .filter(|(from, _)| window - **from < VERDICT_WINDOWS)
            .map_or(SignerSet::EMPTY, |e| *e.1)
    }

    /// Counts a committed block; blocks come in the order of the ledger.
    pub fn committed(&mut self, header: &Header) {
        let window = header.view.0 / self.window_len;
        if window > self.window {
            self.close_window(window);
        }
        self.signed = self.signed.union(header.justify.votes.signers);
        self.proposed.insert(header.proposer);
        self.blocks += 1;
    }

    /// Judges the window that ended; the verdict holds from the window after `entered` on, since
    /// replicas may already be voting in `entered`.
    fn close_window(&mut self, entered: u64) {
        let first = View(self.window * self.window_len);
        let scheduled: SignerSet = (0..self.window_len)
            .map(|i| self.leader(View(first.0 + i)))
            .collect();
        let enough = self.blocks >= 2;
        for id in self.members.iter() {
            let standing = &mut self.standing[id.index()];
            let took_part = self.signed.contains(id) || self.proposed.contains(id);
            if took_part {
                standing.absent = 0;
            } else if enough {
                standing.absent = standing.absent.saturating_add(1);
            }
            if self.proposed.contains(id) {
                standing.strikes = standing.strikes.saturating_sub(1);
            } else if took_part && scheduled.contains(id) && enough {
                standing.strikes = (standing.strikes + 1).min(STRIKES_MAX);
                standing.until_window = entered + 1 + (1 << (2 * standing.strikes));
            }
        }
        self.excluded.insert(entered + 1, self.choose(entered + 1));
        while self.excluded.len() > WINDOWS_KEPT {
            self.excluded.pop_first();
        }
        (self.window, self.blocks) = (entered, 0);
        (self.signed, self.proposed) = (SignerSet::EMPTY, SignerSet::EMPTY);
    }

    fn choose(&self, window: u64) -> SignerSet {
        let mut bad: Vec<(u8, u8, ReplicaId)> = self
            .members
            .iter()
            .map(|id| (id, self.standing[id.index()]))
            .filter(|(_, s)| s.absent > 0 || s.until_window > window)
            .map(|(id, s)| (s.absent, s.strikes, id))
            .collect();
        bad.sort_by(|a, b| b.cmp(a));
        bad.into_iter()
            .take(self.faults)
            .map(|(_, _, id)| id)
            .collect()
    }
}

impl Wire for Leaders {
    fn put(&self, out: &mut Vec<u8>) {
        self.members.put(out);
        (self.faults as u64).put(out);
        self.window_len.put(out);
        (self.excluded.len() as u32).put(out);
        for (window, set) in &self.excluded {
            window.put(out);
            set.put(out);
        }
        put_list(out, &self.standing);
        self.window.put(out);
        self.signed.put(out);
        self.proposed.put(out);
        self.blocks.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let members: SignerSet = Wire::take(reader)?;
        let faults = u64::take(reader)? as usize;
        let window_len = u64::take(reader)?.max(1);
        let mut excluded = BTreeMap::new();
        for _ in 0..reader.length("schedules", WINDOWS_KEPT)? {
            excluded.insert(Wire::take(reader)?, Wire::take(reader)?);
        }
        let standing: Vec<Standing> = reader.list("standings", types::limits::REPLICAS_MAX)?;
        if members.iter().any(|id| id.index() >= standing.len()) {
            return Err(CodecError::NotCanonical {
                what: "standings",
                why: "fewer than members",
            });
        }
        Ok(Leaders {
            members,
            faults,
            window_len,
            excluded,
            standing,
            window: Wire::take(reader)?,
            signed: Wire::take(reader)?,
            proposed: Wire::take(reader)?,
            blocks: Wire::take(reader)?,
        })
    }
}
