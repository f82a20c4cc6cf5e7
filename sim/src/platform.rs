//! The leaves under one simulated replica: everything it asks for is written down, and the world takes
//! it from there.

use bytes::Bytes;
use crypto::Job;
use node::platform::{ClientId, Platform};
use storage::{FaultyJournal, Journal, Record, SyncToken};
use types::client::Response;
use types::{Epoch, Message, ReplicaId, SignerSet, Wire};

use adversary::RawLink;

/// Something that left.
#[derive(Debug)]
pub struct Sent {
    pub to: SignerSet,
    /// None: raw bytes of an attacker.
    pub message: Option<Message>,
    pub frame: Bytes,
}

/// See the module.
#[derive(Debug)]
pub struct SimPlatform {
    pub journal: FaultyJournal,
    pub sent: Vec<Sent>,
    pub replies: Vec<(ClientId, Response)>,
    pub jobs: Vec<(u64, Epoch, Job)>,
    pub syncs: Vec<SyncToken>,
    last_sync: SyncToken,
}

impl SimPlatform {
    pub fn new(journal: FaultyJournal) -> SimPlatform {
        SimPlatform {
            journal,
            sent: Vec::new(),
            replies: Vec::new(),
            jobs: Vec::new(),
            syncs: Vec::new(),
            last_sync: SyncToken::START,
        }
    }
}

impl Platform for SimPlatform {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        self.broadcast(SignerSet::from_iter([to]), message);
    }

    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        self.sent.push(Sent {
            to,
            message: Some(message.clone()),
            frame: message.encode(),
        });
    }

    fn reply(&mut self, client: ClientId, response: &Response) {
        self.replies.push((client, response.clone()));
    }

    fn append(&mut self, record: Record) {
        self.journal.append(record);
    }

    fn sync(&mut self) -> SyncToken {
        let token = self.journal.sync();
        if token > self.last_sync {
            self.last_sync = token;
            self.syncs.push(token);
        }
        token
    }

    fn rotate(&mut self, base: Vec<Record>) {
        self.journal.rotate(base);
    }

    fn journal_bytes(&self) -> u64 {
        self.journal.usage().live_bytes + self.journal.staged_bytes()
    }

    fn submit(&mut self, tag: u64, epoch: &Epoch, job: Job) {
        self.jobs.push((tag, *epoch, job));
    }
}

impl RawLink for SimPlatform {
    fn send_frame(&mut self, to: ReplicaId, frame: Bytes) {
        let to = SignerSet::from_iter([to]);
        self.sent.push(Sent {
            to,
            message: None,
            frame,
        });
    }
}
