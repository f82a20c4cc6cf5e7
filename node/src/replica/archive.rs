//! What a restarted replica still serves of the epoch before: the chains that its own epoch rests on. They
//! stand in the journal until a checkpoint stands for them. Without it, whoever restarts between the merge
//! and the first checkpoint could leave another one behind that had not gathered everything yet.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use consensus::Durable;
use storage::Record;
use types::limits::{CARS_MAX, CHAIN_BYTES_MAX, CHAIN_HEADERS_MAX};
use types::{
    BatchDigest, BlockId, BranchRequest, Car, CarId, CarRequest, ChainRequest, ChainResponse,
    EpochId, Header, Height, Message, Qc, ReplicaId, Resumption, SignerSet, Wire, recovery,
};

use super::epochs::Past;
use super::outbox::Out;
use super::{Replica, records};
use crate::platform::Platform;

/// Own blocks below the lowest fork that are kept for those who lag, at most. Who lags further crosses over.
const DEPTH_BLOCKS: u64 = 32;
/// Bytes of batches in it, the newest ones.
const BYTES_MAX: usize = 32 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Archive {
    of: EpochId,
    headers: HashMap<BlockId, Header>,
    cars: HashMap<CarId, Car>,
    batches: HashMap<BatchDigest, Bytes>,
    /// Certificates of the last blocks, where an eviction ended the epoch.
    certs: Vec<Qc>,
}

impl Archive {
    /// What a journal holds of the epoch that `resumption` ended; none if it is nothing.
    pub fn new(resumption: &Resumption, headers: Vec<Header>, cars: Vec<Car>) -> Option<Archive> {
        let certs = resumption.proof.certs.iter();
        let certs = certs.filter(|qc| qc.epoch == resumption.of).cloned();
        (!headers.is_empty()).then(|| Archive {
            of: resumption.of,
            headers: headers.into_iter().map(|h| (h.id(), h)).collect(),
            cars: cars.into_iter().map(|car| (car.id(), car)).collect(),
            batches: HashMap::new(),
            certs: certs.collect(),
        })
    }

    /// Takes the bytes of its batches out of `all`, unless `live` ones name them as well: those are shared.
    pub fn take_batches(
        &mut self,
        all: &mut Vec<(BatchDigest, Bytes)>,
        live: &HashSet<BatchDigest>,
    ) {
        let named = self.cars.values().flat_map(|car| &car.batches);
        let named: HashSet<BatchDigest> = named.map(|batch| batch.digest).collect();
        all.retain(|(digest, bytes)| {
            let own = named.contains(digest);
            if own {
                self.batches.insert(*digest, bytes.clone());
            }
            !own || live.contains(digest)
        });
    }

    pub fn is_of(&self, epoch: EpochId) -> bool {
        self.of == epoch
    }

    pub fn batch(&self, digest: &BatchDigest) -> Option<&Bytes> {
        self.batches.get(digest)
    }

    fn answer(&self, message: &Message) -> Option<Message> {
        match message {
            Message::BranchRequest(m) => self.branch(m),
            Message::ChainRequest(m) => self.chain(m),
            Message::CarRequest(m) => self.cars(m),
            _ => None,
        }
    }

    /// Headers from `tip` down to, without, `above`; ascending.
    fn down(&self, tip: BlockId, above: Height) -> Vec<&Header> {
        let next = |header: &&Header| self.headers.get(&header.parent());
        let chain = std::iter::successors(self.headers.get(&tip), next);
        let mut out: Vec<&Header> = chain.take_while(|header| header.height > above).collect();
        out.reverse();
        out
    }

    fn branch(&self, request: &BranchRequest) -> Option<Message> {
        let headers = self.down(request.tip, request.above);
        let skip = headers.len().saturating_sub(CHAIN_HEADERS_MAX);
        let headers: Vec<Header> = headers.into_iter().skip(skip).cloned().collect();
        (!headers.is_empty()).then_some(Message::Branch(recovery::Branch {
            epoch: self.of,
            headers,
        }))
    }

    /// Up to the block that ended the epoch.
    fn chain(&self, request: &ChainRequest) -> Option<Message> {
        let last = self.certs.last()?.block;
        let all = self.down(last, request.above);
        if all.first()?.height != request.above.next() {
            return None;
        }
        let mut bytes_left = CHAIN_BYTES_MAX;
        let fits = |header: &&&Header| {
            let len = header.encode().len();
            let fits = len <= bytes_left;
            bytes_left = bytes_left.saturating_sub(len);
            fits
        };
        let headers: Vec<Header> = all
            .iter()
            .take(CHAIN_HEADERS_MAX)
            .take_while(fits)
            .copied()
            .cloned()
            .collect();
        let above = all.get(headers.len()).map(|header| header.justify.clone());
        let tip = above.or_else(|| self.certs.last().cloned());
        Some(Message::ChainResponse(ChainResponse {
            epoch: self.of,
            headers,
            tip,
            pruned: None,
        }))
    }

    fn cars(&self, request: &CarRequest) -> Option<Message> {
        let next = |car: &&Car| self.cars.get(&car.prev);
        let chain = std::iter::successors(self.cars.get(&request.tip), next);
        let wanted = chain.take_while(|car| car.index >= request.from_index);
        let mut cars: Vec<Car> = wanted.take(CARS_MAX).cloned().collect();
        cars.reverse();
        (!cars.is_empty()).then_some(Message::Cars(cars))
    }
}

impl Past {
    /// Records of the chains that the next epoch rests on, as far as they are here.
    pub fn archive(&self, resumption: &Resumption) -> Vec<Record> {
        let core = &self.core;
        let (executed, mut tips): (Height, Vec<(BlockId, Height)>) =
            match (&self.recovery, resumption.evicting()) {
                (Some(recovery), _) => {
                    let reports = resumption.value.reports.iter();
                    (
                        recovery.executed(),
                        reports.map(|r| (r.tip, r.height)).collect(),
                    )
                }
                (None, Some(block)) => (block.height, vec![(block.id(), block.height)]),
                (None, None) => return Vec::new(),
            };
        let bases = tips
            .iter()
            .filter_map(|(tip, height)| core.branch_base(*tip, *height, executed));
        let floor = bases.min().unwrap_or(executed);
        let floor = core.kept_floor(floor, DEPTH_BLOCKS);
        let mut headers: BTreeMap<BlockId, Record> = BTreeMap::new();
        let (mut cars, mut batches) = (BTreeMap::new(), BTreeMap::new());
        let mut bytes_left = BYTES_MAX;
        // The highest first: a tip below another one of its branch adds nothing.
        tips.sort_unstable_by_key(|(_, height)| Reverse(*height));
        for (tip, _) in tips {
            if headers.contains_key(&tip) {
                continue;
            }
            let Some((chain, added)) = core.chain_parts(tip, floor, executed) else {
                continue;
            };
            for header in chain {
                let record = || records::encode(&Durable::Header(header.header.clone()));
                headers.entry(header.id).or_insert_with(record);
            }
            for car in added.into_iter().rev() {
                let Entry::Vacant(slot) = cars.entry(car.id()) else {
                    continue;
                };
                for batch in &car.batches {
                    if let Some(bytes) = self.store.get(&batch.digest)
                        && bytes.len() <= bytes_left
                        && !batches.contains_key(&batch.digest)
                    {
                        bytes_left -= bytes.len();
                        batches.insert(batch.digest, records::batch(batch.digest, bytes.clone()));
                    }
                }
                slot.insert(records::encode(&Durable::Car(car.clone())));
            }
        }
        let (headers, cars) = (headers.into_values(), cars.into_values());
        headers.chain(cars).chain(batches.into_values()).collect()
    }
}

impl<P: Platform> Replica<P> {
    pub(super) fn serve_archive(&mut self, from: ReplicaId, epoch: EpochId, message: &Message) {
        let archive = self.archive.as_ref().filter(|archive| archive.is_of(epoch));
        if let Some(answer) = archive.and_then(|archive| archive.answer(message)) {
            let to = SignerSet::from_iter([from]);
            self.outbox.push(Out::Peers(to, answer));
        }
    }
}
