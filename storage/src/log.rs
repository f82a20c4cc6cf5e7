//! The log over any [`Store`]: turns groups of commands into writes, syncs and segments.
use std::io::IoSlice;
use std::path::PathBuf;

use crate::frame::{
    ALIGN, FRAME_HEAD_BYTES, FrameBytes, SEGMENT_HEAD_BYTES, SegmentHead, encode_frame, frame_bytes,
};
use crate::store::Store;
use crate::{Record, StorageError, Usage};

/// Segment sizes are multiples of this.
const BLOCK_BYTES: u64 = 4096;
static PADDING: [u8; ALIGN as usize] = [0; ALIGN as usize];

/// What the owner of the journal asked for, in order.
#[derive(Debug)]
pub(crate) enum Command {
    Append(Record),
    Rotate(Vec<Record>),
}

impl Command {
    /// Bytes it will write, framing included.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Append(record) => frame_bytes(record.len_bytes()),
            Self::Rotate(base) => framed_bytes(base),
        }
    }

    pub fn records(&self) -> u64 {
        match self {
            Self::Append(_) => 1,
            Self::Rotate(base) => base.len() as u64,
        }
    }
}

/// A visible segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    pub number: u64,
    pub len_bytes: u64,
    /// End of its last frame.
    pub used_bytes: u64,
}

/// Where the next frame goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    pub salt: u64,
    /// Checksum of the last frame, or of the segment head.
    pub chain: u64,
    pub next_seq: u64,
    /// Every frame up to this number is durable.
    pub durable_seq: u64,
}

/// The writing side. After an error it must not be used any more.
#[derive(Debug)]
pub(crate) struct Log<S> {
    pub store: S,
    pub owner: [u8; 32],
    pub segment_bytes: u64,
    pub salts: Salts,
    pub tail: Tail,
    /// Visible segments in order; the last is being written. Never empty.
    pub segments: Vec<Segment>,
    /// Something was written since the last sync.
    pub dirty: bool,
}

impl<S: Store> Log<S> {
    /// Writes a group and makes it durable with a single sync, or one more per segment that fills up.
    pub fn run(&mut self, group: &[Command]) -> Result<(), StorageError> {
        let mut rest = group;
        while let Some(first) = rest.first() {
            if let Command::Rotate(base) = first {
                self.rotate(base)?;
                rest = &rest[1..];
                continue;
            }
            let run = rest
                .iter()
                .position(|c| matches!(c, Command::Rotate(_)))
                .unwrap_or(rest.len());
            let records: Vec<&Record> = rest[..run].iter().filter_map(appended).collect();
            self.append(&records)?;
            rest = &rest[run..];
        }
        self.sync()
    }

    pub fn usage(&self) -> Usage {
        let current = self.current();
        Usage {
            disk_bytes: self.segments.iter().map(|s| s.len_bytes).sum(),
            live_bytes: self.segments.iter().map(|s| s.used_bytes).sum(),
            segment_used_bytes: current.used_bytes,
            segment_bytes: current.len_bytes,
            segments: self.segments.len() as u64,
        }
    }

    /// The segment being written, for errors.
    pub fn path(&self) -> PathBuf {
        self.store.path(self.current().number)
    }

    fn append(&mut self, mut records: &[&Record]) -> Result<(), StorageError> {
        while let Some(first) = records.first() {
            let mut end = self.current().used_bytes;
            let fitting = records.iter().take_while(|record| {
                end += frame_bytes(record.len_bytes());
                end <= self.current().len_bytes
            });
            match fitting.count() {
                0 => self.roll(frame_bytes(first.len_bytes()))?,
                n => {
                    self.write(&records[..n])?;
                    records = &records[n..];
                }
            }
        }
        Ok(())
    }

    /// Writes records that fit into the current segment.
    fn write(&mut self, records: &[&Record]) -> Result<(), StorageError> {
        let heads: Vec<FrameBytes> = records.iter().map(|record| self.frame(record)).collect();
        let mut slices = Vec::with_capacity(records.len() * 3);
        let mut written = 0;
        for (head, record) in heads.iter().zip(records) {
            slices.push(IoSlice::new(head));
            slices.extend(record.parts().iter().map(|part| IoSlice::new(part)));
            let frame = frame_bytes(record.len_bytes());
            let padding = frame as usize - FRAME_HEAD_BYTES - record.len_bytes();
            if padding > 0 {
                slices.push(IoSlice::new(&PADDING[..padding]));
            }
            written += frame;
        }
        self.dirty = true;
        self.store.write(self.current().used_bytes, &mut slices)?;
        self.current_mut().used_bytes += written;
        Ok(())
    }

    fn frame(&mut self, record: &Record) -> FrameBytes {
        let tail = &mut self.tail;
        let (bytes, checksum) = encode_frame(
            record,
            tail.salt,
            tail.chain,
            tail.next_seq,
            tail.durable_seq,
        );
        tail.chain = checksum;
        tail.next_seq += 1;
        bytes
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        if self.dirty {
            self.store.sync()?;
            self.synced();
        }
        Ok(())
    }

    fn synced(&mut self) {
        self.dirty = false;
        self.tail.durable_seq = self.tail.next_seq - 1;
    }

    /// The current segment is full: seals it and goes on in a new one with room for `frame_bytes`.
    fn roll(&mut self, frame_bytes: u64) -> Result<(), StorageError> {
        // A recovery takes any damage before the newest segment for an error, so it must be durable first.
        self.sync()?;
        self.begin(frame_bytes, None)?;
        self.store.publish()
    }

    fn rotate(&mut self, base: &[Record]) -> Result<(), StorageError> {
        let older: Vec<u64> = self.segments.iter().map(|s| s.number).collect();
        self.begin(framed_bytes(base), Some(base.len() as u64))?;
        if !base.is_empty() {
            self.write(&base.iter().collect::<Vec<_>>())?;
        }
        self.store.publish()?;
        self.synced();
        self.store.remove(&older)?;
        self.segments.drain(..older.len());
        Ok(())
    }

    /// A new, still invisible segment becomes the current one.
    fn begin(&mut self, frames_bytes: u64, base_records: Option<u64>) -> Result<(), StorageError> {
        let number = self.current().number + 1;
        let (segment, salt, chain) = begin_segment(
            &mut self.store,
            self.segment_bytes.max(SEGMENT_HEAD_BYTES + frames_bytes),
            SegmentHead {
                owner: self.owner,
                segment: number,
                salt: self.salts.next(),
                first_seq: self.tail.next_seq,
                prev: self.tail.chain,
                base_records,
            },
        )?;
        self.segments.push(segment);
        self.tail = Tail {
            salt,
            chain,
            ..self.tail
        };
        Ok(())
    }

    fn current(&self) -> &Segment {
        &self.segments[self.segments.len() - 1]
    }

    fn current_mut(&mut self) -> &mut Segment {
        let last = self.segments.len() - 1;
        &mut self.segments[last]
    }
}

/// Writes the head of a new segment; returns it with its salt and the start of its chain.
pub(crate) fn begin_segment<S: Store>(
    store: &mut S,
    len_bytes: u64,
    head: SegmentHead,
) -> Result<(Segment, u64, u64), StorageError> {
    let len_bytes = len_bytes.next_multiple_of(BLOCK_BYTES);
    let (bytes, chain) = head.encode();
    store.begin(head.segment, len_bytes)?;
    store.write(0, &mut [IoSlice::new(&bytes)])?;
    let segment = Segment {
        number: head.segment,
        len_bytes,
        used_bytes: SEGMENT_HEAD_BYTES,
    };
    Ok((segment, head.salt, chain))
}

fn framed_bytes(records: &[Record]) -> u64 {
    records
        .iter()
        .map(|record| frame_bytes(record.len_bytes()))
        .sum()
}

fn appended(command: &Command) -> Option<&Record> {
    match command {
        Command::Append(record) => Some(record),
        Command::Rotate(_) => None,
    }
}

/// A sequence of salts (SplitMix64), random or not as its seed is.
#[derive(Debug, Clone)]
pub(crate) struct Salts(pub u64);

impl Salts {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

#[cfg(test)]
mod tests;
