//! Single reads and writes: owned while they are in flight, started at the next turn.

use crate::reactor::Key;
use bytes::Bytes;
use std::io;
use std::rc::Rc;
use tokio_uring::buf::Slice;
use tokio_uring::net::TcpStream;

pub(super) enum Start {
    Read {
        slot: usize,
        stream: Rc<TcpStream>,
        into: Into,
        buffer: Slice<Vec<u8>>,
    },
    Write {
        slot: usize,
        stream: Rc<TcpStream>,
        segments: Vec<Bytes>,
    },
}

pub(super) enum Done {
    Read {
        slot: usize,
        into: Into,
        buffer: Vec<u8>,
        result: io::Result<usize>,
    },
    Wrote {
        slot: usize,
        result: io::Result<usize>,
    },
}

/// Whose buffer a read fills.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Into {
    Stream,
    Frame,
}

impl Start {
    pub(super) async fn run(self) -> (Key, Done) {
        match self {
            Start::Read {
                slot,
                stream,
                into,
                buffer,
            } => {
                let (result, buffer) = stream.read(buffer).await;
                let buffer = buffer.into_inner();
                (
                    Key::Read(slot),
                    Done::Read {
                        slot,
                        into,
                        buffer,
                        result,
                    },
                )
            }
            Start::Write {
                slot,
                stream,
                segments,
            } => {
                let (result, _) = stream.writev(segments).await;
                (Key::Read(slot), Done::Wrote { slot, result })
            }
        }
    }
}

impl Done {
    pub(super) fn slot(&self) -> usize {
        match self {
            Done::Read { slot, .. } | Done::Wrote { slot, .. } => *slot,
        }
    }
}
