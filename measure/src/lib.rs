//! What a run leaves behind, and how it is written and read.
//!
//! Clocks, HDR recorders, the schema of the run folder, the compact ledger record and the host
//! fingerprint. This room has no opinions: verdicts belong to `results`.
//!
//! A process of a run uses it like this: a replica writes [`ReplicaReport`] and a
//! [`LedgerWriter`]; a generator writes a [`LoadResult`] and feeds a [`LoadRecorder`]; the
//! orchestrator owns the [`RunFolder`] and the [`EventLog`].

pub mod bound;
mod calendar;
pub mod clock;
pub mod drill;
pub mod event;
pub mod evidence;
pub mod fault;
pub mod files;
pub mod fingerprint;
pub mod folder;
pub mod hdr;
pub mod incident;
pub mod ledger;
pub mod load;
pub mod metrics;
pub mod receipts;
pub mod replica;
pub mod run;
pub mod seen;
mod shape;
pub mod usage;

pub use bound::{BoundRecord, DisseminationBound, median};
pub use calendar::{utc_date, utc_stamp};
pub use clock::{CLOCK_SHIFT, WallAnchor, host_monotonic_ns, monotonic_ns};
pub use drill::{AfterSplit, Attack, DrillKind, DrillStep, Kill, PlannedDrill, SecondDrill};
pub use event::{Event, EventKind, EventLog};
pub use evidence::{Evidence, EvidenceKind, EvidenceRecord, EvidenceWriter};
pub use fault::{Direction, FaultAction, PlannedFault};
pub use files::MeasureError;
pub use fingerprint::Fingerprint;
pub use folder::{RunFolder, SealState};
pub use hdr::{HlogWriter, IntervalRecorder, Percentiles, Phase};
pub use incident::{IncidentKind, IncidentLine};
pub use ledger::{Ledger, LedgerRecord, LedgerWriter};
pub use load::{LoadOptions, LoadRecorder, LoadResult, Outcomes, SecondCounts, SeriesRow};
pub use receipts::{ReceiptKind, ReceiptRecord, Receipts};
pub use replica::ReplicaReport;
pub use run::{CampaignRecord, PlannedAdversary, RunRecord, Thresholds};
pub use seen::{EpochSeen, ModeName, ModeSeen, RecoverySeen};
pub use shape::{Burst, CapacityGoal, LoadPlan, Ramp, RateShape};
pub use usage::Usage;

/// Version of every JSON part of a run folder. A reader refuses a newer one, and raises it here
/// together with `docs/summary-schema.md` when a field changes its meaning.
pub const SCHEMA_VERSION: u32 = 1;
