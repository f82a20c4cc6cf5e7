//! Small frames over the node's transport on loopback: what a hop costs when both ends sleep until it comes,
//! and what an answered request costs when many clients ask at once.

use std::collections::HashMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use measure::{Usage, median};
use transport::{
    Backend, ConnId, Event, Frame, Listen, Peer, PeerConfig, ReplicaConfig, ServerConfig,
    Transport, TransportConfig, public_key,
};

use crate::BenchError;

const CLUSTER: [u8; 32] = *b"reforge limits: hops            ";
const KEY: [u8; 32] = [9; 32];
/// As large as a vote or a small proposal.
const FRAME_BYTES: usize = 256;
const WAIT: Duration = Duration::from_millis(20);
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);

/// What was found.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Half of every round trip, in microseconds.
    pub hops_us: Vec<f64>,
    /// Answered requests per second.
    pub per_s: f64,
    /// CPU per message (a request or an answer), both ends, in microseconds.
    pub cpu_us: f64,
}

impl Answered {
    #[must_use]
    pub fn hop_us(&self) -> f64 {
        median(&self.hops_us)
    }
}

/// `count` requests over `connections` connections, each with one request under way. One thread answers, one
/// asks.
///
/// # Errors
/// [`BenchError`] if the machine lacks something, or no answer comes.
pub fn run(backend: Backend, connections: usize, count: usize) -> Result<Answered, BenchError> {
    let listen = || TcpListener::bind("127.0.0.1:0").map_err(BenchError::Socket);
    let (peers, clients) = (listen()?, listen()?);
    let server = ServerConfig {
        addr: clients.local_addr().map_err(BenchError::Socket)?,
        public_key: public_key(&KEY),
    };
    let seat = ReplicaConfig {
        index: 0,
        private_key: KEY,
        committee: vec![Some(PeerConfig {
            addr: peers.local_addr().map_err(BenchError::Socket)?,
            public_key: public_key(&KEY),
        })],
        peer_listen: Listen::Bound(peers),
        client_listen: Some(Listen::Bound(clients)),
    };
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // A transport stays on the thread that opened it.
        let echo = scope.spawn(|| {
            echo(
                TransportConfig::replica(backend, CLUSTER, false, seat),
                &stop,
            )
        });
        let answered = ask(backend, &server, connections, count);
        stop.store(true, Ordering::Release);
        let ended = echo.join().map_err(|_| BenchError::Thread {
            what: "the echo",
            why: "it panicked".into(),
        });
        ended??;
        answered
    })
}

fn echo(config: TransportConfig, stop: &AtomicBool) -> Result<(), BenchError> {
    let (mut net, _) = transport::open(config)?;
    let mut events = Vec::new();
    while !stop.load(Ordering::Acquire) {
        net.poll(Some(WAIT), &mut events)?;
        for event in events.drain(..) {
            if let Event::Frame {
                conn,
                peer: Peer::Client(_),
                frame,
            } = event
            {
                // A client that has gone needs no answer.
                let _ = net.reply(conn, Frame::new(frame.bytes));
            }
        }
    }
    Ok(())
}

fn ask(
    backend: Backend,
    server: &ServerConfig,
    connections: usize,
    count: usize,
) -> Result<Answered, BenchError> {
    let config = TransportConfig::client(backend, CLUSTER, false);
    let (mut net, _) = transport::open(config)?;
    for _ in 0..connections {
        net.connect(server)?;
    }
    let (mut events, mut hops_us) = (Vec::new(), Vec::with_capacity(count));
    let mut sent: HashMap<ConnId, Instant> = HashMap::new();
    let mut heard = Instant::now();
    // Handshakes are not what is measured.
    let mut begun: Option<(Instant, f64)> = None;
    while hops_us.len() < count {
        if heard.elapsed() > ANSWERED_WITHIN {
            return Err(BenchError::Silent(ANSWERED_WITHIN.as_secs()));
        }
        net.poll(Some(WAIT), &mut events)?;
        for event in events.drain(..) {
            match event {
                Event::Up { conn, .. } => {
                    sent.insert(conn, Instant::now());
                    heard = Instant::now();
                    if sent.len() == connections {
                        begun = Some((Instant::now(), Usage::of_this_process().cpu_s()));
                        let all: Vec<ConnId> = sent.keys().copied().collect();
                        for conn in all {
                            request(net.as_mut(), conn)?;
                            sent.insert(conn, Instant::now());
                        }
                    }
                }
                Event::Frame { conn, .. } => {
                    heard = Instant::now();
                    if let Some(at) = sent.get_mut(&conn) {
                        hops_us.push(at.elapsed().as_secs_f64() * 1e6 / 2.0);
                        *at = heard;
                        request(net.as_mut(), conn)?;
                    }
                }
                _ => {}
            }
        }
    }
    let (since, cpu_s) = begun.unwrap_or((heard, 0.0));
    let answered = hops_us.len() as f64;
    Ok(Answered {
        per_s: answered / since.elapsed().as_secs_f64(),
        cpu_us: (Usage::of_this_process().cpu_s() - cpu_s) * 1e6 / (2.0 * answered),
        hops_us,
    })
}

fn request(net: &mut dyn Transport, conn: ConnId) -> Result<(), BenchError> {
    let frame = Frame::new(vec![7; FRAME_BYTES]);
    net.reply(conn, frame)
        .map_err(|source| BenchError::Send { replica: 0, source })
}
