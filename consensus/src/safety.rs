//! What a correct replica must never forget: durable before any message that depends on it.

use types::codec::{CodecError, Reader, Wire};
use types::{BlockId, Epoch, EpochId, Qc, Tc, View, wire_struct};

/// The block that the three-chain rule protects, by view and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    pub view: View,
    pub block: BlockId,
}
wire_struct!(Lock { view, block });

/// Safety state of one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Safety {
    pub epoch: EpochId,
    /// Newest first; a zero view: none.
    pub last_votes: [Lock; 2],
    pub lock: Lock,
    pub high_qc: Qc,
    /// What made the newest committed block final. With more than `f` liars the highest certificate may be
    /// another branch's, and nothing else on the disk need hold this one.
    pub commit_qc: Qc,
    /// Highest view that this replica gave up.
    pub timeout_view: View,
    /// Newest timeout certificate: a restarted replica must be able to show others how it came to
    /// its view, or a few that know and a few that do not wait for each other for ever.
    pub tc: Option<Tc>,
    /// Highest view in which it proposed.
    pub proposed_view: View,
}

impl Safety {
    /// Before anything was said in the epoch.
    pub fn fresh(epoch: &Epoch) -> Safety {
        let nothing = Lock {
            view: View(0),
            block: epoch.root(),
        };
        Safety {
            epoch: epoch.id,
            last_votes: [nothing; 2],
            lock: nothing,
            high_qc: Qc::root(epoch),
            commit_qc: Qc::root(epoch),
            timeout_view: View(0),
            tc: None,
            proposed_view: View(0),
        }
    }

    pub fn last_voted_view(&self) -> View {
        self.last_votes[0].view
    }

    pub fn record_vote(&mut self, view: View, block: BlockId) {
        self.last_votes = [Lock { view, block }, self.last_votes[0]];
    }
}

impl Wire for Safety {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        self.last_votes.iter().for_each(|vote| vote.put(out));
        self.lock.put(out);
        self.high_qc.put(out);
        self.commit_qc.put(out);
        self.timeout_view.put(out);
        self.tc.put(out);
        self.proposed_view.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(Safety {
            epoch: Wire::take(reader)?,
            last_votes: [Wire::take(reader)?, Wire::take(reader)?],
            lock: Wire::take(reader)?,
            high_qc: Wire::take(reader)?,
            commit_qc: Wire::take(reader)?,
            timeout_view: Wire::take(reader)?,
            tc: Wire::take(reader)?,
            proposed_view: Wire::take(reader)?,
        })
    }
}
