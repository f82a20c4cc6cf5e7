//! A real process that votes twice: beside each of its votes it signs one for a block that nobody
//! proposed. Alone it splits nothing, but convicts itself.

use crypto::Job;
use node::platform::{ClientId, Platform};
use node::start::VoteSigner;
use node::{Real, RealPlatform};
use storage::{Record, SyncToken};
use types::client::Response;
use types::{BlockId, Digest, Epoch, Message, ReplicaId, SignerSet, Vote};

/// See the module.
pub struct DoubleVoter<P> {
    inner: P,
    epoch: Epoch,
    sign: VoteSigner,
    /// Votes that it is honest for first.
    honest: u64,
}

impl<P> DoubleVoter<P> {
    /// Honest for the first `honest` votes.
    pub fn new(inner: P, epoch: Epoch, sign: VoteSigner, honest: u64) -> DoubleVoter<P> {
        DoubleVoter {
            inner,
            epoch,
            sign,
            honest,
        }
    }
}

impl<P> std::fmt::Debug for DoubleVoter<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DoubleVoter").finish_non_exhaustive()
    }
}

impl<P: Platform> DoubleVoter<P> {
    fn lie(&mut self, to: SignerSet, vote: &Vote) {
        self.honest = self.honest.saturating_sub(1);
        if self.honest == 0 && vote.epoch == self.epoch.id {
            let block = BlockId(Digest::of("reforge second vote", &vote.block.0.0));
            let second = (self.sign)(&self.epoch, vote.view, block);
            self.inner.broadcast(to, &Message::Vote(second));
        }
    }
}

impl<P: Platform> Platform for DoubleVoter<P> {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        self.broadcast(SignerSet::from_iter([to]), message);
    }

    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        self.inner.broadcast(to, message);
        if let Message::Vote(vote) = message {
            self.lie(to, vote);
        }
    }

    fn reply(&mut self, client: ClientId, response: &Response) {
        self.inner.reply(client, response);
    }
    fn append(&mut self, record: Record) {
        self.inner.append(record);
    }
    fn sync(&mut self) -> SyncToken {
        self.inner.sync()
    }
    fn rotate(&mut self, base: Vec<Record>) {
        self.inner.rotate(base);
    }
    fn journal_bytes(&self) -> u64 {
        self.inner.journal_bytes()
    }
    fn submit(&mut self, tag: u64, epoch: &Epoch, job: Job) {
        self.inner.submit(tag, epoch, job);
    }
}

impl Real for DoubleVoter<RealPlatform> {
    fn real(&mut self) -> &mut RealPlatform {
        &mut self.inner
    }
}
