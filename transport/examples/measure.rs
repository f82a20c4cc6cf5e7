//! Quick look at the back ends: `measure BACKEND [--encrypt] [--congestion NAME]`.
//!
//! Four replicas in one thread on loopback: round trips of 200 B between two, then bulk all-to-all.
//! For orders of magnitude; the bench room measures properly.

use std::net::TcpListener;
use std::time::{Duration, Instant};
use transport::{
    Body, Class, Event, Frame, Listen, PeerConfig, ReplicaConfig, SendError, Transport,
    TransportConfig, open, public_key,
};

const N: usize = 4;
const TRIPS: u32 = 20_000;
const BULK_FOR: Duration = Duration::from_secs(2);
const BODY_LEN: usize = 512 << 10;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let backend = args
        .first()
        .map_or("epoll", String::as_str)
        .parse()
        .expect("a back end");
    let encryption = args.iter().any(|arg| arg == "--encrypt");
    let congestion = args.iter().position(|arg| arg == "--congestion");
    let congestion = congestion.and_then(|at| args.get(at + 1)).cloned();

    let listeners: Vec<TcpListener> = (0..N)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"))
        .collect();
    let key = |i: usize| [i as u8 + 1; 32].map(|byte| byte << 3);
    let committee: Vec<Option<PeerConfig>> = listeners
        .iter()
        .enumerate()
        .map(|(i, listener)| {
            let addr = listener.local_addr().expect("it is bound");
            Some(PeerConfig {
                addr,
                public_key: public_key(&key(i)),
            })
        })
        .collect();
    let mut nodes: Vec<Box<dyn Transport>> = Vec::new();
    for (i, listener) in listeners.into_iter().enumerate() {
        let replica = ReplicaConfig {
            index: i as u16,
            private_key: key(i),
            committee: committee.clone(),
            peer_listen: Listen::Bound(listener),
            client_listen: None,
        };
        let mut config = TransportConfig::replica(backend, [1; 32], encryption, replica);
        config.congestion.clone_from(&congestion);
        config.zero_copy = args.iter().any(|arg| arg == "--zero-copy");
        let (node, notice) = open(config).expect("it opens");
        assert!(notice.is_none(), "{notice:?}");
        nodes.push(node);
    }
    let mut events = Vec::new();
    while !(0..N).all(|i| (0..N).all(|j| i == j || nodes[i].is_up(j as u16))) {
        nodes
            .iter_mut()
            .for_each(|node| poll(node.as_mut(), &mut events));
    }
    events.clear();

    round_trips(&mut nodes);
    bulk(&mut nodes);
    let stats = nodes[0].stats();
    println!(
        "zero-copy sends {} copied {}",
        stats.zero_copy_sends, stats.zero_copy_copied
    );
}

fn poll(node: &mut dyn Transport, events: &mut Vec<Event>) {
    node.poll(Some(Duration::ZERO), events).expect("poll works");
}

fn frames(events: &mut Vec<Event>) -> usize {
    let frames = events
        .iter()
        .filter(|e| matches!(e, Event::Frame { .. }))
        .count();
    events.clear();
    frames
}

/// CPU time of this thread, which other load on the machine does not blur.
fn cpu_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .unwrap_or(f64::NAN)
}

fn round_trips(nodes: &mut [Box<dyn Transport>]) {
    let mut events = Vec::new();
    let (start, cpu) = (Instant::now(), cpu_ns());
    for _ in 0..TRIPS {
        for (from, to) in [(0, 1), (1, 0)] {
            let frame = Frame::new(vec![7; 200]);
            nodes[from]
                .send(to as u16, Class::Control, frame)
                .expect("it is up");
            poll(nodes[from].as_mut(), &mut events);
            loop {
                let wait = Duration::from_micros(500);
                nodes[to].poll(Some(wait), &mut events).expect("poll works");
                if frames(&mut events) > 0 {
                    break;
                }
                // A write may wait for the completion of the one before it.
                poll(nodes[from].as_mut(), &mut events);
            }
        }
    }
    let trip_us = start.elapsed().as_secs_f64() * 1e6 / f64::from(TRIPS);
    let cpu_us = (cpu_ns() - cpu) / 1e3 / f64::from(TRIPS);
    let backend = nodes[0].backend();
    println!("{backend} round trip of 200 B: {trip_us:.2} us, {cpu_us:.2} us of CPU");
}

fn bulk(nodes: &mut [Box<dyn Transport>]) {
    let mut events = Vec::new();
    let (start, cpu, mut received) = (Instant::now(), cpu_ns(), 0usize);
    while start.elapsed() < BULK_FOR {
        for (i, node) in nodes.iter_mut().enumerate() {
            // A fresh body per round: its hash is paid for once, as a batch's is.
            let body = Body::new([vec![i as u8; BODY_LEN].into()]);
            let room =
                (0..N).all(|j| i == j || node.queued_bytes(j as u16, Class::Bulk) < 2 * BODY_LEN);
            for j in (0..N).filter(|j| room && *j != i) {
                let frame = Frame::with_body(vec![1; 32], body.clone());
                let sent = node.send(j as u16, Class::Bulk, frame);
                assert!(matches!(sent, Ok(()) | Err(SendError::Full)));
            }
            poll(node.as_mut(), &mut events);
            received += frames(&mut events);
        }
    }
    let bytes = (received * BODY_LEN) as f64;
    let rate = bytes / start.elapsed().as_secs_f64() / 1e9;
    let (cost, backend) = ((cpu_ns() - cpu) / bytes, nodes[0].backend());
    println!("{backend} all-to-all: {rate:.2} GB/s received, {cost:.3} ns of CPU per byte");
}
