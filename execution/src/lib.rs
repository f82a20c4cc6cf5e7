//! The applications, the replicated seen-set, and snapshots of both.
//!
//! State is cut into parts (buckets by a fixed hash of the key). Each part is shared by reference
//! count and copied on its first write after a snapshot, so that a snapshot costs one reference per
//! part. Digests are of stripes of some parts, computed when somebody asks and kept until one changes.
//!
//! Everything observable (outcomes, digests, encodings) is a function of the executed blocks alone.
//! Hash tables inside a part are seeded per process against flooding; their order is never seen,
//! because digests and encodings sort.

pub mod app;
pub mod executor;
mod hash;
pub mod kv;
pub mod null;
pub mod parts;
pub mod seen;
pub mod snapshot;

pub use app::{App, AppKind, Application};
pub use executor::{BatchInput, BlockSummary, Executor};
pub use parts::RestoreError;
pub use snapshot::Snapshot;
