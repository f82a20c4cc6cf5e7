//! A checkpoint's digest, a piece per turn of the loop.

use bytes::Bytes;
use execution::Executor;
use types::{BlockId, Digest, Height};

use super::{Hashing, Snapshots};
use crate::platform::Platform;
use crate::replica::Replica;

/// Parts hashed per turn, of some thousand: about half a millisecond's worth where all are full.
const HASH_PARTS: usize = 32;

impl Snapshots {
    /// Takes the state after `block`; its digest comes out of [`Snapshots::hash`], a piece per turn:
    /// all at once it would hold up everything else for as long as a few views take.
    pub fn begin(&mut self, executor: &Executor, block: BlockId, order: Bytes) {
        self.hashing = Some(Hashing {
            snapshot: executor.snapshot(),
            order,
            block,
            part: 0,
            cert: None,
        });
    }

    /// The executor went elsewhere.
    pub fn forget_hashing(&mut self) {
        self.hashing = None;
    }

    /// Hashes up to `parts` parts; height, block and state of a checkpoint that is done with it.
    pub fn hash(&mut self, parts: usize) -> Option<(Height, BlockId, Digest)> {
        let hashing = self.hashing.as_mut()?;
        let end = hashing.snapshot.parts();
        let next = hashing.part.saturating_add(parts).min(end);
        (hashing.part..next).for_each(|part| hashing.snapshot.digest_part(part));
        hashing.part = next;
        if next < end {
            return None;
        }
        let done = self.hashing.take()?;
        let height = done.snapshot.height();
        let state = self.keep(done.snapshot, &done.order);
        if let Some(cert) = done.cert {
            self.certified(&cert);
        }
        Some((height, done.block, state))
    }
}

impl<P: Platform> Replica<P> {
    /// A checkpoint's height is executed.
    pub(in crate::replica) fn begin_checkpoint(&mut self, block: BlockId, order: Bytes) {
        // The one before has had a whole interval.
        self.hash_checkpoint(usize::MAX);
        self.snapshots.begin(&self.exec, block, order);
    }

    /// Goes on with the state that is being hashed.
    pub(in crate::replica) fn hash_some(&mut self) {
        self.hash_checkpoint(HASH_PARTS);
    }

    fn hash_checkpoint(&mut self, parts: usize) {
        if let Some((height, block, state)) = self.snapshots.hash(parts) {
            self.core
                .checkpoint_reached(height, block, state, &mut self.effects);
        }
    }
}
