//! Durable before visible: what must not leave before the disk has what it depends on waits here.

use std::collections::VecDeque;

use storage::SyncToken;
use types::client::Response;
use types::{Message, SignerSet};

use crate::platform::ClientId;

/// Something on its way out.
// Moved twice and gone: boxing messages would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(super) enum Out {
    Peers(SignerSet, Message),
    Client(ClientId, Response),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Outbox {
    durable: bool,
    /// Records were appended since the last sync was asked for.
    dirty: bool,
    /// The newest sync asked for.
    asked: SyncToken,
    synced: SyncToken,
    /// Waiting for the sync that the end of this turn asks for, if anything is dirty.
    fresh: Vec<Out>,
    waiting: VecDeque<(SyncToken, Out)>,
    ready: VecDeque<Out>,
}

impl Outbox {
    pub fn new(durable: bool) -> Outbox {
        Outbox {
            durable,
            dirty: false,
            asked: SyncToken::START,
            synced: SyncToken::START,
            fresh: Vec::new(),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
        }
    }

    /// Leaves as soon as it can.
    pub fn push(&mut self, out: Out) {
        self.ready.push_back(out);
    }

    /// Leaves once everything appended before this call is durable.
    pub fn push_durable(&mut self, out: Out) {
        match self.durable {
            true => self.fresh.push(out),
            false => self.ready.push_back(out),
        }
    }

    /// A record was appended.
    pub fn appended(&mut self) {
        self.dirty = true;
    }

    /// Whether a sync must be asked for.
    pub fn wants_sync(&self) -> bool {
        self.durable && self.dirty
    }

    /// A sync was asked for: what was pushed since the last one waits for it.
    pub fn asked(&mut self, token: SyncToken) {
        self.dirty = false;
        self.asked = token;
    }

    /// Ends a turn: what is fresh waits for the newest sync.
    pub fn seal(&mut self) {
        let token = self.asked;
        self.waiting
            .extend(self.fresh.drain(..).map(|out| (token, out)));
        self.let_go();
    }

    pub fn synced(&mut self, token: SyncToken) {
        self.synced = self.synced.max(token);
        self.let_go();
    }

    fn let_go(&mut self) {
        while self
            .waiting
            .front()
            .is_some_and(|(token, _)| *token <= self.synced)
        {
            self.ready
                .extend(self.waiting.pop_front().map(|(_, out)| out));
        }
    }

    pub fn pop(&mut self) -> Option<Out> {
        self.ready.pop_front()
    }
}
