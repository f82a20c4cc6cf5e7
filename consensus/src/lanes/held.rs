//! What this replica holds of a lane without anybody's certificate, what it lacks, and the acknowledgements
//! that it owes.

use types::limits::BATCH_REQUEST_MAX;
use types::{BatchDigest, CarId, ReplicaId, View};

use super::{CutEntry, Lanes, Missing};

impl Lanes {
    /// Remembers to acknowledge `car`, unless it is committed before view `due`.
    pub fn owe_ack(&mut self, lane_id: ReplicaId, car: CutEntry, due: View) {
        if let Some(lane) = self.lanes.get_mut(lane_id.index()) {
            lane.owed.push_back((car, due));
        }
    }

    /// Acknowledgements that are due in the current view.
    pub fn owed_now(&mut self) -> Vec<(ReplicaId, CutEntry)> {
        let (mut out, view) = (Vec::new(), self.view);
        for (at, lane) in self.lanes.iter_mut().enumerate() {
            while let Some((car, _)) = lane.owed.pop_front_if(|(_, due)| *due <= view) {
                out.push((ReplicaId(at as u16), car));
            }
        }
        out
    }

    /// Every acknowledgement that is owed is due.
    pub fn hurry_acks(&mut self) {
        let owed = self.lanes.iter_mut().flat_map(|lane| &mut lane.owed);
        owed.for_each(|(_, due)| *due = View(0));
    }

    /// The end of what this replica holds of a lane, if it lies beyond `base` and continues it.
    pub fn held_above(&self, lane_id: ReplicaId, base: CutEntry) -> Option<CutEntry> {
        let lane = self.lane(lane_id)?;
        let next = lane.chain.get(&(base.index + 1))?;
        let continues = lane.cars.get(next)?.prev == base.car;
        (continues && lane.chain.contains_key(&lane.acked.index)).then_some(lane.acked)
    }

    /// What keeps this replica from holding a lane up to `tip`.
    pub fn missing_below(&self, lane_id: ReplicaId, tip: CarId) -> Missing {
        let Some(lane) = self.lane(lane_id) else {
            return Missing::Nothing;
        };
        match lane.cars.contains_key(&tip) {
            true => self.missing(lane_id),
            false => Missing::Cars {
                from_index: lane.acked.index + 1,
                tip,
            },
        }
    }

    /// Whether a car is kept here and not committed.
    pub fn is_uncommitted(&self, lane_id: ReplicaId, car: CarId) -> bool {
        let lane = self.lane(lane_id);
        lane.is_some_and(|lane| {
            lane.cars
                .get(&car)
                .is_some_and(|car| car.index > lane.committed)
        })
    }

    /// What keeps a stuck lane from going on: batches of the next car, or the cars before a known one.
    pub fn missing(&self, lane_id: ReplicaId) -> Missing {
        let Some(lane) = self.lanes.get(lane_id.index()) else {
            return Missing::Nothing;
        };
        if let Some((_, car)) = self.next_car(lane_id) {
            let digests: Vec<BatchDigest> = car
                .batches
                .iter()
                .map(|batch| batch.digest)
                .filter(|digest| !self.present.contains(digest))
                .take(BATCH_REQUEST_MAX)
                .collect();
            return if digests.is_empty() {
                Missing::Nothing
            } else {
                Missing::Batches(digests)
            };
        }
        match lane.by_index.range(lane.acked.index + 1..).next() {
            Some((_, ids)) => match ids.first() {
                Some(tip) => Missing::Cars {
                    from_index: lane.acked.index + 1,
                    tip: *tip,
                },
                None => Missing::Nothing,
            },
            None => Missing::Nothing,
        }
    }
}
