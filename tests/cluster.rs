//! Four real replicas over real sockets: load with checked receipts, a crash, a restart, a stop.

mod common;

use common::evidence::{all_finished, load, one_history, status, txs};
use common::{Cluster, Node, stop_all};

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
    let executed = txs(&one_history(&cluster));
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
    assert!(txs(&one_history(&cluster)) >= result.total.offered);
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
