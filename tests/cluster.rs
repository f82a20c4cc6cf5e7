//! Four real replicas over real sockets: load with checked receipts, a crash, a restart, a stop.

mod common;

use std::path::Path;
use std::process::Stdio;

use common::{Cluster, Node, reforge, text};
use measure::{Ledger, LoadResult, ReplicaReport, files::read_json};

/// Makes load for two seconds and returns what became of it.
fn load(cluster: &Cluster, name: &str, seed: u32) -> LoadResult {
    let out = cluster.dir.path().join(name);
    let config = cluster.dir.path().join(format!("{name}.toml"));
    let committee = cluster.dir.path().join("committee.toml");
    std::fs::write(
        &config,
        format!(
            "committee = {committee:?}\nout_dir = {out:?}\nrate = 300.0\nduration_s = 2.0\n\
             cooldown_s = 60.0\nsize_bytes = 128\nseed = {seed}\n"
        ),
    )
    .unwrap();
    let ran = reforge()
        .args(["load", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    read_json(&out.join("load.json"), "load result").unwrap()
}

/// Every offered request has a checked receipt, however late.
fn all_finished(result: &LoadResult) {
    let total = &result.total;
    assert!(total.offered > 0);
    assert_eq!(total.finished, total.offered, "{result:?}");
    assert_eq!(result.receipts_bad, 0);
}

/// Blocks by height of one replica.
fn ledger(cluster: &Cluster, replica: usize) -> Vec<measure::LedgerRecord> {
    let ledger = Ledger::read(&cluster.folder(replica).join("ledger.bin")).unwrap();
    assert!(!ledger.damaged);
    ledger.records
}

/// All replicas executed the same history as far as each went; returns its transactions.
fn one_history(cluster: &Cluster) -> u64 {
    let mut history = std::collections::BTreeMap::new();
    for replica in 0..cluster.n {
        for record in ledger(cluster, replica) {
            let known = *history.entry(record.height).or_insert(record);
            assert_eq!(known, record, "replica {replica} differs");
        }
    }
    history.values().map(|record| u64::from(record.txs)).sum()
}

fn status(folder: &Path) -> ReplicaReport {
    read_json(&folder.join("status.json"), "replica report").unwrap()
}

fn stop_all(nodes: Vec<Node>) {
    for node in nodes {
        let log = node.log.clone();
        assert!(
            node.stop().success(),
            "{}",
            std::fs::read_to_string(log).unwrap()
        );
    }
}

#[test]
fn receipts_survive_the_kill_and_restart_of_every_replica() {
    let cluster = Cluster::new(4);
    let mut nodes = cluster.start_all("");
    let first = load(&cluster, "first", 1);
    all_finished(&first);

    // One by one, under kill -9: nobody forgets, everybody comes back.
    for replica in 0..4 {
        nodes.remove(0).kill();
        let height = nodes.iter().map(Node::height).max().unwrap();
        let node = cluster.start(replica, "");
        node.wait_ready();
        node.wait("caught up", |node| node.height() >= height);
        nodes.push(node);
    }
    let second = load(&cluster, "second", 2);
    all_finished(&second);

    // All at once.
    nodes.into_iter().for_each(Node::kill);
    let nodes = cluster.start_all("");
    let third = load(&cluster, "third", 3);
    all_finished(&third);
    stop_all(nodes);

    let offered = [&first, &second, &third].map(|result| result.total.offered);
    let executed = one_history(&cluster);
    // The ledgers of killed replicas may lack their last quarter of a second, but not all four alike
    // for what was stopped gracefully.
    assert!(executed >= offered[2], "{executed} < {offered:?}");
    for replica in 0..4 {
        let report = status(&cluster.folder(replica));
        assert!(report.clean_stop && report.failure.is_none());
        assert_eq!(
            (report.durability.as_str(), report.backend.as_str()),
            ("strict", "epoll")
        );
        assert!(report.syncs > 0 && report.journal_bytes > 0);
    }
}

#[test]
fn memory_durability_writes_nothing_and_says_so() {
    let cluster = Cluster::new(4);
    let nodes = cluster.start_all("durability = \"memory\"\n[crypto]\nthreads = 0\n");
    let result = load(&cluster, "load", 4);
    all_finished(&result);
    stop_all(nodes);
    assert!(one_history(&cluster) >= result.total.offered);
    for replica in 0..4 {
        assert!(!cluster.folder(replica).join("data").exists());
        assert_eq!(status(&cluster.folder(replica)).durability, "memory");
    }
}

#[test]
fn a_blocked_replica_is_missed_by_nobody_and_catches_up() {
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixStream;

    let cluster = Cluster::new(4);
    let mut nodes = cluster.start_all("durability = \"memory\"\n[control]\nsocket = \"c\"\n");
    let say = |line: &str| {
        let mut stream = UnixStream::connect(cluster.folder(3).join("c")).unwrap();
        writeln!(stream, "{line}").unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.starts_with("{\"ok\":true"), "{answer}");
    };
    (0..3).for_each(|peer| say(&format!("{{\"cmd\":\"block\",\"peer\":{peer}}}")));
    let height = nodes[3].height();
    nodes[0].wait("going on", |node| node.height() > height + 20);
    assert!(nodes[3].height() < nodes[0].height() - 10, "not cut off");
    (0..3).for_each(|peer| say(&format!("{{\"cmd\":\"unblock\",\"peer\":{peer}}}")));
    let height = nodes[0].height();
    nodes[3].wait("caught up", |node| node.height() >= height);
    say("{\"cmd\":\"stop\"}");
    let status = nodes.remove(3).child.wait().unwrap();
    assert!(status.success());
    stop_all(nodes);
    one_history(&cluster);
}
