//! Catching up on headers: ascending from the own committed block, a bounded piece at a time.

use types::limits::{CHAIN_BYTES_MAX, CHAIN_HEADERS_MAX};
use types::{
    BlockId, ChainRequest, ChainResponse, Header, Height, Message, ReplicaId, SignerSet, Verified,
    View,
};

use crate::core::Core;
use crate::effect::{Effect, Nanos};

/// The block that this replica is trying to reach, if any.
#[derive(Debug, Default)]
pub(crate) struct ChainSync {
    /// Name and view.
    target: Option<(BlockId, View)>,
    asked_ns: Nanos,
    attempts: u32,
}

impl ChainSync {
    pub fn arrived(&mut self, id: BlockId) {
        if self.target.is_some_and(|(target, _)| target == id) {
            self.target = None;
        }
    }

    pub fn is_active(&self) -> bool {
        self.target.is_some()
    }
}

impl Core {
    /// True while headers are missing between the own chain and a certified block.
    pub fn is_catching_up(&self) -> bool {
        self.sync.is_active()
    }

    /// A certified or proposed block whose ancestry is unknown.
    pub(crate) fn want_chain(
        &mut self,
        now: Nanos,
        tip: (BlockId, View),
        from: ReplicaId,
        out: &mut Vec<Effect>,
    ) {
        let recently =
            self.sync.is_active() && now < self.sync.asked_ns + self.config.timing.fetch_ns;
        self.sync.target = Some(tip);
        if !recently {
            let above = self.tree.tip().height;
            self.ask_chain(now, tip.0, above, SignerSet::from_iter([from]), out);
        }
    }

    fn ask_chain(
        &mut self,
        now: Nanos,
        tip: BlockId,
        above: Height,
        to: SignerSet,
        out: &mut Vec<Effect>,
    ) {
        self.sync.asked_ns = now;
        self.stats.chain_requests += 1;
        let request = ChainRequest {
            epoch: self.config.epoch.id,
            above,
            tip,
        };
        let to = match to.contains(self.config.me) {
            true => self.pick(SignerSet::EMPTY, self.sync.attempts),
            false => to,
        };
        out.push(Effect::Send {
            to,
            message: Message::ChainRequest(request),
            durable: false,
        });
    }

    pub(crate) fn retry_chain(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let Some((tip, view)) = self.sync.target else {
            return;
        };
        if self.tree.knows(tip) || view <= self.tree.tip().view {
            self.sync.target = None;
        } else if now >= self.sync.asked_ns + self.config.timing.fetch_ns {
            self.sync.attempts = self.sync.attempts.wrapping_add(1);
            let to = self.pick(self.safety.high_qc.votes.signers, self.sync.attempts);
            let above = self.tree.tip().height;
            self.ask_chain(now, tip, above, to, out);
        }
    }

    /// Answers with the lowest missing headers first, so that the asker commits as it goes.
    pub fn handle_chain_request(
        &mut self,
        from: ReplicaId,
        request: &ChainRequest,
        out: &mut Vec<Effect>,
    ) {
        if request.epoch != self.config.epoch.id {
            return;
        }
        let response = match request.above.next() < self.tree.horizon() {
            true => ChainResponse {
                epoch: request.epoch,
                headers: Vec::new(),
                tip: None,
                pruned: self.checkpoints.newest.clone(),
            },
            false => self.chain_above(request.above, request.tip),
        };
        if response.headers.is_empty() && response.pruned.is_none() {
            return;
        }
        let to = SignerSet::from_iter([from]);
        out.push(Effect::Send {
            to,
            message: Message::ChainResponse(response),
            durable: false,
        });
    }

    fn chain_above(&self, above: Height, tip: BlockId) -> ChainResponse {
        // Of an unknown tip we know nothing: our own newest certified block may help as well.
        let tip = if self.tree.get(tip).is_some() {
            tip
        } else {
            self.safety.high_qc.block
        };
        let mut ids: Vec<BlockId> = (above.next().0..=self.tree.tip().height.0)
            .take(CHAIN_HEADERS_MAX)
            .map_while(|h| self.tree.committed_at(Height(h)).map(|b| b.id))
            .collect();
        let uncommitted = self.tree.uncommitted_ancestry(tip);
        let floor = above.max(self.tree.tip().height);
        let rest = uncommitted
            .iter()
            .take_while(|b| b.header.height > floor)
            .map(|b| b.id);
        let mut rest: Vec<BlockId> = rest.collect();
        rest.reverse();
        ids.extend(rest);
        let (mut headers, mut bytes): (Vec<Header>, usize) = (Vec::new(), 0);
        for id in ids.into_iter().take(CHAIN_HEADERS_MAX) {
            let Some(block) = self.tree.get(id) else {
                break;
            };
            bytes += 600
                + block
                    .header
                    .cut
                    .iter()
                    .map(|c| 100 + c.acks.bytes.len())
                    .sum::<usize>();
            if bytes > CHAIN_BYTES_MAX && !headers.is_empty() {
                break;
            }
            headers.push(block.header.as_ref().clone());
        }
        let tip = headers.last().and_then(|h| self.tree.cert(h.id()).cloned());
        ChainResponse {
            epoch: self.config.epoch.id,
            headers,
            tip,
            pruned: None,
        }
    }

    /// A piece of chain, its last certificate checked: ids bind the certificates before it.
    pub fn handle_chain(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        chain: Verified<ChainResponse>,
        out: &mut Vec<Effect>,
    ) {
        let chain = chain.into_inner();
        if let Some(cert) = chain.pruned {
            self.adopt_checkpoint(cert.clone(), out);
            if cert.height > self.tree.tip().height {
                out.push(Effect::NeedSnapshot {
                    from: cert.signatures.signers,
                    cert: Box::new(cert),
                });
            }
            return;
        }
        // Nothing but a certificate or our own question vouches for the last header.
        let target = self.sync.target.map(|(id, _)| id);
        let mut headers = chain.headers;
        if chain.tip.is_none() && headers.last().map(|h| h.id()) != target {
            headers.pop();
        }
        let mut reached = None;
        for header in headers {
            let height = header.height;
            let known = height <= self.tree.tip().height || self.tree.knows(header.id());
            if known {
                continue;
            }
            if !self.take_chain_header(now, header, from, out) {
                break;
            }
            reached = Some(height);
        }
        if let Some(qc) = &chain.tip {
            self.process_qc(now, qc, from, out);
        }
        self.adopt_orphans(now, out);
        if let Some((tip, view)) = self.sync.target {
            if self.tree.knows(tip) || view <= self.tree.tip().view {
                self.sync.target = None;
            } else if let Some(above) = reached {
                self.ask_chain(now, tip, above, SignerSet::from_iter([from]), out);
            }
        }
        self.ask_for_committed_now(now, out);
        self.try_propose(now, out);
    }
}
