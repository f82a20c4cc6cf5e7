//! The wrapper around a platform: an honest one hands through, an evil one bends what leaves.

pub(crate) mod recovery;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use crypto::Job;
use node::platform::{ClientId, Platform};
use storage::{Record, SyncToken};
use types::client::Response;
use types::{
    BlockId, Car, CarCert, CarId, ChainResponse, Digest, Epoch, Header, Message, NewView, Proposal,
    Qc, ReplicaId, SignerSet, Timeout, View, Vote,
};

use crate::acts::{Act, Acts, Plan};
use crate::forge::Forge;
use crate::invent::{confession, invented, unsigned};
use crate::memory::Memory;
use crate::rng::SplitMix;

/// A platform that can also send bytes which are no message.
pub trait RawLink {
    fn send_frame(&mut self, to: ReplicaId, frame: Bytes);
}

/// See the module.
pub struct Byzantine<P> {
    inner: P,
    evil: Option<Box<Evil>>,
}

struct Evil {
    me: ReplicaId,
    /// The epoch in which it speaks at present, and all that it knows.
    epoch: Epoch,
    epochs: VecDeque<Epoch>,
    forge: Arc<dyn Forge>,
    plan: Plan,
    rng: SplitMix,
    acts: Acts,
    memory: Memory,
    /// The second header of the last equivocation, to be shown again.
    pair: Option<(View, SignerSet, Message)>,
    /// The report of what never was, and its headers, which are shown again and again.
    invented: Option<[Message; 2]>,
    confessed: bool,
}

impl<P> Byzantine<P> {
    pub fn honest(inner: P) -> Byzantine<P> {
        Byzantine { inner, evil: None }
    }

    /// A replica that follows `plan`; the same seed and the same calls give the same acts.
    pub fn evil(
        inner: P,
        me: ReplicaId,
        epoch: Epoch,
        forge: Arc<dyn Forge>,
        plan: Plan,
        seed: u64,
    ) -> Byzantine<P> {
        let evil = Evil {
            me,
            epoch,
            epochs: VecDeque::from([epoch, epoch.recovery()]),
            forge,
            plan,
            rng: SplitMix(seed),
            acts: Acts::default(),
            memory: Memory::default(),
            pair: None,
            invented: None,
            confessed: false,
        };
        Byzantine {
            inner,
            evil: Some(Box::new(evil)),
        }
    }

    pub fn inner(&mut self) -> &mut P {
        &mut self.inner
    }

    /// Acts since the last call.
    pub fn take_acts(&mut self) -> Acts {
        self.evil
            .as_mut()
            .map(|evil| std::mem::take(&mut evil.acts))
            .unwrap_or_default()
    }

    /// From now on it follows `plan`; an honest wrapper stays honest.
    pub fn set_plan(&mut self, plan: Plan) {
        if let Some(evil) = &mut self.evil {
            evil.plan = plan;
        }
    }

    /// Shows the attacker a frame on its way in.
    pub fn observe(&mut self, frame: &Bytes) {
        if let Some(evil) = &mut self.evil {
            evil.memory.observe(frame);
        }
    }
}

impl<P: Platform + RawLink> Platform for Byzantine<P> {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        self.broadcast(SignerSet::from_iter([to]), message);
    }

    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        let Some(evil) = &mut self.evil else {
            return self.inner.broadcast(to, message);
        };
        evil.follow(message);
        evil.memory.learn(message);
        let bent = evil.bend(to, message);
        for (to, message) in &bent {
            if !to.is_empty() {
                self.inner.broadcast(*to, message);
            }
        }
        evil.noise(to, &mut self.inner);
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
        if let Some(evil) = &mut self.evil {
            evil.meet(epoch);
        }
        self.inner.submit(tag, epoch, job);
    }
}

/// What leaves instead, and to whom.
type Bent = Vec<(SignerSet, Message)>;

impl Evil {
    fn does(&mut self, act: Act) -> bool {
        self.rng.chance(self.plan.percent(act))
    }

    fn did(&mut self, act: Act, bent: Bent) -> Bent {
        self.acts.add(act);
        bent
    }

    fn bend(&mut self, to: SignerSet, message: &Message) -> Bent {
        if let Some(bent) = self.bend_recovery(to, message) {
            return bent;
        }
        match message {
            Message::Proposal(p) => self.proposal(to, p),
            Message::Vote(v) => self.vote(to, v),
            Message::Timeout(t) => self.timeout(to, t),
            Message::Car(car) => self.car(to, car),
            Message::CarCert(cert) if self.does(Act::BadCarCert) => {
                let bad = self.spoil_cert(cert);
                self.did(Act::BadCarCert, vec![(to, Message::CarCert(bad))])
            }
            Message::Batch(_) | Message::BatchResponse(_) if self.does(Act::WithheldBatch) => {
                let some = self.half(to).0;
                self.did(Act::WithheldBatch, vec![(some, message.clone())])
            }
            Message::ChainResponse(chain) if self.does(Act::BogusChain) => {
                let bogus = self.spoil_chain(chain.clone());
                self.did(Act::BogusChain, vec![(to, Message::ChainResponse(bogus))])
            }
            Message::SnapshotChunk(chunk) if self.does(Act::BogusSnapshot) => {
                let mut chunk = chunk.clone();
                let mut bytes = chunk.bytes.to_vec();
                let at = self.rng.below(bytes.len() as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1;
                }
                chunk.bytes = bytes.into();
                self.did(
                    Act::BogusSnapshot,
                    vec![(to, Message::SnapshotChunk(chunk))],
                )
            }
            Message::CheckpointShare(share) if self.does(Act::BadCheckpoint) => {
                let state = Digest::of("lie", &share.state.0);
                let lie = self
                    .forge
                    .checkpoint(&self.epoch, share.height, share.block, state);
                self.did(
                    Act::BadCheckpoint,
                    vec![(to, Message::CheckpointShare(lie))],
                )
            }
            Message::ForkReport(report) if self.plan.percent(Act::InventedReport) > 0 => {
                if self.invented.is_none()
                    && let Some(split) = self.split_by(report.epoch)
                {
                    self.invented = invented(self.forge.as_ref(), &split, report);
                }
                match self.invented.clone() {
                    Some(lie) => self.did(Act::InventedReport, lie.map(|m| (to, m)).into()),
                    None => vec![(to, message.clone())],
                }
            }
            other => vec![(to, other.clone())],
        }
    }

    fn proposal(&mut self, to: SignerSet, proposal: &Proposal) -> Bent {
        let original = Message::Proposal(proposal.clone());
        if self.does(Act::SilentLeader) {
            return self.did(Act::SilentLeader, Vec::new());
        }
        if self.does(Act::ProposalToTwo) {
            let start = self.rng.below(to.len() as u64) as usize;
            let two: Vec<ReplicaId> = to.iter().chain(to.iter()).skip(start).take(2).collect();
            let two = SignerSet::from_iter(two);
            return self.did(Act::ProposalToTwo, vec![(two, original)]);
        }
        if self.does(Act::EquivocatingProposal) {
            let mut second = proposal.header.clone();
            // Nobody checks the hint at a checkpoint: both headers are fit to be voted for.
            second.checkpoint.state = Digest::of("second", &second.checkpoint.state.0);
            let second = self.sign(second);
            self.pair = Some((proposal.header.view, to, second.clone()));
            let (some, others) = self.half(to);
            let mut bent = vec![(some, original.clone()), (others, second.clone())];
            if self.rng.chance(50) {
                // Each half sees the other header as well, a little later.
                bent.extend([(others, original), (some, second)]);
            }
            return self.did(Act::EquivocatingProposal, bent);
        }
        if self.does(Act::StaleProposal)
            && let Some(header) = self.stale(&proposal.header)
        {
            let stale = self.sign(header);
            return self.did(Act::StaleProposal, vec![(to, stale)]);
        }
        if self.does(Act::ForgedCertificate)
            && let Some(header) = self.forged(&proposal.header)
        {
            let forged = self.sign(header);
            return self.did(Act::ForgedCertificate, vec![(to, forged)]);
        }
        if self.does(Act::BogusTip) {
            let bogus = self.sign(self.bogus_tip(&proposal.header));
            return self.did(Act::BogusTip, vec![(to, bogus)]);
        }
        vec![(to, original)]
    }

    /// The header with one more lane end that no car stands behind.
    fn bogus_tip(&self, header: &Header) -> Header {
        let mut header = header.clone();
        let at = header.cut.partition_point(|cert| cert.lane < self.me);
        let own = header.cut.get(at).filter(|cert| cert.lane == self.me);
        let index = own.map_or(1 << 32, |cert| cert.index) + 1;
        let car = CarId(Digest::of("bogus tip", &header.view.0.to_le_bytes()));
        let tip = CarCert::bare(header.epoch, self.me, index, car);
        let end = at + usize::from(own.is_some());
        header.cut.splice(at..end, [tip]);
        header
    }

    fn sign(&mut self, header: Header) -> Message {
        let signed = Message::Proposal(self.forge.proposal(&self.epoch, header));
        self.memory.learn(&signed);
        signed
    }

    /// A header over the oldest block that some quorum of timeouts permits.
    fn stale(&mut self, header: &Header) -> Option<Header> {
        let before = View(header.view.0.checked_sub(1)?);
        let tc = self.memory.lowest_tc(&self.epoch, before)?;
        let justify = self.memory.cert_at(tc.high_qc_view())?.clone();
        if justify.view >= header.justify.view {
            return None;
        }
        let height = match justify.view.0 {
            0 => types::Height(1),
            _ => self.memory.header_of(&justify)?.height.next(),
        };
        let cut = Vec::new();
        Some(Header {
            justify,
            height,
            tc: Some(tc),
            cut,
            ..header.clone()
        })
    }

    /// A header over a certificate with the right names and no signature of theirs.
    fn forged(&mut self, header: &Header) -> Option<Header> {
        let before = View(header.view.0.checked_sub(1)?);
        let back = 1 + self.rng.below(2) as usize;
        let base = self.memory.cert_below(header.justify.view, back)?.clone();
        let parent = self.memory.header_of(&base)?.clone();
        // The block of an old certificate, as if it had been certified again just now; its own view
        // would not fit, so the header that is voted for must be a child of an uncertified one.
        let orphan = self
            .memory
            .others_at(before, header.justify.block)
            .first()
            .copied();
        let (view, block, height) = match orphan {
            Some(block) => (before, block, header.height),
            None => (
                parent.view,
                BlockId(Digest::of("forged", &base.block.0.0)),
                parent.height.next(),
            ),
        };
        let justify = unsigned(&self.epoch, view, block);
        let tc = match view.next() == header.view {
            true => None,
            false => Some(self.memory.lowest_tc(&self.epoch, before)?),
        };
        Some(Header {
            justify,
            tc,
            height,
            cut: Vec::new(),
            ..header.clone()
        })
    }

    fn vote(&mut self, to: SignerSet, vote: &Vote) -> Bent {
        let confesses = !self.confessed && self.plan.percent(Act::Confession) > 0;
        if let Some(split) = self.split_by(vote.epoch).filter(|_| confesses) {
            self.confessed = true;
            let mut all = split.members;
            all.remove(self.me);
            let proof = confession(self.forge.as_ref(), &split, self.me);
            let bent = vec![(to, Message::Vote(vote.clone())), (all, proof)];
            return self.did(Act::Confession, bent);
        }
        if self.does(Act::WithheldVote) {
            return self.did(Act::WithheldVote, Vec::new());
        }
        if self.does(Act::BadShare) {
            let mut bad = vote.clone();
            bad.share = Bytes::from(vec![self.rng.below(256) as u8; bad.share.len()]);
            return self.did(Act::BadShare, vec![(to, Message::Vote(bad))]);
        }
        let others = self.memory.others_at(vote.view, vote.block);
        if self.does(Act::ForgedCertificate) {
            // Of the block that is just being voted for, or better of the one that is not.
            let block = others.first().copied().unwrap_or(vote.block);
            let forged = NewView {
                high_qc: unsigned(&self.epoch, vote.view, block),
                tc: None,
            };
            let mut all = self.epoch.members;
            all.remove(self.me);
            let bent = vec![
                (all, Message::NewView(forged)),
                (to, Message::Vote(vote.clone())),
            ];
            return self.did(Act::ForgedCertificate, bent);
        }
        if !others.is_empty() && self.does(Act::DoubleVote) {
            // One each to the halves: who adds up votes sees only one of them.
            let mut all = self.epoch.members;
            all.remove(self.me);
            let (some, rest) = self.half(all);
            let second = self.forge.vote(&self.epoch, vote.view, others[0]);
            let bent = vec![
                (some, Message::Vote(vote.clone())),
                (rest, Message::Vote(second)),
            ];
            return self.did(Act::DoubleVote, bent);
        }
        vec![(to, Message::Vote(vote.clone()))]
    }

    fn timeout(&mut self, to: SignerSet, timeout: &Timeout) -> Bent {
        if self.does(Act::StaleTimeout)
            && let Some(old) = self.memory.old_timeout(self.me, timeout.view)
        {
            let old = Message::Timeout(old.clone());
            return self.did(Act::StaleTimeout, vec![(to, old)]);
        }
        if self.does(Act::LyingTimeout) {
            let back = 1 + self.rng.below(3) as usize;
            let below = timeout.high_qc.view.next();
            if let Some(qc) = self.memory.cert_below(below, back).cloned() {
                return self.lie(Act::LyingTimeout, to, timeout, qc);
            }
        }
        if self.does(Act::TimeoutBelowLock)
            && let Some(qc) = self.memory.cert_below_lock(self.me).cloned()
            && qc.view < timeout.high_qc.view
        {
            return self.lie(Act::TimeoutBelowLock, to, timeout, qc);
        }
        vec![(to, Message::Timeout(timeout.clone()))]
    }

    fn lie(&mut self, act: Act, to: SignerSet, timeout: &Timeout, claim: Qc) -> Bent {
        let vote = timeout.last_vote.clone();
        let lie = self.forge.timeout(&self.epoch, timeout.view, claim, vote);
        let lie = Message::Timeout(lie);
        self.memory.learn(&lie);
        self.did(act, vec![(to, lie)])
    }

    fn car(&mut self, to: SignerSet, car: &Car) -> Bent {
        let original = Message::Car(car.clone());
        if self.does(Act::LaneEquivocation) {
            let mut second = car.clone();
            match second.batches.len() {
                0 | 1 => second.batches.clear(),
                _ => second.batches.reverse(),
            }
            let second = Message::Car(self.forge.car(&self.epoch, second));
            let (some, others) = self.half(to);
            return self.did(
                Act::LaneEquivocation,
                vec![(some, original), (others, second)],
            );
        }
        if self.does(Act::BorrowedBatch)
            && let Some(batch) = self.memory.batches.front().copied()
        {
            let mut second = car.clone();
            second.batches.push(batch);
            let second = Message::Car(self.forge.car(&self.epoch, second));
            return self.did(Act::BorrowedBatch, vec![(to, second)]);
        }
        vec![(to, original)]
    }

    fn spoil_cert(&mut self, cert: &CarCert) -> CarCert {
        let mut bad = cert.clone();
        match self.rng.below(3) {
            0 => bad.index += 1 + self.rng.below(5),
            1 => bad.acks.signers = SignerSet::from_iter([self.me]),
            _ => {
                let mut bytes = bad.acks.bytes.to_vec();
                if let Some(byte) = bytes.first_mut() {
                    *byte ^= 1;
                }
                bad.acks.bytes = bytes.into();
            }
        }
        bad
    }

    fn spoil_chain(&mut self, mut chain: ChainResponse) -> ChainResponse {
        match self.rng.below(4) {
            0 => chain.headers.reverse(),
            1 => chain.tip = None,
            2 => {
                if let Some(last) = chain.headers.last_mut() {
                    last.checkpoint.state = Digest::of("lie", &[]);
                }
                chain.tip = None;
            }
            _ => chain.headers.clear(),
        }
        chain
    }

    /// Garbage and replays, at any occasion.
    fn noise<P: Platform + RawLink>(&mut self, to: SignerSet, inner: &mut P) {
        let peers: Vec<ReplicaId> = to.iter().filter(|id| *id != self.me).collect();
        let Some(victim) = self.rng.pick(&peers).copied() else {
            return;
        };
        if let Some((_, to, message)) = self.pair.clone()
            && self.rng.chance(20)
        {
            inner.broadcast(to, &message);
        }
        if let Some([_, headers]) = &self.invented {
            inner.broadcast(to, headers);
        }
        self.false_evidence(victim, inner);
        if self.does(Act::Garbage) {
            let frame = self.garbage();
            self.acts.add(Act::Garbage);
            inner.send_frame(victim, frame);
        }
        if self.does(Act::Replay) {
            let at = self.rng.below(self.memory.frames.len() as u64) as usize;
            if let Some(frame) = self.memory.frames.get(at).cloned() {
                self.acts.add(Act::Replay);
                inner.send_frame(victim, frame);
            }
        }
    }

    fn garbage(&mut self) -> Bytes {
        let whole = self.memory.frames.front().cloned().unwrap_or_default();
        match self.rng.below(3) {
            0 => whole.slice(..self.rng.below(whole.len() as u64) as usize),
            1 => {
                let mut bytes = whole.to_vec();
                let at = self.rng.below(bytes.len() as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.rng.below(8);
                }
                bytes.into()
            }
            _ => (0..self.rng.below(200))
                .map(|_| self.rng.below(256) as u8)
                .collect(),
        }
    }

    /// Splits `to` in two at random; neither is empty unless there is only one to tell.
    fn half(&mut self, to: SignerSet) -> (SignerSet, SignerSet) {
        let start = self.rng.below(to.len() as u64) as usize;
        let turned = to.iter().chain(to.iter()).skip(start);
        let some: SignerSet = turned.take(to.len().div_ceil(2)).collect();
        (some, to.difference(some))
    }
}

impl<P> std::fmt::Debug for Byzantine<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Byzantine")
            .field("evil", &self.evil.is_some())
            .finish_non_exhaustive()
    }
}
