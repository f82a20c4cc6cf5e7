//! Vectored sends in flight: each owns what the kernel reads from.

use super::{Kind, tag};
use ::io_uring::{opcode, squeue, types};
use bytes::Bytes;
use slab::Slab;
use std::os::fd::RawFd;

/// Slices of one send.
pub(super) const SLICES_MAX: usize = 64;
/// Below this, pinning pages costs more than copying in any case.
const ZERO_COPY_MIN: usize = 64 << 10;
/// `IORING_SEND_ZC_REPORT_USAGE`: the notification says whether the kernel copied.
const REPORT_USAGE: u16 = 1 << 3;
/// `IORING_NOTIF_USAGE_ZC_COPIED`.
const USAGE_COPIED: i32 = i32::MIN;

#[derive(Default)]
pub(super) struct Sends(Slab<Box<Send>>);

/// One send; boxed, so that the addresses in it stay.
pub(super) struct Send {
    pub slot: usize,
    segments: Vec<Bytes>,
    slices: Vec<libc::iovec>,
    message: libc::msghdr,
}

impl Send {
    pub(super) fn new(slot: usize, segments: Vec<Bytes>) -> Box<Self> {
        // SAFETY: an all-zero msghdr is valid (null pointers with zero lengths).
        let message: libc::msghdr = unsafe { std::mem::zeroed() };
        let slice = |segment: &Bytes| libc::iovec {
            iov_base: segment.as_ptr().cast_mut().cast(),
            iov_len: segment.len(),
        };
        let slices = segments.iter().map(slice).collect();
        Box::new(Self {
            slot,
            segments,
            slices,
            message,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.segments.iter().map(Bytes::len).sum()
    }
}

impl Sends {
    /// Keeps the send until [`Sends::finish`] and gives the entry to submit.
    pub(super) fn start(
        &mut self,
        mut send: Box<Send>,
        fd: RawFd,
        zero_copy: bool,
    ) -> squeue::Entry {
        send.message.msg_iov = send.slices.as_mut_ptr();
        send.message.msg_iovlen = send.slices.len() as _;
        let entry = self.0.vacant_entry();
        let user_data = tag(Kind::Send, entry.key());
        let (fd, message) = (types::Fd(fd), &raw const entry.insert(send).message);
        // The kernel goes on by itself after a short send.
        let flags = (libc::MSG_NOSIGNAL | libc::MSG_WAITALL) as u32;
        let entry = match zero_copy {
            false => opcode::SendMsg::new(fd, message).flags(flags).build(),
            true => opcode::SendMsgZc::new(fd, message)
                .ioprio(REPORT_USAGE)
                .flags(flags)
                .build(),
        };
        entry.user_data(user_data)
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut Send> {
        self.0.get_mut(id).map(Box::as_mut)
    }

    /// The kernel has posted its last completion of this send.
    pub(super) fn finish(&mut self, id: usize) {
        let _ = self.0.try_remove(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The kernel may still read: never free these.
    pub(super) fn leak(&mut self) {
        self.0.drain().for_each(std::mem::forget);
    }
}

/// What a notification says about the send before it.
pub(super) fn was_copied(result: i32) -> bool {
    result & USAGE_COPIED != 0
}

/// Whether a link sends without copying: off unless asked for, and off for good once the kernel
/// reports that it copied after all (loopback and veth always do).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ZeroCopy {
    Off,
    WhileReported,
}

impl ZeroCopy {
    pub(super) fn new(wanted: bool) -> Self {
        if wanted {
            ZeroCopy::WhileReported
        } else {
            ZeroCopy::Off
        }
    }

    pub(super) fn wants(self, len: usize) -> bool {
        self == ZeroCopy::WhileReported && len >= ZERO_COPY_MIN
    }

    pub(super) fn reported(&mut self, copied: bool) {
        if copied {
            *self = ZeroCopy::Off;
        }
    }
}
