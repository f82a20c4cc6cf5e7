//! The keys of a Byzantine replica: it signs what it likes, but only in its own name.

use crypto::{Engine, VoteScheme};
use node::replica::Signer;
use types::{BlockId, Epoch, View, Vote};

/// Everything that one replica can sign.
pub trait Forge: Signer {
    fn vote(&self, epoch: &Epoch, view: View, block: BlockId) -> Vote;
}

impl<S: VoteScheme> Forge for Engine<S> {
    fn vote(&self, epoch: &Epoch, view: View, block: BlockId) -> Vote {
        self.sign_vote(epoch, view, block, types::SignerSet::EMPTY)
    }
}
