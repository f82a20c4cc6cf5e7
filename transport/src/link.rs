//! One connection without its socket: handshake, sealing, deframing, queues.
//!
//! Bytes in through [`Link::feed`] (or straight into a frame's own allocation through
//! [`Link::direct`]), bytes out through [`Link::wire`]. Time and sockets are the caller's.

mod deframe;
mod handshake;
mod outbox;
mod seal;
mod shaper;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use handshake::{DialKeys, Hello, Port, REFUSAL_LEN, refusal};
pub(crate) use outbox::{Outbox, QueueLimits};
pub(crate) use shaper::SplitMix64;
pub(crate) use wire::Wire;

use crate::{DownReason, Received};
use deframe::Deframer;
use handshake::{HELLO_LEN, Initiator, REPLY_LEN, SessionKeys};
use seal::{Opener, Sealer};
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// What fed bytes led to.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// Acceptor: a hello is complete; call [`Link::answer`] when there is time for the
    /// Diffie-Hellman operations.
    HelloReady,
    /// Both ends have proven what they must, and that they are alive now.
    Up,
    Frame(Received),
}

/// Lengths that one direction accepts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkLimits {
    /// Longest received payload.
    pub frame_bytes: usize,
    /// Receive buffers grow only with what really arrived (unknown senders).
    pub grow: bool,
    pub queues: QueueLimits,
}

pub(crate) struct Link {
    phase: Phase,
    limits: LinkLimits,
    encryption: bool,
    /// `None` until the keys exist.
    open: Option<Open>,
    /// Bytes ready for the socket.
    wire: Wire,
}

enum Phase {
    AwaitHello {
        have: SmallVec<[u8; HELLO_LEN]>,
        port: Port,
    },
    HelloReady(Hello),
    AwaitReply {
        have: SmallVec<[u8; HELLO_LEN]>,
        noise: Box<Initiator>,
    },
    /// Acceptor: the first sealed frame proves that the hello was no replay.
    AwaitConfirm,
    Up,
}

struct Open {
    deframer: Deframer,
    outbox: Outbox,
}

impl Link {
    /// The accepting end, on one of the two ports.
    pub(crate) fn accept(port: Port, encryption: bool, limits: LinkLimits) -> Self {
        let phase = Phase::AwaitHello {
            have: SmallVec::new(),
            port,
        };
        Self {
            phase,
            limits,
            encryption,
            open: None,
            wire: Wire::default(),
        }
    }

    /// The dialling end; its hello is on the wire already.
    pub(crate) fn dial(
        hello: &Hello,
        keys: DialKeys<'_>,
        limits: LinkLimits,
    ) -> Result<Self, DownReason> {
        let mut wire = Wire::default();
        let noise = Box::new(Initiator::start(hello, keys, &mut wire)?);
        let phase = Phase::AwaitReply {
            have: SmallVec::new(),
            noise,
        };
        Ok(Self {
            phase,
            limits,
            encryption: hello.encryption,
            open: None,
            wire,
        })
    }

    pub(crate) fn hello(&self) -> Option<&Hello> {
        match &self.phase {
            Phase::HelloReady(hello) => Some(hello),
            _ => None,
        }
    }

    /// Acceptor: answers the hello, with `expected` = the initiator's static key (replicas) or
    /// `None` (clients). A replayed hello gets this far and no further.
    pub(crate) fn answer(
        &mut self,
        private_key: &[u8; 32],
        expected: Option<&[u8; 32]>,
        limits: LinkLimits,
    ) -> Result<(), DownReason> {
        let Phase::HelloReady(hello) = &self.phase else {
            return Err(DownReason::BadPreamble);
        };
        let keys = handshake::answer(hello, private_key, expected, &mut self.wire)?;
        self.limits = limits;
        self.open(keys);
        self.phase = Phase::AwaitConfirm;
        Ok(())
    }

    fn open(&mut self, keys: SessionKeys) {
        let opener = Opener::new(&keys.receive, self.encryption);
        let sealer = Sealer::new(&keys.send, self.encryption);
        self.open = Some(Open {
            deframer: Deframer::new(opener, self.limits.frame_bytes, self.limits.grow),
            outbox: Outbox::new(sealer, self.limits.queues),
        });
    }

    /// Takes bytes from the socket. On an error the connection must be closed for that reason.
    pub(crate) fn feed(
        &mut self,
        mut data: &[u8],
        out: &mut Vec<LinkEvent>,
    ) -> Result<(), DownReason> {
        while !data.is_empty() {
            match &mut self.phase {
                Phase::AwaitHello { have, port } => {
                    let port = *port;
                    take(have, &mut data, HELLO_LEN);
                    handshake::check_prefix(have, port)?;
                    if have.len() == HELLO_LEN {
                        self.phase = Phase::HelloReady(Hello::parse(have, port)?);
                        out.push(LinkEvent::HelloReady);
                    }
                }
                // The initiator has nothing to say before our answer.
                Phase::HelloReady(_) => return Err(DownReason::BadPreamble),
                Phase::AwaitReply { have, noise } => {
                    take(have, &mut data, REPLY_LEN);
                    if let Some(keys) = noise.reply(have)? {
                        self.open(keys);
                        self.phase = Phase::Up;
                        self.outbox_mut().ok_or(DownReason::BadFrame)?.confirm();
                        out.push(LinkEvent::Up);
                    }
                }
                Phase::AwaitConfirm => {
                    let Some(open) = &mut self.open else {
                        return Err(DownReason::BadFrame);
                    };
                    if open.deframer.confirm(&mut data)? {
                        self.phase = Phase::Up;
                        out.push(LinkEvent::Up);
                    }
                }
                Phase::Up => {
                    let Some(open) = &mut self.open else {
                        return Err(DownReason::BadFrame);
                    };
                    return open
                        .deframer
                        .feed(data, &mut |f| out.push(LinkEvent::Frame(f)));
                }
            }
        }
        Ok(())
    }

    /// The unfilled rest of a large frame in progress, to read into; report with
    /// [`Link::direct_filled`].
    pub(crate) fn direct(&mut self) -> Option<&mut [MaybeUninit<u8>]> {
        self.open.as_mut()?.deframer.direct()
    }

    /// `len` bytes were written to the front of what [`Link::direct`] returned.
    ///
    /// # Safety
    /// They really were, and nothing else happened to this link in between.
    pub(crate) unsafe fn direct_filled(
        &mut self,
        len: usize,
        out: &mut Vec<LinkEvent>,
    ) -> Result<(), DownReason> {
        let Some(open) = &mut self.open else {
            return Err(DownReason::BadFrame);
        };
        // SAFETY: the caller's promise is the same.
        unsafe {
            open.deframer
                .direct_filled(len, &mut |f| out.push(LinkEvent::Frame(f)))
        }
    }

    /// Takes the buffer of a large frame in progress for an owned read; it must be put back.
    pub(crate) fn take_buffer(&mut self) -> Option<Vec<u8>> {
        self.open.as_mut()?.deframer.take_buffer()
    }

    /// Puts back what [`Link::take_buffer`] gave, with new bytes appended.
    pub(crate) fn put_buffer(
        &mut self,
        buffer: Vec<u8>,
        out: &mut Vec<LinkEvent>,
    ) -> Result<(), DownReason> {
        let Some(open) = &mut self.open else {
            return Err(DownReason::BadFrame);
        };
        open.deframer
            .put_buffer(buffer, &mut |f| out.push(LinkEvent::Frame(f)))
    }

    /// Why an end of stream came now.
    pub(crate) fn end_reason(&self) -> DownReason {
        match &self.open {
            Some(open) if open.deframer.in_frame() => DownReason::Truncated,
            _ => DownReason::PeerClosed,
        }
    }

    pub(crate) fn outbox_mut(&mut self) -> Option<&mut Outbox> {
        self.open.as_mut().map(|open| &mut open.outbox)
    }

    pub(crate) fn outbox(&self) -> Option<&Outbox> {
        self.open.as_ref().map(|open| &open.outbox)
    }

    /// Seals queued frames up to the wire's small target and gives the wire.
    pub(crate) fn wire(&mut self) -> &mut Wire {
        if let Some(open) = &mut self.open {
            open.outbox.fill(&mut self.wire);
        }
        &mut self.wire
    }

    /// `len` bytes of the wire went to the kernel.
    pub(crate) fn advance(&mut self, len: usize) {
        self.wire.advance(len);
    }
}

/// Moves bytes from `data` until `have` is `len` long.
fn take<const N: usize>(have: &mut SmallVec<[u8; N]>, data: &mut &[u8], len: usize)
where
    [u8; N]: smallvec::Array<Item = u8>,
{
    let take_len = (len - have.len()).min(data.len());
    have.extend_from_slice(&data[..take_len]);
    *data = &data[take_len..];
}
