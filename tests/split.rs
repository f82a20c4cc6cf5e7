//! A real coalition over real sockets: two attackers of four make two histories.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use common::{Cluster, Node};
use measure::{Ledger, LedgerRecord};

/// The attackers' own lie does it: nobody knows how to recover, so that both histories stay.
const CONFIG: &str =
    "durability = \"memory\"\n[control]\nsocket = \"c\"\n[recovery]\nenabled = false\n";

fn say(cluster: &Cluster, replica: usize, line: &str) {
    let mut stream = UnixStream::connect(cluster.folder(replica).join("c")).unwrap();
    writeln!(stream, "{line}").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.starts_with("{\"ok\":true"), "{answer}");
}

/// Cuts the correct replicas 0 and 1 from each other.
fn wall(cluster: &Cluster) {
    say(cluster, 0, "{\"cmd\":\"block\",\"peer\":1}");
    say(cluster, 1, "{\"cmd\":\"block\",\"peer\":0}");
}

fn attackers(cluster: &Cluster, more: &[&str]) -> Vec<Node> {
    let split = ["--act", "split", "--side-a", "0", "--side-b", "1"];
    let args = [&split[..], more].concat();
    (2..4)
        .map(|replica| cluster.start_as("adversary", &args, replica, CONFIG))
        .collect()
}

fn blocks(cluster: &Cluster, replica: usize) -> Vec<LedgerRecord> {
    let path = cluster.folder(replica).join("ledger.bin");
    Ledger::read(&path)
        .map(|ledger| ledger.records)
        .unwrap_or_default()
}

/// First height at which the correct replicas executed different blocks.
fn parted_at(cluster: &Cluster) -> Option<u64> {
    let [first, second] = [0, 1].map(|replica| blocks(cluster, replica));
    let pairs = first.iter().zip(&second);
    let mut apart = pairs.filter(|(a, b)| a.height == b.height && a.block != b.block);
    apart.next().map(|(a, _)| a.height)
}

fn wait_for_split(cluster: &Cluster, node: &Node) -> u64 {
    node.wait("split", |_| parted_at(cluster).is_some());
    parted_at(cluster).unwrap()
}

#[test]
fn two_of_four_attackers_make_two_histories_from_the_start() {
    let cluster = Cluster::new(4);
    let correct: Vec<Node> = (0..2)
        .map(|replica| cluster.start(replica, CONFIG))
        .collect();
    correct[0].wait("control", |_| cluster.folder(0).join("c").exists());
    correct[1].wait("control", |_| cluster.folder(1).join("c").exists());
    wall(&cluster);
    let attackers = attackers(&cluster, &[]);
    assert_eq!(wait_for_split(&cluster, &correct[0]), 1);
    drop(attackers);
}

#[test]
fn a_late_split_leaves_a_common_beginning() {
    let cluster = Cluster::new(4);
    let correct: Vec<Node> = (0..2)
        .map(|replica| cluster.start(replica, CONFIG))
        .collect();
    let _attackers = attackers(&cluster, &["--split-after-ms", "4000"]);
    correct.iter().for_each(Node::wait_ready);
    correct[1].wait("honest work", |node| node.height() > 3);
    let shared = correct[0].height();
    wall(&cluster);
    assert!(wait_for_split(&cluster, &correct[0]) > shared);
}
