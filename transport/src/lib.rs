//! Sockets of a replica: frames in, frames out, over authenticated links.
//!
//! One poll-style trait ([`Transport`]), three back ends (`epoll`, `tokio-uring`, `io-uring`), one
//! conformance suite. The room knows peers, connections and frames; it knows no message type.
#![allow(unsafe_code)]

mod config;
mod endpoint;
mod epoll;
mod frame;
mod hub;
mod io_uring;
mod keys;
mod link;
mod reactor;
mod reason;
mod shape;
mod sock;
mod stats;
mod tokio_uring;
mod transport;
mod waker;

pub use config::{
    Backend, Limits, Listen, PeerConfig, ReplicaConfig, ServerConfig, TransportConfig,
};
pub use endpoint::open;
pub use frame::{Body, Frame, HEAD_LEN_MAX, Received};
pub use keys::public_key;
pub use reason::DownReason;
pub use shape::Shape;
pub use stats::{LinkStats, Stats};
pub use transport::{
    Class, ConnId, Event, FallbackNotice, LocalAddrs, Peer, SendError, Transport, TransportError,
};
pub use waker::Waker;
