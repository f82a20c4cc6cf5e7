//! Lanes: what every replica holds of everybody's cars, what it acknowledged, and the certificates
//! that a leader may put into a cut. A certificate vouches for the whole prefix of its lane.

mod held;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use types::limits::{CAR_BATCHES_MAX, CARS_MAX};
use types::{BatchDigest, BatchRef, Car, CarCert, CarId, Epoch, ReplicaId, View, wire_struct};

use crate::effect::Nanos;

/// Most different cars kept for one index of a lane: an equivocating owner's.
const FORKS_MAX: usize = 4;

/// From so many lanes on, cars keep the distance of a whole view; below, proportionally less.
const CARS_SHARE: u64 = 12;

/// Most own cars sent again at a time, oldest first.
const OVERDUE_MAX: usize = 8;

/// Signatures to be checked, by signer.
pub(crate) type AckShares = Vec<(ReplicaId, [u8; 64])>;

/// A place in a lane; index 0 with a zero car: before its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CutEntry {
    pub index: u64,
    pub car: CarId,
}
wire_struct!(CutEntry { index, car });

/// Bounds of the lanes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LanesConfig {
    /// Own cars that may wait for their certificates at the same time.
    pub cars_in_flight: usize,
    /// Shortest distance of own cars within one view.
    pub car_interval_ns: Nanos,
    /// How far ahead of the last acknowledged car a peer's cars are kept.
    pub cars_ahead: u64,
}

impl Default for LanesConfig {
    fn default() -> LanesConfig {
        LanesConfig {
            cars_in_flight: 16,
            car_interval_ns: 4_000_000,
            cars_ahead: 1024,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub cars: HashMap<CarId, Arc<Car>>,
    by_index: BTreeMap<u64, Vec<CarId>>,
    /// The chain that this replica acknowledged, by index, above the retention horizon.
    pub chain: BTreeMap<u64, CarId>,
    pub acked: CutEntry,
    /// Up to here a snapshot stands for the lane: which cars this replica acknowledged below is
    /// forgotten, so it acknowledges none there again.
    no_ack_up_to: u64,
    /// Lane's end in the newest committed block.
    committed: u64,
    /// Newest certificate whose signatures were checked.
    pub verified: Option<CarCert>,
    /// Newest certificate that the owner announced.
    heard: Option<CarCert>,
    /// A check of `heard` is under way.
    checking: bool,
    /// The owner announced a bad certificate: its announcements count for nothing any more.
    deaf: bool,
    /// Since when the next car cannot be acknowledged although something newer is known.
    pub stuck_since: Option<Nanos>,
    pub equivocated: bool,
    /// Acknowledgements not given yet, oldest first: the car, and the view until which a committed block
    /// that names it makes them needless.
    owed: VecDeque<(CutEntry, View)>,
}

#[derive(Debug)]
pub(crate) struct InFlight {
    pub car: Arc<Car>,
    pub id: CarId,
    pub shares: BTreeMap<ReplicaId, [u8; 64]>,
    pub checking: bool,
    pub sent_ns: Nanos,
}

/// Batches and cars of the own lane that are not certified yet.
#[derive(Debug, Default)]
pub(crate) struct Own {
    pub pending: VecDeque<BatchRef>,
    pub in_flight: VecDeque<InFlight>,
    pub tip: CutEntry,
    pub signing: bool,
    pub last_car_ns: Nanos,
    pub last_car_view: View,
}

/// All lanes of an epoch.
#[derive(Debug)]
pub(crate) struct Lanes {
    pub lanes: Vec<Lane>,
    pub own: Own,
    /// Batches whose bytes the driver holds.
    present: HashSet<BatchDigest>,
    config: LanesConfig,
    me: ReplicaId,
    /// The replica's current view.
    pub view: View,
    /// How long views take at present: slow views say that there is no time for more cars.
    pub usual_view_ns: Nanos,
}

/// What became of a car that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CarVerdict {
    New,
    /// Acknowledged before: the acknowledgement may have been lost.
    Acked,
    Known,
    /// Out of the window or of the epoch.
    Useless,
}

impl Lanes {
    pub fn new(epoch: &Epoch, me: ReplicaId, config: LanesConfig) -> Lanes {
        Lanes {
            lanes: (0..epoch.n).map(|_| Lane::default()).collect(),
            own: Own::default(),
            present: HashSet::new(),
            config,
            me,
            view: View(1),
            usual_view_ns: 0,
        }
    }

    pub fn lane(&self, id: ReplicaId) -> Option<&Lane> {
        self.lanes.get(id.index())
    }

    /// A car that is held.
    pub fn car(&self, lane: ReplicaId, id: &CarId) -> Option<&Arc<Car>> {
        self.lane(lane)?.cars.get(id)
    }

    // ---- bytes ------------------------------------------------------------------------------

    pub fn batch_stored(&mut self, digest: BatchDigest) {
        self.present.insert(digest);
    }

    pub fn batch_dropped(&mut self, digest: BatchDigest) {
        self.present.remove(&digest);
    }

    /// Batches that some kept car names, or that wait for an own car.
    pub fn live_batches(&self) -> HashSet<BatchDigest> {
        let cars = self.lanes.iter().flat_map(|lane| lane.cars.values());
        let named = cars.flat_map(|car| car.batches.iter());
        named.chain(&self.own.pending).map(|b| b.digest).collect()
    }

    pub fn has_batch(&self, digest: &BatchDigest) -> bool {
        self.present.contains(digest)
    }

    fn is_complete(&self, car: &Car) -> bool {
        car.batches
            .iter()
            .all(|batch| self.present.contains(&batch.digest))
    }

    // ---- own lane ---------------------------------------------------------------------------

    pub fn push_own_batch(&mut self, batch: BatchRef) {
        self.present.insert(batch.digest);
        self.own.pending.push_back(batch);
    }

    /// When the next own car may be cut, if anything waits for one.
    pub fn car_due_ns(&self) -> Option<Nanos> {
        if self.own.pending.is_empty() {
            None
        } else {
            self.slot_due_ns()
        }
    }

    /// When an own car may be cut, if something comes for it; none: too many are in flight.
    pub fn slot_due_ns(&self) -> Option<Nanos> {
        let own = &self.own;
        let committed = self.lanes.get(self.me.index()).map_or(0, |l| l.committed);
        let blocked = own.signing
            || own.in_flight.len() >= self.config.cars_in_flight
            || own.tip.index >= committed + self.config.cars_ahead / 2;
        let at_once = self.view != own.last_car_view || own.pending.len() >= CAR_BATCHES_MAX;
        match (blocked, at_once) {
            (true, _) => None,
            (false, true) => Some(0),
            (false, false) => {
                // Cars cost `n * n` messages, a view `n` certificates: what small committees can afford
                // more of per view costs large ones the view.
                let share = (self.lanes.len() as u64).min(CARS_SHARE);
                let slow_ns = self.usual_view_ns * share / CARS_SHARE;
                let interval_ns = self.config.car_interval_ns.max(slow_ns);
                Some(own.last_car_ns + interval_ns)
            }
        }
    }

    /// The next own car, unsigned, if one is due: at once in a view that has none yet, after the
    /// interval otherwise. A cut takes one car of a lane per view; more only cost signatures.
    pub fn cut_car(&mut self, epoch: &Epoch, now: Nanos) -> Option<Car> {
        if self.car_due_ns()? > now {
            return None;
        }
        let many = self.own.pending.len().min(CAR_BATCHES_MAX);
        let batches = self.own.pending.drain(..many).collect();
        self.own.signing = true;
        self.own.last_car_ns = now;
        self.own.last_car_view = self.view;
        Some(Car {
            epoch: epoch.id,
            lane: self.me,
            index: self.own.tip.index + 1,
            prev: self.own.tip.car,
            batches,
            signature: [0; 64],
        })
    }

    /// Takes the own car back, signed or recovered.
    pub fn own_car(&mut self, car: Arc<Car>, id: CarId, now: Nanos) {
        self.own.signing = false;
        self.own.tip = CutEntry {
            index: car.index,
            car: id,
        };
        self.store(car.clone(), id);
        let entry = InFlight {
            car,
            id,
            shares: BTreeMap::new(),
            checking: false,
            sent_ns: now,
        };
        self.own.in_flight.push_back(entry);
    }

    /// Adds an acknowledgement of an own car; the shares to check once they are a quorum.
    pub fn add_ack(
        &mut self,
        quorum: usize,
        from: ReplicaId,
        id: CarId,
        signature: [u8; 64],
    ) -> Option<(u64, AckShares)> {
        let flight = self.own.in_flight.iter_mut().find(|f| f.id == id)?;
        flight.shares.insert(from, signature);
        if flight.checking || flight.shares.len() < quorum {
            return None;
        }
        flight.checking = true;
        Some((
            flight.car.index,
            flight.shares.iter().map(|(id, sig)| (*id, *sig)).collect(),
        ))
    }

    /// Drops bad acknowledgements; the rest, if it has become a quorum meanwhile.
    pub fn acks_failed(
        &mut self,
        id: CarId,
        bad: &[ReplicaId],
        quorum: usize,
    ) -> Option<(u64, AckShares)> {
        let flight = self.own.in_flight.iter_mut().find(|f| f.id == id)?;
        bad.iter().for_each(|id| {
            flight.shares.remove(id);
        });
        flight.checking = flight.shares.len() >= quorum;
        let shares = || flight.shares.iter().map(|(id, sig)| (*id, *sig)).collect();
        flight.checking.then(|| (flight.car.index, shares()))
    }

    /// Own cars that have waited too long: their messages may be lost.
    pub fn overdue(&mut self, now: Nanos, patience_ns: Nanos) -> Vec<Arc<Car>> {
        let late = self.own.in_flight.iter_mut().take(OVERDUE_MAX);
        late.filter(|f| now >= f.sent_ns + patience_ns)
            .map(|f| {
                f.sent_ns = now;
                f.car.clone()
            })
            .collect()
    }

    /// A block with this cut was committed: own cars up to there need no certificate any more.
    pub fn committed(&mut self, cut: &[CutEntry]) {
        for (lane, entry) in self.lanes.iter_mut().zip(cut) {
            lane.committed = lane.committed.max(entry.index);
            lane.owed.retain(|(car, _)| car.index > entry.index);
        }
        let covered = cut.get(self.me.index()).map_or(0, |entry| entry.index);
        while self
            .own
            .in_flight
            .front()
            .is_some_and(|f| f.car.index <= covered)
        {
            self.own.in_flight.pop_front();
        }
    }

    // ---- everybody's lanes ------------------------------------------------------------------

    /// Keeps a car; `wanted` says that a committed block needs it.
    pub fn insert(&mut self, car: Arc<Car>, wanted: bool) -> (CarId, CarVerdict) {
        let id = car.id();
        let ahead = self.config.cars_ahead;
        let complete = self.is_complete(&car);
        let Some(lane) = self.lanes.get_mut(car.lane.index()) else {
            return (id, CarVerdict::Useless);
        };
        // A car that only a snapshot stands for was perhaps never held here with all of its bytes:
        // nothing to acknowledge again.
        if complete && lane.chain.get(&car.index) == Some(&id) && lane.cars.contains_key(&id) {
            return (id, CarVerdict::Acked);
        }
        if lane.cars.contains_key(&id) {
            return (id, CarVerdict::Known);
        }
        let others = lane.by_index.get(&car.index).map_or(0, Vec::len);
        lane.equivocated |= others > 0;
        let in_window = car.index > lane.acked.index && car.index <= lane.acked.index + ahead;
        if !(wanted || in_window && others < FORKS_MAX) {
            return (id, CarVerdict::Useless);
        }
        self.store(car, id);
        (id, CarVerdict::New)
    }

    fn store(&mut self, car: Arc<Car>, id: CarId) {
        let lane = &mut self.lanes[car.lane.index()];
        lane.by_index.entry(car.index).or_default().push(id);
        lane.cars.insert(id, car);
    }

    /// Moves the acknowledged end of a lane over every complete car that extends it.
    pub fn advance(&mut self, lane_id: ReplicaId, now: Nanos) -> Vec<(CarId, Arc<Car>)> {
        let mut out = Vec::new();
        while let Some((id, car)) = self.next_car(lane_id) {
            let bound = self.lane(lane_id).map_or(0, |l| l.committed) + self.config.cars_ahead;
            if !self.is_complete(&car) || car.index > bound {
                break;
            }
            let lane = &mut self.lanes[lane_id.index()];
            lane.acked = CutEntry {
                index: car.index,
                car: id,
            };
            lane.chain.insert(car.index, id);
            out.push((id, car));
        }
        self.note_stuck(lane_id, now);
        out
    }

    /// The car that extends what was acknowledged of `lane_id`.
    fn next_car(&self, lane_id: ReplicaId) -> Option<(CarId, Arc<Car>)> {
        let lane = self.lanes.get(lane_id.index())?;
        lane.by_index
            .get(&(lane.acked.index + 1))?
            .iter()
            .find_map(|id| {
                let car = lane.cars.get(id)?;
                (car.prev == lane.acked.car).then(|| (*id, car.clone()))
            })
    }

    fn note_stuck(&mut self, lane_id: ReplicaId, now: Nanos) {
        let lane = &mut self.lanes[lane_id.index()];
        let newest = lane.by_index.keys().next_back().copied().unwrap_or(0);
        lane.stuck_since = match newest > lane.acked.index {
            true => lane.stuck_since.or(Some(now)),
            false => None,
        };
    }

    /// The newest cars from `from_index` up to `tip`, ascending, at most one message's worth.
    pub fn cars_between(&self, lane_id: ReplicaId, from_index: u64, tip: CarId) -> Vec<Car> {
        let Some(lane) = self.lanes.get(lane_id.index()) else {
            return Vec::new();
        };
        let mut out = VecDeque::new();
        let mut next = tip;
        while let Some(car) = lane.cars.get(&next) {
            if car.index < from_index {
                break;
            }
            // Newest first: each names the one before it, and the asker moves its tip down.
            out.push_front(car.as_ref().clone());
            if out.len() == CARS_MAX {
                break;
            }
            next = car.prev;
        }
        out.into()
    }

    /// Cars from `tip` down to `from_index`, as far as they are here; ascending.
    pub fn chain_of(&self, lane: ReplicaId, from_index: u64, tip: CarId) -> Vec<Arc<Car>> {
        let Some(lane) = self.lanes.get(lane.index()) else {
            return Vec::new();
        };
        let next = |car: &&Arc<Car>| lane.cars.get(&car.prev);
        let chain = std::iter::successors(lane.cars.get(&tip), next);
        let wanted = chain.take_while(|car| car.index >= from_index);
        let mut out: Vec<Arc<Car>> = wanted.cloned().collect();
        out.reverse();
        out
    }

    /// Restores a foreign car from the journal: it was written before it was acknowledged, in order.
    pub fn recover_acked(&mut self, car: Arc<Car>, id: CarId) {
        let newest = self.lane(car.lane).map(|lane| lane.acked.index);
        if newest.is_some_and(|index| car.index > index) {
            let lane = car.lane;
            self.store(car, id);
            self.force_acked(lane, id);
        }
    }

    /// Restores an acknowledgement from the journal: the car was written before it was given.
    pub fn force_acked(&mut self, lane_id: ReplicaId, id: CarId) {
        let Some(lane) = self.lanes.get_mut(lane_id.index()) else {
            return;
        };
        if let Some(car) = lane.cars.get(&id) {
            lane.acked = CutEntry {
                index: car.index,
                car: id,
            };
            lane.chain.insert(car.index, id);
        }
    }

    /// Every car that is kept, lane by lane in order of index.
    pub fn live_cars(&self) -> Vec<Arc<Car>> {
        let ids = self.lanes.iter().map(|lane| {
            lane.chain
                .values()
                .filter_map(|id| lane.cars.get(id).cloned())
        });
        ids.flatten().collect()
    }

    // ---- certificates -----------------------------------------------------------------------

    /// Keeps a certificate that was checked.
    pub fn note_verified(&mut self, cert: CarCert) {
        let (lane_id, index) = (cert.lane, cert.index);
        let Some(lane) = self.lanes.get_mut(lane_id.index()) else {
            return;
        };
        lane.checking = false;
        if lane
            .heard
            .as_ref()
            .is_some_and(|heard| heard.index <= index)
        {
            lane.heard = None;
        }
        if lane
            .verified
            .as_ref()
            .is_none_or(|known| known.index < index)
        {
            lane.verified = Some(cert);
        }
        if lane_id == self.me {
            while self
                .own
                .in_flight
                .front()
                .is_some_and(|f| f.car.index <= index)
            {
                self.own.in_flight.pop_front();
            }
        }
    }

    /// Keeps a certificate that its lane's owner announced, beside the one that was checked: what
    /// was only heard must never push out what a leader may use.
    pub fn note_heard(&mut self, cert: &CarCert) -> bool {
        let Some(lane) = self.lanes.get_mut(cert.lane.index()) else {
            return false;
        };
        let newest = |known: &Option<CarCert>| known.as_ref().map_or(0, |known| known.index);
        if lane.deaf || cert.index <= newest(&lane.verified).max(newest(&lane.heard)) {
            return false;
        }
        lane.heard = Some(cert.clone());
        true
    }

    /// Whether a check of a lane's certificate may begin: one at a time.
    pub fn begin_check(&mut self, lane_id: ReplicaId) -> bool {
        let lane = self.lanes.get_mut(lane_id.index());
        lane.is_some_and(|lane| !std::mem::replace(&mut lane.checking, true))
    }

    /// A certificate proved bad. If its owner announced it, the owner is not listened to again.
    pub fn bad_cert(&mut self, bad: &CarCert) {
        if let Some(lane) = self.lanes.get_mut(bad.lane.index()) {
            lane.checking = false;
            if lane.heard.as_ref() == Some(bad) {
                lane.heard = None;
                lane.deaf = true;
            }
        }
    }

    /// The newest certificate of a lane beyond `index`, checked and merely heard.
    pub fn candidates(
        &self,
        lane_id: ReplicaId,
        index: u64,
    ) -> (Option<&CarCert>, Option<&CarCert>) {
        let Some(lane) = self.lane(lane_id) else {
            return (None, None);
        };
        let verified = lane.verified.as_ref().filter(|cert| cert.index > index);
        let floor = verified.map_or(index, |cert| cert.index);
        (
            verified,
            lane.heard.as_ref().filter(|cert| cert.index > floor),
        )
    }

    /// True if this replica holds the car and its whole prefix: then it needs nobody's word for it.
    pub fn holds(&self, cert: &CarCert) -> bool {
        self.lane(cert.lane)
            .is_some_and(|lane| lane.chain.get(&cert.index) == Some(&cert.car))
    }

    // ---- horizon ----------------------------------------------------------------------------

    /// Forgets cars of a lane up to `index`. The end of the acknowledged chain stays.
    pub fn prune(&mut self, lane_id: ReplicaId, index: u64) {
        let Some(lane) = self.lanes.get_mut(lane_id.index()) else {
            return;
        };
        // The acknowledged end stays: a fresh journal must be able to say what was acknowledged.
        let index = index.min(lane.acked.index.saturating_sub(1));
        let live = lane.by_index.split_off(&(index + 1));
        for id in std::mem::replace(&mut lane.by_index, live)
            .into_values()
            .flatten()
        {
            lane.cars.remove(&id);
        }
        lane.chain = lane.chain.split_off(&(index + 1));
    }

    /// A snapshot stands for everything up to `cut`: lanes go on from there.
    pub fn jump(&mut self, cut: &[CutEntry]) {
        for (at, entry) in cut.iter().enumerate() {
            let Some(lane) = self.lanes.get_mut(at) else {
                return;
            };
            lane.committed = lane.committed.max(entry.index);
            lane.no_ack_up_to = lane.no_ack_up_to.max(entry.index);
            lane.owed.retain(|(car, _)| car.index > entry.index);
            if lane.acked.index < entry.index {
                lane.acked = *entry;
                lane.chain.insert(entry.index, entry.car);
            }
            if at == self.me.index() && self.own.tip.index < entry.index {
                self.own.tip = *entry;
            }
        }
    }
}

/// See [`Lanes::missing`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Missing {
    Nothing,
    Batches(Vec<BatchDigest>),
    Cars { from_index: u64, tip: CarId },
}
