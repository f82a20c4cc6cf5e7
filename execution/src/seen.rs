//! The seen-set: which sequence numbers of which session were ordered before, and where.
//!
//! Per session the numbers in `(high - WINDOW, high]` are known one by one, in chunks of
//! [`CHUNK_SEQS`]; whatever is below the session's floor is refused, for it can no longer be told
//! whether it was used. It is a set, not a high-water mark: numbers may arrive in any order.
//!
//! Bounds. At most [`CHUNKS_MAX`] chunks exist (2.6 KB each: 345 MB). When a new one is needed beyond
//! that, the chunk that was used least recently goes, and its session's floor rises above every
//! number that was used in it or below. A session without chunks is forgotten; what remains is its
//! floor, merged by maximum into one of [`CELLS`] cells (8 MB) by the session's hash. A session that
//! nobody knows begins at its cell's floor. So no number ever executes twice, whatever is evicted;
//! the price is that a session may find its numbers refused because of another one in its cell, which
//! a client answers with another session id. Sessions are never refused as such: a flood of
//! sessions costs idle ones their windows and can poison cells, but cannot lock newcomers out.
//!
//! Costs. A transaction takes one comparison and one store; a group takes one lookup; a new chunk
//! or an eviction takes a constant number of lookups, amortised. A jump in the numbers costs as
//! much as a step: chunks exist only where numbers were used.

mod floors;
mod session;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use hashbrown::HashTable;
use types::batch::{SessionId, TxRef};
use types::{Digest, Height};

use crate::hash::{fingerprint, part_of, slot_hash};
use crate::parts::{Input, Parts, RestoreError, ensure};
pub use floors::CELLS;
use floors::Floors;
use session::Session;

/// Sequence numbers that a session's window spans.
pub const WINDOW: u64 = 8192;
/// Sequence numbers per chunk.
pub const CHUNK_SEQS: u64 = 128;
/// Most chunks in the whole set.
pub const CHUNKS_MAX: usize = 131_072;
/// Parts that hold sessions.
pub const BUCKETS: usize = 1024;

/// A transaction's place in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub height: Height,
    /// Index in the block, from 0.
    pub position: u32,
}

/// What the set says about a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Seen for the first time, and remembered.
    Fresh,
    /// The same fingerprint under the same number, first ordered at this place.
    Duplicate(Place),
    /// Another fingerprint under a number that was used.
    Reused,
    /// Below the floor, or the number `u64::MAX`, which is reserved.
    Below,
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    sessions: HashTable<Session>,
    digest: OnceLock<Digest>,
}

/// One use of a chunk. Only the newest use of each chunk counts; older ones lie stale in the queue.
#[derive(Debug, Clone, Copy)]
struct Use {
    at: Place,
    session: SessionId,
    chunk: u64,
}

/// Chunks in the order of their last use, one entry per chunk and block. Derived from the sessions.
#[derive(Debug, Clone, Default)]
struct Recency {
    queue: VecDeque<Use>,
    /// Chunks that exist.
    chunks: usize,
}

/// The set.
#[derive(Debug, Clone)]
pub struct Seen {
    state: State,
    recency: Recency,
    chunks_max: usize,
}

/// What is replicated. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct State {
    buckets: Vec<Arc<Bucket>>,
    floors: Floors,
    /// Chunks that a restore may still make.
    restorable: usize,
}

impl State {
    pub(crate) fn new() -> State {
        State {
            buckets: vec![Arc::default(); BUCKETS],
            floors: Floors::new(),
            restorable: CHUNKS_MAX,
        }
    }

    fn find(&self, id: &SessionId) -> Option<&Session> {
        let bucket = &self.buckets[part_of(id, BUCKETS)];
        bucket.sessions.find(slot_hash(id), |s| s.id == *id)
    }

    fn find_mut(&mut self, id: &SessionId) -> Option<&mut Session> {
        let bucket = Arc::make_mut(&mut self.buckets[part_of(id, BUCKETS)]);
        bucket.digest.take();
        bucket.sessions.find_mut(slot_hash(id), |s| s.id == *id)
    }

    fn open(&mut self, id: &SessionId) -> &mut Session {
        let floor = self.floors.get(id);
        let bucket = Arc::make_mut(&mut self.buckets[part_of(id, BUCKETS)]);
        bucket.digest.take();
        let (is_it, rehash) = (|s: &Session| s.id == *id, |s: &Session| slot_hash(&s.id));
        let entry = bucket.sessions.entry(slot_hash(id), is_it, rehash);
        entry.or_insert_with(|| Session::new(*id, floor)).into_mut()
    }

    fn remove(&mut self, id: &SessionId) {
        let bucket = Arc::make_mut(&mut self.buckets[part_of(id, BUCKETS)]);
        bucket.digest.take();
        if let Ok(entry) = bucket.sessions.find_entry(slot_hash(id), |s| s.id == *id) {
            entry.remove();
        }
    }

    /// The lowest number of the session that may still execute.
    fn floor(&self, id: &SessionId) -> u64 {
        match self.find(id) {
            Some(session) => session.floor(),
            None => self.floors.get(id),
        }
    }
}

impl Default for Seen {
    fn default() -> Seen {
        Seen::new()
    }
}

impl Seen {
    pub fn new() -> Seen {
        Seen::with_limit(CHUNKS_MAX)
    }

    fn with_limit(chunks_max: usize) -> Seen {
        Seen {
            state: State::new(),
            recency: Recency::default(),
            chunks_max,
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The set with this content. The order of use is rebuilt from it: O(chunks · log chunks).
    pub(crate) fn rebuild(state: State) -> Seen {
        let mut seen = Seen::new();
        let sessions = state.buckets.iter().flat_map(|b| b.sessions.iter());
        let mut uses: Vec<Use> = sessions.flat_map(Session::uses).collect();
        uses.sort_unstable_by_key(|one| (one.at, one.session, one.chunk));
        seen.recency.chunks = uses.len();
        seen.recency.queue = uses.into();
        seen.state = state;
        seen
    }

    /// Chunks that exist: each holds up to [`CHUNK_SEQS`] numbers of one session.
    pub fn chunks(&self) -> usize {
        self.recency.chunks
    }

    /// Feeds transactions of one session through the set, in order, the first at `from`; each with
    /// whatever the caller knows of it. `on` gets each with its place, its fingerprint and the verdict.
    /// Returns the place after the last.
    pub fn admit<'a, T>(
        &mut self,
        id: &SessionId,
        txs: &[(TxRef<'a>, T)],
        from: Place,
        mut on: impl FnMut(&(TxRef<'a>, T), Place, u64, Verdict),
    ) -> Place {
        let mut at = from;
        let mut left = txs;
        loop {
            if let Some(session) = self.state.find_mut(id) {
                left = session.admit(left, &mut at, &mut self.recency, &mut on);
            }
            // A chunk is missing for the first that is left.
            let Some((one, rest)) = left.split_first() else {
                return at;
            };
            let (seq, payload) = (one.0.seq, one.0.payload);
            if !self.make_chunk(id, seq, at) {
                on(one, at, fingerprint(payload), Verdict::Below);
                at.position = at.position.saturating_add(1);
                left = rest;
            }
        }
    }

    /// Sees to it that the chunk of `seq` exists; false if the number is refused.
    fn make_chunk(&mut self, id: &SessionId, seq: u64, at: Place) -> bool {
        if seq == u64::MAX || seq < self.state.floor(id) {
            return false;
        }
        while self.recency.chunks >= self.chunks_max && self.evict() {}
        // The eviction may have hit this very session.
        if seq < self.state.floor(id) {
            return false;
        }
        self.state.open(id).add_chunk(seq, at, &mut self.recency);
        self.compact();
        true
    }

    /// Forgets the chunk that was used least recently, and what lies below it in its session. False
    /// if there is none.
    fn evict(&mut self) -> bool {
        while let Some(oldest) = self.recency.queue.pop_front() {
            if !self.is_current(&oldest) {
                continue;
            }
            let Some(session) = self.state.find_mut(&oldest.session) else {
                continue;
            };
            session.forget(oldest.chunk, &mut self.recency);
            if session.is_empty() {
                let floor = session.floor();
                self.state.remove(&oldest.session);
                self.state.floors.raise(&oldest.session, floor);
            }
            return true;
        }
        false
    }

    fn is_current(&self, one: &Use) -> bool {
        let session = self.state.find(&one.session);
        session.is_some_and(|s| s.last_use(one.chunk) == Some(one.at))
    }

    /// Drops stale entries once they are the majority.
    fn compact(&mut self) {
        if self.recency.queue.len() <= 2 * self.recency.chunks + 1024 {
            return;
        }
        let mut queue = std::mem::take(&mut self.recency.queue);
        queue.retain(|one| self.is_current(one));
        self.recency.queue = queue;
    }

    /// To be called once per block: keeps the queue of uses within twice the number of chunks.
    pub fn end_block(&mut self) {
        self.compact();
    }
}

/// The sessions' buckets first, then the cells' pages.
impl Parts for State {
    fn parts(&self) -> usize {
        BUCKETS + self.floors.pages()
    }

    fn part_len_bytes(&self, part: usize) -> usize {
        match self.buckets.get(part) {
            Some(bucket) => {
                4 + bucket
                    .sessions
                    .iter()
                    .map(Session::encoded_len_bytes)
                    .sum::<usize>()
            }
            None => self.floors.page_len_bytes(part - BUCKETS),
        }
    }

    fn stripe_parts(&self) -> usize {
        1
    }

    fn stripe_digest(&self, part: usize) -> Digest {
        match self.buckets.get(part) {
            Some(bucket) => bucket.digest(),
            None => self.floors.page_digest(part - BUCKETS),
        }
    }

    fn encode_part(&self, part: usize, out: &mut Vec<u8>) {
        match self.buckets.get(part) {
            Some(bucket) => bucket.encode(out),
            None => self.floors.encode_page(part - BUCKETS, out),
        }
    }

    fn restore_part(&mut self, part: usize, input: &mut Input<'_>) -> Result<(), RestoreError> {
        if part >= BUCKETS {
            return self.floors.restore_page(part - BUCKETS, input);
        }
        for _ in 0..input.u32("sessions")? {
            let session = Session::restore(input, &mut self.restorable)?;
            let id = session.id;
            ensure(
                part_of(&id, BUCKETS) == part,
                "session",
                "is in a wrong bucket",
            )?;
            ensure(self.find(&id).is_none(), "session", "appears twice")?;
            *self.open(&id) = session;
        }
        Ok(())
    }
}

impl Bucket {
    fn sorted(&self) -> Vec<&Session> {
        let mut sessions: Vec<&Session> = self.sessions.iter().collect();
        sessions.sort_unstable_by_key(|session| session.id);
        sessions
    }

    fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            if self.sessions.is_empty() {
                return Digest::ZERO;
            }
            let mut bytes = Vec::new();
            self.sorted()
                .iter()
                .for_each(|session| session.digest_into(&mut bytes));
            Digest::of("reforge seen bucket v1", &bytes)
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let sessions = self.sorted();
        out.extend_from_slice(&(sessions.len() as u32).to_le_bytes());
        sessions.iter().for_each(|session| session.encode(out));
    }
}

#[cfg(test)]
mod tests;
