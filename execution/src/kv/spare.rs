//! Memory of states that ended, for copies.

use std::sync::{Arc, Mutex, PoisonError};

use super::BUCKETS;
use super::bucket::Bucket;

/// Buckets of snapshots that nobody needs any more. At high rates nearly every bucket is copied after a
/// snapshot: into memory that is there already, which the kernel need not clear first.
#[derive(Debug, Clone, Default)]
pub(super) struct Spare(Arc<Mutex<Vec<Arc<Bucket>>>>);

impl Spare {
    /// Puts a copy in the place of a bucket that others have too.
    #[cold]
    pub fn replace(&self, bucket: &mut Arc<Bucket>) {
        if bucket.is_empty() {
            *bucket = Arc::default();
            return;
        }
        let mut copy = self.take();
        // A spare bucket has one owner: otherwise it is made anew here.
        Arc::make_mut(&mut copy).copy(bucket);
        *bucket = copy;
    }

    fn take(&self) -> Arc<Bucket> {
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_default()
    }

    /// Takes over, from a state that ends, what nobody else has.
    pub fn keep(&self, ended: &mut Vec<Arc<Bucket>>) {
        // The last copy has nobody to leave anything to.
        if Arc::strong_count(&self.0) == 1 {
            return;
        }
        let mut own = std::mem::take(ended);
        own.retain_mut(|bucket| Arc::get_mut(bucket).is_some_and(|b| !b.is_empty()));
        let mut spare = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = BUCKETS.saturating_sub(spare.len());
        spare.extend(own.drain(..own.len().min(room)));
    }
}
