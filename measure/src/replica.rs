//! `status.json`: what a replica says about itself when it stops.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::WallAnchor;
use crate::usage::Usage;

/// A replica's report, written atomically at its end. Counters count since the process started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaReport {
    /// [`crate::SCHEMA_VERSION`].
    pub schema: u32,
    /// Index in the committee.
    pub replica: u32,
    /// Committee size.
    pub committee: u32,
    /// Cluster id, hex.
    pub cluster: String,
    /// When the process started.
    pub started: WallAnchor,
    /// When the report was written.
    pub stopped: WallAnchor,
    /// True when the replica stopped because it was asked to; false with `failure` set.
    pub clean_stop: bool,
    /// Why the replica stopped by itself.
    pub failure: Option<String>,

    /// `strict` or `memory`.
    pub durability: String,
    /// `bls` or `ed25519`.
    pub scheme: String,
    /// `two-chain` or `three-chain`.
    pub rule: String,
    /// The transport in use: `epoll`, `tokio-uring` or `io-uring`.
    pub backend: String,
    /// The transport asked for, when the kernel refused it and another is in use.
    pub backend_wanted: Option<String>,
    /// Whether links between replicas are encrypted.
    pub encryption: bool,
    /// Client authentication: `none` or `signed`.
    pub auth: String,
    /// Application: `kv` or `null`.
    pub app: String,

    /// Highest view entered.
    pub view: u64,
    /// Views entered.
    pub views: u64,
    /// Height of the last committed block.
    pub height: u64,
    /// Blocks committed.
    pub commits: u64,
    /// View timeouts of this replica.
    pub timeouts: u64,
    /// Transactions executed.
    pub tx_executed: u64,
    /// Transactions rejected by the application.
    pub tx_rejected: u64,
    /// Transactions dropped as duplicates.
    pub tx_duplicate: u64,
    /// Transactions refused at the client gateway.
    pub tx_refused: u64,
    /// Batches of own clients certified.
    pub batches: u64,
    /// Signatures made.
    pub signatures_made: u64,
    /// Signatures checked, aggregates counted once.
    pub signatures_checked: u64,
    /// Signatures or certificates that did not hold.
    pub signatures_bad: u64,
    /// Journal syncs (`fdatasync`).
    pub syncs: u64,
    /// Bytes written to the journal.
    pub journal_bytes: u64,
    /// Bytes read from other replicas.
    pub peer_bytes_in: u64,
    /// Bytes written to other replicas.
    pub peer_bytes_out: u64,
    /// Bytes read from clients.
    pub client_bytes_in: u64,
    /// Bytes written to clients.
    pub client_bytes_out: u64,
    /// Frames, connections or messages refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Blocks or batches fetched from others because they were missing here.
    pub fetches: u64,
    /// Snapshots installed from others.
    pub snapshots_installed: u64,
    /// The process's use of the machine.
    pub usage: Usage,
    /// Anything further, by name; results shows it and judges none of it.
    #[serde(default)]
    pub extra: BTreeMap<String, u64>,
}
