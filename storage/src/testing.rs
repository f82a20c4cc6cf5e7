//! What the tests of this room share.
use bytes::Bytes;

use crate::log::{Command, Log, Salts};
use crate::recovery::{Recovery, open_log};
use crate::sim_store::SimStore;
use crate::{Options, Record, StorageError, Waker};

/// A record whose content follows from `n`, cut into up to three parts.
pub(crate) fn record(n: u64, len: usize) -> Record {
    let mut rng = Salts(n);
    let payload: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
    let payload = Bytes::from(payload);
    let (a, b) = (len / 3, len / 2);
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    let parts = [payload.slice(..a), payload.slice(a..b), payload.slice(b..)];
    Record::new(n as u8, key, parts).expect("below the limit")
}

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        ..Options::new([7; 32])
    }
}

pub(crate) fn open_sim(store: &SimStore) -> Result<(Log<SimStore>, Recovery), StorageError> {
    open_log(store.clone(), &options(), Salts(1))
}

pub(crate) fn appends(records: &[Record]) -> Vec<Command> {
    records.iter().cloned().map(Command::Append).collect()
}

pub(crate) fn asleep() -> Waker {
    Box::new(|| {})
}
