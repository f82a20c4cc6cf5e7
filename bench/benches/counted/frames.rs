//! Frames between replicas: written and read again; the name of a batch.

use std::hint::black_box;

use bytes::Bytes;
use gungraun::{library_benchmark, library_benchmark_group};
use types::batch::GroupBuilder;
use types::{
    BatchDigest, BatchRef, Car, CarCert, CarId, Checkpoint, Digest, EpochId, Header, Height,
    Message, Multisig, Proposal, Qc, ReplicaId, SignerSet, View, Wire,
};

use crate::plant::rounds;

const EPOCH: EpochId = EpochId::ZERO;

fn id(i: u8) -> Digest {
    Digest([i; 32])
}

fn signed_by_three(len: usize) -> Multisig {
    Multisig {
        signers: SignerSet::all(3),
        bytes: Bytes::from(vec![9; len]),
    }
}

/// Over four lanes, with a certificate as BLS makes it.
fn proposal() -> Message {
    let lane_end = |lane: u16| CarCert {
        epoch: EPOCH,
        lane: ReplicaId(lane),
        index: 77,
        car: CarId(id(lane as u8)),
        acks: signed_by_three(3 * 64),
    };
    Message::Proposal(Proposal {
        header: Header {
            epoch: EPOCH,
            view: View(1000),
            height: Height(900),
            justify: Qc {
                epoch: EPOCH,
                view: View(999),
                block: types::BlockId(id(1)),
                excluded: SignerSet::EMPTY,
                votes: signed_by_three(48),
            },
            tc: None,
            cut: (0..4).map(lane_end).collect(),
            payload: Digest::ZERO,
            proposer: ReplicaId(0),
            checkpoint: Checkpoint::default(),
            excluded: None,
        },
        signature: [7; 64],
    })
}

fn car() -> Message {
    let batch = |i| BatchRef {
        digest: BatchDigest(id(i)),
        len_bytes: 128 << 10,
        txs: 240,
    };
    Message::Car(Car {
        epoch: EPOCH,
        lane: ReplicaId(2),
        index: 78,
        prev: CarId(id(3)),
        batches: (0..4).map(batch).collect(),
        signature: [7; 64],
    })
}

/// 240 transactions of 512 bytes, as four clients sent them.
fn groups() -> Bytes {
    let mut bytes = Vec::new();
    for session in 0..4 {
        let mut group = GroupBuilder::new();
        (0..60).for_each(|seq| group.push(seq, &[5; 512]));
        group.finish(&[session; 16], &mut bytes);
    }
    bytes.into()
}

fn batch() -> Message {
    Message::Batch(groups())
}

fn vote() -> Message {
    Message::Vote(types::Vote {
        epoch: EPOCH,
        view: View(1000),
        block: types::BlockId(id(1)),
        excluded: SignerSet::EMPTY,
        voter: ReplicaId(1),
        share: Bytes::from(vec![9; 48]),
    })
}

#[library_benchmark]
#[bench::proposal(rounds(), proposal())]
#[bench::car(rounds(), car())]
#[bench::vote(rounds(), vote())]
#[bench::batch(rounds(), batch())]
fn encode(rounds: u32, message: Message) -> Message {
    for _ in 0..rounds {
        black_box(black_box(&message).to_parts());
    }
    message
}

#[library_benchmark]
#[bench::proposal(rounds(), proposal().encode())]
#[bench::car(rounds(), car().encode())]
#[bench::vote(rounds(), vote().encode())]
#[bench::batch(rounds(), batch().encode())]
fn decode(rounds: u32, frame: Bytes) -> Bytes {
    for _ in 0..rounds {
        black_box(Message::decode(black_box(&frame).clone()).expect("a frame"));
    }
    frame
}

#[library_benchmark]
#[bench::n4(rounds(), proposal())]
fn block_id(rounds: u32, message: Message) -> Message {
    if let Message::Proposal(proposal) = &message {
        for _ in 0..rounds {
            black_box(black_box(&proposal.header).id());
        }
    }
    message
}

#[library_benchmark]
#[bench::of_240_txs(groups())]
fn batch_digest(bytes: Bytes) -> Bytes {
    black_box(types::batch::digest(black_box(&bytes)));
    bytes
}

library_benchmark_group!(
    name = codec,
    benchmarks = [encode, decode, block_id, batch_digest]
);
