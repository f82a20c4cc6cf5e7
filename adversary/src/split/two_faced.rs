//! One attacker of the coalition: two replicas behind one set of links, keys and crypto helpers.

use std::collections::BTreeMap;

use bytes::Bytes;
use measure::LedgerRecord;
use node::NodeError;
use node::incident::Incident;
use node::platform::{ClientId, NodeEvent, Platform};
use node::replica::{Counters, Replica};
use storage::Record;
use types::{Message, Mode, ReplicaId, SignerSet, View};

use super::{A, After, B, FacePlatform, SplitPlan, is_proof, tagged, untagged};
use crate::acts::Acts;
use crate::byzantine::{Byzantine, RawLink};

/// One history of an attacker: the real driver, over a platform that collects.
pub type Face = Replica<Byzantine<FacePlatform>>;

/// Makes a face that goes on from these records, at this time of the attacker's clock.
pub type Maker = Box<dyn Fn(Vec<Record>, u64) -> Result<Face, NodeError>>;

/// Answers of its own disk that a face is given in one turn.
const ROUNDS_MAX: usize = 16;
/// The other attackers' faces A may be that many views ahead of the own one.
const APART_VIEWS: u64 = 2;
/// So many final blocks later, correct replicas of side A know of one which face B, that begins with
/// the newest certificate of the split, does not share.
const APART_BLOCKS: u64 = 5;
/// Before face A is looked at again.
const RETRY_NS: u64 = 5_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// One face for everybody.
    Whole,
    /// Face B waits; it will start from what face A had written at the split.
    Late {
        until_ns: u64,
    },
    Split,
    Over,
}

/// See the module.
pub struct TwoFaced<P> {
    plan: SplitPlan,
    platform: P,
    make: Maker,
    faces: [Option<Face>; 2],
    stage: Stage,
    /// Face B helps no certificate of these views.
    floor: View,
    /// Height that face A had committed at the split.
    shared: u64,
    /// What face B starts from.
    inheritance: Vec<Record>,
    up: SignerSet,
    clients: BTreeMap<ClientId, usize>,
    acts: Acts,
    fatal: Option<String>,
}

impl<P: Platform + RawLink> TwoFaced<P> {
    /// # Errors
    /// As [`Replica::new`].
    pub fn new(plan: SplitPlan, platform: P, make: Maker, now_ns: u64) -> Result<Self, NodeError> {
        let mut two = TwoFaced {
            plan,
            platform,
            faces: [Some(make(Vec::new(), now_ns)?), None],
            make,
            stage: Stage::Whole,
            floor: View(0),
            shared: 0,
            inheritance: Vec::new(),
            up: SignerSet::EMPTY,
            clients: BTreeMap::new(),
            acts: Acts::default(),
            fatal: None,
        };
        two.advance(now_ns);
        Ok(two)
    }

    pub fn platform(&mut self) -> &mut P {
        &mut self.platform
    }

    /// Face A or B, while it lives.
    pub fn face(&self, face: usize) -> Option<&Face> {
        self.faces.get(face)?.as_ref()
    }

    pub fn is_split(&self) -> bool {
        self.faces.iter().all(Option::is_some)
    }

    pub fn handle(&mut self, now_ns: u64, event: NodeEvent) {
        match event {
            NodeEvent::PeerUp(peer) => {
                self.up.insert(peer);
                self.tell(now_ns, peer, || NodeEvent::PeerUp(peer));
            }
            NodeEvent::PeerDown(peer) => {
                self.up.remove(peer);
                self.tell(now_ns, peer, || NodeEvent::PeerDown(peer));
            }
            NodeEvent::Peer { from, frame, .. } => self.on_frame(now_ns, from, frame),
            NodeEvent::ClientUp(client) => {
                // Clients are shared out evenly, so that both histories are fed.
                let face = match self.is_split() && client.0 % 2 == 1 {
                    true => B,
                    false => A,
                };
                self.clients.insert(client, face);
                self.give_client(now_ns, client, NodeEvent::ClientUp(client));
            }
            NodeEvent::ClientDown(client) => {
                self.give_client(now_ns, client, event);
                self.clients.remove(&client);
            }
            NodeEvent::Client { client, .. } => self.give_client(now_ns, client, event),
            NodeEvent::Done { tag, done } => {
                let (face, tag) = ((tag % 2) as usize, tag / 2);
                self.give(now_ns, face, NodeEvent::Done { tag, done });
            }
            // The faces have no part in the attacker's own disk.
            NodeEvent::Synced(_) => {}
        }
        self.drain(now_ns);
    }

    pub fn turn(&mut self, now_ns: u64) {
        self.advance(now_ns);
        for face in self.faces.iter_mut().flatten() {
            face.turn(now_ns);
        }
        self.drain(now_ns);
    }

    pub fn deadline_ns(&self) -> Option<u64> {
        let plan = &self.plan;
        let own = match self.stage {
            Stage::Whole => plan.split_ns.min(plan.heal_ns),
            Stage::Late { until_ns } => until_ns.min(plan.heal_ns),
            Stage::Split => plan.heal_ns,
            Stage::Over => u64::MAX,
        };
        let faces = self.faces.iter().flatten().filter_map(Face::deadline_ns);
        faces.chain([own]).min()
    }

    /// Goes through the stages whose time has come.
    fn advance(&mut self, now_ns: u64) {
        if self.stage == Stage::Whole && now_ns >= self.plan.split_ns {
            self.split(now_ns);
        }
        if let Stage::Late { until_ns } = self.stage
            && now_ns >= until_ns
        {
            match self.has_committed() {
                true => self.start_face_b(now_ns),
                false => {
                    let until_ns = now_ns + RETRY_NS;
                    self.stage = Stage::Late { until_ns };
                }
            }
        }
        if self.stage != Stage::Over && now_ns >= self.plan.heal_ns {
            self.end(now_ns);
        }
    }

    /// Where the histories must not share a view, face A has to be done before face B begins.
    fn has_committed(&self) -> bool {
        let committed = |face: &Face| face.core().committed_height().0;
        let face = self.faces[A].as_ref().filter(|_| self.plan.apart);
        face.is_none_or(|face| committed(face) >= self.shared + APART_BLOCKS)
    }

    fn split(&mut self, now_ns: u64) {
        let until_ns = now_ns.saturating_add(self.plan.late_ns);
        if let Some(face) = &mut self.faces[A] {
            self.shared = face.core().committed_height().0;
            self.inheritance = face.platform().inner().records().to_vec();
            face.platform().set_plan(self.plan.during);
        }
        if !self.plan.faces[A] {
            self.drop_face(A);
        }
        self.stage = Stage::Late { until_ns };
    }

    fn start_face_b(&mut self, now_ns: u64) {
        self.stage = Stage::Split;
        let records = std::mem::take(&mut self.inheritance);
        if !self.plan.faces[B] {
            return;
        }
        if self.plan.apart
            && let Some(face) = &self.faces[A]
        {
            self.floor = View(face.core().view().0 + APART_VIEWS);
        }
        match (self.make)(records, now_ns) {
            Ok(mut face) => {
                face.platform().set_plan(self.plan.during);
                for peer in self.up.intersection(self.reach(B)).iter() {
                    face.handle(now_ns, NodeEvent::PeerUp(peer));
                }
                self.faces[B] = Some(face);
            }
            Err(why) => self.fatal = Some(format!("face B: {why}")),
        }
    }

    /// The attack is over, whatever the plan says about its end.
    pub fn end_attack(&mut self, now_ns: u64) {
        if self.stage != Stage::Over {
            self.end(now_ns);
            self.drain(now_ns);
        }
    }

    fn end(&mut self, now_ns: u64) {
        self.stage = Stage::Over;
        match self.plan.after {
            After::Run => {}
            After::Silent => {
                self.drop_face(A);
                self.drop_face(B);
            }
            After::Join(acts) => {
                // Whoever has face B only goes on as that.
                let stays = if self.faces[A].is_some() { A } else { B };
                self.drop_face(1 - stays);
                let strangers = self.up.intersection(self.plan.sides[1 - stays]);
                if let Some(face) = &mut self.faces[stays] {
                    face.platform().set_plan(acts);
                    for peer in strangers.iter() {
                        face.handle(now_ns, NodeEvent::PeerUp(peer));
                    }
                }
            }
        }
    }

    fn drop_face(&mut self, face: usize) {
        if let Some(mut face) = self.faces[face].take() {
            self.acts.merge(&face.platform().take_acts());
        }
    }

    /// Correct replicas and allies that a face talks to.
    fn reach(&self, face: usize) -> SignerSet {
        let [a, b] = self.plan.sides;
        let joined = self.stage == Stage::Over && matches!(self.plan.after, After::Join(_));
        let sides = match self.stage == Stage::Whole || joined {
            true => a.union(b),
            false => self.plan.sides[face],
        };
        sides.union(self.plan.allies)
    }

    fn give(&mut self, now_ns: u64, face: usize, event: NodeEvent) {
        if let Some(face) = &mut self.faces[face] {
            face.handle(now_ns, event);
        }
    }

    /// To every face that talks to `peer`.
    fn tell(&mut self, now_ns: u64, peer: ReplicaId, event: impl Fn() -> NodeEvent) {
        for face in [A, B] {
            if self.reach(face).contains(peer) {
                self.give(now_ns, face, event());
            }
        }
    }

    fn on_frame(&mut self, now_ns: u64, from: ReplicaId, frame: Bytes) {
        let hear = |two: &mut Self, face: usize, frame: Bytes| {
            if let Some(face) = &mut two.faces[face] {
                face.platform().observe(&frame);
                let body_hash = None;
                face.handle(
                    now_ns,
                    NodeEvent::Peer {
                        from,
                        frame,
                        body_hash,
                    },
                );
            }
        };
        if self.plan.allies.contains(from) {
            let Some((face, frame)) = untagged(&frame) else {
                return;
            };
            // Whoever is first to split, or to go over to face B, takes the others along.
            if face == B && self.stage == Stage::Whole {
                self.split(now_ns);
            }
            if face == B && self.plan.apart && matches!(self.stage, Stage::Late { .. }) {
                self.start_face_b(now_ns);
            }
            return hear(self, face, frame);
        }
        let attacks = !matches!(self.stage, Stage::Whole | Stage::Over);
        if is_proof(&frame) && attacks && self.plan.heal_ns == u64::MAX {
            self.end(now_ns);
        }
        for face in [A, B] {
            if self.reach(face).contains(from) {
                hear(self, face, frame.clone());
            }
        }
    }

    fn give_client(&mut self, now_ns: u64, client: ClientId, event: NodeEvent) {
        let Some(face) = self.clients.get(&client).copied() else {
            return;
        };
        if self.faces[face].is_some() {
            return self.give(now_ns, face, event);
        }
        // Its face is gone: the other one takes it over.
        self.clients.insert(client, 1 - face);
        if !matches!(event, NodeEvent::ClientUp(_)) {
            self.give(now_ns, 1 - face, NodeEvent::ClientUp(client));
        }
        self.give(now_ns, 1 - face, event);
    }

    /// Hands on what the faces said, and gives them what their disks answer.
    fn drain(&mut self, now_ns: u64) {
        for at in [A, B] {
            for _ in 0..ROUNDS_MAX {
                self.hand_on(at);
                let Some(face) = &mut self.faces[at] else {
                    break;
                };
                let Some(token) = face.platform().inner().synced.take() else {
                    break;
                };
                face.handle(now_ns, NodeEvent::Synced(token));
                face.turn(now_ns);
            }
        }
    }

    fn hand_on(&mut self, at: usize) {
        let reach = self.reach(at);
        let floor = if at == B { self.floor } else { View(0) };
        // Face A still serves what it has: side A may lack the bytes of what is final.
        let frozen = self.plan.apart && self.stage == Stage::Split;
        let Some(face) = &mut self.faces[at] else {
            return;
        };
        let (allies, platform) = (self.plan.allies, &mut self.platform);
        let said = face.platform().inner();
        for (to, message) in said.sent.drain(..) {
            let helps = match at {
                A if frozen => beside_order(message),
                _ => above(floor, message),
            };
            let Some(message) = helps else {
                continue;
            };
            let to = to.intersection(reach);
            let correct = to.difference(allies);
            if !correct.is_empty() {
                platform.broadcast(correct, &message);
            }
            let to = to.intersection(allies);
            if !to.is_empty() {
                let frame = tagged(at, &message);
                to.iter()
                    .for_each(|ally| platform.send_frame(ally, frame.clone()));
            }
        }
        // Garbage is for correct replicas.
        for (to, frame) in said.raw.drain(..) {
            if reach.difference(allies).contains(to) {
                platform.send_frame(to, frame);
            }
        }
        for (client, response) in said.replies.drain(..) {
            platform.reply(client, &response);
        }
        for (tag, epoch, job) in said.jobs.drain(..) {
            platform.submit(2 * tag + at as u64, &epoch, job);
        }
        if let Some(why) = face.fatal() {
            self.fatal = Some(format!("face {at}: {why}"));
        }
    }

    /// Face A, which stands for this attacker in reports; face B where there is no other.
    fn front(&self) -> Option<&Face> {
        self.faces.iter().flatten().next()
    }

    pub fn begin_stop(&mut self) {
        self.faces.iter_mut().flatten().for_each(Face::begin_stop);
    }

    pub fn fatal(&self) -> Option<&str> {
        self.fatal.as_deref()
    }

    pub fn mode(&self) -> Mode {
        self.front().map_or(Mode::Nominal, Face::mode)
    }

    pub fn counters(&self) -> Counters {
        self.front().map(Face::counters).unwrap_or_default()
    }

    /// What face A executed; face B's history belongs to nobody's ledger.
    pub fn take_ledger(&mut self) -> Vec<LedgerRecord> {
        let [a, b] = &mut self.faces;
        if let Some(b) = b {
            b.take_ledger();
        }
        a.as_mut().map(Face::take_ledger).unwrap_or_default()
    }

    pub fn take_incidents(&mut self) -> Vec<Incident> {
        let taken = self.faces.iter_mut().flatten().map(Face::take_incidents);
        taken.flatten().collect()
    }

    pub fn take_acts(&mut self) -> Acts {
        let mut acts = std::mem::take(&mut self.acts);
        for face in self.faces.iter_mut().flatten() {
            acts.merge(&face.platform().take_acts());
        }
        acts
    }
}

/// What has no part in any view.
fn beside_order(message: Message) -> Option<Message> {
    let orders = matches!(
        message,
        Message::Proposal(_) | Message::Vote(_) | Message::Timeout(_)
    );
    (!orders).then_some(message)
}

/// What of a message helps no certificate up to `floor`.
fn above(floor: View, message: Message) -> Option<Message> {
    match message {
        Message::Vote(vote) if vote.view <= floor => None,
        Message::Proposal(proposal) if proposal.header.view <= floor => None,
        Message::Timeout(mut timeout) => {
            timeout.last_vote = timeout.last_vote.filter(|vote| vote.view > floor);
            Some(Message::Timeout(timeout))
        }
        other => Some(other),
    }
}

impl<P> std::fmt::Debug for TwoFaced<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TwoFaced")
            .field("plan", &self.plan)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
