//! The queue of everything that will happen, in virtual nanoseconds.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bytes::Bytes;
use crypto::Job;
use node::platform::ClientId;
use storage::SyncToken;
use types::Epoch;
use types::client::Response;

use crate::plan::Fault;

/// Index of a host: the seat of its replica.
pub type Seat = usize;

/// What happens to whom. `life` names one run of a process: what belongs to a dead one is void.
#[derive(Debug)]
pub enum Event {
    Frame {
        to: Seat,
        from: Seat,
        frame: Bytes,
    },
    PeerUp {
        at: Seat,
        peer: Seat,
        life: u32,
    },
    PeerDown {
        at: Seat,
        peer: Seat,
        life: u32,
    },
    Job {
        at: Seat,
        life: u32,
        tag: u64,
        epoch: Epoch,
        job: Box<Job>,
    },
    Synced {
        at: Seat,
        life: u32,
        token: SyncToken,
    },
    /// The disk of a mutant is really done.
    Flushed {
        at: Seat,
        life: u32,
        token: SyncToken,
    },
    Wake {
        at: Seat,
        life: u32,
    },
    Fault(Fault),
    Request {
        at: Seat,
        life: u32,
        client: ClientId,
        frame: Bytes,
    },
    Reply {
        client: ClientId,
        response: Box<Response>,
    },
    ClientTick {
        client: usize,
    },
    /// Samples bounds and gauges.
    Inspect,
}

struct Entry {
    at_ns: u64,
    seq: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        (self.at_ns, self.seq) == (other.at_ns, other.seq)
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.seq).cmp(&(other.at_ns, other.seq))
    }
}

/// Events by time; of the same time, first put first out.
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    seq: u64,
}

impl Queue {
    pub fn put(&mut self, at_ns: u64, event: Event) {
        self.seq += 1;
        let seq = self.seq;
        self.heap.push(Reverse(Entry { at_ns, seq, event }));
    }

    pub fn next_ns(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.0.at_ns)
    }

    pub fn take(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|entry| (entry.0.at_ns, entry.0.event))
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.heap.len())
            .finish()
    }
}
