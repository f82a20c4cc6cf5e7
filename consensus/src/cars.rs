//! The core's dealings with lanes: own batches become cars, cars are acknowledged, acknowledgements
//! become certificates, and what is missing is asked for.

use std::sync::Arc;

use types::{
    Ack, BatchRef, Car, CarCert, CarId, CarRequest, Message, ReplicaId, SignerSet, Verified,
};

use crate::core::Core;
use crate::delivery::DeliveredBlock;
use crate::delivery::Want;
use crate::effect::{Check, Durable, Effect, Nanos};
use crate::lanes::{CarVerdict, CutEntry, Missing};

/// After this many fetch intervals without a block delivered, bytes count as gone.
const STALLED_ROUNDS: u64 = 20;

impl Core {
    // ---- own lane ---------------------------------------------------------------------------

    /// A batch of the own lane was cut, stored and streamed.
    pub fn own_batch(&mut self, now: Nanos, batch: BatchRef, out: &mut Vec<Effect>) {
        self.lanes.push_own_batch(batch);
        self.cut_car(now, out);
    }

    pub(crate) fn cut_car(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.halted || !self.config.is_member() {
            return;
        }
        if let Some(car) = self.lanes.cut_car(&self.config.epoch, now) {
            self.stats.cars_cut += 1;
            out.push(Effect::SignCar(Box::new(car)));
        }
    }

    /// The own car, signed: goes to everybody once it is durable, and is acknowledged like any other.
    pub fn own_car(&mut self, now: Nanos, car: Car, out: &mut Vec<Effect>) {
        let car = Arc::new(car);
        let id = car.id();
        self.lanes.own_car(car.clone(), id, now);
        let message = Message::Car(car.as_ref().clone());
        out.push(Effect::Persist(Durable::Car(car.clone())));
        out.push(Effect::Send {
            to: self.config.others(),
            message,
            durable: true,
        });
        self.acknowledge(now, self.config.me, out);
    }

    /// Whether a batch cut now would travel in a car at once.
    pub fn could_cut_car(&self, now: Nanos) -> bool {
        self.car_slot_ns().is_some_and(|due| due <= now)
    }

    /// When a batch cut then would travel in a car at once; none: too many cars are in flight.
    pub fn car_slot_ns(&self) -> Option<Nanos> {
        if self.halted || !self.config.is_member() {
            None
        } else {
            self.lanes.slot_due_ns()
        }
    }

    /// Puts a car from the journal back: the own lane goes on after it, and what was acknowledged
    /// stays acknowledged.
    pub(crate) fn recover_car(&mut self, car: Arc<Car>, now: Nanos) {
        let id = car.id();
        if car.lane != self.config.me {
            // Every foreign car in the journal was acknowledged.
            self.lanes.recover_acked(car, id);
        } else if car.index > self.lanes.own.tip.index {
            let lane = car.lane;
            self.lanes.own_car(car, id, now);
            self.lanes.force_acked(lane, id);
        }
    }

    /// Own cars and batches that are not certified yet.
    pub fn own_backlog_cars(&self) -> usize {
        self.lanes.own.in_flight.len() + self.lanes.own.pending.len()
    }

    pub fn handle_ack(&mut self, from: ReplicaId, ack: &Ack, out: &mut Vec<Effect>) {
        let mine = ack.lane == self.config.me && ack.replica == from;
        if !mine || ack.epoch != self.config.epoch.id || !self.config.epoch.members.contains(from) {
            return;
        }
        let quorum = self.config.epoch.quorum();
        if let Some((index, shares)) = self.lanes.add_ack(quorum, from, ack.car, ack.signature) {
            out.push(Effect::Check(Check::Acks {
                lane: ack.lane,
                index,
                car: ack.car,
                shares,
            }));
        }
    }

    /// The check of acknowledgements ended.
    pub fn handle_acks_checked(
        &mut self,
        now: Nanos,
        car: CarId,
        cert: Option<Verified<CarCert>>,
        bad: &[ReplicaId],
        out: &mut Vec<Effect>,
    ) {
        self.stats.bad_shares += bad.len() as u64;
        let lane = self.config.me;
        let quorum = self.config.epoch.quorum();
        if let Some((index, shares)) = self.lanes.acks_failed(car, bad, quorum)
            && cert.is_none()
        {
            out.push(Effect::Check(Check::Acks {
                lane,
                index,
                car,
                shares,
            }));
        }
        if let Some(cert) = cert {
            let cert = cert.into_inner();
            let message = Message::CarCert(cert.clone());
            out.push(Effect::Send {
                to: self.config.others(),
                message,
                durable: false,
            });
            self.lanes.note_verified(cert);
            self.cut_car(now, out);
            self.try_propose(now, out);
        }
    }

    // ---- everybody's lanes ------------------------------------------------------------------

    /// Whether a car is worth a look. A car without batches carries nothing, and
    /// would cost its owner nothing.
    pub fn wants_car(&self, car: &Car) -> bool {
        let useful = match self.halted {
            true => !self.branches.is_empty(),
            false => car.lane != self.config.me || self.delivery.wants_car(car.lane, car.index),
        };
        car.epoch == self.config.epoch.id && !car.batches.is_empty() && useful
    }

    pub fn handle_car(&mut self, now: Nanos, car: Verified<Car>, out: &mut Vec<Effect>) {
        self.take_car(now, car.into_inner(), out);
    }

    /// A car from its lane's owner, whom the link authenticated. Its signature is evidence against the
    /// owner and nothing else: who relies on a car knows it by its hash.
    pub fn handle_owner_car(
        &mut self,
        now: Nanos,
        from: ReplicaId,
        car: Car,
        out: &mut Vec<Effect>,
    ) {
        if car.lane == from {
            self.take_car(now, car, out);
        }
    }

    /// Of cars from anybody, ascending, those that something committed names by their hash, and those
    /// that these name in turn. What comes back is known by nothing but its signature: a proposal's word
    /// for it is only its leader's, who may have made it up.
    pub fn handle_named_cars(
        &mut self,
        now: Nanos,
        cars: Vec<Car>,
        out: &mut Vec<Effect>,
    ) -> Vec<Car> {
        let mut rest = Vec::new();
        let mut named = None;
        for car in cars.into_iter().rev() {
            let id = car.id();
            if self.lanes.car(car.lane, &id).is_some() {
                // Several were asked: somebody was faster.
                continue;
            }
            if named == Some(id) || self.names(car.lane, id) {
                named = Some(car.prev);
                self.take_car(now, car, out);
            } else {
                rest.push(car);
            }
        }
        if self.halted {
            // Nothing but what a branch names counts any more.
            return Vec::new();
        }
        rest.reverse();
        rest
    }

    /// Whether a committed block or a branch lacks exactly this car.
    fn names(&self, lane: ReplicaId, id: CarId) -> bool {
        self.branches_lack(lane, id) || self.delivery.lacks(lane, id, &self.lanes)
    }

    fn take_car(&mut self, now: Nanos, car: Car, out: &mut Vec<Effect>) {
        let car = Arc::new(car);
        let lane = car.lane;
        let id = car.id();
        // What is held is lacked by nobody, and to walk all chains for it is dear.
        let held = self.lanes.car(lane, &id).is_some();
        let of_branch = !held && self.branches_lack(lane, id);
        let wanted = of_branch || !held && self.delivery.lacks(lane, id, &self.lanes);
        if self.halted && !of_branch {
            return;
        }
        let (index, (id, verdict)) = (car.index, self.lanes.insert(car, wanted));
        match verdict {
            CarVerdict::New | CarVerdict::Known => self.acknowledge(now, lane, out),
            CarVerdict::Acked if self.config.is_member() => out.push(Effect::SignAck {
                lane,
                index,
                car: id,
            }),
            CarVerdict::Acked | CarVerdict::Useless => {}
        }
        self.ask_on(lane);
        if wanted {
            self.deliver(out);
        }
        self.branches_due.cars |= of_branch;
    }

    /// The bytes of a batch arrived (and are durable before anything that this call says durably).
    /// Any lane may name them, whoever sent them.
    pub fn batch_stored(&mut self, now: Nanos, digest: types::BatchDigest, out: &mut Vec<Effect>) {
        self.lanes.batch_stored(digest);
        for lane in self.config.epoch.members.iter() {
            self.acknowledge(now, lane, out);
        }
        self.deliver(out);
        self.branches_due.batches += usize::from(!self.branches.is_empty());
    }

    /// Bytes that were here before this epoch began.
    pub fn batch_known(&mut self, digest: types::BatchDigest) {
        self.lanes.batch_stored(digest);
    }

    /// The driver let go of a batch's bytes.
    pub fn batch_dropped(&mut self, digest: types::BatchDigest) {
        self.lanes.batch_dropped(digest);
    }

    pub fn has_batch(&self, digest: &types::BatchDigest) -> bool {
        self.lanes.has_batch(digest)
    }

    fn acknowledge(&mut self, now: Nanos, lane: ReplicaId, out: &mut Vec<Effect>) {
        if self.halted {
            return;
        }
        let due = self.ack_due(lane);
        let advanced = self.lanes.advance(lane, now);
        if advanced.is_empty() {
            return;
        }
        for (id, car) in advanced {
            let entry = CutEntry {
                index: car.index,
                car: id,
            };
            if self.config.is_member() {
                self.lanes.owe_ack(lane, entry, due);
            }
            if lane != self.config.me {
                out.push(Effect::Persist(Durable::Car(car)));
            }
        }
        self.acknowledge_late(out);
        self.vote_if_complete(out);
        self.try_propose(now, out);
    }

    /// A certificate that a lane's owner announced; checked only by those who may propose it soon.
    pub fn handle_car_cert(&mut self, cert: CarCert, out: &mut Vec<Effect>) {
        let in_epoch = cert.epoch == self.config.epoch.id
            && self.config.epoch.members.contains(cert.lane)
            && self.config.epoch.is_quorum(cert.acks.signers);
        if !in_epoch || self.halted || !self.lanes.note_heard(&cert) {
            return;
        }
        if self.leads_next() && self.lanes.begin_check(cert.lane) {
            out.push(Effect::Check(Check::CarCerts(vec![cert])));
        }
    }

    // ---- answering and asking ---------------------------------------------------------------

    pub fn handle_car_request(
        &mut self,
        from: ReplicaId,
        request: &CarRequest,
        out: &mut Vec<Effect>,
    ) {
        if request.epoch != self.config.epoch.id {
            return;
        }
        self.note_asked(request);
        let cars = self
            .lanes
            .cars_between(request.lane, request.from_index, request.tip);
        if !cars.is_empty() {
            let to = SignerSet::from_iter([from]);
            out.push(Effect::Send {
                to,
                // Own cars among them may not be on disk yet.
                message: Message::Cars(cars),
                durable: true,
            });
            return;
        }
        let oldest = self
            .lanes
            .lane(request.lane)
            .and_then(|lane| lane.chain.keys().next());
        if oldest.is_some_and(|oldest| request.from_index < *oldest) {
            self.tell_pruned(from, out);
        }
    }

    /// Hands on every committed block whose bytes are here.
    pub(crate) fn deliver(&mut self, out: &mut Vec<Effect>) {
        if self.halted {
            return;
        }
        let mut moved = false;
        while let Some(block) = self.delivery.pop_ready(&self.lanes) {
            moved = true;
            out.push(Effect::Deliver(block));
        }
        // What comes next is asked for at once while catching up.
        self.delivery.eager |= moved && self.delivery.len() > 0;
    }

    /// Committed blocks that still wait for bytes.
    pub fn undelivered(&self) -> usize {
        self.delivery.len()
    }

    /// Time has passed: says again what may be lost, and asks again for what is missing.
    pub(crate) fn fetch_again(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let patience = self.config.timing.fetch_ns;
        for car in self.lanes.overdue(now, 2 * patience) {
            let message = Message::Car(car.as_ref().clone());
            out.push(Effect::Send {
                to: self.config.others(),
                message,
                durable: true,
            });
            let id = car.id();
            out.push(Effect::SignAck {
                lane: car.lane,
                index: car.index,
                car: id,
            });
        }
        let behind = |cert: &CarCert| {
            let covered = self.tree.tip().cut.get(cert.lane.index());
            covered.is_some_and(|entry| entry.index < cert.index)
        };
        let own = self.lanes.lane(self.config.me);
        if let Some(cert) = own.and_then(|lane| lane.verified.clone()).filter(behind) {
            let message = Message::CarCert(cert);
            out.push(Effect::Send {
                to: self.config.others(),
                message,
                durable: false,
            });
        }
        let others = self.config.others();
        for lane in others.iter() {
            self.ask_for_stuck_lane(now, lane, patience, out);
        }
        self.ask_for_committed_now(now, out);
        self.retry_chain(now, out);
    }

    fn ask_for_stuck_lane(
        &mut self,
        now: Nanos,
        lane: ReplicaId,
        patience: Nanos,
        out: &mut Vec<Effect>,
    ) {
        let since = self.lanes.lane(lane).and_then(|l| l.stuck_since);
        if since.is_none_or(|since| now < since + patience) {
            return;
        }
        let to = SignerSet::from_iter([lane]);
        match self.lanes.missing(lane) {
            Missing::Nothing => self.acknowledge(now, lane, out),
            Missing::Batches(digests) => self.request_batches(to, digests, out),
            Missing::Cars { from_index, tip } => self.request_cars(to, lane, from_index, tip, out),
        }
    }

    /// Asks for what committed blocks lack: their certificates' signers in turn. Where nobody has the
    /// bytes any more, a snapshot must do.
    pub(crate) fn ask_for_committed_now(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        if self.delivery.len() == 0 {
            return;
        }
        let attempts = self.delivery.attempts;
        self.delivery.attempts = attempts.wrapping_add(1);
        let again_ns = 2 * self.config.timing.fetch_ns;
        let wants = self.delivery.wants(&self.lanes, now, again_ns);
        self.ask_for(wants, None, attempts, out);
        let stalled = self.delivery.progress_ns + STALLED_ROUNDS * self.config.timing.fetch_ns;
        let newest = self.checkpoints.newest.clone();
        if now >= stalled
            && let Some(cert) = newest.filter(|c| c.height > self.delivery.height)
        {
            self.delivery.progress_ns = now;
            out.push(Effect::NeedSnapshot {
                from: cert.signatures.signers,
                cert: Box::new(cert),
            });
        }
    }

    /// Asks the holders that each want names, or `instead`.
    pub(crate) fn ask_for(
        &mut self,
        wants: Vec<Want>,
        instead: Option<SignerSet>,
        attempts: u32,
        out: &mut Vec<Effect>,
    ) {
        for want in wants {
            match want {
                Want::Cars {
                    lane,
                    from_index,
                    tip,
                    holders,
                } => {
                    let to = self.pick(instead.unwrap_or(holders), attempts);
                    self.request_cars(to, lane, from_index, tip, out);
                }
                Want::Batches { digests, holders } => {
                    let to = self.pick(instead.unwrap_or(holders), attempts);
                    self.request_batches(to, digests, out);
                }
            }
        }
    }

    /// One of `holders` (never oneself), another one at each attempt.
    pub(crate) fn pick(&self, holders: SignerSet, attempt: u32) -> SignerSet {
        let mut others = holders;
        others.remove(self.config.me);
        if others.is_empty() {
            others = self.config.others();
        }
        let turn = attempt as usize % others.len().max(1);
        others.iter().nth(turn).into_iter().collect()
    }

    pub(crate) fn request_cars(
        &mut self,
        to: SignerSet,
        lane: ReplicaId,
        from_index: u64,
        tip: CarId,
        out: &mut Vec<Effect>,
    ) {
        self.stats.car_requests += 1;
        let request = CarRequest {
            epoch: self.config.epoch.id,
            lane,
            from_index,
            tip,
        };
        out.push(Effect::Send {
            to,
            message: Message::CarRequest(request),
            durable: false,
        });
    }

    pub(crate) fn request_batches(
        &mut self,
        to: SignerSet,
        digests: Vec<types::BatchDigest>,
        out: &mut Vec<Effect>,
    ) {
        self.stats.batch_requests += 1;
        out.push(Effect::Send {
            to,
            message: Message::BatchRequest(digests),
            durable: false,
        });
    }

    /// The block's bytes were executed and may now be let go with everything below `block`.
    pub fn forget(&mut self, block: &DeliveredBlock) {
        self.tree.prune_below(block.header.height.next());
        for (at, entry) in block.cut.iter().enumerate() {
            let lane = ReplicaId(at as u16);
            self.lanes.prune(lane, entry.index);
            self.delivery.prune(lane, entry.index);
        }
        self.order_states
            .retain(|height, _| *height >= block.header.height);
    }

    /// Batches of a car that is kept.
    pub fn car_batches(&self, lane: ReplicaId, car: CarId) -> Option<Vec<BatchRef>> {
        let car = self.lanes.car(lane, &car)?;
        Some(car.batches.clone())
    }

    /// The commit rule in force.
    pub fn rule(&self) -> types::CommitRule {
        self.rules.rule()
    }

    /// Whom a proof of fraud convicts; the signatures in it are verified elsewhere.
    pub fn convicts(&self, fraud: &types::Fraud) -> types::SignerSet {
        self.rules.convicts(fraud)
    }

    /// Everybody whom one of these proofs convicts.
    pub fn convicted(&self, frauds: &[types::Fraud]) -> types::SignerSet {
        let sets = frauds.iter().map(|fraud| self.convicts(fraud));
        sets.fold(types::SignerSet::EMPTY, types::SignerSet::union)
    }
}
