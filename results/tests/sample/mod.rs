//! A synthetic run folder that passes, written with the same writers as a real one; tests change
//! one thing before it is written, or damage it afterwards.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use measure::files::{JsonLines, write_json};
use measure::{
    CampaignRecord, EventKind, EventLog, FaultAction, Fingerprint, IncidentLine, LedgerRecord,
    LedgerWriter, LoadOptions, LoadRecorder, LoadResult, ModeName, Outcomes, Phase, PlannedFault,
    Receipts, RecoverySeen, ReplicaReport, RunFolder, RunRecord, SCHEMA_VERSION, SecondCounts,
    SeriesRow, Thresholds, Usage, WallAnchor, folder,
};

pub const SECOND_NS: u64 = 1_000_000_000;
pub const START: WallAnchor = WallAnchor {
    monotonic_ns: 100 * SECOND_NS,
    unix_ns: 1_700_000_000 * SECOND_NS,
};
/// The measured phase lasts from second 2 to second 12 after the start.
pub const WARMUP_S: u64 = 2;
pub const DURATION_S: u64 = 10;
pub const RATE_TPS: u64 = 100;

pub struct Sample {
    pub run: RunRecord,
    pub load: Option<LoadResult>,
    /// Requests of the measured phase: (count, corrected ns).
    pub latencies: Vec<(u64, u64)>,
    pub series: Vec<SeriesRow>,
    pub ledgers: Vec<Option<Vec<LedgerRecord>>>,
    pub reports: Vec<Option<ReplicaReport>>,
    pub events: Vec<(u64, EventKind)>,
    /// Timelines, by replica; an empty one is not written.
    pub incidents: Vec<Vec<IncidentLine>>,
    pub receipts: Option<Receipts>,
    /// What dissemination alone reached before the run.
    pub bound_tps: Option<f64>,
    pub seal: bool,
    dir: tempfile::TempDir,
}

impl Sample {
    /// Everything as it should be.
    pub fn passing() -> Self {
        let offered = RATE_TPS * DURATION_S;
        Self {
            run: run_record(),
            load: Some(load_result(offered)),
            latencies: vec![(offered - 10, 5_000_000), (10, 30_000_000)],
            series: (0..WARMUP_S + DURATION_S).map(series_row).collect(),
            ledgers: (0..4).map(|_| Some(history(40))).collect(),
            reports: (0..4).map(|index| Some(report(index))).collect(),
            events: vec![(98 * SECOND_NS, EventKind::Ready)],
            incidents: vec![Vec::new(); 4],
            receipts: None,
            bound_tps: None,
            seal: true,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Plans a fault and lets it happen on time.
    pub fn fault(&mut self, at_s: u64, action: FaultAction, replica: u32) {
        let planned_s = at_s as f64;
        self.run
            .faults
            .push(PlannedFault::new(planned_s, action, replica));
        let at_ns = START.monotonic_ns + (WARMUP_S + at_s) * SECOND_NS;
        let kind = EventKind::Fault {
            replica,
            action,
            planned_s,
            network: None,
        };
        self.events.push((at_ns + 3_000_000, kind));
    }

    pub fn load(&mut self) -> &mut LoadResult {
        self.load.as_mut().unwrap()
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join(&self.run.name)
    }

    /// Writes the folder and seals it.
    pub fn write(&self) -> PathBuf {
        self.write_at(&self.root());
        self.root()
    }

    pub fn write_at(&self, root: &Path) {
        let run_folder = RunFolder::create(root).unwrap();
        write_json(&run_folder.path(folder::RUN), &self.run).unwrap();
        write_json(&run_folder.path(folder::FINGERPRINT), &fingerprint()).unwrap();
        if let Some(tps) = self.bound_tps {
            let bound = serde_json::json!({ "dissemination": [
                { "replicas": self.run.replicas + 1, "tps": 1.0, "windows_tps": [1.0] },
                { "replicas": self.run.replicas, "tps": tps, "windows_tps": [tps] },
            ]});
            write_json(&run_folder.path(folder::BOUND), &bound).unwrap();
        }
        let mut events = EventLog::open(&run_folder.path(folder::EVENTS)).unwrap();
        for (at_ns, kind) in &self.events {
            events.record_at(*at_ns, kind.clone()).unwrap();
        }
        for index in 0..self.run.replicas {
            let part = run_folder.replica(index);
            std::fs::create_dir_all(&part).unwrap();
            if !self.incidents[index as usize].is_empty() {
                let mut lines = JsonLines::open(&part.join(folder::INCIDENTS)).unwrap();
                for line in &self.incidents[index as usize] {
                    lines.append(line).unwrap();
                }
            }
            if let Some(report) = &self.reports[index as usize] {
                write_json(&part.join(folder::STATUS), report).unwrap();
            }
            if let Some(records) = &self.ledgers[index as usize] {
                let mut ledger = LedgerWriter::open(&part.join(folder::LEDGER)).unwrap();
                for record in records {
                    ledger.append(record).unwrap();
                }
                ledger.flush().unwrap();
            }
        }
        if let Some(load) = &self.load {
            let part = run_folder.load(0);
            std::fs::create_dir_all(&part).unwrap();
            write_json(&part.join(folder::LOAD), load).unwrap();
            if let Some(receipts) = &self.receipts {
                let mut bytes = Receipts::header(&receipts.sessions);
                for record in &receipts.records {
                    bytes.extend_from_slice(&record.encode());
                }
                std::fs::write(part.join(folder::RECEIPTS), bytes).unwrap();
            }
            let mut recorder = LoadRecorder::create(&part, START).unwrap();
            for &(count, latency_ns) in &self.latencies {
                for _ in 0..count {
                    recorder.sent(Phase::Measure, 20_000);
                    recorder.finished(Phase::Measure, latency_ns, latency_ns - 20_000);
                }
            }
            recorder
                .tick(
                    START.monotonic_ns + 12 * SECOND_NS,
                    SecondCounts::default(),
                    ModeName::Nominal,
                )
                .unwrap();
            // The recorder's own row is replaced by the sample's.
            let series = part.join(folder::SERIES);
            std::fs::remove_file(&series).unwrap();
            let mut lines = JsonLines::open(&series).unwrap();
            for row in &self.series {
                lines.append(row).unwrap();
            }
        }
        if self.seal {
            run_folder.seal().unwrap();
        }
    }
}

/// A chain of `len` blocks with 50 transactions each.
pub fn history(len: u64) -> Vec<LedgerRecord> {
    (1..=len)
        .map(|height| LedgerRecord {
            height,
            view: height,
            epoch: [7; 8],
            block: [height as u8; 32],
            digest: [!(height as u8); 32],
            txs: 50,
        })
        .collect()
}

fn run_record() -> RunRecord {
    RunRecord {
        schema: SCHEMA_VERSION,
        experiment: "sample".into(),
        spec_hash: "0123456789abcdef".into(),
        index: 0,
        name: "000-sample-r0".into(),
        repetition: 0,
        provider: "local".into(),
        replicas: 4,
        generators: 1,
        rule: "two-chain".into(),
        scheme: "bls".into(),
        durability: "strict".into(),
        backend: "epoll".into(),
        encryption: false,
        auth: "none".into(),
        app: "kv".into(),
        rate_tps: RATE_TPS as f64,
        size_bytes: 512,
        warmup_s: WARMUP_S as f64,
        duration_s: DURATION_S as f64,
        cooldown_s: 1.0,
        seed: 1,
        faults: Vec::new(),
        adversaries: Vec::new(),
        drill: None,
        recovery: None,
        delay_ms: 0.0,
        wan_rtt_ms: None,
        load: measure::LoadPlan::default(),
        thresholds: Thresholds {
            goodput_min: Some(0.99),
            p50_ms_max: Some(12.0),
            p99_ms_max: Some(40.0),
            ..Thresholds::default()
        },
        begun: START,
        command: "reforge run sample.toml".into(),
    }
}

fn outcomes(offered: u64) -> Outcomes {
    Outcomes {
        offered,
        sent: offered,
        finished: offered,
        ..Outcomes::default()
    }
}

fn load_result(offered: u64) -> LoadResult {
    let start_ns = START.monotonic_ns + WARMUP_S * SECOND_NS;
    LoadResult {
        schema: SCHEMA_VERSION,
        generator: 0,
        options: LoadOptions {
            rate_tps: RATE_TPS as f64,
            arrival: "constant".into(),
            size_bytes: 512,
            duration_s: DURATION_S as f64,
            warmup_s: WARMUP_S as f64,
            cooldown_s: 1.0,
            connections: 4,
            sessions: 64,
            workload: "put".into(),
            keys: 1000,
            seed: 1,
            auth: "none".into(),
            trust_unchecked: false,
            late_after_ms: 5000,
        },
        start: START,
        measure_start_ns: start_ns,
        measure_end_ns: start_ns + DURATION_S * SECOND_NS,
        interrupted: false,
        measured: outcomes(offered),
        total: outcomes(offered + RATE_TPS * WARMUP_S),
        duplicates: 0,
        receipts_checked: offered,
        receipts_bad: 0,
        reconnects: 0,
        failovers: 0,
        resent: 0,
        lag_max_ns: 20_000,
        saturated: false,
        saturated_reason: None,
        corrected: measure::Percentiles::default(),
        service: measure::Percentiles::default(),
        lag: measure::Percentiles::default(),
        bytes_out: 0,
        bytes_in: 0,
        usage: Usage::default(),
        errors: BTreeMap::new(),
        recovery: RecoverySeen::default(),
    }
}

fn series_row(second: u64) -> SeriesRow {
    SeriesRow {
        t_s: (second + 1) as f64,
        monotonic_ns: START.monotonic_ns + (second + 1) * SECOND_NS,
        interval_s: 1.0,
        counts: SecondCounts {
            offered: RATE_TPS,
            sent: RATE_TPS,
            finished: RATE_TPS,
            ..SecondCounts::default()
        },
        p50_ns: 5_000_000,
        p99_ns: 30_000_000,
        max_ns: 30_000_000,
        lag_p99_ns: 20_000,
        mode: ModeName::Nominal,
    }
}

fn report(replica: u32) -> ReplicaReport {
    ReplicaReport {
        schema: SCHEMA_VERSION,
        replica,
        committee: 4,
        cluster: "00".into(),
        started: START,
        stopped: START,
        clean_stop: true,
        failure: None,
        durability: "strict".into(),
        scheme: "bls".into(),
        rule: "two-chain".into(),
        backend: "epoll".into(),
        backend_wanted: None,
        encryption: false,
        auth: "none".into(),
        app: "kv".into(),
        view: 40,
        views: 40,
        height: 40,
        commits: 40,
        timeouts: 0,
        tx_executed: 2000,
        tx_rejected: 0,
        tx_duplicate: 0,
        tx_refused: 0,
        batches: 10,
        signatures_made: 40,
        signatures_checked: 40,
        signatures_bad: 0,
        syncs: 40,
        journal_bytes: 1 << 20,
        peer_bytes_in: 1,
        peer_bytes_out: 1,
        client_bytes_in: 1,
        client_bytes_out: 1,
        refused: BTreeMap::new(),
        fetches: 0,
        snapshots_installed: 0,
        usage: Usage::default(),
        extra: BTreeMap::new(),
    }
}

/// The same on every host, so that tests of bytes are tests of bytes.
fn fingerprint() -> Fingerprint {
    Fingerprint {
        schema: SCHEMA_VERSION,
        cpu_model: None,
        cpu_features: Vec::new(),
        cpus: 2,
        governor: None,
        memory_bytes: None,
        kernel: None,
        mitigations: BTreeMap::new(),
        clock_source: None,
        tcp_congestion: None,
        load_average_hundredths: None,
        virtual_machine: false,
        binary_hash: None,
        version: "0.1.0".into(),
        debug_build: false,
        git: None,
    }
}

/// The record of a campaign of these runs, as `reforge run` writes it.
#[allow(dead_code)] // not every test that shares this file has campaigns
pub fn write_campaign(dir: &Path, experiment: &str, command: &str, runs: Vec<String>) {
    let record = CampaignRecord {
        schema: SCHEMA_VERSION,
        experiment: experiment.into(),
        spec_hash: "0123456789abcdef".into(),
        runs,
        begun: START,
        command: command.into(),
    };
    write_json(&dir.join(folder::CAMPAIGN), &record).unwrap();
}
