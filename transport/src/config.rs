//! What `open` needs to know.

use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::str::FromStr;
use std::time::Duration;

/// Configuration of one transport: a replica with its listeners, or a client without.
#[derive(Debug)]
pub struct TransportConfig {
    pub backend: Backend,
    /// Bound into every handshake: replicas of another cluster are refused with that reason.
    pub cluster_id: [u8; 32],
    /// On: frames are sealed with AES-GCM. Off: they carry a MAC. Both ends must agree.
    pub encryption: bool,
    /// `None`: this process is only a client (load generator).
    pub replica: Option<ReplicaConfig>,
    pub limits: Limits,
    /// `TCP_CONGESTION` of every socket, for example `"reno"`; `None`: the system's default.
    pub congestion: Option<String>,
    /// Seed of the jitter of shaping and redialling.
    pub seed: u64,
    /// `io-uring` only: try `SEND_ZC` per link and keep it where the kernel reports no copies.
    pub zero_copy: bool,
}

impl TransportConfig {
    /// A client of the given cluster, with default limits.
    pub fn client(backend: Backend, cluster_id: [u8; 32], encryption: bool) -> Self {
        Self {
            backend,
            cluster_id,
            encryption,
            replica: None,
            limits: Limits::default(),
            congestion: None,
            seed: 0,
            zero_copy: false,
        }
    }

    /// A replica of the given cluster, with default limits.
    pub fn replica(
        backend: Backend,
        cluster_id: [u8; 32],
        encryption: bool,
        replica: ReplicaConfig,
    ) -> Self {
        Self {
            replica: Some(replica),
            ..Self::client(backend, cluster_id, encryption)
        }
    }
}

/// The seat of a replica and its listeners.
pub struct ReplicaConfig {
    pub index: u16,
    /// X25519 static private key; its public key must be the committee's for `index`.
    pub private_key: [u8; 32],
    /// All seats by index, our own included; `None` for an empty seat.
    pub committee: Vec<Option<PeerConfig>>,
    pub peer_listen: Listen,
    pub client_listen: Option<Listen>,
}

impl fmt::Debug for ReplicaConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaConfig")
            .field("index", &self.index)
            .field("committee", &self.committee.len())
            .field("peer_listen", &self.peer_listen)
            .field("client_listen", &self.client_listen)
            .finish_non_exhaustive()
    }
}

/// One seat of the committee, as seen by the links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerConfig {
    /// Its peer port.
    pub addr: SocketAddr,
    /// Its X25519 static public key.
    pub public_key: [u8; 32],
}

/// A replica as its clients see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// Its client port.
    pub addr: SocketAddr,
    /// Its X25519 static public key.
    pub public_key: [u8; 32],
}

/// Where to listen: an address to bind, or a socket that is already bound and listening.
#[derive(Debug)]
pub enum Listen {
    Addr(SocketAddr),
    Bound(TcpListener),
}

/// Bounds. Every queue, buffer and wait in this room has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest payload of a frame between replicas, both ways.
    pub peer_frame_bytes: usize,
    /// Longest payload of a frame from a client.
    pub client_frame_bytes: usize,
    /// Longest payload of a frame to a client.
    pub reply_frame_bytes: usize,
    /// Connections of clients, authenticated; further ones are refused.
    pub clients: usize,
    /// Accepted connections of both ports before authentication; the oldest makes room.
    pub handshaking: usize,
    /// From accept or dial to authentication.
    pub handshake_timeout: Duration,
    /// Queue per replica.
    pub control_queue_bytes: usize,
    /// Queue per replica.
    pub bulk_queue_bytes: usize,
    /// Queue per client connection.
    pub client_queue_bytes: usize,
    /// A client whose queue stays full for this long is disconnected.
    pub client_stall: Duration,
    /// First redial after a lost connection; doubles with jitter up to `redial_max`.
    pub redial_min: Duration,
    pub redial_max: Duration,
    /// `TCP_USER_TIMEOUT`: a link whose bytes stay unacknowledged for this long is dead.
    pub silent_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            peer_frame_bytes: 4 << 20,
            client_frame_bytes: 1 << 20,
            reply_frame_bytes: 1 << 20,
            clients: 4096,
            handshaking: 256,
            handshake_timeout: Duration::from_secs(5),
            control_queue_bytes: 8 << 20,
            bulk_queue_bytes: 32 << 20,
            client_queue_bytes: 4 << 20,
            client_stall: Duration::from_secs(5),
            redial_min: Duration::from_millis(10),
            redial_max: Duration::from_secs(1),
            silent_timeout: Duration::from_secs(30),
        }
    }
}

/// Which back end moves the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// tokio's reactor on the calling thread.
    Epoll,
    /// The crate tokio-uring.
    TokioUring,
    /// The raw ring of the crate io-uring.
    IoUring,
}

impl Backend {
    pub const ALL: [Backend; 3] = [Backend::Epoll, Backend::TokioUring, Backend::IoUring];

    /// The name in configs, records and reports.
    pub fn name(self) -> &'static str {
        match self {
            Backend::Epoll => "epoll",
            Backend::TokioUring => "tokio-uring",
            Backend::IoUring => "io-uring",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Backend::ALL
            .into_iter()
            .find(|b| b.name() == name)
            .ok_or_else(|| {
                format!("unknown transport {name:?}; expected epoll, tokio-uring or io-uring")
            })
    }
}
