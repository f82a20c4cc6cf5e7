use std::io::{Read, Write};
use std::net::TcpStream;

use measure::metrics as m;

use super::*;

fn board() -> Board {
    let mut snapshot = Snapshot {
        replica: 2,
        mode: "NOMINAL",
        height: 12,
        peers_needed: 3,
        peers_up: vec![true, true, true, false],
        backend: "epoll",
        ..Snapshot::default()
    };
    snapshot.figures.insert(m::COMMITS, 12.0);
    snapshot.figures.insert(m::VIEW, 14.0);
    snapshot.figures.insert(m::CPU_SECONDS, 1.5);
    let refused = snapshot.labelled.entry(m::REFUSED).or_default();
    refused.insert("bad_mac".into(), 4);
    refused.insert("wrong_setting".into(), 2);
    let board = Board::default();
    board.publish(snapshot);
    board
}

fn get(addr: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

#[test]
fn metrics_carry_the_names_of_the_docs() {
    let answer = get(serve(any_port(), board()).unwrap(), "/metrics");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    for line in [
        "# TYPE reforge_commits counter",
        "reforge_commits_total 12",
        "reforge_view 14",
        "reforge_cpu_seconds_total 1.5",
        "reforge_refused_total{reason=\"bad_mac\"} 4",
        "# EOF",
    ] {
        assert!(answer.contains(line), "no {line:?} in {answer}");
    }
}

#[test]
fn health_says_whether_a_quorum_is_there() {
    let board = board();
    let addr = serve(any_port(), board.clone()).unwrap();
    let answer = get(addr, "/healthz");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\"mode\":\"NOMINAL\""), "{answer}");
    assert!(
        answer.contains("\"refused_connections\":{\"wrong_setting\":2}"),
        "{answer}"
    );
    let mut lonely = Snapshot::clone(&board.read());
    lonely.peers_up = vec![false, false, true, false];
    lonely.peers_refused.insert(3, "wrong_cluster");
    board.publish(lonely);
    let answer = get(addr, "/healthz");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("\"3\":\"wrong_cluster\""), "{answer}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let error = serve(addr, Board::default()).unwrap_err().to_string();
    assert!(
        error.contains(&addr.to_string()) && error.contains("metrics"),
        "{error}"
    );
}

#[test]
fn garbage_and_silence_do_not_keep_others_out() {
    let addr = serve(any_port(), board()).unwrap();
    let mut silent: Vec<TcpStream> = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.write_all(&[0xff; 100]).unwrap();
        silent.push(TcpStream::connect(addr).unwrap());
    }
    assert!(get(addr, "/healthz").starts_with("HTTP/1.1 200"));
}
