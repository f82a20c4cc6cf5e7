//! The `io-uring` back end: one ring, one `enter` per turn.
//!
//! Multishot receive into a small ring of provided buffers; one vectored send in flight per link,
//! whose segments the operation owns until the kernel is done with them. Zero-copy sends are tried
//! only if asked for, and kept per link only while the kernel reports that it does not copy.

mod buffers;
mod sends;
mod traffic;

use crate::endpoint::{Listeners, Mover, Open};
use crate::hub::{ACCEPTS_PER_TURN, Hub};
use crate::link::Port;
use crate::waker::WakeState;
use crate::{Backend, DownReason, TransportConfig, TransportError, sock};
use ::io_uring::{IoUring as Ring, cqueue, opcode, squeue, types};
use buffers::BufferRing;
use sends::{Sends, ZeroCopy};
use std::io::{self, IoSlice};
use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

const SUBMISSIONS: u32 = 1024;
const COMPLETIONS: u32 = 8192;
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const PORTS: [Port; 2] = [Port::Peers, Port::Clients];

pub(crate) struct IoUring {
    /// Before the memory that it refers to: dropped first.
    ring: Ring,
    buffers: BufferRing,
    sends: Sends,
    /// By slot.
    streams: Vec<Option<Stream>>,
    listeners: [Option<TcpListener>; 2],
    acceptable: [bool; 2],
    accept_again: Option<Instant>,
    wake: Arc<WakeState>,
    zero_copy: bool,
    /// Receives that ran out of buffers.
    rearm: Vec<usize>,
    dirty: Vec<usize>,
    completions: Vec<Completion>,
}

struct Stream {
    fd: OwnedFd,
    connecting: bool,
    receiving: bool,
    sending: bool,
    /// Operations that refer to `fd`.
    in_flight: u32,
    closing: bool,
    zero_copy: ZeroCopy,
    /// What arrived between a block and the cancellation of the receive.
    held: Vec<u8>,
}

struct Completion {
    user_data: u64,
    result: i32,
    flags: u32,
}

/// Kinds of operations, in the top byte of the user data; below it a slot, send or port.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Receive,
    Send,
    Connect,
    Accept,
    Wake,
    Cancel,
}

fn tag(kind: Kind, value: usize) -> u64 {
    ((kind as u64) << 56) | value as u64
}

/// Why there is no ring here, if so.
pub(crate) fn missing() -> Option<String> {
    build(8, 16).err().map(|error| match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no io_uring".into(),
        Some(libc::EPERM | libc::EACCES) => "io_uring is forbidden here (EPERM)".into(),
        Some(libc::EINVAL) => "this kernel's io_uring is too old; 6.1 is needed".into(),
        Some(libc::ENOMEM) => "RLIMIT_MEMLOCK is too small for a ring".into(),
        _ => format!("io_uring cannot be set up: {error}"),
    })
}

fn build(submissions: u32, completions: u32) -> io::Result<Ring> {
    Ring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completions)
        .build(submissions)
}

fn broken(source: io::Error) -> TransportError {
    TransportError::Io {
        what: "the ring does not work",
        source,
    }
}

impl Open for IoUring {
    fn open(
        config: &TransportConfig,
        listeners: Listeners,
        wake: &Arc<WakeState>,
    ) -> Result<Self, TransportError> {
        let ring = build(SUBMISSIONS, COMPLETIONS).map_err(broken)?;
        let buffers = BufferRing::register(&ring.submitter()).map_err(broken)?;
        let mut this = Self {
            ring,
            buffers,
            sends: Sends::default(),
            streams: Vec::new(),
            listeners: [listeners.peers, listeners.clients],
            acceptable: [true; 2],
            accept_again: None,
            wake: Arc::clone(wake),
            zero_copy: config.zero_copy,
            rearm: Vec::new(),
            dirty: Vec::new(),
            completions: Vec::new(),
        };
        for port in 0..2 {
            this.watch_listener(port).map_err(broken)?;
        }
        this.watch_waker().map_err(broken)?;
        Ok(this)
    }
}

impl Mover for IoUring {
    const BACKEND: Backend = Backend::IoUring;

    fn turn(&mut self, hub: &mut Hub, wait: Option<Duration>) -> Result<bool, TransportError> {
        self.step(hub, wait).map_err(broken)
    }
}

impl IoUring {
    fn step(&mut self, hub: &mut Hub, wait: Option<Duration>) -> io::Result<bool> {
        self.close(hub)?;
        self.dial(hub)?;
        self.accept(hub)?;
        self.resume(hub)?;
        let mut dirty = std::mem::take(&mut self.dirty);
        hub.take_dirty(&mut dirty);
        for slot in dirty.drain(..) {
            self.write(hub, slot)?;
        }
        self.dirty = dirty;
        let at_once = hub.has_work() || self.acceptable.contains(&true);
        self.enter(if at_once { Some(Duration::ZERO) } else { wait }, hub.now)?;
        self.reap(hub)
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        loop {
            // SAFETY: every entry built in this file refers only to memory and descriptors that
            // live until its completion: `streams` (kept while in flight), `sends`, `buffers`.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                return Ok(());
            }
            self.ring.submit()?;
        }
    }

    /// Submits, and waits for at least one completion if there is none.
    fn enter(&mut self, wait: Option<Duration>, now: Instant) -> io::Result<()> {
        let again = self
            .accept_again
            .map(|at| at.saturating_duration_since(now));
        let wait = [wait, again].into_iter().flatten().min();
        let done = match wait {
            Some(Duration::ZERO) => self.ring.submit(),
            None => self.ring.submit_and_wait(1),
            Some(wait) => {
                let wait = types::Timespec::from(wait);
                let args = types::SubmitArgs::new().timespec(&wait);
                self.ring.submitter().submit_with_args(1, &args)
            }
        };
        match done {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Late, interrupted, or first to be reaped: all are answered by reaping.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn reap(&mut self, hub: &mut Hub) -> io::Result<bool> {
        let mut completions = std::mem::take(&mut self.completions);
        completions.extend(self.ring.completion().map(|entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
        let mut woken = false;
        for completion in completions.drain(..) {
            let value = (completion.user_data & ((1 << 56) - 1)) as usize;
            match completion.user_data >> 56 {
                k if k == Kind::Receive as u64 => self.received(hub, value, &completion)?,
                k if k == Kind::Send as u64 => self.sent(hub, value, &completion),
                k if k == Kind::Connect as u64 => self.connected(hub, value)?,
                k if k == Kind::Accept as u64 => {
                    self.acceptable[value] = true;
                    if !cqueue::more(completion.flags) {
                        self.watch_listener(value)?;
                    }
                }
                k if k == Kind::Wake as u64 => {
                    self.wake.drain();
                    woken = true;
                    if !cqueue::more(completion.flags) {
                        self.watch_waker()?;
                    }
                }
                _ => {}
            }
        }
        self.completions = completions;
        Ok(woken)
    }

    fn watch_listener(&mut self, port: usize) -> io::Result<()> {
        let Some(listener) = &self.listeners[port] else {
            return Ok(());
        };
        let fd = types::Fd(listener.as_raw_fd());
        let entry = opcode::PollAdd::new(fd, libc::POLLIN as u32)
            .multi(true)
            .build();
        self.push(&entry.user_data(tag(Kind::Accept, port)))
    }

    fn watch_waker(&mut self) -> io::Result<()> {
        let fd = types::Fd(self.wake.as_raw_fd());
        let entry = opcode::PollAdd::new(fd, libc::POLLIN as u32)
            .multi(true)
            .build();
        self.push(&entry.user_data(tag(Kind::Wake, 0)))
    }

    fn accept(&mut self, hub: &mut Hub) -> io::Result<()> {
        if self.accept_again.is_some_and(|at| at <= hub.now) {
            self.accept_again = None;
            self.acceptable = [true; 2];
        }
        for (at, port) in PORTS.into_iter().enumerate() {
            for _ in 0..ACCEPTS_PER_TURN {
                let Some(listener) = self.listeners[at].as_ref().filter(|_| self.acceptable[at])
                else {
                    self.acceptable[at] = false;
                    break;
                };
                match sock::accept(listener.as_fd(), &hub.options) {
                    Ok(Some(fd)) => {
                        sock::set_blocking(fd.as_fd())?;
                        if let Some(slot) = hub.accepted(port) {
                            self.put(slot, fd, false);
                            self.receive(slot)?;
                        }
                    }
                    Ok(None) => self.acceptable[at] = false,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        hub.evict();
                        self.acceptable[at] = false;
                        self.accept_again = Some(hub.now + ACCEPT_PAUSE);
                    }
                }
            }
        }
        Ok(())
    }

    fn dial(&mut self, hub: &mut Hub) -> io::Result<()> {
        for (slot, addr) in std::mem::take(&mut hub.dials) {
            let Ok(fd) = sock::dial(addr, &hub.options) else {
                hub.failed(slot, DownReason::ConnectFailed);
                continue;
            };
            let poll = opcode::PollAdd::new(types::Fd(fd.as_raw_fd()), libc::POLLOUT as u32);
            self.put(slot, fd, true).in_flight += 1;
            self.push(&poll.build().user_data(tag(Kind::Connect, slot)))?;
        }
        Ok(())
    }

    fn put(&mut self, slot: usize, fd: OwnedFd, connecting: bool) -> &mut Stream {
        if self.streams.len() <= slot {
            self.streams.resize_with(slot + 1, || None);
        }
        self.streams[slot].insert(Stream {
            fd,
            connecting,
            receiving: false,
            sending: false,
            in_flight: 0,
            closing: false,
            zero_copy: ZeroCopy::new(self.zero_copy),
            held: Vec::new(),
        })
    }

    fn stream(&mut self, slot: usize) -> Option<&mut Stream> {
        self.streams.get_mut(slot).and_then(Option::as_mut)
    }

    fn connected(&mut self, hub: &mut Hub, slot: usize) -> io::Result<()> {
        let Some(stream) = self.stream(slot) else {
            return Ok(());
        };
        stream.in_flight -= 1;
        stream.connecting = false;
        if stream.closing {
            self.drop_if_idle(hub, slot);
            return Ok(());
        }
        let failed = sock::connect_error(stream.fd.as_fd()).is_some();
        if failed || sock::set_blocking(stream.fd.as_fd()).is_err() {
            hub.failed(slot, DownReason::ConnectFailed);
            return Ok(());
        }
        hub.connected(slot);
        self.receive(slot)
    }

    /// Ends the streams that the hub has closed; they go once the kernel is done with them.
    fn close(&mut self, hub: &mut Hub) -> io::Result<()> {
        for (slot, words) in std::mem::take(&mut hub.closes) {
            let Some(stream) = self.stream(slot) else {
                hub.release(slot);
                continue;
            };
            stream.closing = true;
            if let Some(words) = words {
                // A hint to the other side; if it does not fit, so be it.
                let _ = sock::write_vectored(stream.fd.as_fd(), &[IoSlice::new(&words)]);
            }
            if stream.in_flight > 0 {
                sock::shut_down(stream.fd.as_fd());
                let fd = types::Fd(stream.fd.as_raw_fd());
                let entry = opcode::AsyncCancel2::new(types::CancelBuilder::fd(fd).all()).build();
                self.push(&entry.user_data(tag(Kind::Cancel, 0)))?;
            }
            self.drop_if_idle(hub, slot);
        }
        Ok(())
    }

    fn drop_if_idle(&mut self, hub: &mut Hub, slot: usize) {
        if self
            .stream(slot)
            .is_some_and(|stream| stream.closing && stream.in_flight == 0)
        {
            self.streams[slot] = None;
            hub.release(slot);
        }
    }
}

impl Drop for IoUring {
    /// Waits for the operations, for they refer to our memory. What the kernel does not give back
    /// in time is leaked, never freed.
    fn drop(&mut self) {
        for stream in self.streams.iter().flatten() {
            sock::shut_down(stream.fd.as_fd());
        }
        let any = opcode::AsyncCancel2::new(types::CancelBuilder::any()).build();
        let _ = self.push(&any.user_data(tag(Kind::Cancel, 0)));
        let wait = types::Timespec::from(Duration::from_millis(10));
        for _ in 0..100 {
            let receiving = self.streams.iter().flatten().any(|stream| stream.receiving);
            if self.sends.is_empty() && !receiving {
                return;
            }
            let args = types::SubmitArgs::new().timespec(&wait);
            let _ = self.ring.submitter().submit_with_args(1, &args);
            for entry in self.ring.completion() {
                let (kind, value) = (entry.user_data() >> 56, entry.user_data() as u32 as usize);
                if cqueue::more(entry.flags()) {
                    continue;
                }
                if kind == Kind::Send as u64 {
                    self.sends.finish(value);
                } else if kind == Kind::Receive as u64
                    && let Some(stream) = self.streams.get_mut(value).and_then(Option::as_mut)
                {
                    stream.receiving = false;
                }
            }
        }
        self.sends.leak();
        self.buffers.leak();
    }
}
