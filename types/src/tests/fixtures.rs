//! One small value of every wire type. Every field differs from its neighbours, so that a swap of
//! two fields changes the bytes.

use bytes::Bytes;

use crate::batch::{GroupBuilder, SessionId};
use crate::client::*;
use crate::ids::*;
use crate::message::*;
use crate::*;

pub fn digest(byte: u8) -> Digest {
    Digest([byte; 32])
}

pub fn signature(byte: u8) -> [u8; 64] {
    [byte; 64]
}

pub fn signers(ids: &[u16]) -> SignerSet {
    ids.iter().map(|id| ReplicaId(*id)).collect()
}

pub fn multisig() -> Multisig {
    Multisig {
        signers: signers(&[0, 2, 127]),
        bytes: Bytes::from_static(&[0xa1, 0xa2, 0xa3]),
    }
}

pub fn qc() -> Qc {
    Qc {
        epoch: EpochId(digest(1)),
        view: View(0x0102),
        block: BlockId(digest(2)),
        excluded: signers(&[5]),
        votes: multisig(),
    }
}

pub fn tc() -> Tc {
    let claim = |replica, view, byte| TimeoutClaim {
        replica: ReplicaId(replica),
        high_qc_view: View(view),
        signature: signature(byte),
    };
    Tc {
        epoch: EpochId(digest(1)),
        view: View(0x0103),
        excluded: signers(&[6]),
        claims: vec![claim(0, 0x0100, 3), claim(3, 0x0102, 4)],
    }
}

pub fn car_cert(lane: u16) -> CarCert {
    CarCert {
        epoch: EpochId(digest(1)),
        lane: ReplicaId(lane),
        index: 0x0506,
        car: CarId(digest(5)),
        acks: multisig(),
    }
}

pub fn checkpoint() -> Checkpoint {
    Checkpoint {
        height: Height(0x0708),
        block: BlockId(digest(7)),
        state: digest(8),
    }
}

pub fn checkpoint_cert() -> CheckpointCert {
    CheckpointCert {
        epoch: EpochId(digest(1)),
        height: Height(0x0708),
        block: BlockId(digest(7)),
        state: digest(8),
        signatures: multisig(),
    }
}

pub fn header() -> Header {
    Header {
        epoch: EpochId(digest(1)),
        view: View(0x0104),
        height: Height(0x0709),
        justify: qc(),
        tc: Some(tc()),
        cut: vec![car_cert(1), car_cert(2)],
        payload: digest(9),
        proposer: ReplicaId(3),
        checkpoint: checkpoint(),
        excluded: Some(signers(&[1])),
    }
}

pub fn proposal() -> Proposal {
    Proposal {
        header: header(),
        signature: signature(10),
    }
}

pub fn vote() -> Vote {
    Vote {
        epoch: EpochId(digest(1)),
        view: View(0x0104),
        block: BlockId(digest(11)),
        excluded: signers(&[7]),
        voter: ReplicaId(0x0c0d),
        share: Bytes::from_static(&[12; 5]),
    }
}

pub fn timeout() -> Timeout {
    Timeout {
        epoch: EpochId(digest(1)),
        view: View(0x0105),
        replica: ReplicaId(2),
        high_qc: qc(),
        last_vote: Some(vote()),
        signature: signature(13),
    }
}

pub fn car() -> Car {
    let batch = |byte| BatchRef {
        digest: BatchDigest(digest(byte)),
        len_bytes: 0x0001_0203,
        txs: 0x0405,
    };
    Car {
        epoch: EpochId(digest(1)),
        lane: ReplicaId(2),
        index: 0x0607,
        prev: CarId(digest(14)),
        batches: vec![batch(15), batch(16)],
        signature: signature(17),
    }
}

pub fn ack() -> Ack {
    Ack {
        epoch: EpochId(digest(1)),
        lane: ReplicaId(2),
        index: 0x0607,
        car: CarId(digest(18)),
        replica: ReplicaId(1),
        signature: signature(19),
    }
}

pub const SESSION: SessionId = [0x5e; 16];

pub fn batch() -> Bytes {
    let mut out = Vec::new();
    let mut group = GroupBuilder::new();
    group.push(7, b"seven");
    group.push(0x0102_0304_0506_0708, b"");
    group.finish(&SESSION, &mut out);
    group.push(9, b"nine");
    group.finish_signed(
        &ClusterId(digest(20)),
        &[21; 32],
        |_| signature(22),
        &mut out,
    );
    Bytes::from(out)
}

/// One of each kind, in the order of the tags.
pub fn messages() -> Vec<Message> {
    let epoch = EpochId(digest(1));
    vec![
        Message::Proposal(proposal()),
        Message::Vote(vote()),
        Message::Timeout(timeout()),
        Message::NewView(NewView {
            high_qc: qc(),
            tc: None,
        }),
        Message::Batch(batch()),
        Message::Car(car()),
        Message::Ack(ack()),
        Message::CarCert(car_cert(3)),
        Message::ChainRequest(ChainRequest {
            epoch,
            above: Height(23),
            tip: BlockId(digest(24)),
        }),
        Message::ChainResponse(ChainResponse {
            epoch,
            headers: vec![header()],
            tip: Some(qc()),
            pruned: Some(checkpoint_cert()),
        }),
        Message::CarRequest(CarRequest {
            epoch,
            lane: ReplicaId(3),
            from_index: 25,
            tip: CarId(digest(26)),
        }),
        Message::Cars(vec![car()]),
        Message::BatchRequest(vec![BatchDigest(digest(27)), BatchDigest(digest(28))]),
        Message::BatchResponse(batch()),
        Message::CheckpointShare(CheckpointShare {
            epoch,
            height: Height(29),
            block: BlockId(digest(30)),
            state: digest(31),
            replica: ReplicaId(1),
            signature: signature(32),
        }),
        Message::SnapshotRequest(SnapshotRequest {
            epoch,
            height: Height(33),
            offset: 34,
        }),
        Message::SnapshotChunk(SnapshotChunk {
            cert: checkpoint_cert(),
            total_bytes: 35,
            offset: 36,
            bytes: Bytes::from_static(&[37; 3]),
        }),
        Message::Notice(Notice {
            epoch,
            height: Height(64),
            block: BlockId(digest(65)),
            mode: Mode::SafeResumed,
        }),
        Message::ProofRequest(ProofRequest {
            epoch,
            height: Height(66),
        }),
        Message::Proof(proof()),
        Message::Conflict(Box::new(conflict())),
        Message::BranchRequest(BranchRequest {
            epoch,
            tip: BlockId(digest(67)),
            above: Height(68),
        }),
        Message::Branch(Branch {
            epoch,
            headers: vec![header()],
        }),
        Message::Frauds(vec![double_vote()]),
        Message::ForkReport(Box::new(fork_report(3))),
        Message::ValueRequest(epoch, digest(69)),
        Message::Value(epoch, Box::new(value())),
        Message::Resumption(Box::new(resumption())),
    ]
}

pub fn conflict() -> Conflict {
    let mut second = proof();
    second.chain[0].payload = digest(70);
    Conflict {
        epoch: EpochId(digest(1)),
        first: proof(),
        second,
    }
}

pub fn double_vote() -> Fraud {
    let mut second = qc();
    second.block = BlockId(digest(71));
    Fraud::DoubleVote {
        first: qc(),
        second,
    }
}

/// One proof of each offence, in the order of the offences.
pub fn frauds() -> Vec<Fraud> {
    let signed = |core, byte| SignedCore {
        core,
        signature: signature(byte),
    };
    let core = |byte| HeaderCore {
        payload: digest(byte),
        ..header().core()
    };
    let votes = |byte| Qc {
        block: BlockId(digest(byte)),
        ..qc()
    };
    let cert = |byte| CarCert {
        car: CarId(digest(byte)),
        ..car_cert(2)
    };
    vec![
        Fraud::Equivocation {
            first: signed(core(72), 73),
            second: signed(core(74), 75),
        },
        double_vote(),
        Fraud::LockBreak {
            locking: votes(76),
            child: core(77),
            parent: core(78),
            breaking: votes(79),
            broken: core(80),
        },
        Fraud::StaleTimeout {
            votes: votes(81),
            voted: core(82),
            timeouts: tc(),
        },
        Fraud::UnjustifiedVote {
            votes: votes(83),
            header: header(),
        },
        Fraud::LaneEquivocation {
            first: car(),
            second: Car {
                prev: CarId(digest(84)),
                ..car()
            },
        },
        Fraud::DoubleAck {
            first: cert(85),
            second: cert(86),
        },
    ]
}

pub fn fork_report(replica: u16) -> ForkReport {
    ForkReport {
        epoch: EpochId(digest(87)),
        replica: ReplicaId(replica),
        height: Height(88),
        tip: BlockId(digest(89)),
        proof: Some(proof()),
        signature: signature(90),
    }
}

pub fn value() -> RecoveryValue {
    RecoveryValue {
        excluded: signers(&[1, 2]),
        standbys: signers(&[8]),
        base: BlockId(digest(91)),
        root_height: Height(92),
        frauds: vec![double_vote()],
        reports: vec![fork_report(0), fork_report(3)],
    }
}

pub fn resumption() -> Resumption {
    Resumption {
        of: EpochId(digest(1)),
        value: value(),
        proof: proof(),
    }
}

pub fn requests() -> Vec<(&'static str, Request)> {
    vec![
        ("submit", Request::Submit(batch())),
        (
            "query",
            Request::Query {
                id: 38,
                query: Bytes::from_static(b"query"),
            },
        ),
        ("status", Request::Status),
        (
            "conflict",
            Request::Conflict {
                id: 93,
                conflict: Box::new(conflict()),
            },
        ),
    ]
}

pub fn entries() -> SessionEntries {
    let outcomes = [
        Outcome::Applied,
        Outcome::Rejected(39),
        Outcome::Duplicate,
        Outcome::SequenceReused,
        Outcome::BelowWindow,
    ];
    let entry = |(position, outcome)| Entry {
        seq: 40,
        height: Height(41),
        position: position as u32,
        outcome,
    };
    SessionEntries {
        session: SESSION,
        entries: outcomes.into_iter().enumerate().map(entry).collect(),
    }
}

pub fn proof() -> CommitProof {
    CommitProof {
        chain: vec![header().core()],
        certs: vec![qc()],
    }
}

pub fn responses() -> Vec<(&'static str, Response)> {
    let epoch = EpochId(digest(1));
    vec![
        (
            "hello",
            Response::Hello {
                cluster: ClusterId(digest(42)),
                epoch,
                replica: ReplicaId(3),
                mode: Mode::DegradedSafe,
            },
        ),
        (
            "receipts",
            Response::Receipts(Receipts {
                epoch,
                block: BlockId(digest(43)),
                height: Height(44),
                mode: Mode::Nominal,
                proof: proof(),
                sessions: vec![entries()],
            }),
        ),
        (
            "refused",
            Response::Refused {
                reason: Refusal::Mode,
                mode: Mode::RecoveryInProgress,
                retry_after_ms: 45,
                session: SESSION,
                seqs: vec![46, 47],
            },
        ),
        ("settled", Response::Settled(entries())),
        (
            "answer",
            Response::Answer {
                id: 48,
                height: Height(49),
                answer: Bytes::from_static(b"answer"),
            },
        ),
        (
            "status",
            Response::Status {
                mode: Mode::SafeResumed,
                height: Height(50),
                executed: Height(51),
                epoch,
            },
        ),
        (
            "mode",
            Response::Mode {
                epoch,
                mode: Mode::DegradedSafe,
            },
        ),
        (
            "epoch-change",
            Response::EpochChange(Box::new(resumption().change())),
        ),
        (
            "moved",
            Response::Moved {
                epoch,
                height: Height(94),
                sessions: vec![entries()],
            },
        ),
        (
            "judged",
            Response::Judged {
                id: 95,
                conflict: true,
            },
        ),
    ]
}

/// A committee of `n` with keys that no one holds.
pub fn committee(n: usize) -> Committee {
    let member = |i: usize| Member {
        vote_key: vec![i as u8; 3],
        possession: vec![0xee; 2],
        identity_key: [i as u8 + 100; 32],
        link_key: [i as u8 + 200; 32],
        peer_addr: format!("peer-{i}:1"),
        client_addr: format!("client-{i}:2"),
    };
    Committee {
        envelope: 2,
        standbys: 0,
        members: (0..n).map(member).collect(),
        scheme: SchemeName::Bls,
        rule: CommitRule::TwoChain,
    }
}
