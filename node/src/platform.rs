//! What the driver needs from the world: the seam between a replica and its sockets, disk and crypto
//! threads. The node implements it for real, the simulator for a seeded world.

use bytes::Bytes;
use crypto::{Done, Job};
use storage::{Record, SyncToken};
use types::client::Response;
use types::{Epoch, Message, ReplicaId, SignerSet};

/// Name of a client connection, never used twice by one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub u64);

/// Something that happened to a replica.
// Moved once and consumed: boxing the rare large answers would cost an allocation each.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum NodeEvent {
    PeerUp(ReplicaId),
    PeerDown(ReplicaId),
    /// A frame from an authenticated replica.
    Peer {
        from: ReplicaId,
        frame: Bytes,
        /// BLAKE3 of everything after the frame's first byte, if the transport had to compute it: of a
        /// frame with a batch that is the batch's name.
        body_hash: Option<[u8; 32]>,
    },
    ClientUp(ClientId),
    ClientDown(ClientId),
    /// A frame from a client.
    Client {
        client: ClientId,
        frame: Bytes,
    },
    /// A job that was given to [`Platform::submit`] is done.
    Done {
        tag: u64,
        done: Done,
    },
    /// Everything appended before `SyncToken` is durable.
    Synced(SyncToken),
}

/// The leaves under the driver. No call blocks; none fails silently: what cannot be sent is counted by
/// the platform, and the protocol sends again what matters.
pub trait Platform {
    /// Sends to another replica (never to oneself).
    fn send(&mut self, to: ReplicaId, message: &Message);
    /// Sends to several replicas; encoded once where the platform can share bytes.
    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        to.iter().for_each(|peer| self.send(peer, message));
    }
    /// Takes to the network what was sent so far, before something long begins.
    fn flush(&mut self) {}
    /// Sends to a client.
    fn reply(&mut self, client: ClientId, response: &Response);
    /// Appends to the journal; order is kept.
    fn append(&mut self, record: Record);
    /// Asks that everything appended so far becomes durable; answered by [`NodeEvent::Synced`].
    fn sync(&mut self) -> SyncToken;
    /// Starts a new journal whose beginning is `base`, which replaces all that was appended before.
    fn rotate(&mut self, base: Vec<Record>);
    /// Bytes that the journal holds, for deciding when to rotate.
    fn journal_bytes(&self) -> u64;
    /// Hands a check or a signature of `epoch` to the crypto threads; answered by [`NodeEvent::Done`]
    /// with `tag`.
    fn submit(&mut self, tag: u64, epoch: &Epoch, job: Job);
}
