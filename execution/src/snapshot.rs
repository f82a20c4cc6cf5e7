//! State at one height, shared with the executor that goes on.
//!
//! ```text
//! snapshot := "RFSNAP" version:u8 app:u8 height:u64 ledger[32] application's parts, seen-set's parts
//! ```

use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::Bytes;
use types::limits::SNAPSHOT_LEN_MAX;
use types::{Digest, Height};

use crate::app::{App, AppKind};
use crate::executor::Executor;
use crate::parts::{Input, Parts, RestoreError, ensure};
use crate::seen::{Seen, State};

const MAGIC: &[u8; 6] = b"RFSNAP";
const VERSION: u8 = 1;
const HEAD_LEN_BYTES: usize = 48;

/// An immutable state. It may go to another thread, which digests and serialises it there; what it
/// hashes is kept in the shared parts, so the executor need not hash them again.
#[derive(Debug)]
pub struct Snapshot {
    app: App,
    seen: State,
    height: Height,
    ledger: Digest,
    digest: OnceLock<Digest>,
    /// Where each part begins, and the end.
    offsets: OnceLock<Vec<u64>>,
    /// The part that was encoded last: chunks ask for it again and again.
    encoded: Mutex<Option<(usize, Bytes)>>,
}

impl Snapshot {
    pub(crate) fn new(app: App, seen: State, height: Height, ledger: Digest) -> Snapshot {
        Snapshot {
            app,
            seen,
            height,
            ledger,
            digest: OnceLock::new(),
            offsets: OnceLock::new(),
            encoded: Mutex::new(None),
        }
    }

    pub fn height(&self) -> Height {
        self.height
    }

    pub fn ledger(&self) -> Digest {
        self.ledger
    }

    pub fn kind(&self) -> AppKind {
        self.app.kind()
    }

    /// The same as [`Executor::state_digest`] at the moment of the snapshot.
    pub fn digest(&self) -> Digest {
        *self
            .digest
            .get_or_init(|| state_digest(&self.app, &self.seen, self.height, self.ledger))
    }

    /// Parts that [`Snapshot::digest`] is made of.
    pub fn parts(&self) -> usize {
        self.app.parts() + self.seen.parts()
    }

    /// Hashes what one part belongs to ahead of [`Snapshot::digest`], so that a thread with other duties
    /// can do it piece by piece. A stripe is hashed with the first of its parts that is asked for.
    pub fn digest_part(&self, part: usize) {
        match part.checked_sub(self.app.parts()) {
            None => self.app.stripe_digest(part / self.app.stripe_parts()),
            Some(part) => self.seen.stripe_digest(part / self.seen.stripe_parts()),
        };
    }

    /// Length of the whole encoding, in bytes.
    pub fn len_bytes(&self) -> u64 {
        self.offsets().last().copied().unwrap_or_default()
    }

    /// Up to `len` bytes of the encoding from `offset` on; fewer at its end, none beyond.
    pub fn encode_chunk(&self, offset: u64, len: usize) -> Bytes {
        let offsets = self.offsets();
        let end = offset.saturating_add(len as u64).min(self.len_bytes());
        let mut out = Vec::with_capacity(end.saturating_sub(offset) as usize);
        let mut at = offset;
        while at < end {
            let part = offsets.partition_point(|begin| *begin <= at) - 1;
            let bytes = self.part(part);
            let from = (at - offsets[part]) as usize;
            let to = bytes.len().min((end - offsets[part]) as usize);
            out.extend_from_slice(&bytes[from..to]);
            at = offsets[part] + to as u64;
        }
        Bytes::from(out)
    }

    /// The whole encoding: canonical, the same bytes at every replica.
    pub fn encode(&self) -> Bytes {
        let mut out = self.head();
        out.reserve(self.len_bytes() as usize);
        for part in 0..self.app.parts() {
            self.app.encode_part(part, &mut out);
        }
        for part in 0..self.seen.parts() {
            self.seen.encode_part(part, &mut out);
        }
        Bytes::from(out)
    }

    /// An executor that goes on from here; the snapshot's parts stay shared. No bytes are copied or
    /// checked, only the seen-set's order of use is sorted anew.
    pub fn to_executor(&self) -> Executor {
        let seen = Seen::rebuild(self.seen.clone());
        Executor::from_parts(self.app.clone(), seen, self.height, self.ledger)
    }

    fn head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[VERSION, self.app.kind().tag()]);
        out.extend_from_slice(&self.height.0.to_le_bytes());
        out.extend_from_slice(&self.ledger.0);
        out
    }

    /// Part 0 is the head.
    fn offsets(&self) -> &[u64] {
        self.offsets.get_or_init(|| {
            let app = (0..self.app.parts()).map(|part| self.app.part_len_bytes(part));
            let seen = (0..self.seen.parts()).map(|part| self.seen.part_len_bytes(part));
            let mut end = HEAD_LEN_BYTES as u64;
            let mut offsets = vec![0, end];
            for len_bytes in app.chain(seen) {
                end += len_bytes as u64;
                offsets.push(end);
            }
            offsets
        })
    }

    fn part(&self, part: usize) -> Bytes {
        let mut kept = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        match &*kept {
            Some((which, bytes)) if *which == part => bytes.clone(),
            _ => {
                let bytes = Bytes::from(self.encode_part(part));
                *kept = Some((part, bytes.clone()));
                bytes
            }
        }
    }

    fn encode_part(&self, part: usize) -> Vec<u8> {
        let mut out = Vec::new();
        match part.checked_sub(1) {
            None => out = self.head(),
            Some(part) if part < self.app.parts() => self.app.encode_part(part, &mut out),
            Some(part) => self.seen.encode_part(part - self.app.parts(), &mut out),
        }
        out
    }
}

/// Root over height, ledger and the digests of all stripes.
pub(crate) fn state_digest(app: &App, seen: &State, height: Height, ledger: Digest) -> Digest {
    let mut bytes = Vec::with_capacity(64 + 32 * (app.stripes() + seen.stripes()));
    bytes.push(app.kind().tag());
    bytes.extend_from_slice(&height.0.to_le_bytes());
    bytes.extend_from_slice(&ledger.0);
    for stripe in 0..app.stripes() {
        bytes.extend_from_slice(&app.stripe_digest(stripe).0);
    }
    for stripe in 0..seen.stripes() {
        bytes.extend_from_slice(&seen.stripe_digest(stripe).0);
    }
    Digest::of("reforge state v2", &bytes)
}

pub(crate) fn restore(bytes: &[u8], expected: Digest) -> Result<Executor, RestoreError> {
    if bytes.len() as u64 > SNAPSHOT_LEN_MAX {
        return Err(RestoreError::TooLong {
            found: bytes.len() as u64,
            limit: SNAPSHOT_LEN_MAX,
        });
    }
    let mut input = Input::new(bytes);
    let magic = input.slice("snapshot", MAGIC.len())? == MAGIC;
    ensure(magic, "snapshot", "does not begin like one")?;
    let [version, tag] = input.array("snapshot")?;
    ensure(version == VERSION, "snapshot", "has another version")?;
    let kind = AppKind::from_tag(tag).ok_or(RestoreError::Malformed {
        what: "snapshot",
        why: "is of an unknown application",
    })?;
    let height = Height(input.u64("snapshot height")?);
    let ledger = Digest(input.array("snapshot ledger")?);
    let mut app = App::new(kind);
    for part in 0..app.parts() {
        app.restore_part(part, &mut input)?;
    }
    let mut seen = State::new();
    for part in 0..seen.parts() {
        seen.restore_part(part, &mut input)?;
    }
    ensure(input.left() == 0, "snapshot", "is followed by other bytes")?;
    let found = state_digest(&app, &seen, height, ledger);
    match found == expected {
        true => Ok(Executor::from_parts(
            app,
            Seen::rebuild(seen),
            height,
            ledger,
        )),
        false => Err(RestoreError::Digest { expected, found }),
    }
}

#[cfg(test)]
mod tests;
