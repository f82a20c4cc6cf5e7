//! What clients and replicas say to each other.

use bytes::Bytes;

use crate::batch::SessionId;
use crate::codec::{CodecError, Reader, Wire, put_bytes, put_list};
use crate::committee::Mode;
use crate::ids::{BlockId, ClusterId, EpochId, Height, ReplicaId};
use crate::limits::{CLIENT_FRAME_LEN_MAX, GROUP_TXS_MAX, RECEIPTS_MAX, TX_LEN_MAX};
use crate::proof::CommitProof;
use crate::recovery::{Conflict, EpochChange};
use crate::wire_struct;

/// From a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// One or more groups ([`crate::batch`]), taken over into a batch as they are.
    Submit(Bytes),
    /// Reads this replica's own state: no promise of order.
    Query {
        id: u64,
        query: Bytes,
    },
    Status,
    /// Two receipts with conflicting commit proofs: the client's part in finding a split.
    Conflict {
        id: u64,
        conflict: Box<Conflict>,
    },
}

impl Wire for Request {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Request::Submit(groups) => {
                out.push(0);
                out.extend_from_slice(groups);
            }
            Request::Query { id, query } => {
                out.push(1);
                id.put(out);
                put_bytes(out, query);
            }
            Request::Status => out.push(2),
            Request::Conflict { id, conflict } => {
                out.push(3);
                id.put(out);
                conflict.put(out);
            }
        }
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        match u8::take(reader)? {
            0 if reader.left() > CLIENT_FRAME_LEN_MAX => Err(CodecError::TooLong {
                what: "groups",
                found: reader.left(),
                limit: CLIENT_FRAME_LEN_MAX,
            }),
            0 => Ok(Request::Submit(reader.rest())),
            1 => Ok(Request::Query {
                id: Wire::take(reader)?,
                query: reader.byte_string("query", TX_LEN_MAX)?,
            }),
            2 => Ok(Request::Status),
            3 => Ok(Request::Conflict {
                id: Wire::take(reader)?,
                conflict: Box::new(Wire::take(reader)?),
            }),
            found => Err(CodecError::BadTag {
                what: "request",
                found,
            }),
        }
    }
}

fn flag(reader: &mut Reader) -> Result<bool, CodecError> {
    match u8::take(reader)? {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(CodecError::BadTag {
            what: "flag",
            found,
        }),
    }
}

/// What became of one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// Ordered, but the application refused its effect, with a reason code of the application.
    Rejected(u8),
    /// The same transaction was ordered before; the entry names the earlier place.
    Duplicate,
    /// The sequence number was used before by another transaction.
    SequenceReused,
    /// The sequence number lies below the session's window: unknowable, therefore refused.
    BelowWindow,
}

impl Wire for Outcome {
    fn put(&self, out: &mut Vec<u8>) {
        let (tag, code) = match self {
            Outcome::Applied => (0, 0),
            Outcome::Rejected(code) => (1, *code),
            Outcome::Duplicate => (2, 0),
            Outcome::SequenceReused => (3, 0),
            Outcome::BelowWindow => (4, 0),
        };
        out.extend_from_slice(&[tag, code]);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        match reader.array::<2>("outcome")? {
            [0, 0] => Ok(Outcome::Applied),
            [1, code] => Ok(Outcome::Rejected(code)),
            [2, 0] => Ok(Outcome::Duplicate),
            [3, 0] => Ok(Outcome::SequenceReused),
            [4, 0] => Ok(Outcome::BelowWindow),
            [found, _] => Err(CodecError::BadTag {
                what: "outcome",
                found,
            }),
        }
    }
}

/// A transaction's place and outcome. `position` counts transactions of the block from 0; for a
/// duplicate, `height` and `position` are those of the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub seq: u64,
    pub height: Height,
    pub position: u32,
    pub outcome: Outcome,
}
wire_struct!(Entry {
    seq,
    height,
    position,
    outcome
});

/// Entries of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEntries {
    pub session: SessionId,
    pub entries: Vec<Entry>,
}

impl Wire for SessionEntries {
    fn put(&self, out: &mut Vec<u8>) {
        self.session.put(out);
        put_list(out, &self.entries);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(SessionEntries {
            session: Wire::take(reader)?,
            entries: reader.list("receipt entries", RECEIPTS_MAX)?,
        })
    }
}

/// All that one block settles for one connection, with the proof that the block is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipts {
    pub epoch: EpochId,
    pub block: BlockId,
    pub height: Height,
    pub mode: Mode,
    pub proof: CommitProof,
    pub sessions: Vec<SessionEntries>,
}

impl Wire for Receipts {
    fn put(&self, out: &mut Vec<u8>) {
        self.epoch.put(out);
        self.block.put(out);
        self.height.put(out);
        self.mode.put(out);
        self.proof.put(out);
        put_list(out, &self.sessions);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(Receipts {
            epoch: Wire::take(reader)?,
            block: Wire::take(reader)?,
            height: Wire::take(reader)?,
            mode: Wire::take(reader)?,
            proof: Wire::take(reader)?,
            sessions: reader.list("receipt sessions", RECEIPTS_MAX)?,
        })
    }
}

/// Why a submission was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The lane is too far ahead of the committed cut, or the admission rate is used up.
    Overloaded,
    /// The mode admits nothing.
    Mode,
    /// Bad structure, size or signature.
    Malformed,
    /// The replica is stopping or still catching up.
    Unavailable,
}

impl Refusal {
    pub const ALL: [Refusal; 4] = [
        Refusal::Overloaded,
        Refusal::Mode,
        Refusal::Malformed,
        Refusal::Unavailable,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Refusal::Overloaded => "overloaded",
            Refusal::Mode => "mode",
            Refusal::Malformed => "malformed",
            Refusal::Unavailable => "unavailable",
        }
    }
}

impl Wire for Refusal {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(Refusal::ALL.iter().position(|r| r == self).unwrap_or(0) as u8);
    }
    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        let found = u8::take(reader)?;
        let refusal = Refusal::ALL.get(usize::from(found)).copied();
        refusal.ok_or(CodecError::BadTag {
            what: "refusal",
            found,
        })
    }
}

/// From a replica to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// First frame on every client connection.
    Hello {
        cluster: ClusterId,
        epoch: EpochId,
        replica: ReplicaId,
        mode: Mode,
    },
    Receipts(Receipts),
    /// A submission that was not admitted: per session, the sequence numbers of its transactions.
    Refused {
        reason: Refusal,
        mode: Mode,
        retry_after_ms: u32,
        session: SessionId,
        seqs: Vec<u64>,
    },
    /// Transactions ordered before, in a block whose proof is no longer kept here.
    Settled(SessionEntries),
    Answer {
        id: u64,
        height: Height,
        answer: Bytes,
    },
    Status {
        mode: Mode,
        height: Height,
        executed: Height,
        epoch: EpochId,
    },
    /// The mode changed: receipts given before it are marked "may move" until it is over.
    Mode {
        epoch: EpochId,
        mode: Mode,
    },
    /// The epoch was split and goes on as another one: comes before anything said about that one.
    EpochChange(Box<EpochChange>),
    /// Receipts given in the epoch that was split stand elsewhere now, or have another outcome: the
    /// entries say where and which. `epoch` is the working epoch.
    Moved {
        epoch: EpochId,
        height: Height,
        sessions: Vec<SessionEntries>,
    },
    /// Whether two receipts that a client handed in prove a conflict.
    Judged {
        id: u64,
        conflict: bool,
    },
}

impl Wire for Response {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Response::Hello {
                cluster,
                epoch,
                replica,
                mode,
            } => {
                out.push(0);
                cluster.put(out);
                epoch.put(out);
                replica.put(out);
                mode.put(out);
            }
            Response::Receipts(receipts) => {
                out.push(1);
                receipts.put(out);
            }
            Response::Refused {
                reason,
                mode,
                retry_after_ms,
                session,
                seqs,
            } => {
                out.push(2);
                reason.put(out);
                mode.put(out);
                retry_after_ms.put(out);
                session.put(out);
                put_list(out, seqs);
            }
            Response::Settled(entries) => {
                out.push(3);
                entries.put(out);
            }
            Response::Answer { id, height, answer } => {
                out.push(4);
                id.put(out);
                height.put(out);
                put_bytes(out, answer);
            }
            Response::Status {
                mode,
                height,
                executed,
                epoch,
            } => {
                out.push(5);
                mode.put(out);
                height.put(out);
                executed.put(out);
                epoch.put(out);
            }
            Response::Mode { epoch, mode } => {
                out.push(6);
                epoch.put(out);
                mode.put(out);
            }
            Response::EpochChange(change) => {
                out.push(7);
                change.put(out);
            }
            Response::Moved {
                epoch,
                height,
                sessions,
            } => {
                out.push(8);
                epoch.put(out);
                height.put(out);
                put_list(out, sessions);
            }
            Response::Judged { id, conflict } => {
                out.push(9);
                id.put(out);
                out.push(u8::from(*conflict));
            }
        }
    }

    fn take(reader: &mut Reader) -> Result<Self, CodecError> {
        Ok(match u8::take(reader)? {
            0 => Response::Hello {
                cluster: Wire::take(reader)?,
                epoch: Wire::take(reader)?,
                replica: Wire::take(reader)?,
                mode: Wire::take(reader)?,
            },
            1 => Response::Receipts(Wire::take(reader)?),
            2 => Response::Refused {
                reason: Wire::take(reader)?,
                mode: Wire::take(reader)?,
                retry_after_ms: Wire::take(reader)?,
                session: Wire::take(reader)?,
                seqs: reader.list("refused sequence numbers", GROUP_TXS_MAX)?,
            },
            3 => Response::Settled(Wire::take(reader)?),
            4 => Response::Answer {
                id: Wire::take(reader)?,
                height: Wire::take(reader)?,
                answer: reader.byte_string("answer", TX_LEN_MAX)?,
            },
            5 => Response::Status {
                mode: Wire::take(reader)?,
                height: Wire::take(reader)?,
                executed: Wire::take(reader)?,
                epoch: Wire::take(reader)?,
            },
            6 => Response::Mode {
                epoch: Wire::take(reader)?,
                mode: Wire::take(reader)?,
            },
            7 => Response::EpochChange(Box::new(Wire::take(reader)?)),
            8 => Response::Moved {
                epoch: Wire::take(reader)?,
                height: Wire::take(reader)?,
                sessions: reader.list("moved sessions", RECEIPTS_MAX)?,
            },
            9 => Response::Judged {
                id: Wire::take(reader)?,
                conflict: flag(reader)?,
            },
            found => {
                return Err(CodecError::BadTag {
                    what: "response",
                    found,
                });
            }
        })
    }
}
