//! A disk that fills under load stops its replica with one clear error. Nobody else stops, nothing
//! acknowledged is lost, and with room again the replica comes back.

mod common;

use std::collections::BTreeMap;
use std::io::Read;
use std::process::Stdio;

use common::disk::Disk;
use common::evidence::{
    History, all_finished, begin, finish, ledger, load, one_history, receipts, status,
};
use common::{Cluster, Node, reforge, stop_all};

/// Fills a segment of the journal in a few seconds, and goes on for a few more.
const HEAVY: &str = "rate = 1000.0\nduration_s = 12.0\nsize_bytes = 12000\nseed = 1\n";
const LIGHT: &str = "rate = 300.0\nduration_s = 5.0\nsize_bytes = 128\nseed = 1\n";

#[test]
fn a_replica_whose_disk_fills_stops_and_comes_back() {
    let cluster = Cluster::new(4);
    let disk = Disk::small(&cluster.folder(3).join("data"));
    runs_out(&cluster, &disk, HEAVY);
}

/// The same without any privilege; it covers writes that fail in the middle of a segment.
#[test]
fn a_replica_at_its_file_size_limit_stops_and_comes_back() {
    runs_out(&Cluster::new(4), &Disk::Limit, LIGHT);
}

fn runs_out(cluster: &Cluster, disk: &Disk, options: &str) {
    let mut nodes = cluster.start_all("");
    let node = nodes.remove(3);
    let loading = begin(cluster, "first", options);
    node.wait("under load", |node| {
        node.metric("reforge_tx_executed_total").unwrap_or(0.0) > 50.0
    });
    disk.fill(&node);
    says_what_is_wrong(cluster, node);

    // The others go on, and whoever had sent to it finds another one.
    let height = nodes[0].height();
    nodes[0].wait("going on", |node| node.height() > height + 20);
    let first = finish(cluster, "first", loading);
    all_finished(&first);

    disk.grow();
    let height = nodes.iter().map(Node::height).max().unwrap();
    let node = cluster.start(3, "");
    node.wait_ready();
    node.wait("caught up", |node| node.height() >= height);
    nodes.push(node);
    let second = load(cluster, "second", 2);
    all_finished(&second);
    // Headers are fast, bytes take longer: everything that was ordered in its absence, twice over.
    let ordered = nodes[0].height();
    nodes[3].wait("executed", |node| executed(cluster, node) >= ordered);
    stop_all(nodes);

    let history = one_history(cluster);
    let last = ledger(cluster, 3).last().map(|record| record.height);
    assert!(last > Some(height), "{last:?} and {height}");
    nothing_is_lost(cluster, "first", &history);
    nothing_is_lost(cluster, "second", &history);
}

/// Height of the last block in the ledger of replica 3, which is written while it runs.
fn executed(cluster: &Cluster, _running: &Node) -> u64 {
    ledger(cluster, 3).last().map_or(0, |record| record.height)
}

/// Replica 3 ends by itself, with one error that names the place and the way out.
fn says_what_is_wrong(cluster: &Cluster, mut node: Node) {
    // To wait closes standard input, which would ask it to stop.
    let _open = node.child.stdin.take();
    let ended = node.child.wait().unwrap();
    let log = node.log();
    assert_eq!(ended.code(), Some(1), "{log}");
    let errors: Vec<&str> = log
        .lines()
        .filter(|line| line.starts_with("error: ") || line.contains("panicked"))
        .collect();
    assert_eq!(errors.len(), 1, "{log}");
    for part in ["disk full", "data/", "free space"] {
        assert!(errors[0].contains(part), "{part}: {}", errors[0]);
    }
    let report = status(&cluster.folder(3));
    assert!(!report.clean_stop);
    assert_eq!(report.failure.as_deref(), errors[0].strip_prefix("error: "));
}

/// Every place that a receipt of the load names exists, and no two receipts share one.
fn nothing_is_lost(cluster: &Cluster, name: &str, history: &History) {
    let mut places = receipts(cluster, name);
    let told = places.len();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), told, "two receipts name one place");
    let mut blocks: BTreeMap<u64, u32> = BTreeMap::new();
    for (height, _) in places {
        *blocks.entry(height).or_default() += 1;
    }
    for (height, told) in blocks {
        let executed = history.get(&height).map_or(0, |record| record.txs);
        assert!(executed >= told, "height {height}: {executed} of {told}");
    }
}

/// The record of a run may lie on another disk than the journal; it is no less worth a clear end.
#[test]
fn a_ledger_without_room_is_said() {
    let cluster = Cluster::new(1);
    let config = cluster.config(0, "durability = \"memory\"\n[timing]\nidle_view_ms = 1\n");
    // `memory`: the ledger is the first file that grows to the limit.
    let mut child = std::process::Command::new("sh")
        .args(["-c", "ulimit -f 64; exec \"$0\" node --config \"$1\""])
        .arg(reforge().get_program())
        .arg(&config)
        .env("REFORGE_LOG", "off")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its end is the end of its standard error; until then its standard input stays open.
    let mut error = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut error).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in ["error: disk full", "ledger.bin", "free space"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    // What stands there is whole.
    assert!(!ledger(&cluster, 0).is_empty());
}
