//! What clients were told and what replicas executed.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};

use measure::{Ledger, LedgerRecord, LoadResult, ReplicaReport, files::read_json};

use super::{Cluster, reforge, text};

/// Blocks by height.
pub type History = BTreeMap<u64, LedgerRecord>;

/// Makes light load for two seconds and returns what became of it.
pub fn load(cluster: &Cluster, name: &str, seed: u32) -> LoadResult {
    let light = "rate = 300.0\nduration_s = 2.0\nsize_bytes = 128\n";
    finish(
        cluster,
        name,
        begin(cluster, name, &format!("{light}seed = {seed}\n")),
    )
}

/// Begins load as `options` say; all receipts are written down.
pub fn begin(cluster: &Cluster, name: &str, options: &str) -> Child {
    let out = cluster.dir.path().join(name);
    let config = cluster.dir.path().join(format!("{name}.toml"));
    let committee = cluster.dir.path().join("committee.toml");
    let text = format!(
        "committee = {committee:?}\nout_dir = {out:?}\ncooldown_s = 60.0\nreceipts_log = true\n{options}"
    );
    std::fs::write(&config, text).unwrap();
    reforge()
        .args(["load", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for the end of the load, and returns what became of it.
pub fn finish(cluster: &Cluster, name: &str, load: Child) -> LoadResult {
    let ran = load.wait_with_output().unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    let out = cluster.dir.path().join(name);
    read_json(&out.join("load.json"), "load result").unwrap()
}

/// Every offered request has a checked receipt, however late.
pub fn all_finished(result: &LoadResult) {
    let total = &result.total;
    assert!(total.offered > 0);
    assert_eq!(total.finished, total.offered, "{result:?}");
    assert_eq!(result.receipts_bad, 0);
}

/// Places (height, position) that the receipts of a load name.
pub fn receipts(cluster: &Cluster, name: &str) -> Vec<(u64, u32)> {
    let path = cluster.dir.path().join(name).join("receipts.bin");
    let receipts = measure::Receipts::read(&path).unwrap();
    let places = receipts.records.iter();
    places
        .map(|record| (record.height, record.position))
        .collect()
}

/// What one replica executed, in all its lives.
pub fn ledger(cluster: &Cluster, replica: usize) -> Vec<LedgerRecord> {
    let ledger = Ledger::read(&cluster.folder(replica).join("ledger.bin")).unwrap();
    assert!(!ledger.damaged);
    ledger.records
}

/// All replicas executed the same history as far as each went.
pub fn one_history(cluster: &Cluster) -> History {
    let mut history = History::new();
    for replica in 0..cluster.n {
        for record in ledger(cluster, replica) {
            let known = *history.entry(record.height).or_insert(record);
            assert_eq!(known, record, "replica {replica} differs");
        }
    }
    history
}

pub fn txs(history: &History) -> u64 {
    history.values().map(|record| u64::from(record.txs)).sum()
}

pub fn status(folder: &Path) -> ReplicaReport {
    read_json(&folder.join("status.json"), "replica report").unwrap()
}
