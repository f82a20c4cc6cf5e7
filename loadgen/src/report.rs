//! What a run leaves in its folder, and what [`crate::run()`] returns.

use std::path::Path;

use measure::files::{write_atomic, write_json};
use measure::{LoadOptions, LoadResult, MeasureError, SCHEMA_VERSION, WallAnchor, folder};
use serde::{Deserialize, Serialize};
use types::{BlockId, CommitProof, Wire};

use crate::config::LoadConfig;
use crate::generator::Generator;
use crate::proofs::Conflict;

/// Connections made and lost, fail-overs, bad receipts.
pub const CONNECTIONS: &str = "connections.jsonl";
/// Height and id of every block the client knows to be final.
pub const BLOCKS: &str = "blocks.bin";
/// Every receipt, on request.
pub const RECEIPTS: &str = folder::RECEIPTS;
/// What has no place in `load.json`.
pub const DETAIL: &str = "load-detail.json";

/// The outcome of a run: `load.json` and `load-detail.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// What the other rooms read.
    pub result: LoadResult,
    /// The rest.
    pub detail: LoadDetail,
}

/// `load-detail.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadDetail {
    /// Version of the schema.
    pub schema: u32,
    /// Answered transactions submitted again after a recovery, to learn where they stand.
    pub asked_again: u64,
    /// Niceness that the generator ran at.
    pub niceness: i32,
    /// Measured requests per second of the measured phase, as offered.
    pub offered_tps: f64,
    /// Measured requests per second of the measured phase which finished, late ones included.
    pub achieved_tps: f64,
    /// Share of the measured requests that finished in time; 0 if none was offered.
    pub goodput: f64,
    /// Pairs of proven blocks with one height. Any means that the system diverged.
    pub conflicts: u64,
    /// Requests finished by a place that came without proof and is in no proven block.
    pub settled_unproven: u64,
    /// Requests that were ordered but whose effect the application rejected (finished all the same).
    pub rejected_by_application: u64,
    /// Blocks proven by the signatures of their own proof.
    pub blocks_signed: u64,
    /// Blocks proven as ancestors of such blocks.
    pub blocks_linked: u64,
    /// Proofs that proved nothing.
    pub proofs_bad: u64,
    /// Largest delay between an intended send and the turn that noticed it: the generator's own.
    pub own_lag_max_ns: u64,
    /// The transport's back end that ran.
    pub backend: String,
    /// Why it is not the one that was asked for, if it is not.
    pub fallback: Option<String>,
    /// Sends were gathered for this long.
    pub coalesce_us: u64,
}

/// Facts of the shell that the generator does not know.
#[derive(Debug)]
pub(crate) struct Facts {
    pub start: WallAnchor,
    pub connections: u32,
    pub interrupted: bool,
    pub stats: transport::LinkStats,
    pub backend: transport::Backend,
    pub fallback: Option<String>,
}

pub(crate) fn report(config: &LoadConfig, generator: &Generator, facts: Facts) -> LoadReport {
    let account = &generator.account;
    let (plan, counters) = (account.plan(), generator.counters);
    let (measured, total) = account.outcomes();
    let (corrected, service, lag) = account.recorder().percentiles(measure::Phase::Measure);
    let saturated_reason = account.saturated();
    let [blocks_signed, blocks_linked, proofs_bad] = generator.proofs.verdicts;
    let detail = LoadDetail {
        schema: SCHEMA_VERSION,
        asked_again: generator.counters.asked_again,
        niceness: crate::run::niceness(),
        offered_tps: measured.offered as f64 / config.duration_s,
        achieved_tps: measured.finished as f64 / config.duration_s,
        goodput: measured.good() as f64 / measured.offered.max(1) as f64,
        conflicts: account.counted("conflict"),
        settled_unproven: account.counted("settled-unproven"),
        rejected_by_application: account.counted("rejected-by-application"),
        blocks_signed,
        blocks_linked,
        proofs_bad,
        own_lag_max_ns: account.own_lag_ns_max(),
        backend: facts.backend.name().to_owned(),
        fallback: facts.fallback,
        coalesce_us: config.coalesce_ns() / 1_000,
    };
    let result = LoadResult {
        schema: SCHEMA_VERSION,
        generator: config.generator,
        options: options(config, facts.connections),
        start: facts.start,
        measure_start_ns: plan.measure_start_ns,
        measure_end_ns: plan.measure_end_ns,
        interrupted: facts.interrupted,
        measured,
        total,
        duplicates: counters.duplicates,
        receipts_checked: match config.trust_unchecked {
            true => 0,
            false => counters.receipts_checked,
        },
        receipts_bad: counters.receipts_bad,
        reconnects: generator.fleet.reconnects,
        failovers: counters.failovers,
        resent: counters.resent,
        lag_max_ns: account.recorder().lag_ns_max(),
        saturated: saturated_reason.is_some(),
        saturated_reason,
        corrected,
        service,
        lag,
        bytes_out: facts.stats.bytes_out,
        bytes_in: facts.stats.bytes_in,
        usage: measure::Usage::of_this_process(),
        errors: account.errors(),
        recovery: generator.recovery(),
    };
    LoadReport { result, detail }
}

fn options(config: &LoadConfig, connections: u32) -> LoadOptions {
    LoadOptions {
        rate_tps: config.rate,
        arrival: config.arrival.name().to_owned(),
        size_bytes: config.size_bytes,
        duration_s: config.duration_s,
        warmup_s: config.warmup_s,
        cooldown_s: config.cooldown_s,
        connections,
        sessions: connections * config.sessions,
        workload: config.workload.name().to_owned(),
        keys: config.keys,
        seed: config.seed,
        auth: config.auth.name().to_owned(),
        trust_unchecked: config.trust_unchecked,
        late_after_ms: config.late_after_ms,
    }
}

/// Writes `load.json`, `load-detail.json` and `blocks.bin`.
pub(crate) fn write(
    dir: &Path,
    report: &LoadReport,
    generator: &Generator,
) -> Result<(), MeasureError> {
    write_atomic(&dir.join(BLOCKS), &generator.proofs.blocks.encode())?;
    write_json(&dir.join(DETAIL), &report.detail)?;
    write_json(&dir.join(folder::LOAD), &report.result)
}

/// One side of a conflict in `conflict-<k>.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Side {
    /// Hex.
    block: String,
    /// The commit proof in the canonical codec, hex; absent if it is no longer kept.
    proof: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ConflictFile {
    height: u64,
    first: Side,
    second: Side,
}

/// Writes the evidence of conflict number `k`.
pub(crate) fn write_conflict(dir: &Path, k: u64, conflict: &Conflict) -> Result<(), MeasureError> {
    let side = |block: BlockId, proof: Option<&CommitProof>| Side {
        block: block.to_string(),
        proof: proof.map(|proof| proof.encode().iter().map(|b| format!("{b:02x}")).collect()),
    };
    let file = ConflictFile {
        height: conflict.height,
        first: side(conflict.first.0, conflict.first.1.as_ref()),
        second: side(conflict.second.0, conflict.second.1.as_ref()),
    };
    write_json(&dir.join(format!("conflict-{k}.json")), &file)
}
