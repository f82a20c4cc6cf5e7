//! One branch of a fork, as far as accusations need it.

use std::sync::Arc;

use types::{BlockId, CommitRule, Epoch, Fraud, Header, HeaderCore, Qc, Tc};

/// The blocks of a branch above the last block in common with the other. The certificate of a block is
/// the `justify` of the one above it; those of the last ones come from the commit proof, in which they
/// were verified. Of the others nobody vouches for any: with more than `f` faulty replicas a quorum may
/// build on a forged one.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Ascending. The first is the child of the last block in common.
    pub headers: Vec<Arc<Header>>,
    /// Blocks above whose headers nobody has any more, as a commit proof names them: at least the headers up to
    /// the committed one are here.
    pub tail: Vec<HeaderCore>,
    /// Of the last blocks, as many as the commit rule counts, in order.
    pub certs: Vec<Qc>,
}

/// A segment that hangs together.
#[derive(Debug)]
pub(super) struct Side {
    segment: Segment,
    pub cores: Vec<HeaderCore>,
    ids: Vec<BlockId>,
}

impl Side {
    /// None unless each header is the parent of the next and the certificates are of the last ones.
    pub fn new(segment: Segment, rule: CommitRule) -> Option<Side> {
        let Segment {
            headers,
            tail,
            certs,
        } = &segment;
        let cores = headers.iter().map(|header| header.core());
        let cores: Vec<HeaderCore> = cores.chain(tail.iter().cloned()).collect();
        let ids: Vec<BlockId> = cores.iter().map(HeaderCore::id).collect();
        let linked = cores[cores.len().min(1)..]
            .iter()
            .zip(&ids)
            .all(|(child, parent)| child.parent == *parent);
        let certified = certs.len() == rule.chain_len()
            && ids.len() >= certs.len()
            && tail.len() < certs.len()
            && {
                let last = &ids[ids.len() - certs.len()..];
                certs.iter().zip(last).all(|(cert, id)| cert.block == *id)
            };
        (linked && certified).then_some(Side {
            segment,
            cores,
            ids,
        })
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// None above the last one that is here.
    pub fn header(&self, at: usize) -> Option<&Arc<Header>> {
        self.segment.headers.get(at)
    }

    /// The block from which both branches grow.
    pub fn parent(&self) -> BlockId {
        self.cores[0].parent
    }

    pub fn first(&self) -> BlockId {
        self.ids[0]
    }

    pub fn find(&self, block: BlockId) -> Option<usize> {
        self.ids.iter().position(|id| *id == block)
    }

    pub fn find_tc(&self, tc: &Tc) -> Option<usize> {
        let headers = &self.segment.headers;
        headers.iter().position(|h| h.tc.as_ref() == Some(tc))
    }

    /// The lowest block whose certificate was verified in the commit proof.
    pub fn verified_from(&self) -> usize {
        self.len() - self.segment.certs.len()
    }

    /// Votes for block `at`.
    pub fn cert(&self, at: usize) -> &Qc {
        match at.checked_sub(self.verified_from()) {
            Some(at) => &self.segment.certs[at],
            None => &self.segment.headers[at + 1].justify,
        }
    }

    /// Lowest block that is committed by those right above it.
    pub fn first_commit(&self, rule: CommitRule) -> Option<usize> {
        let consecutive = |chain: &[HeaderCore]| {
            chain
                .windows(2)
                .all(|pair| pair[1].view == pair[0].view.next())
        };
        self.cores.windows(rule.chain_len()).position(consecutive)
    }

    /// `E5` against the voters of block `at`.
    pub fn unjustified(&self, at: usize) -> Option<Fraud> {
        Some(Fraud::UnjustifiedVote {
            votes: self.cert(at).clone(),
            header: self.header(at)?.as_ref().clone(),
        })
    }

    /// Blocks whose headers refute themselves at a glance, or whose votes say something else than they.
    pub fn refuted<'a>(&'a self, epoch: &'a Epoch) -> impl Iterator<Item = usize> + 'a {
        let headers = self.segment.headers.iter().enumerate();
        let refuted = headers.filter(|&(at, header)| {
            types::offence::is_miscast(self.cert(at), header) || !seems_justified(epoch, header)
        });
        refuted.map(|(at, _)| at)
    }
}

/// What `E5` looks at, without signatures. It only says where to look first: the verdict falls where
/// those are checked.
fn seems_justified(epoch: &Epoch, header: &Header) -> bool {
    let (justify, excluded) = (&header.justify, header.excluded_set());
    let certified = justify.is_root(epoch)
        || justify.epoch == epoch.id
            && justify.view.0 >= 1
            && epoch.is_quorum_without(justify.votes.signers, justify.excluded);
    let follows = header.view == justify.view.next();
    let skips_rightly = |tc: &Tc| {
        tc.epoch == epoch.id
            && tc.claims.is_sorted_by(|a, b| a.replica < b.replica)
            && epoch.is_quorum_without(tc.signers(), tc.excluded)
            && tc.excluded.is_subset(excluded)
            && tc.view.next() == header.view
            && tc.high_qc_view() <= tc.view.min(justify.view)
    };
    header.epoch == epoch.id
        && header.view > justify.view
        && header.excluded.is_some() == epoch.is_recovery()
        && epoch.quorum_without(excluded).is_some()
        && certified
        && match &header.tc {
            None => follows,
            Some(tc) => !follows && skips_rightly(tc),
        }
}
