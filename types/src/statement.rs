//! What exactly is signed. Every statement binds protocol version, kind, cluster and epoch.

use crate::codec::Wire;
use crate::committee::{Epoch, PROTOCOL_VERSION};
use crate::ids::{BlockId, CarId, Digest, Height, ReplicaId, View};
use crate::signers::SignerSet;

/// Kinds of statement; each is a signature domain of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Vote = 1,
    Proposal = 2,
    Timeout = 3,
    Car = 4,
    Ack = 5,
    Checkpoint = 6,
    Report = 7,
}

fn begin(kind: Kind, epoch: &Epoch) -> Vec<u8> {
    let mut out = Vec::with_capacity(160);
    out.extend_from_slice(b"reforge");
    out.push(PROTOCOL_VERSION);
    out.push(kind as u8);
    epoch.cluster.put(&mut out);
    epoch.id.put(&mut out);
    out
}

/// Vote of the vote scheme for `block` at `view`, whose header excludes `excluded`.
pub fn vote(epoch: &Epoch, view: View, block: BlockId, excluded: SignerSet) -> Vec<u8> {
    let mut out = begin(Kind::Vote, epoch);
    view.put(&mut out);
    block.put(&mut out);
    excluded.put(&mut out);
    out
}

/// "The newest block that I executed is `tip` at `height`." In the recovery epoch.
pub fn report(epoch: &Epoch, height: Height, tip: BlockId) -> Vec<u8> {
    let mut out = begin(Kind::Report, epoch);
    height.put(&mut out);
    tip.put(&mut out);
    out
}

/// The proposer's statement that `block` is its proposal at `view`.
pub fn proposal(epoch: &Epoch, view: View, block: BlockId) -> Vec<u8> {
    let mut out = begin(Kind::Proposal, epoch);
    view.put(&mut out);
    block.put(&mut out);
    out
}

/// "I give up on `view`; my newest certificate is of `high_qc_view`."
pub fn timeout(epoch: &Epoch, view: View, high_qc_view: View) -> Vec<u8> {
    let mut out = begin(Kind::Timeout, epoch);
    view.put(&mut out);
    high_qc_view.put(&mut out);
    out
}

/// The owner's statement that `car` is number `index` of its lane.
pub fn car(epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Vec<u8> {
    let mut out = begin(Kind::Car, epoch);
    lane.put(&mut out);
    index.put(&mut out);
    car.put(&mut out);
    out
}

/// "I hold `car`, number `index` of `lane`, and everything before it."
pub fn ack(epoch: &Epoch, lane: ReplicaId, index: u64, car: CarId) -> Vec<u8> {
    let mut out = begin(Kind::Ack, epoch);
    lane.put(&mut out);
    index.put(&mut out);
    car.put(&mut out);
    out
}

/// "Having executed `block` at `height`, my state is `state`."
pub fn checkpoint(epoch: &Epoch, height: Height, block: BlockId, state: Digest) -> Vec<u8> {
    let mut out = begin(Kind::Checkpoint, epoch);
    height.put(&mut out);
    block.put(&mut out);
    state.put(&mut out);
    out
}
