//! What the journal's opaque records mean, and what a restarted replica makes of them.

use std::collections::HashSet;

use bytes::Bytes;
use consensus::{Durable, FoundRecovery, OrderState, Recovered, Safety};
use execution::{AppKind, Executor};
use storage::{RECORD_BYTES_MAX, Record};
use types::codec::put_list;
use types::{
    BatchDigest, Car, CheckpointCert, Conflict, Digest, Epoch, ForkReport, Fraud, Header, Reader,
    RecoveryValue, Resumption, Wire,
};

use super::archive::Archive;
use super::snapshots;
use crate::NodeError;

const SAFETY: u8 = 1;
const HEADER: u8 = 2;
const CAR: u8 = 3;
const BATCH: u8 = 4;
const CHECKPOINT: u8 = 5;
const SNAPSHOT: u8 = 6;
const CONFLICT: u8 = 7;
const FRAUD: u8 = 8;
const REPORT: u8 = 9;
const VALUE: u8 = 10;
const RESUMPTION: u8 = 11;
const EPOCH: u8 = 12;

/// How many epochs a replica can show others the way through.
pub(super) const LINEAGE_MAX: usize = 16;

pub(super) fn encode(durable: &Durable) -> Record {
    match durable {
        Durable::Safety(safety) => record(SAFETY, [0; 32], safety.encode()),
        Durable::Header(header) => record(HEADER, header.id().0.0, header.encode()),
        Durable::Car(car) => record(CAR, car.id().0.0, car.encode()),
        Durable::Conflict(conflict) => record(CONFLICT, [0; 32], conflict.encode()),
        Durable::Fraud(fraud) => record(FRAUD, fraud.digest().0, fraud.encode()),
        Durable::Report(report) => record(REPORT, [0; 32], report.encode()),
        Durable::Value(value) => record(VALUE, value.digest().0, value.encode()),
        Durable::Resumption(resumption) => record(RESUMPTION, [0; 32], resumption.encode()),
    }
}

/// The working epoch of a journal whose beginning is the state at that epoch's root.
#[derive(Debug, Clone)]
pub(super) struct EpochBase {
    pub epoch: Epoch,
    /// Digest of the execution's state at the root.
    pub state: Digest,
    pub lineage: Vec<Resumption>,
}

/// An epoch's beginning, and the state at its root (empty if a later checkpoint follows).
pub(super) fn epoch(base: &EpochBase, snapshot: &Bytes) -> Vec<Record> {
    let mut bytes = Vec::new();
    base.epoch.put(&mut bytes);
    base.state.put(&mut bytes);
    put_list(&mut bytes, &base.lineage);
    let mut out = vec![record(EPOCH, [0; 32], Bytes::from(bytes))];
    out.extend(pieces(snapshot));
    out
}

fn pieces(snapshot: &Bytes) -> Vec<Record> {
    let mut out = Vec::new();
    let mut rest = snapshot.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(RECORD_BYTES_MAX));
        out.push(record(SNAPSHOT, [0; 32], piece));
    }
    out
}

pub(super) fn batch(digest: BatchDigest, bytes: Bytes) -> Record {
    record(BATCH, digest.0.0, bytes)
}

/// A checkpoint's certificate and its snapshot, in pieces that fit.
pub(super) fn checkpoint(cert: &CheckpointCert, snapshot: &Bytes) -> Vec<Record> {
    let mut out = vec![record(CHECKPOINT, [0; 32], cert.encode())];
    out.extend(pieces(snapshot));
    out
}

fn record(kind: u8, key: [u8; 32], bytes: Bytes) -> Record {
    // Every value that is written has a bound far below the journal's.
    Record::new(kind, key, [bytes]).expect("a record within the journal's bound")
}

/// A replica's past.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Working epoch, unless it is the first one.
    pub base: Option<EpochBase>,
    pub core: Recovered,
    pub recovery: FoundRecovery,
    pub batches: Vec<(BatchDigest, Bytes)>,
    /// Of the epoch before.
    pub archive: Option<Archive>,
    pub executor: Option<Executor>,
    pub checkpoint: Option<CheckpointCert>,
    pub order_bytes: Bytes,
}

/// Recovered cars that the recovered state does not cover yet.
pub(super) fn unexecuted(found: &Recovered) -> impl Iterator<Item = &Car> {
    found.cars.iter().filter(|car| {
        let order = found.order.as_ref();
        let covered = order.and_then(|order| order.cut.get(car.lane.index()));
        covered.is_none_or(|entry| car.index > entry.index)
    })
}

/// Reads the records of a journal, in order.
pub(super) fn read(
    records: Vec<Record>,
    app: AppKind,
    genesis: &Epoch,
) -> Result<Found, NodeError> {
    let mut found = Found::default();
    let mut snapshot = Vec::new();
    let (mut safeties, mut headers): (Vec<Safety>, Vec<Header>) = Default::default();
    for record in records {
        let bytes = record.bytes();
        match record.kind() {
            SAFETY => safeties.push(decode("safety state", bytes)?),
            HEADER => headers.push(decode::<Header>("header", bytes)?),
            CAR => found.core.cars.push(decode::<Car>("car", bytes)?),
            BATCH => found
                .batches
                .push((BatchDigest(Digest(*record.key())), bytes)),
            CHECKPOINT => {
                found.checkpoint = Some(decode("checkpoint", bytes)?);
                snapshot.clear();
            }
            SNAPSHOT => snapshot.extend_from_slice(&bytes),
            CONFLICT => found.recovery.conflict = Some(decode::<Conflict>("conflict", bytes)?),
            FRAUD => found
                .recovery
                .frauds
                .push(decode::<Fraud>("proof of fraud", bytes)?),
            REPORT => found.recovery.report = Some(decode::<ForkReport>("fork report", bytes)?),
            VALUE => found
                .recovery
                .values
                .push(decode::<RecoveryValue>("recovery value", bytes)?),
            RESUMPTION => {
                found.recovery.resumption = Some(decode::<Resumption>("resumption", bytes)?);
            }
            EPOCH => {
                found.base = Some(epoch_base(bytes)?);
                snapshot.clear();
            }
            kind => {
                return Err(NodeError::Recovery(format!(
                    "record of unknown kind {kind}: written by a newer version? start that one"
                )));
            }
        }
    }
    let epoch = found.base.as_ref().map_or(*genesis, |base| base.epoch);
    let recovery = epoch.recovery().id;
    let before = found.base.as_ref().and_then(|base| base.lineage.last());
    let before = before.filter(|_| found.checkpoint.is_none()).cloned();
    let mut past: (Vec<Header>, Vec<Car>) = Default::default();
    for safety in safeties {
        match safety.epoch {
            id if id == epoch.id => found.core.safety = Some(safety),
            id if id == recovery => found.recovery.core.safety = Some(safety),
            _ => {}
        }
    }
    for header in headers {
        match header.epoch {
            id if id == epoch.id => found.core.headers.push(header),
            id if id == recovery => found.recovery.core.headers.push(header),
            id if before.as_ref().is_some_and(|end| end.of == id) => past.0.push(header),
            _ => {}
        }
    }
    let cars = std::mem::take(&mut found.core.cars);
    let (cars, others): (Vec<Car>, Vec<Car>) =
        cars.into_iter().partition(|car| car.epoch == epoch.id);
    found.core.cars = cars;
    past.1 = others;
    if let Some(end) = before {
        past.1.retain(|car| car.epoch == end.of);
        found.archive = Archive::new(&end, past.0, past.1);
    }
    if let Some(archive) = &mut found.archive {
        let live = found.core.cars.iter().flat_map(|car| &car.batches);
        let live: HashSet<BatchDigest> = live.map(|batch| batch.digest).collect();
        archive.take_batches(&mut found.batches, &live);
    }
    found.core.batches = found.batches.iter().map(|(digest, _)| *digest).collect();
    if let Some(base) = found.base.as_ref().filter(|_| found.checkpoint.is_none()) {
        let executor = Executor::restore(&snapshot, base.state)
            .map_err(|why| NodeError::Recovery(format!("state at an epoch's root: {why}")))?;
        found.executor = Some(executor);
    }
    if let Some(cert) = &found.checkpoint {
        let opened = snapshots::open(&Bytes::from(snapshot), cert, app).map_err(|why| {
            NodeError::Recovery(format!("snapshot at height {}: {why}", cert.height))
        })?;
        found.core.order = Some(opened.order);
        found.executor = Some(opened.executor);
        found.order_bytes = opened.order_bytes;
    }
    Ok(found)
}

fn decode<T: Wire>(what: &str, bytes: Bytes) -> Result<T, NodeError> {
    T::decode(bytes).map_err(|why| NodeError::Recovery(format!("{what}: {why}")))
}

fn epoch_base(bytes: Bytes) -> Result<EpochBase, NodeError> {
    let mut reader = Reader::new(bytes);
    let mut read = || {
        let epoch = Epoch::take(&mut reader)?;
        let state = Digest::take(&mut reader)?;
        let lineage = reader.list("resumptions", LINEAGE_MAX)?;
        reader.finish()?;
        Ok(EpochBase {
            epoch,
            state,
            lineage,
        })
    };
    read().map_err(|why: types::CodecError| NodeError::Recovery(format!("epoch: {why}")))
}

/// Decodes the ordering state of a snapshot.
pub(super) fn order(bytes: Bytes) -> Result<OrderState, String> {
    OrderState::decode(bytes).map_err(|why| format!("ordering state: {why}"))
}
