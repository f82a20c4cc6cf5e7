//! What replicas say to each other: one tag byte, then the value.

use bytes::Bytes;

use crate::cert::{CarCert, CheckpointCert, Qc, Tc};
use crate::codec::{CodecError, Reader, Wire, put_bytes, put_list};
use crate::fraud::Fraud;
use crate::header::{Header, Proposal, Vote};
use crate::ids::{BatchDigest, BlockId, CarId, Digest, EpochId, Height, ReplicaId};
use crate::lane::{Ack, Car};
use crate::limits::{
    BATCH_LEN_MAX, BATCH_REQUEST_MAX, CARS_MAX, CHAIN_HEADERS_MAX, FRAUDS_MAX,
    SNAPSHOT_CHUNK_LEN_MAX,
};
use crate::proof::CommitProof;
use crate::recovery::{
    Branch, BranchRequest, Conflict, ForkReport, Notice, ProofRequest, RecoveryValue, Resumption,
};
use crate::timeout::Timeout;
use crate::wire_struct;

/// "My newest certificates are these": answers a peer that is behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewView {
    pub high_qc: Qc,
    pub tc: Option<Tc>,
}
wire_struct!(NewView { high_qc, tc });

/// "Send me the headers above `above` on the chain that ends in `tip`."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainRequest {
    pub epoch: EpochId,
    pub above: Height,
    pub tip: BlockId,
}
wire_struct!(ChainRequest { epoch, above, tip });

/// Headers ascending by height, each the parent of the next; `tip` is the certificate of the last
/// one where the sender has it. Empty headers with a checkpoint: the range is pruned, take the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainResponse {
    pub epoch: EpochId,
    pub headers: Vec<Header>,
    pub tip: Option<Qc>,
    pub pruned: Option<CheckpointCert>,
}

impl Wire for ChainResponse {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        put_list(out, &self.headers);
        self.tip.put(out);
        self.pruned.put(out);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(ChainResponse {
            epoch: Wire::take(reader)?,
            headers: reader.list("chain headers", CHAIN_HEADERS_MAX)?,
            tip: Wire::take(reader)?,
            pruned: Wire::take(reader)?,
        })
    }
}

/// "Send me the cars of `lane` from `from_index` up to `tip`."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarRequest {
    pub epoch: EpochId,
    pub lane: ReplicaId,
    pub from_index: u64,
    pub tip: CarId,
}
wire_struct!(CarRequest {
    epoch,
    lane,
    from_index,
    tip
});

/// One replica's signed statement about its state at a checkpoint height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointShare {
    pub epoch: EpochId,
    pub height: Height,
    pub block: BlockId,
    pub state: Digest,
    pub replica: ReplicaId,
    /// Ed25519 over `statement::checkpoint`.
    pub signature: [u8; 64],
}
wire_struct!(CheckpointShare {
    epoch,
    height,
    block,
    state,
    replica,
    signature
});

/// "Send me the snapshot of the checkpoint at `height`, from byte `offset` on."
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRequest {
    pub epoch: EpochId,
    pub height: Height,
    pub offset: u64,
}
wire_struct!(SnapshotRequest {
    epoch,
    height,
    offset
});

/// A piece of a snapshot. What it adds up to is checked against the certificate's state digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotChunk {
    pub cert: CheckpointCert,
    pub total_bytes: u64,
    pub offset: u64,
    pub bytes: Bytes,
}

impl Wire for SnapshotChunk {
    fn put(&self, out: &mut Vec<u8>) {
        self.cert.put(out);
        self.total_bytes.put(out);
        self.offset.put(out);
        put_bytes(out, &self.bytes);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(SnapshotChunk {
            cert: Wire::take(reader)?,
            total_bytes: Wire::take(reader)?,
            offset: Wire::take(reader)?,
            bytes: reader.byte_string("snapshot chunk", SNAPSHOT_CHUNK_LEN_MAX)?,
        })
    }
}

/// A message between replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    Proposal(Proposal),
    Vote(Vote),
    Timeout(Timeout),
    NewView(NewView),
    /// A batch of the sender's own lane. Its bytes end the frame and are shared, never copied.
    Batch(Bytes),
    Car(Car),
    Ack(Ack),
    CarCert(CarCert),
    ChainRequest(ChainRequest),
    ChainResponse(ChainResponse),
    CarRequest(CarRequest),
    Cars(Vec<Car>),
    BatchRequest(Vec<BatchDigest>),
    /// A batch that was asked for.
    BatchResponse(Bytes),
    CheckpointShare(CheckpointShare),
    SnapshotRequest(SnapshotRequest),
    SnapshotChunk(SnapshotChunk),
    Notice(Notice),
    ProofRequest(ProofRequest),
    /// Answers a [`ProofRequest`]; the proof's first block has the height that was asked for.
    Proof(CommitProof),
    Conflict(Box<Conflict>),
    BranchRequest(BranchRequest),
    Branch(Branch),
    Frauds(Vec<Fraud>),
    ForkReport(Box<ForkReport>),
    /// "Send me the recovery value with this digest." The epoch is the recovery epoch.
    ValueRequest(EpochId, Digest),
    Value(EpochId, Box<RecoveryValue>),
    Resumption(Box<Resumption>),
}

impl Message {
    /// The tag byte; also the index of [`Message::NAMES`].
    pub fn tag(&self) -> u8 {
        match self {
            Message::Proposal(_) => 0,
            Message::Vote(_) => 1,
            Message::Timeout(_) => 2,
            Message::NewView(_) => 3,
            Message::Batch(_) => 4,
            Message::Car(_) => 5,
            Message::Ack(_) => 6,
            Message::CarCert(_) => 7,
            Message::ChainRequest(_) => 8,
            Message::ChainResponse(_) => 9,
            Message::CarRequest(_) => 10,
            Message::Cars(_) => 11,
            Message::BatchRequest(_) => 12,
            Message::BatchResponse(_) => 13,
            Message::CheckpointShare(_) => 14,
            Message::SnapshotRequest(_) => 15,
            Message::SnapshotChunk(_) => 16,
            Message::Notice(_) => 17,
            Message::ProofRequest(_) => 18,
            Message::Proof(_) => 19,
            Message::Conflict(_) => 20,
            Message::BranchRequest(_) => 21,
            Message::Branch(_) => 22,
            Message::Frauds(_) => 23,
            Message::ForkReport(_) => 24,
            Message::ValueRequest(..) => 25,
            Message::Value(..) => 26,
            Message::Resumption(_) => 27,
        }
    }

    pub const NAMES: [&'static str; 28] = [
        "proposal",
        "vote",
        "timeout",
        "new-view",
        "batch",
        "car",
        "ack",
        "car-cert",
        "chain-request",
        "chain-response",
        "car-request",
        "cars",
        "batch-request",
        "batch-response",
        "checkpoint-share",
        "snapshot-request",
        "snapshot-chunk",
        "notice",
        "proof-request",
        "proof",
        "conflict",
        "branch-request",
        "branch",
        "frauds",
        "fork-report",
        "value-request",
        "value",
        "resumption",
    ];

    /// The epoch that a message is about; none where it is about bytes alone.
    pub fn epoch(&self) -> Option<EpochId> {
        Some(match self {
            Message::Proposal(m) => m.header.epoch,
            Message::Vote(m) => m.epoch,
            Message::Timeout(m) => m.epoch,
            Message::NewView(m) => m.high_qc.epoch,
            Message::Car(m) => m.epoch,
            Message::Ack(m) => m.epoch,
            Message::CarCert(m) => m.epoch,
            Message::ChainRequest(m) => m.epoch,
            Message::ChainResponse(m) => m.epoch,
            Message::CarRequest(m) => m.epoch,
            Message::Cars(m) => m.first()?.epoch,
            Message::CheckpointShare(m) => m.epoch,
            Message::SnapshotRequest(m) => m.epoch,
            Message::SnapshotChunk(m) => m.cert.epoch,
            Message::Notice(m) => m.epoch,
            Message::ProofRequest(m) => m.epoch,
            Message::Proof(m) => m.chain.first()?.epoch,
            Message::Conflict(m) => m.epoch,
            Message::BranchRequest(m) => m.epoch,
            Message::Branch(m) => m.epoch,
            Message::Frauds(m) => m.first()?.epoch(),
            Message::ForkReport(m) => m.epoch,
            Message::ValueRequest(epoch, _) | Message::Value(epoch, _) => *epoch,
            Message::Resumption(m) => m.of,
            Message::Batch(_) | Message::BatchRequest(_) | Message::BatchResponse(_) => {
                return None;
            }
        })
    }

    pub fn name(&self) -> &'static str {
        Message::NAMES[usize::from(self.tag())]
    }

    /// True for the messages whose weight is data: they wait behind everything else on a link.
    pub fn is_bulk(&self) -> bool {
        matches!(
            self,
            Message::Batch(_) | Message::BatchResponse(_) | Message::SnapshotChunk(_)
        )
    }

    /// Whether a frame with this tag is about a split: from notices to resumptions. There are few of them,
    /// and everybody's order waits for them.
    pub fn tells_of_split(tag: u8) -> bool {
        (17..=27).contains(&tag)
    }

    /// The frame as a head of our own and a body that may be shared with other peers and the store.
    pub fn to_parts(&self) -> (Bytes, Option<Bytes>) {
        match self {
            Message::Batch(bytes) | Message::BatchResponse(bytes) => {
                (Bytes::copy_from_slice(&[self.tag()]), Some(bytes.clone()))
            }
            other => (other.encode(), None),
        }
    }
}

impl Wire for Message {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(self.tag());
        match self {
            Message::Proposal(m) => m.put(out),
            Message::Vote(m) => m.put(out),
            Message::Timeout(m) => m.put(out),
            Message::NewView(m) => m.put(out),
            Message::Batch(m) | Message::BatchResponse(m) => out.extend_from_slice(m),
            Message::Car(m) => m.put(out),
            Message::Ack(m) => m.put(out),
            Message::CarCert(m) => m.put(out),
            Message::ChainRequest(m) => m.put(out),
            Message::ChainResponse(m) => m.put(out),
            Message::CarRequest(m) => m.put(out),
            Message::Cars(m) => put_list(out, m),
            Message::BatchRequest(m) => put_list(out, m),
            Message::CheckpointShare(m) => m.put(out),
            Message::SnapshotRequest(m) => m.put(out),
            Message::SnapshotChunk(m) => m.put(out),
            Message::Notice(m) => m.put(out),
            Message::ProofRequest(m) => m.put(out),
            Message::Proof(m) => m.put(out),
            Message::Conflict(m) => m.put(out),
            Message::BranchRequest(m) => m.put(out),
            Message::Branch(m) => m.put(out),
            Message::Frauds(m) => put_list(out, m),
            Message::ForkReport(m) => m.put(out),
            Message::ValueRequest(epoch, digest) => {
                epoch.put(out);
                digest.put(out);
            }
            Message::Value(epoch, value) => {
                epoch.put(out);
                value.put(out);
            }
            Message::Resumption(m) => m.put(out),
        }
    }

    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(match u8::take(reader)? {
            0 => Message::Proposal(Wire::take(reader)?),
            1 => Message::Vote(Wire::take(reader)?),
            2 => Message::Timeout(Wire::take(reader)?),
            3 => Message::NewView(Wire::take(reader)?),
            4 => Message::Batch(batch_bytes(reader)?),
            5 => Message::Car(Wire::take(reader)?),
            6 => Message::Ack(Wire::take(reader)?),
            7 => Message::CarCert(Wire::take(reader)?),
            8 => Message::ChainRequest(Wire::take(reader)?),
            9 => Message::ChainResponse(Wire::take(reader)?),
            10 => Message::CarRequest(Wire::take(reader)?),
            11 => Message::Cars(reader.list("cars", CARS_MAX)?),
            12 => Message::BatchRequest(reader.list("batch digests", BATCH_REQUEST_MAX)?),
            13 => Message::BatchResponse(batch_bytes(reader)?),
            14 => Message::CheckpointShare(Wire::take(reader)?),
            15 => Message::SnapshotRequest(Wire::take(reader)?),
            16 => Message::SnapshotChunk(Wire::take(reader)?),
            17 => Message::Notice(Wire::take(reader)?),
            18 => Message::ProofRequest(Wire::take(reader)?),
            19 => Message::Proof(Wire::take(reader)?),
            20 => Message::Conflict(Box::new(Wire::take(reader)?)),
            21 => Message::BranchRequest(Wire::take(reader)?),
            22 => Message::Branch(Wire::take(reader)?),
            23 => Message::Frauds(reader.list("proofs of fraud", FRAUDS_MAX)?),
            24 => Message::ForkReport(Box::new(Wire::take(reader)?)),
            25 => Message::ValueRequest(Wire::take(reader)?, Wire::take(reader)?),
            26 => Message::Value(Wire::take(reader)?, Box::new(Wire::take(reader)?)),
            27 => Message::Resumption(Box::new(Wire::take(reader)?)),
            found => {
                return Err(CodecError::BadTag {
                    what: "message",
                    found,
                });
            }
        })
    }
}

fn batch_bytes(reader: &mut Reader) -> Result<Bytes, CodecError> {
    match reader.left() {
        len if len <= BATCH_LEN_MAX => Ok(reader.rest()),
        found => Err(CodecError::TooLong {
            what: "batch",
            found,
            limit: BATCH_LEN_MAX,
        }),
    }
}
