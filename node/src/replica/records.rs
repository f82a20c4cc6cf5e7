//! What the journal's opaque records mean, and what a restarted replica makes of them.

use bytes::Bytes;
use consensus::{Durable, OrderState, Recovered};
use execution::{AppKind, Executor};
use storage::{RECORD_BYTES_MAX, Record};
use types::{BatchDigest, Car, CheckpointCert, Digest, Header, Wire};

use super::snapshots;
use crate::NodeError;

const SAFETY: u8 = 1;
const HEADER: u8 = 2;
const CAR: u8 = 3;
const BATCH: u8 = 4;
const CHECKPOINT: u8 = 5;
const SNAPSHOT: u8 = 6;

pub(super) fn encode(durable: &Durable) -> Record {
    match durable {
        Durable::Safety(safety) => record(SAFETY, [0; 32], safety.encode()),
        Durable::Header(header) => record(HEADER, header.id().0.0, header.encode()),
        Durable::Car(car) => record(CAR, car.id().0.0, car.encode()),
    }
}

pub(super) fn batch(digest: BatchDigest, bytes: Bytes) -> Record {
    record(BATCH, digest.0.0, bytes)
}

/// A checkpoint's certificate and its snapshot, in pieces that fit.
pub(super) fn checkpoint(cert: &CheckpointCert, snapshot: &Bytes) -> Vec<Record> {
    let mut out = vec![record(CHECKPOINT, [0; 32], cert.encode())];
    let mut rest = snapshot.clone();
    while !rest.is_empty() {
        let piece = rest.split_to(rest.len().min(RECORD_BYTES_MAX));
        out.push(record(SNAPSHOT, [0; 32], piece));
    }
    out
}

fn record(kind: u8, key: [u8; 32], bytes: Bytes) -> Record {
    // Every value that is written has a bound far below the journal's.
    Record::new(kind, key, [bytes]).expect("a record within the journal's bound")
}

/// A replica's past.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub core: Recovered,
    pub batches: Vec<(BatchDigest, Bytes)>,
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
pub(super) fn read(records: Vec<Record>, app: AppKind) -> Result<Found, NodeError> {
    let mut found = Found::default();
    let mut snapshot = Vec::new();
    for record in records {
        let bytes = record.bytes();
        match record.kind() {
            SAFETY => found.core.safety = Some(decode("safety state", bytes)?),
            HEADER => found.core.headers.push(decode::<Header>("header", bytes)?),
            CAR => found.core.cars.push(decode::<Car>("car", bytes)?),
            BATCH => found
                .batches
                .push((BatchDigest(Digest(*record.key())), bytes)),
            CHECKPOINT => {
                found.checkpoint = Some(decode("checkpoint", bytes)?);
                snapshot.clear();
            }
            SNAPSHOT => snapshot.extend_from_slice(&bytes),
            kind => {
                return Err(NodeError::Recovery(format!(
                    "record of unknown kind {kind}: written by a newer version? start that one"
                )));
            }
        }
    }
    found.core.batches = found.batches.iter().map(|(digest, _)| *digest).collect();
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

/// Decodes the ordering state of a snapshot.
pub(super) fn order(bytes: Bytes) -> Result<OrderState, String> {
    OrderState::decode(bytes).map_err(|why| format!("ordering state: {why}"))
}
