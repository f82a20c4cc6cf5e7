//! What an attacker remembers of what it saw; bounded, oldest first out.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use types::{
    BatchRef, BlockId, Epoch, Header, Message, Qc, ReplicaId, SignerSet, Tc, Timeout, TimeoutClaim,
    View, Wire,
};

use crate::byzantine::recovery::is_evidence;

const VIEWS_MAX: usize = 64;
const FRAMES_MAX: usize = 64;
const BATCHES_MAX: usize = 32;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    headers: BTreeMap<View, Vec<(BlockId, Header)>>,
    certs: BTreeMap<View, Qc>,
    timeouts: BTreeMap<View, BTreeMap<ReplicaId, Timeout>>,
    pub frames: VecDeque<Bytes>,
    pub batches: VecDeque<BatchRef>,
    /// Frames about splits, whenever they came.
    pub evidence: VecDeque<Bytes>,
}

impl Memory {
    /// Looks at a frame on its way in. Nothing is verified: an attacker may err.
    pub fn observe(&mut self, frame: &Bytes) {
        // Batches are heavy and teach nothing.
        if frame.first().is_none_or(|tag| *tag == 4 || *tag == 13) {
            return;
        }
        if is_evidence(frame) {
            self.evidence.push_back(frame.clone());
            if self.evidence.len() > FRAMES_MAX {
                self.evidence.pop_front();
            }
        }
        self.frames.push_back(frame.clone());
        if self.frames.len() > FRAMES_MAX {
            self.frames.pop_front();
        }
        if let Ok(message) = Message::decode(frame.clone()) {
            self.learn(&message);
        }
    }

    pub fn learn(&mut self, message: &Message) {
        match message {
            Message::Proposal(p) => self.header(&p.header),
            Message::ChainResponse(chain) => chain.headers.iter().for_each(|h| self.header(h)),
            Message::NewView(m) => self.cert(&m.high_qc),
            Message::Timeout(t) => {
                self.cert(&t.high_qc);
                let slot = self.timeouts.entry(t.view).or_default();
                slot.insert(t.replica, t.clone());
                while self.timeouts.len() > VIEWS_MAX {
                    self.timeouts.pop_first();
                }
            }
            Message::Car(car) => {
                self.batches.extend(car.batches.iter().copied());
                while self.batches.len() > BATCHES_MAX {
                    self.batches.pop_front();
                }
            }
            _ => {}
        }
    }

    fn header(&mut self, header: &Header) {
        self.cert(&header.justify);
        let id = header.id();
        let slot = self.headers.entry(header.view).or_default();
        if slot.iter().all(|(known, _)| *known != id) && slot.len() < 4 {
            slot.push((id, header.clone()));
        }
        while self.headers.len() > VIEWS_MAX {
            self.headers.pop_first();
        }
    }

    fn cert(&mut self, qc: &Qc) {
        self.certs.entry(qc.view).or_insert_with(|| qc.clone());
        while self.certs.len() > VIEWS_MAX {
            self.certs.pop_first();
        }
    }

    /// Another epoch begins, with views of its own.
    pub fn forget_views(&mut self) {
        self.headers.clear();
        self.certs.clear();
        self.timeouts.clear();
    }

    /// All headers that are remembered.
    pub fn newest_first(&self) -> impl Iterator<Item = &Header> {
        let views = self.headers.values().rev();
        views.flatten().map(|(_, header)| header)
    }

    pub fn newest_header(&self) -> Option<&Header> {
        self.newest_first().next()
    }

    /// Headers of `view` other than `but`.
    pub fn others_at(&self, view: View, but: BlockId) -> Vec<BlockId> {
        let at = self.headers.get(&view).map_or(&[][..], Vec::as_slice);
        at.iter()
            .map(|(id, _)| *id)
            .filter(|id| *id != but)
            .collect()
    }

    pub fn header_of(&self, qc: &Qc) -> Option<&Header> {
        let at = self.headers.get(&qc.view)?;
        at.iter().find(|(id, _)| *id == qc.block).map(|(_, h)| h)
    }

    /// The newest certificate below `view` at `back` steps before the newest one.
    pub fn cert_below(&self, view: View, back: usize) -> Option<&Qc> {
        self.certs.range(..view).rev().nth(back).map(|(_, qc)| qc)
    }

    /// The newest certificate below what a vote for the newest header locks. Headers of `me` do not
    /// count: they may never have left.
    pub fn cert_below_lock(&self, me: ReplicaId) -> Option<&Qc> {
        let headers = self.headers.values().flatten().map(|(_, header)| header);
        let newest = headers
            .filter(|header| header.proposer != me)
            .max_by_key(|header| header.justify.view)?;
        let parent = self.header_of(&newest.justify)?;
        self.cert_below(parent.justify.view, 0)
    }

    /// Of all timeouts for `view`, the quorum that claims least; none if there is no quorum.
    pub fn lowest_tc(&self, epoch: &Epoch, view: View) -> Option<Tc> {
        let mut found: Vec<&Timeout> = self.timeouts.get(&view)?.values().collect();
        if found.len() < epoch.quorum() {
            return None;
        }
        found.sort_by_key(|t| (t.high_qc.view, t.replica));
        found.truncate(epoch.quorum());
        found.sort_by_key(|t| t.replica);
        let claim = |t: &&Timeout| TimeoutClaim {
            replica: t.replica,
            high_qc_view: t.high_qc.view,
            signature: t.signature,
        };
        Some(Tc {
            epoch: epoch.id,
            view,
            excluded: SignerSet::EMPTY,
            claims: found.iter().map(claim).collect(),
        })
    }

    /// The certificate with exactly this view.
    pub fn cert_at(&self, view: View) -> Option<&Qc> {
        self.certs.get(&view)
    }

    /// An old timeout of `replica`, if any is remembered.
    pub fn old_timeout(&self, replica: ReplicaId, before: View) -> Option<&Timeout> {
        self.timeouts
            .range(..before)
            .find_map(|(_, slot)| slot.get(&replica))
    }
}
