//! Opening a log: which segments count, where the log ends, and whether that end is a torn tail or damage.
//!
//! Segments are read from the newest base on. The log must be whole up to the newest segment, and within that
//! it ends at the first frame that is not valid. If anything behind that point proves that the missing
//! frame had been durable, the log is damaged, and opening fails. Otherwise the rest was never synced: it is
//! overwritten with zeros, durably, before the first append, so that nothing of it can ever reappear.
//!
//! One thing cannot be told from a torn tail: damage to the very last synced group.
use std::io::IoSlice;

use crate::frame::{HeadError, SEGMENT_HEAD_BYTES, SEGMENT_HEAD_USED, SegmentHead, VERSION};
use crate::log::{Log, Salts, Segment, Tail, begin_segment};
use crate::scan::{Scan, Stop};
use crate::store::Store;
use crate::{Options, Record, StorageError, error::hex};

const ZEROS_BYTES: u64 = 1 << 20;

/// The surviving journal: everything that was ever synced since (and with) the newest base, in the order
/// of appends, followed perhaps by some records that were appended but never synced. All of it is durable now.
#[derive(Debug, Clone, Default)]
pub struct Recovery {
    /// The records; the first `base_records` of them are the newest base. Each owns its own bytes, so
    /// that dropping one frees it.
    pub records: Vec<Record>,
    /// How many of `records` stem from [`crate::Journal::rotate`].
    pub base_records: usize,
    /// Segment files read; 0 says that there was no journal and an empty one was made. A replica that
    /// has signed before must not go on from there.
    pub segments: usize,
    /// The torn tail, if there was one.
    pub dropped: Option<Dropped>,
}

/// A tail that was being written when the machine stopped: never synced, hence never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Number of the segment.
    pub segment: u64,
    /// Offset of the first dropped byte in it.
    pub offset: u64,
    /// From there to the last byte that is not zero.
    pub bytes: u64,
    /// What the scan met at `offset`.
    pub reason: String,
}

/// Opens the log in `store`, making an empty one if there is none.
pub(crate) fn open_log<S: Store>(
    mut store: S,
    options: &Options,
    mut salts: Salts,
) -> Result<(Log<S>, Recovery), StorageError> {
    let numbers = store.list()?;
    if numbers.is_empty() {
        let (segment, tail) = create(&mut store, options, &mut salts)?;
        let log = log(store, options, salts, tail, vec![segment]);
        return Ok((log, Recovery::default()));
    }
    let heads = live_heads(&store, &numbers, options)?;
    let older = &numbers[..numbers.len() - heads.len()];
    let mut recovery = Recovery {
        segments: heads.len(),
        ..Recovery::default()
    };
    let mut segments = Vec::with_capacity(heads.len());
    let mut tail = None;
    for (index, head) in heads.iter().enumerate() {
        let is_last = index + 1 == heads.len();
        let (segment, end) = read_segment(&mut store, head, tail, is_last, &mut recovery)?;
        segments.push(segment);
        tail = Some(end);
    }
    // The newest base has proved readable: only now may older segments, left by a cut in a rotation, go.
    if !older.is_empty() {
        store.remove(older)?;
    }
    let Some(tail) = tail else {
        return Err(damaged(&store, 0, 0, "no base found".into()));
    };
    Ok((log(store, options, salts, tail, segments), recovery))
}

/// Reads one segment to its end, and repairs that end if it is the last one.
fn read_segment<S: Store>(
    store: &mut S,
    head: &SegmentHead,
    before: Option<Tail>,
    is_last: bool,
    recovery: &mut Recovery,
) -> Result<(Segment, Tail), StorageError> {
    let number = head.segment;
    let len_bytes = store.len_bytes(number)?;
    let (_, chain) = head.encode();
    if let Some(before) = before
        && (before.next_seq != head.first_seq || before.chain != head.prev)
    {
        let reason = format!(
            "segment continues at record {}, but the segments before it end with record {}",
            head.first_seq,
            before.next_seq - 1
        );
        return Err(damaged(store, number, 0, reason));
    }
    let base_end = head
        .first_seq
        .saturating_add(head.base_records.unwrap_or(0));
    let mut scan = Scan::new(store, head.clone(), len_bytes, chain);
    let stop = scan.records(&mut recovery.records)?;
    let (offset, next_seq, chain) = (scan.offset, scan.next_seq, scan.chain);
    let tear = if is_last { scan.tear(&stop)? } else { None };
    if next_seq < base_end {
        let reason = format!("{stop}, within the base, which was written as a whole");
        return Err(damaged(store, number, offset, reason));
    }
    if head.base_records.is_some() {
        recovery.base_records = (base_end - head.first_seq) as usize;
    }
    if !is_last && let Stop::Invalid(what) = stop {
        let reason = format!("{what}, although a later segment exists");
        return Err(damaged(store, number, offset, reason));
    }
    if is_last {
        store.resume(number)?;
        if let Some(tear) = tear {
            if let Some(proof) = tear.durable_by {
                let reason = format!("{stop}, although record {proof} proves that it was durable");
                return Err(damaged(store, number, offset, reason));
            }
            zero(store, offset, tear.dirty_end)?;
            let bytes = tear.dirty_end - offset;
            let reason = stop.to_string();
            recovery.dropped = Some(Dropped {
                segment: number,
                offset,
                bytes,
                reason,
            });
        }
        // What was read may have stood in the page cache only.
        store.sync()?;
    }
    let tail = Tail {
        salt: head.salt,
        chain,
        next_seq,
        durable_seq: next_seq - 1,
    };
    Ok((
        Segment {
            number,
            len_bytes,
            used_bytes: offset,
        },
        tail,
    ))
}

/// The heads of the newest base and of all segments after it.
fn live_heads<S: Store>(
    store: &S,
    numbers: &[u64],
    options: &Options,
) -> Result<Vec<SegmentHead>, StorageError> {
    let mut heads: Vec<SegmentHead> = Vec::new();
    for &number in numbers.iter().rev() {
        if let Some(later) = heads.last()
            && number + 1 != later.segment
        {
            let reason = format!("segment {} is missing before it", later.segment - 1);
            return Err(damaged(store, later.segment, 0, reason));
        }
        let head = read_head(store, number, options)?;
        let is_base = head.base_records.is_some();
        heads.push(head);
        if is_base {
            heads.reverse();
            return Ok(heads);
        }
    }
    let oldest = numbers.first().copied().unwrap_or(0);
    Err(damaged(
        store,
        oldest,
        0,
        "the segments before it are missing".into(),
    ))
}

fn read_head<S: Store>(
    store: &S,
    number: u64,
    options: &Options,
) -> Result<SegmentHead, StorageError> {
    let path = store.path(number);
    let len_bytes = store.len_bytes(number)?;
    if len_bytes < SEGMENT_HEAD_BYTES {
        let reason = format!("expected at least {SEGMENT_HEAD_BYTES} bytes, found {len_bytes}");
        return Err(StorageError::Corrupt {
            path,
            offset: 0,
            reason,
        });
    }
    let mut bytes = [0; SEGMENT_HEAD_USED];
    store.read_at(number, 0, &mut bytes)?;
    let wrong = |found| StorageError::WrongFormat {
        path: path.clone(),
        expected: VERSION,
        found,
    };
    let head = SegmentHead::decode(&bytes, &options.owner).map_err(|error| match error {
        HeadError::Magic => wrong("other magic bytes".into()),
        HeadError::Version(version) => wrong(format!("version {version}")),
        HeadError::Checksum => damaged(store, number, 0, "checksum of the segment head".into()),
        HeadError::Owner(found) => StorageError::WrongOwner {
            path: path.clone(),
            expected: hex(&options.owner),
            found: hex(&found),
        },
    })?;
    if head.segment != number || head.first_seq == 0 {
        let reason = format!(
            "this is segment {}, expected {number}: it was renamed",
            head.segment
        );
        return Err(StorageError::Corrupt {
            path,
            offset: 0,
            reason,
        });
    }
    Ok(head)
}

fn create<S: Store>(
    store: &mut S,
    options: &Options,
    salts: &mut Salts,
) -> Result<(Segment, Tail), StorageError> {
    let head = SegmentHead {
        owner: options.owner,
        segment: 0,
        salt: salts.next(),
        first_seq: 1,
        prev: 0,
        base_records: Some(0),
    };
    let (segment, salt, chain) = begin_segment(store, options.segment_bytes, head)?;
    store.publish()?;
    Ok((
        segment,
        Tail {
            salt,
            chain,
            next_seq: 1,
            durable_seq: 0,
        },
    ))
}

fn zero<S: Store>(store: &mut S, mut from: u64, to: u64) -> Result<(), StorageError> {
    let zeros = vec![0; (to - from).min(ZEROS_BYTES) as usize];
    while from < to {
        let step = (to - from).min(ZEROS_BYTES);
        store.write(from, &mut [IoSlice::new(&zeros[..step as usize])])?;
        from += step;
    }
    Ok(())
}

fn log<S>(store: S, options: &Options, salts: Salts, tail: Tail, segments: Vec<Segment>) -> Log<S> {
    let Options {
        owner,
        segment_bytes,
        ..
    } = *options;
    Log {
        store,
        owner,
        segment_bytes,
        salts,
        tail,
        segments,
        dirty: false,
    }
}

fn damaged<S: Store>(store: &S, segment: u64, offset: u64, reason: String) -> StorageError {
    StorageError::Corrupt {
        path: store.path(segment),
        offset,
        reason,
    }
}
