//! Lanes: how data gets to everybody before it is ordered (Autobahn, SOSP 2024).

use bytes::Bytes;

use crate::cert::{CarCert, Multisig};
use crate::codec::{CodecError, Reader, Wire, put_list};
use crate::ids::{BatchDigest, CarId, Digest, EpochId, ReplicaId};
use crate::limits::{BATCH_LEN_MAX, CAR_BATCHES_MAX};
use crate::wire_struct;

/// A batch as a car names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchRef {
    pub digest: BatchDigest,
    pub len_bytes: u32,
    pub txs: u32,
}

impl Wire for BatchRef {
    fn put(&self, out: &mut Vec<u8>) {
        self.digest.put(out);
        self.len_bytes.put(out);
        self.txs.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let batch = BatchRef {
            digest: Wire::take(reader)?,
            len_bytes: Wire::take(reader)?,
            txs: Wire::take(reader)?,
        };
        match batch.len_bytes as usize {
            len if len <= BATCH_LEN_MAX => Ok(batch),
            found => Err(CodecError::TooLong {
                what: "batch",
                found,
                limit: BATCH_LEN_MAX,
            }),
        }
    }
}

/// One link of a lane's chain. `index` counts from 1; the first car's `prev` is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Car {
    pub epoch: EpochId,
    pub lane: ReplicaId,
    pub index: u64,
    pub prev: CarId,
    pub batches: Vec<BatchRef>,
    /// Ed25519 of the lane's owner over `statement::car`.
    pub signature: [u8; 64],
}

impl Car {
    /// Hash of everything but the signature.
    pub fn id(&self) -> CarId {
        let mut body = Vec::with_capacity(128 + 40 * self.batches.len());
        self.put_body(&mut body);
        CarId(Digest::of("reforge car v1", &body))
    }

    pub fn len_bytes(&self) -> u64 {
        self.batches.iter().map(|b| u64::from(b.len_bytes)).sum()
    }

    fn put_body(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        self.lane.put(out);
        self.index.put(out);
        self.prev.put(out);
        put_list(out, &self.batches);
    }
}

impl Wire for Car {
    fn put(&self, out: &mut Vec<u8>) {
        self.put_body(out);
        self.signature.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(Car {
            epoch: Wire::take(reader)?,
            lane: Wire::take(reader)?,
            index: Wire::take(reader)?,
            prev: Wire::take(reader)?,
            batches: reader.list::<BatchRef>("car batches", CAR_BATCHES_MAX)?,
            signature: Wire::take(reader)?,
        })
    }
}

/// "I hold this car, its batches and its whole prefix." Checked when a quorum is put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    pub epoch: EpochId,
    pub lane: ReplicaId,
    pub index: u64,
    pub car: CarId,
    pub replica: ReplicaId,
    /// Ed25519 over `statement::ack`.
    pub signature: [u8; 64],
}

impl Ack {
    /// The same statement as a list of one. None for a replica that no committee has.
    pub fn alone(&self) -> Option<CarCert> {
        let signature = Bytes::copy_from_slice(&self.signature);
        Some(CarCert {
            epoch: self.epoch,
            lane: self.lane,
            index: self.index,
            car: self.car,
            acks: Multisig::alone(self.replica, signature)?,
        })
    }
}

wire_struct!(Ack {
    epoch,
    lane,
    index,
    car,
    replica,
    signature
});
