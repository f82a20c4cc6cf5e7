//! A small world of transports in one thread: polled in turns until a condition holds.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};
use transport::{
    Backend, Class, ConnId, DownReason, Event, Frame, Limits, Listen, Peer, PeerConfig, Received,
    ReplicaConfig, SendError, ServerConfig, Transport, TransportConfig, open, public_key,
};

/// Far beyond what anything here needs: only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(1);

/// One combination that every test runs in.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub backend: Backend,
    pub encryption: bool,
}

impl Case {
    /// Opens a transport and insists on the back end that the case is about.
    pub fn open(&self, config: TransportConfig) -> Node {
        let (transport, notice) = open(config).expect("the transport opens");
        if let Some(notice) = notice {
            let excused = std::env::var_os("REFORGE_NO_URING").is_some();
            assert!(
                excused,
                "{notice}; set REFORGE_NO_URING=1 to accept that here"
            );
            eprintln!("REFORGE_NO_URING: {notice}");
        } else {
            assert_eq!(transport.backend(), self.backend);
        }
        Node {
            transport,
            events: Vec::new(),
        }
    }

    pub fn client(&self) -> Node {
        self.open(TransportConfig::client(
            self.backend,
            CLUSTER,
            self.encryption,
        ))
    }
}

pub const CLUSTER: [u8; 32] = [7; 32];

pub fn private_key(index: usize) -> [u8; 32] {
    let mut key = [0x40; 32];
    // Not the first byte: clamping clears its low bits, and keys would coincide.
    key[1] = index as u8 + 1;
    key
}

/// A transport and what it reported and nobody took yet.
pub struct Node {
    pub transport: Box<dyn Transport>,
    pub events: Vec<Event>,
}

impl Node {
    pub fn poll(&mut self, timeout: Duration) {
        self.transport
            .poll(Some(timeout), &mut self.events)
            .expect("poll works");
    }

    /// Takes the frames received so far.
    pub fn frames(&mut self) -> Vec<(ConnId, Peer, Received)> {
        let mut frames = Vec::new();
        self.events.retain(|event| match event {
            Event::Frame { conn, peer, frame } => {
                frames.push((*conn, *peer, frame.clone()));
                false
            }
            _ => true,
        });
        frames
    }

    pub fn saw(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(wanted)
    }

    pub fn saw_down(&self, wanted: DownReason) -> bool {
        self.saw(|event| matches!(event, Event::Down { reason, .. } if *reason == wanted))
    }

    pub fn closed(&self, reason: DownReason) -> u64 {
        self.transport.stats().closed_for(reason)
    }

    /// The last connection that came up with this peer.
    pub fn conn_of(&self, wanted: impl Fn(Peer) -> bool) -> Option<ConnId> {
        self.events.iter().rev().find_map(|event| match event {
            Event::Up { conn, peer } if wanted(*peer) => Some(*conn),
            _ => None,
        })
    }

    pub fn send(&mut self, peer: u16, class: Class, bytes: &[u8]) -> Result<(), SendError> {
        self.transport.send(peer, class, Frame::new(bytes.to_vec()))
    }
}

/// Addresses and listeners of a committee whose ports are known before anything is opened.
pub struct Committee {
    pub case: Case,
    pub seats: Vec<Option<PeerConfig>>,
    pub limits: Limits,
    peers: Vec<TcpListener>,
    clients: Vec<TcpListener>,
}

impl Committee {
    pub fn new(case: Case, n: usize) -> Self {
        let bind = |_| TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let peers: Vec<TcpListener> = (0..n).map(bind).collect();
        let clients = (0..n).map(bind).collect();
        let seat = |(index, listener): (usize, &TcpListener)| {
            let addr = listener.local_addr().expect("it is bound");
            Some(PeerConfig {
                addr,
                public_key: public_key(&private_key(index)),
            })
        };
        let seats = peers.iter().enumerate().map(seat).collect();
        let limits = Limits {
            redial_max: Duration::from_millis(50),
            ..Limits::default()
        };
        Self {
            case,
            seats,
            limits,
            peers,
            clients,
        }
    }

    pub fn config(&self, index: usize) -> TransportConfig {
        let clone = |l: &TcpListener| Listen::Bound(l.try_clone().expect("descriptors suffice"));
        let replica = ReplicaConfig {
            index: index as u16,
            private_key: private_key(index),
            committee: self.seats.clone(),
            peer_listen: clone(&self.peers[index]),
            client_listen: Some(clone(&self.clients[index])),
        };
        let Case {
            backend,
            encryption,
        } = self.case;
        let config = TransportConfig::replica(backend, CLUSTER, encryption, replica);
        TransportConfig {
            limits: self.limits,
            seed: index as u64,
            ..config
        }
    }

    pub fn open(&self, index: usize) -> Node {
        self.case.open(self.config(index))
    }

    /// All replicas, connected.
    pub fn open_all(&self) -> Vec<Node> {
        let mut nodes: Vec<Node> = (0..self.seats.len())
            .map(|index| self.open(index))
            .collect();
        until(&mut nodes, "all links are up", all_up);
        nodes
    }

    pub fn peer_addr(&self, index: usize) -> SocketAddr {
        self.peers[index].local_addr().expect("it is bound")
    }

    pub fn client_addr(&self, index: usize) -> SocketAddr {
        self.clients[index].local_addr().expect("it is bound")
    }

    pub fn server(&self, index: usize) -> ServerConfig {
        let public_key = public_key(&private_key(index));
        ServerConfig {
            addr: self.client_addr(index),
            public_key,
        }
    }
}

pub fn all_up(nodes: &mut [Node]) -> bool {
    let n = nodes.len() as u16;
    nodes.iter().enumerate().all(|(i, node)| {
        (0..n)
            .filter(|peer| *peer != i as u16)
            .all(|peer| node.transport.is_up(peer))
    })
}

/// Polls all in turns until `done`; a hang fails the test.
pub fn until(nodes: &mut [Node], what: &str, mut done: impl FnMut(&mut [Node]) -> bool) {
    let deadline = Instant::now() + HANG;
    while !done(nodes) {
        assert!(
            Instant::now() < deadline,
            "hangs before: {what}; {}",
            report(nodes)
        );
        for node in nodes.iter_mut() {
            node.poll(Duration::ZERO);
        }
        if let Some(node) = nodes.first_mut() {
            node.poll(STEP / 4);
        }
    }
}

fn report(nodes: &[Node]) -> String {
    let each = nodes.iter().map(|node| {
        let stats = node.transport.stats();
        let closed: Vec<String> = DownReason::ALL
            .iter()
            .filter(|reason| stats.closed_for(**reason) > 0)
            .map(|reason| format!("{reason} {}", stats.closed_for(*reason)))
            .collect();
        format!(
            "{:?} {closed:?} pending events {}",
            stats.replicas,
            node.events.len()
        )
    });
    each.collect::<Vec<_>>().join("\n")
}

/// Distinct bytes for payloads, so that mixed-up ones are noticed.
pub fn pattern(len: usize, salt: u64) -> Vec<u8> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
