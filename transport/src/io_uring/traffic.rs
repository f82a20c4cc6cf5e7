//! Receives and sends of streams that are connected.

use super::sends::{self, Send};
use super::{Completion, IoUring, Kind, buffers, tag};
use crate::DownReason;
use crate::hub::Hub;
use ::io_uring::{cqueue, opcode, types};
use std::io;
use std::os::fd::AsRawFd;

impl IoUring {
    /// Starts a multishot receive.
    pub(super) fn receive(&mut self, slot: usize) -> io::Result<()> {
        let Some(stream) = self.stream(slot) else {
            return Ok(());
        };
        if stream.receiving || stream.closing || stream.connecting {
            return Ok(());
        }
        stream.receiving = true;
        stream.in_flight += 1;
        let fd = types::Fd(stream.fd.as_raw_fd());
        let entry = opcode::RecvMulti::new(fd, buffers::GROUP).build();
        self.push(&entry.user_data(tag(Kind::Receive, slot)))
    }

    pub(super) fn received(
        &mut self,
        hub: &mut Hub,
        slot: usize,
        done: &Completion,
    ) -> io::Result<()> {
        let more = cqueue::more(done.flags);
        let Some(stream) = self.streams.get_mut(slot).and_then(Option::as_mut) else {
            return Ok(());
        };
        let mut cancel = false;
        if let (Some(id), Ok(len)) = (
            cqueue::buffer_select(done.flags),
            usize::try_from(done.result),
        ) {
            let data = self.buffers.get(id, len);
            if hub.may_move(slot) && stream.held.is_empty() {
                hub.feed(slot, data);
            } else if !stream.closing {
                // Blocked a moment ago: hold this until it may go on, and stop the receive.
                stream.held.extend_from_slice(data);
                cancel = more;
            }
            self.buffers.give_back(id);
        }
        if !more {
            stream.receiving = false;
            stream.in_flight -= 1;
            match -done.result {
                _ if stream.closing => self.drop_if_idle(hub, slot),
                0 => hub.ended(slot),
                libc::ENOBUFS | libc::ECANCELED => self.rearm.push(slot),
                error if error > 0 => hub.failed(slot, DownReason::Io),
                _ => self.rearm.push(slot),
            }
        }
        if cancel {
            let entry = opcode::AsyncCancel::new(tag(Kind::Receive, slot)).build();
            self.push(&entry.user_data(tag(Kind::Cancel, 0)))?;
        }
        Ok(())
    }

    /// Goes on receiving where buffers or a block were in the way.
    pub(super) fn resume(&mut self, hub: &mut Hub) -> io::Result<()> {
        for slot in std::mem::take(&mut hub.unblocked) {
            if let Some(stream) = self.stream(slot).filter(|_| hub.may_move(slot)) {
                let held = std::mem::take(&mut stream.held);
                hub.feed(slot, &held);
                self.rearm.push(slot);
            }
        }
        for slot in std::mem::take(&mut self.rearm) {
            if hub.may_move(slot) {
                self.receive(slot)?;
            }
        }
        Ok(())
    }

    pub(super) fn write(&mut self, hub: &mut Hub, slot: usize) -> io::Result<()> {
        let Some(stream) = self.streams.get_mut(slot).and_then(Option::as_mut) else {
            return Ok(());
        };
        if stream.sending || stream.connecting || stream.closing {
            return Ok(());
        }
        let Some(wire) = hub.wire(slot) else {
            return Ok(());
        };
        let send = Send::new(slot, wire.gather_owned(sends::SLICES_MAX));
        let zero_copy = stream.zero_copy.wants(send.len());
        stream.sending = true;
        stream.in_flight += 1;
        let entry = self.sends.start(send, stream.fd.as_raw_fd(), zero_copy);
        self.push(&entry)
    }

    pub(super) fn sent(&mut self, hub: &mut Hub, id: usize, done: &Completion) {
        let Some(send) = self.sends.get_mut(id) else {
            return;
        };
        let slot = send.slot;
        let Some(stream) = self.streams.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if !cqueue::notif(done.flags) {
            stream.sending = false;
            match usize::try_from(done.result) {
                Ok(len) => {
                    hub.wrote(slot, len);
                    hub.mark_dirty(slot);
                }
                Err(_) if !stream.closing => hub.failed(slot, DownReason::Io),
                Err(_) => {}
            }
        } else {
            let copied = sends::was_copied(done.result);
            stream.zero_copy.reported(copied);
            hub.count_zero_copy(copied);
        }
        if !cqueue::more(done.flags) {
            stream.in_flight -= 1;
            self.sends.finish(id);
            self.drop_if_idle(hub, slot);
        }
    }
}
