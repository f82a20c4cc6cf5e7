//! The leaves under one face: what it says is collected, what it writes stays in memory.

use bytes::Bytes;
use crypto::Job;
use node::platform::{ClientId, Platform};
use storage::{Journal, MemoryJournal, Record, SyncToken};
use types::client::Response;
use types::{Epoch, Message, ReplicaId, SignerSet};

use crate::byzantine::RawLink;

/// See the module.
#[derive(Debug)]
pub struct FacePlatform {
    pub(super) sent: Vec<(SignerSet, Message)>,
    pub(super) raw: Vec<(ReplicaId, Bytes)>,
    pub(super) replies: Vec<(ClientId, Response)>,
    pub(super) jobs: Vec<(u64, Epoch, Job)>,
    /// A sync was asked for; memory is as durable as this replica's word.
    pub(super) synced: Option<SyncToken>,
    records: Vec<Record>,
    record_bytes: u64,
    tokens: MemoryJournal,
}

impl FacePlatform {
    /// A face that goes on from these records.
    pub fn new(records: Vec<Record>) -> FacePlatform {
        FacePlatform {
            sent: Vec::new(),
            raw: Vec::new(),
            replies: Vec::new(),
            jobs: Vec::new(),
            synced: None,
            record_bytes: len_bytes(&records),
            records,
            tokens: MemoryJournal::new(Box::new(|| {})),
        }
    }

    /// Everything written so far: what a second face starts from.
    pub fn records(&self) -> &[Record] {
        &self.records
    }
}

fn len_bytes(records: &[Record]) -> u64 {
    records.iter().map(|record| record.len_bytes() as u64).sum()
}

impl Platform for FacePlatform {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        self.broadcast(SignerSet::from_iter([to]), message);
    }

    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        self.sent.push((to, message.clone()));
    }

    fn reply(&mut self, client: ClientId, response: &Response) {
        self.replies.push((client, response.clone()));
    }

    fn append(&mut self, record: Record) {
        self.record_bytes += record.len_bytes() as u64;
        self.records.push(record.clone());
        self.tokens.append(record);
    }

    fn sync(&mut self) -> SyncToken {
        let token = self.tokens.sync();
        self.synced = Some(token);
        token
    }

    fn rotate(&mut self, base: Vec<Record>) {
        self.record_bytes = len_bytes(&base);
        self.tokens.rotate(Vec::new());
        self.records = base;
    }

    fn journal_bytes(&self) -> u64 {
        self.record_bytes
    }

    fn submit(&mut self, tag: u64, epoch: &Epoch, job: Job) {
        self.jobs.push((tag, *epoch, job));
    }
}

impl RawLink for FacePlatform {
    fn send_frame(&mut self, to: ReplicaId, frame: Bytes) {
        self.raw.push((to, frame));
    }
}
