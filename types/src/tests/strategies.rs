//! Arbitrary values of the wire types.

use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::client::*;
use crate::ids::*;
use crate::message::*;
use crate::*;

pub fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn epoch() -> impl Strategy<Value = EpochId> {
    digest().prop_map(EpochId)
}

fn block() -> impl Strategy<Value = BlockId> {
    digest().prop_map(BlockId)
}

fn view() -> impl Strategy<Value = View> {
    any::<u64>().prop_map(View)
}

fn height() -> impl Strategy<Value = Height> {
    any::<u64>().prop_map(Height)
}

fn replica() -> impl Strategy<Value = ReplicaId> {
    any::<u16>().prop_map(ReplicaId)
}

pub fn signer_set() -> impl Strategy<Value = SignerSet> {
    any::<u128>().prop_map(SignerSet)
}

fn signature() -> impl Strategy<Value = [u8; 64]> {
    any::<[[u8; 32]; 2]>().prop_map(|[a, b]| {
        let mut out = [0; 64];
        out[..32].copy_from_slice(&a);
        out[32..].copy_from_slice(&b);
        out
    })
}

pub fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

pub fn multisig() -> impl Strategy<Value = Multisig> {
    (signer_set(), bytes(200)).prop_map(|(signers, bytes)| Multisig { signers, bytes })
}

pub fn qc() -> impl Strategy<Value = Qc> {
    let fields = (epoch(), view(), block(), signer_set(), multisig());
    fields.prop_map(|(epoch, view, block, excluded, votes)| Qc {
        epoch,
        view,
        block,
        excluded,
        votes,
    })
}

pub fn tc() -> impl Strategy<Value = Tc> {
    let claims = btree_map(0u16..128, (view(), signature()), 0..6);
    let fields = (epoch(), view(), signer_set(), claims);
    fields.prop_map(|(epoch, view, excluded, claims)| Tc {
        epoch,
        view,
        excluded,
        claims: claims
            .into_iter()
            .map(|(replica, (high_qc_view, signature))| TimeoutClaim {
                replica: ReplicaId(replica),
                high_qc_view,
                signature,
            })
            .collect(),
    })
}

pub fn car_cert() -> impl Strategy<Value = CarCert> {
    let fields = (epoch(), replica(), any::<u64>(), digest(), multisig());
    fields.prop_map(|(epoch, lane, index, car, acks)| CarCert {
        epoch,
        lane,
        index,
        car: CarId(car),
        acks,
    })
}

fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    (height(), block(), digest()).prop_map(|(height, block, state)| Checkpoint {
        height,
        block,
        state,
    })
}

pub fn checkpoint_cert() -> impl Strategy<Value = CheckpointCert> {
    (epoch(), checkpoint(), multisig()).prop_map(|(epoch, at, signatures)| CheckpointCert {
        epoch,
        height: at.height,
        block: at.block,
        state: at.state,
        signatures,
    })
}

pub fn header() -> impl Strategy<Value = Header> {
    let cut = (vec(car_cert(), 4), btree_set(any::<u16>(), 0..4)).prop_map(|(certs, lanes)| {
        let pairs = certs.into_iter().zip(lanes);
        let with_lane = pairs.map(|(cert, lane)| CarCert {
            lane: ReplicaId(lane),
            ..cert
        });
        with_lane.collect::<Vec<_>>()
    });
    let place = (epoch(), view(), height(), replica());
    let certs = (qc(), option::of(tc()), cut);
    let rest = (digest(), checkpoint(), option::of(signer_set()));
    (place, certs, rest).prop_map(
        |((epoch, view, height, proposer), (justify, tc, cut), (payload, checkpoint, excluded))| {
            Header {
                epoch,
                view,
                height,
                justify,
                tc,
                cut,
                payload,
                proposer,
                checkpoint,
                excluded,
            }
        },
    )
}

pub fn proposal() -> impl Strategy<Value = Proposal> {
    (header(), signature()).prop_map(|(header, signature)| Proposal { header, signature })
}

pub fn vote() -> impl Strategy<Value = Vote> {
    let fields = (epoch(), view(), block(), signer_set(), replica(), bytes(65));
    fields.prop_map(|(epoch, view, block, excluded, voter, share)| Vote {
        epoch,
        view,
        block,
        excluded,
        voter,
        share,
    })
}

pub fn timeout() -> impl Strategy<Value = Timeout> {
    let certs = (qc(), option::of(vote()));
    (epoch(), view(), replica(), certs, signature()).prop_map(
        |(epoch, view, replica, (high_qc, last_vote), signature)| Timeout {
            epoch,
            view,
            replica,
            high_qc,
            last_vote,
            signature,
        },
    )
}

pub fn car() -> impl Strategy<Value = Car> {
    let batch = (digest(), 0..=limits::BATCH_LEN_MAX as u32, any::<u32>());
    let batch = batch.prop_map(|(digest, len_bytes, txs)| BatchRef {
        digest: BatchDigest(digest),
        len_bytes,
        txs,
    });
    let link = (replica(), any::<u64>(), digest());
    (epoch(), link, vec(batch, 0..5), signature()).prop_map(
        |(epoch, (lane, index, prev), batches, signature)| Car {
            epoch,
            lane,
            index,
            prev: CarId(prev),
            batches,
            signature,
        },
    )
}

pub fn ack() -> impl Strategy<Value = Ack> {
    let link = (replica(), any::<u64>(), digest());
    (epoch(), link, replica(), signature()).prop_map(
        |(epoch, (lane, index, car), replica, signature)| Ack {
            epoch,
            lane,
            index,
            car: CarId(car),
            replica,
            signature,
        },
    )
}

fn chain_response() -> impl Strategy<Value = ChainResponse> {
    let certs = (option::of(qc()), option::of(checkpoint_cert()));
    (epoch(), vec(header(), 0..3), certs).prop_map(|(epoch, headers, (tip, pruned))| {
        ChainResponse {
            epoch,
            headers,
            tip,
            pruned,
        }
    })
}

fn checkpoint_share() -> impl Strategy<Value = CheckpointShare> {
    (epoch(), checkpoint(), replica(), signature()).prop_map(|(epoch, at, replica, signature)| {
        CheckpointShare {
            epoch,
            height: at.height,
            block: at.block,
            state: at.state,
            replica,
            signature,
        }
    })
}

fn snapshot_chunk() -> impl Strategy<Value = SnapshotChunk> {
    (checkpoint_cert(), any::<[u64; 2]>(), bytes(300)).prop_map(
        |(cert, [total_bytes, offset], bytes)| SnapshotChunk {
            cert,
            total_bytes,
            offset,
            bytes,
        },
    )
}

pub fn message() -> impl Strategy<Value = Message> {
    let digests = vec(digest().prop_map(BatchDigest), 0..5);
    let chain_request = (epoch(), height(), block()).prop_map(|(epoch, above, tip)| ChainRequest {
        epoch,
        above,
        tip,
    });
    let car_request =
        (epoch(), replica(), any::<u64>(), digest()).prop_map(|(epoch, lane, from_index, tip)| {
            CarRequest {
                epoch,
                lane,
                from_index,
                tip: CarId(tip),
            }
        });
    let snapshot_request =
        (epoch(), height(), any::<u64>()).prop_map(|(epoch, height, offset)| SnapshotRequest {
            epoch,
            height,
            offset,
        });
    let new_view = (qc(), option::of(tc())).prop_map(|(high_qc, tc)| NewView { high_qc, tc });
    let ordering = prop_oneof![
        proposal().prop_map(Message::Proposal),
        vote().prop_map(Message::Vote),
        timeout().prop_map(Message::Timeout),
        new_view.prop_map(Message::NewView),
    ];
    let lanes = prop_oneof![
        bytes(300).prop_map(Message::Batch),
        car().prop_map(Message::Car),
        ack().prop_map(Message::Ack),
        car_cert().prop_map(Message::CarCert),
        car_request.prop_map(Message::CarRequest),
        vec(car(), 0..3).prop_map(Message::Cars),
        digests.prop_map(Message::BatchRequest),
        bytes(300).prop_map(Message::BatchResponse),
    ];
    let sync = prop_oneof![
        chain_request.prop_map(Message::ChainRequest),
        chain_response().prop_map(Message::ChainResponse),
        checkpoint_share().prop_map(Message::CheckpointShare),
        snapshot_request.prop_map(Message::SnapshotRequest),
        snapshot_chunk().prop_map(Message::SnapshotChunk),
    ];
    let notice =
        (epoch(), height(), block(), mode()).prop_map(|(epoch, height, block, mode)| Notice {
            epoch,
            height,
            block,
            mode,
        });
    let proof_request =
        (epoch(), height()).prop_map(|(epoch, height)| ProofRequest { epoch, height });
    let branch_request = (epoch(), block(), height())
        .prop_map(|(epoch, tip, above)| BranchRequest { epoch, tip, above });
    let branch = (epoch(), vec(header(), 0..3))
        .prop_map(|(epoch, headers)| Message::Branch(Branch { epoch, headers }));
    let split = prop_oneof![
        notice.prop_map(Message::Notice),
        proof_request.prop_map(Message::ProofRequest),
        commit_proof().prop_map(Message::Proof),
        conflict().prop_map(|conflict| Message::Conflict(Box::new(conflict))),
        branch_request.prop_map(Message::BranchRequest),
        branch,
        vec(fraud(), 0..3).prop_map(Message::Frauds),
        fork_report().prop_map(|report| Message::ForkReport(Box::new(report))),
        (epoch(), digest()).prop_map(|(epoch, value)| Message::ValueRequest(epoch, value)),
        (epoch(), value()).prop_map(|(epoch, value)| Message::Value(epoch, Box::new(value))),
        resumption().prop_map(|resumption| Message::Resumption(Box::new(resumption))),
    ];
    prop_oneof![ordering, lanes, sync, split]
}

fn conflict() -> impl Strategy<Value = Conflict> {
    (epoch(), commit_proof(), commit_proof()).prop_map(|(epoch, first, second)| Conflict {
        epoch,
        first,
        second,
    })
}

fn core() -> impl Strategy<Value = HeaderCore> {
    header().prop_map(|header| header.core())
}

pub fn fraud() -> impl Strategy<Value = Fraud> {
    let signed =
        || (core(), signature()).prop_map(|(core, signature)| SignedCore { core, signature });
    prop_oneof![
        (signed(), signed()).prop_map(|(first, second)| Fraud::Equivocation { first, second }),
        (qc(), qc()).prop_map(|(first, second)| Fraud::DoubleVote { first, second }),
        (qc(), core(), core(), qc(), core()).prop_map(
            |(locking, child, parent, breaking, broken)| Fraud::LockBreak {
                locking,
                child,
                parent,
                breaking,
                broken,
            }
        ),
        (qc(), core(), tc()).prop_map(|(votes, voted, timeouts)| Fraud::StaleTimeout {
            votes,
            voted,
            timeouts,
        }),
        (qc(), header()).prop_map(|(votes, header)| Fraud::UnjustifiedVote { votes, header }),
        (car(), car()).prop_map(|(first, second)| Fraud::LaneEquivocation { first, second }),
        (car_cert(), car_cert()).prop_map(|(first, second)| Fraud::DoubleAck { first, second }),
    ]
}

fn fork_report() -> impl Strategy<Value = ForkReport> {
    let place = (epoch(), replica(), height(), block());
    (place, option::of(commit_proof()), signature()).prop_map(
        |((epoch, replica, height, tip), proof, signature)| ForkReport {
            epoch,
            replica,
            height,
            tip,
            proof,
            signature,
        },
    )
}

pub fn value() -> impl Strategy<Value = RecoveryValue> {
    let reports =
        (vec(fork_report(), 3), btree_set(any::<u16>(), 0..3)).prop_map(|(reports, replicas)| {
            let pairs = reports.into_iter().zip(replicas);
            let with_replica = pairs.map(|(report, replica)| ForkReport {
                replica: ReplicaId(replica),
                ..report
            });
            with_replica.collect::<Vec<_>>()
        });
    let sets = (signer_set(), signer_set(), block(), height());
    (sets, vec(fraud(), 0..3), reports).prop_map(
        |((excluded, standbys, base, root_height), frauds, reports)| RecoveryValue {
            excluded,
            standbys,
            base,
            root_height,
            frauds,
            reports,
        },
    )
}

fn resumption() -> impl Strategy<Value = Resumption> {
    (epoch(), value(), commit_proof()).prop_map(|(of, value, proof)| Resumption {
        of,
        value,
        proof,
    })
}

pub fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        bytes(300).prop_map(Request::Submit),
        (any::<u64>(), bytes(100)).prop_map(|(id, query)| Request::Query { id, query }),
        Just(Request::Status),
        (any::<u64>(), conflict()).prop_map(|(id, conflict)| Request::Conflict {
            id,
            conflict: Box::new(conflict),
        }),
    ]
}

fn mode() -> impl Strategy<Value = Mode> {
    proptest::sample::select(Mode::ALL.to_vec())
}

pub fn entries() -> impl Strategy<Value = SessionEntries> {
    let outcome = prop_oneof![
        Just(Outcome::Applied),
        any::<u8>().prop_map(Outcome::Rejected),
        Just(Outcome::Duplicate),
        Just(Outcome::SequenceReused),
        Just(Outcome::BelowWindow),
    ];
    let entry = (any::<u64>(), height(), any::<u32>(), outcome).prop_map(
        |(seq, height, position, outcome)| Entry {
            seq,
            height,
            position,
            outcome,
        },
    );
    (any::<[u8; 16]>(), vec(entry, 0..6))
        .prop_map(|(session, entries)| SessionEntries { session, entries })
}

pub fn commit_proof() -> impl Strategy<Value = CommitProof> {
    let chain = vec(header().prop_map(|header| header.core()), 0..4);
    (chain, vec(qc(), 0..4)).prop_map(|(chain, certs)| CommitProof { chain, certs })
}

pub fn response() -> impl Strategy<Value = Response> {
    let hello =
        (digest(), epoch(), replica(), mode()).prop_map(|(cluster, epoch, replica, mode)| {
            Response::Hello {
                cluster: ClusterId(cluster),
                epoch,
                replica,
                mode,
            }
        });
    let place = (epoch(), block(), height(), mode());
    let receipts = (place, commit_proof(), vec(entries(), 0..3)).prop_map(
        |((epoch, block, height, mode), proof, sessions)| {
            Response::Receipts(Receipts {
                epoch,
                block,
                height,
                mode,
                proof,
                sessions,
            })
        },
    );
    let reason = proptest::sample::select(Refusal::ALL.to_vec());
    let numbers = (any::<u32>(), any::<[u8; 16]>(), vec(any::<u64>(), 0..5));
    let refused =
        (reason, mode(), numbers).prop_map(|(reason, mode, (retry_after_ms, session, seqs))| {
            Response::Refused {
                reason,
                mode,
                retry_after_ms,
                session,
                seqs,
            }
        });
    let answer = (any::<u64>(), height(), bytes(100))
        .prop_map(|(id, height, answer)| Response::Answer { id, height, answer });
    let status =
        (mode(), height(), height(), epoch()).prop_map(|(mode, height, executed, epoch)| {
            Response::Status {
                mode,
                height,
                executed,
                epoch,
            }
        });
    prop_oneof![
        hello,
        receipts,
        refused,
        entries().prop_map(Response::Settled),
        answer,
        status,
        (epoch(), mode()).prop_map(|(epoch, mode)| Response::Mode { epoch, mode }),
        resumption().prop_map(|r| Response::EpochChange(Box::new(r.change()))),
        (epoch(), height(), vec(entries(), 0..3)).prop_map(|(epoch, height, sessions)| {
            Response::Moved {
                epoch,
                height,
                sessions,
            }
        }),
        (any::<u64>(), any::<bool>()).prop_map(|(id, conflict)| Response::Judged { id, conflict }),
    ]
}
