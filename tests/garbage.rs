//! Garbage to every port of a running cluster: nobody crashes, nothing grows, others go on, and the
//! reasons are counted.

mod common;

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};

use common::Cluster;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Connections per port and kind.
const CONNECTIONS: usize = 150;

fn connect(port: u16) -> Option<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
}

/// Sends and forgets: the other side may close at any byte.
fn throw(port: u16, bytes: &[u8]) {
    if let Some(mut stream) = connect(port) {
        let _ = stream.write_all(bytes);
    }
}

#[test]
fn garbage_harms_nobody_and_is_counted() {
    let cluster = Cluster::new(4);
    let mut nodes = cluster.start_all("durability = \"memory\"\n");
    let ports = [
        cluster.peer_port(0),
        cluster.client_port(0),
        cluster.metrics_port(0),
    ];
    let resident = |node: &common::Node| node.metric("reforge_resident_bytes").unwrap_or(0.0);
    let before_bytes = resident(&nodes[0]);
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut held = Vec::new();
    for port in ports {
        for _ in 0..CONNECTIONS {
            let mut noise = vec![0; rng.random_range(1..4096)];
            rng.fill_bytes(&mut noise);
            throw(port, &noise);
            // Lengths that promise far more than comes.
            throw(port, &[0xff; 64]);
            // Connections that say nothing, or one byte, and stay.
            held.extend(connect(port));
            if let Some(mut stream) = connect(port) {
                let _ = stream.write_all(&noise[..1]);
                held.push(stream);
            }
        }
    }
    drop(held.split_off(held.len() / 2));
    nodes[0].wait("counting what it refuses", |node| {
        node.metric("reforge_refused_total").unwrap_or(0.0) >= CONNECTIONS as f64
    });
    for node in &nodes {
        let height = node.height();
        node.wait("going on", |node| node.height() > height + 5);
    }
    let grown_bytes = resident(&nodes[0]) - before_bytes;
    assert!(grown_bytes < 64e6, "grew by {grown_bytes} bytes");
    for node in &mut nodes {
        assert!(node.child.try_wait().unwrap().is_none(), "{}", node.log());
    }
    drop(held);
    for node in nodes {
        assert!(node.stop().success());
    }
}
