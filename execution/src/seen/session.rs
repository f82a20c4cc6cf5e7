//! One session's window.

use std::sync::{Arc, OnceLock};

use types::batch::{SessionId, TxRef};
use types::{Digest, Height};

use super::{CHUNK_SEQS, Place, Recency, Use, Verdict, WINDOW};
use crate::hash::fingerprint;
use crate::parts::{Input, RestoreError, ensure};

const SLOTS: usize = CHUNK_SEQS as usize;
/// A window that begins in the middle of a chunk touches one more than it spans.
const CHUNKS_PER_SESSION: usize = (WINDOW / CHUNK_SEQS) as usize + 1;

/// What is known of [`CHUNK_SEQS`] consecutive numbers. `used` has one bit per number, low word first:
/// in two words, because a shift of 128 bits by a number takes ten instructions.
#[derive(Debug, Clone)]
struct Chunk {
    used: [u64; 2],
    prints: [u64; SLOTS],
    heights: [u64; SLOTS],
    positions: [u32; SLOTS],
    digest: OnceLock<Digest>,
}

#[derive(Debug, Clone)]
struct ChunkRef {
    /// `seq / CHUNK_SEQS` of its numbers.
    index: u64,
    /// Place of the first use in the block of the last use.
    last_use: Place,
    chunk: Arc<Chunk>,
}

/// A session with at least one chunk (but for the moment between `new` and `add_chunk`).
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: SessionId,
    /// Lowest number that may still execute.
    floor: u64,
    /// Highest number used.
    high: u64,
    /// Ascending by index, at most [`CHUNKS_PER_SESSION`].
    chunks: Vec<ChunkRef>,
}

impl Session {
    pub(super) fn new(id: SessionId, floor: u64) -> Session {
        Session {
            id,
            floor,
            high: 0,
            chunks: Vec::new(),
        }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Judges transactions in order and remembers those that are fresh; returns what is left at the first
    /// that is above the floor and whose chunk does not exist yet.
    pub(super) fn admit<'t, 'a, T>(
        &mut self,
        mut left: &'t [(TxRef<'a>, T)],
        at: &mut Place,
        recency: &mut Recency,
        on: &mut impl FnMut(&(TxRef<'a>, T), Place, u64, Verdict),
    ) -> &'t [(TxRef<'a>, T)] {
        while let Some((one, rest)) = left.split_first() {
            let seq = one.0.seq;
            if seq < self.floor || seq == u64::MAX {
                on(one, *at, fingerprint(one.0.payload), Verdict::Below);
                at.position = at.position.saturating_add(1);
                left = rest;
                continue;
            }
            let Some(found) = self.position(seq / CHUNK_SEQS) else {
                break;
            };
            left = self.run(found, left, at, recency, on);
        }
        left
    }

    /// Transactions in a row with numbers of one chunk, which is found and made an own one once for all
    /// of them. The floor rises after them: it follows the highest number at the distance of a window,
    /// so that it stays below every number of a chunk that raises it.
    fn run<'t, 'a, T>(
        &mut self,
        found: usize,
        mut left: &'t [(TxRef<'a>, T)],
        at: &mut Place,
        recency: &mut Recency,
        on: &mut impl FnMut(&(TxRef<'a>, T), Place, u64, Verdict),
    ) -> &'t [(TxRef<'a>, T)] {
        let (floor, mut high) = (self.floor, self.high);
        let entry = &mut self.chunks[found];
        let index = entry.index;
        if entry.last_use.height != at.height {
            entry.last_use = *at;
            recency.queue.push_back(Use {
                at: *at,
                session: self.id,
                chunk: index,
            });
        }
        let chunk = Arc::make_mut(&mut entry.chunk);
        chunk.digest.take();
        while let Some((one, rest)) = left.split_first() {
            let TxRef { seq, payload } = one.0;
            if seq / CHUNK_SEQS != index || seq < floor || seq == u64::MAX {
                break;
            }
            let print = fingerprint(payload);
            let verdict = chunk.judge((seq % CHUNK_SEQS) as usize, print, *at);
            if verdict == Verdict::Fresh {
                high = high.max(seq);
            }
            on(one, *at, print, verdict);
            at.position = at.position.saturating_add(1);
            left = rest;
        }
        if high > self.high {
            self.high = high;
            self.slide(recency);
        }
        left
    }

    /// Index in `chunks`; the newest chunk is the likeliest.
    fn position(&self, index: u64) -> Option<usize> {
        match self.chunks.last() {
            Some(last) if last.index == index => Some(self.chunks.len() - 1),
            _ => self.chunks.binary_search_by_key(&index, |c| c.index).ok(),
        }
    }

    /// Adds the chunk of `seq`, which must be absent and not below the floor. The caller goes on to
    /// use `seq` at once, so that no chunk stays empty.
    pub(super) fn add_chunk(&mut self, seq: u64, at: Place, recency: &mut Recency) {
        let index = seq / CHUNK_SEQS;
        let Err(found) = self.chunks.binary_search_by_key(&index, |c| c.index) else {
            return;
        };
        let entry = ChunkRef {
            index,
            last_use: at,
            chunk: Arc::default(),
        };
        self.chunks.insert(found, entry);
        recency.chunks += 1;
        recency.queue.push_back(Use {
            at,
            session: self.id,
            chunk: index,
        });
    }

    /// Moves the floor up to the window's lower end.
    fn slide(&mut self, recency: &mut Recency) {
        let floor = (self.high + 1).saturating_sub(WINDOW);
        if floor > self.floor {
            self.floor = floor;
            self.drop_below(floor / CHUNK_SEQS, recency);
        }
    }

    /// Drops chunk `index` and all below it; the floor rises above every number used in them.
    pub(super) fn forget(&mut self, index: u64, recency: &mut Recency) {
        let end = (index + 1).saturating_mul(CHUNK_SEQS);
        self.floor = self.floor.max(end.min(self.high + 1));
        self.drop_below(index + 1, recency);
    }

    fn drop_below(&mut self, index: u64, recency: &mut Recency) {
        let gone = self.chunks.partition_point(|c| c.index < index);
        if gone > 0 {
            self.chunks.drain(..gone);
            recency.chunks -= gone;
        }
    }

    pub(super) fn last_use(&self, index: u64) -> Option<Place> {
        self.position(index)
            .map(|found| self.chunks[found].last_use)
    }

    pub(super) fn uses(&self) -> impl Iterator<Item = Use> + '_ {
        self.chunks.iter().map(|c| Use {
            at: c.last_use,
            session: self.id,
            chunk: c.index,
        })
    }

    pub(super) fn encoded_len_bytes(&self) -> usize {
        let chunks = self.chunks.iter();
        36 + chunks
            .map(|c| 36 + 20 * c.chunk.used().count_ones() as usize)
            .sum::<usize>()
    }

    fn encode_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id);
        out.extend_from_slice(&self.floor.to_le_bytes());
        out.extend_from_slice(&self.high.to_le_bytes());
        out.extend_from_slice(&(self.chunks.len() as u32).to_le_bytes());
    }

    /// `id floor:u64 high:u64 chunks:u32 { index:u64 last_use:(u64 u32) chunk }`, and
    /// `chunk := used:u128 { print:u64 height:u64 position:u32 } per used number`.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        for entry in &self.chunks {
            entry.encode_head(out);
            entry.chunk.encode(out);
        }
    }

    /// What the bucket's digest covers: the encoding with each chunk replaced by its digest.
    pub(super) fn digest_into(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        for entry in &self.chunks {
            entry.encode_head(out);
            out.extend_from_slice(&entry.chunk.digest().0);
        }
    }

    /// Takes the chunks that it makes from `restorable`, which bounds the memory of a restore.
    pub(super) fn restore(
        input: &mut Input<'_>,
        restorable: &mut usize,
    ) -> Result<Session, RestoreError> {
        let mut session = Session {
            id: input.array("session")?,
            floor: input.u64("session floor")?,
            high: input.u64("session high")?,
            chunks: Vec::new(),
        };
        let count = input.u32("session chunks")? as usize;
        let within = (1..=CHUNKS_PER_SESSION).contains(&count);
        ensure(within, "session", "has no chunk or too many")?;
        ensure(count <= *restorable, "seen-set", "has too many chunks")?;
        *restorable -= count;
        ensure(
            session.high < u64::MAX,
            "session",
            "uses the reserved number",
        )?;
        for _ in 0..count {
            let entry = ChunkRef::restore(input)?;
            let ascending = session.chunks.last().is_none_or(|c| c.index < entry.index);
            ensure(ascending, "session", "chunks are out of order")?;
            session.chunks.push(entry);
        }
        let (first, last) = (session.chunks.first(), session.chunks.last());
        let reaches = last.is_some_and(|c| c.highest_seq() == Some(session.high));
        ensure(reaches, "session", "highest number differs from its chunks")?;
        let above = first.is_some_and(|c| c.index >= session.floor / CHUNK_SEQS);
        ensure(above, "session", "keeps a chunk below its floor")?;
        let spans = session.floor >= (session.high + 1).saturating_sub(WINDOW);
        ensure(spans, "session", "is wider than the window")?;
        Ok(session)
    }
}

impl ChunkRef {
    fn encode_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.last_use.height.0.to_le_bytes());
        out.extend_from_slice(&self.last_use.position.to_le_bytes());
    }

    fn highest_seq(&self) -> Option<u64> {
        let top = 127u64.checked_sub(u64::from(self.chunk.used().leading_zeros()))?;
        self.index.checked_mul(CHUNK_SEQS)?.checked_add(top)
    }

    fn restore(input: &mut Input<'_>) -> Result<ChunkRef, RestoreError> {
        let index = input.u64("chunk")?;
        let last_use = Place {
            height: Height(input.u64("chunk")?),
            position: input.u32("chunk")?,
        };
        let mut chunk = Chunk::default();
        let used = u128::from_le_bytes(input.array("chunk")?);
        ensure(used != 0, "chunk", "is empty")?;
        for slot in (0..SLOTS).filter(|slot| used >> slot & 1 == 1) {
            let print = input.u64("chunk entry")?;
            let place = Place {
                height: Height(input.u64("chunk entry")?),
                position: input.u32("chunk entry")?,
            };
            chunk.set(slot, print, place);
        }
        Ok(ChunkRef {
            index,
            last_use,
            chunk: Arc::new(chunk),
        })
    }
}

impl Default for Chunk {
    fn default() -> Chunk {
        Chunk {
            used: [0; 2],
            prints: [0; SLOTS],
            heights: [0; SLOTS],
            positions: [0; SLOTS],
            digest: OnceLock::new(),
        }
    }
}

impl Chunk {
    /// Judges one number, and remembers it if it is fresh. The digest is to be forgotten before.
    fn judge(&mut self, slot: usize, print: u64, at: Place) -> Verdict {
        if self.used[slot / 64] >> (slot % 64) & 1 == 0 {
            self.set(slot, print, at);
            return Verdict::Fresh;
        }
        match self.prints[slot] == print {
            true => Verdict::Duplicate(Place {
                height: Height(self.heights[slot]),
                position: self.positions[slot],
            }),
            false => Verdict::Reused,
        }
    }

    fn used(&self) -> u128 {
        u128::from(self.used[0]) | u128::from(self.used[1]) << 64
    }

    fn set(&mut self, slot: usize, print: u64, at: Place) {
        self.used[slot / 64] |= 1 << (slot % 64);
        self.prints[slot] = print;
        self.heights[slot] = at.height.0;
        self.positions[slot] = at.position;
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let used = self.used();
        out.extend_from_slice(&used.to_le_bytes());
        for slot in (0..SLOTS).filter(|slot| used >> slot & 1 == 1) {
            out.extend_from_slice(&self.prints[slot].to_le_bytes());
            out.extend_from_slice(&self.heights[slot].to_le_bytes());
            out.extend_from_slice(&self.positions[slot].to_le_bytes());
        }
    }

    fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| {
            let mut bytes = Vec::with_capacity(16 + 20 * SLOTS);
            self.encode(&mut bytes);
            Digest::of("reforge seen chunk v1", &bytes)
        })
    }
}
