//! The `tokio-uring` back end, kept for comparison: reads and writes through the crate's ring, all
//! else (listeners, dials, timer, waker) through the tokio reactor that it brings along.
//!
//! Around the defects of 0.5.0: one read per connection that is never dropped before it completes;
//! plain writes of shared buffers, started for all links before any is awaited; `COOP_TASKRUN`;
//! and a real park in every turn, because only parking submits.

mod ops;

use crate::endpoint::{Listeners, Mover, Open};
use crate::hub::Hub;
use crate::reactor::{Key, Reactor, Source};
use crate::waker::WakeState;
use crate::{Backend, DownReason, TransportConfig, TransportError, sock};
use ::tokio_uring::buf::BoundedBuf;
use ::tokio_uring::net::TcpStream;
use ops::{Done, Into, Start};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ENTRIES: u32 = 1024;
const SLICES_MAX: usize = 64;
/// Every connection owns a buffer here: small ones for the many clients.
const REPLICA_BUFFER_LEN: usize = 64 << 10;
const CLIENT_BUFFER_LEN: usize = 8 << 10;

pub(crate) struct TokioUring {
    reactor: Reactor,
    /// By slot.
    streams: Vec<Option<Stream>>,
    /// Operations to start at the next turn, and what the finished ones gave.
    starts: Vec<Start>,
    done: Rc<RefCell<Vec<Done>>>,
    keys: Vec<Key>,
    dirty: Vec<usize>,
    runtime: ::tokio_uring::Runtime,
}

enum Stream {
    Connecting(Source<OwnedFd>),
    Connected(Connected),
}

struct Connected {
    stream: Rc<TcpStream>,
    reading: bool,
    writing: bool,
    closing: bool,
    buffer: Vec<u8>,
    /// A read that completed while the link was blocked.
    held: Option<Done>,
}

/// Why there is no ring here, if so.
pub(crate) fn missing() -> Option<String> {
    crate::io_uring::missing()
}

fn broken(source: io::Error) -> TransportError {
    TransportError::Io {
        what: "the tokio-uring runtime does not work",
        source,
    }
}

impl Open for TokioUring {
    fn open(
        _config: &TransportConfig,
        listeners: Listeners,
        wake: &Arc<WakeState>,
    ) -> Result<Self, TransportError> {
        let mut ring = ::tokio_uring::uring_builder();
        ring.setup_coop_taskrun();
        let mut builder = ::tokio_uring::builder();
        builder.entries(ENTRIES).uring_builder(&ring);
        let runtime = ::tokio_uring::Runtime::new(&builder).map_err(broken)?;
        let reactor = runtime
            .block_on(async { Reactor::new(listeners, wake) })
            .map_err(broken)?;
        let (starts, done) = (Vec::new(), Rc::default());
        let (streams, keys, dirty) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            reactor,
            streams,
            starts,
            done,
            keys,
            dirty,
            runtime,
        })
    }
}

impl Mover for TokioUring {
    const BACKEND: Backend = Backend::TokioUring;

    fn turn(&mut self, hub: &mut Hub, wait: Option<Duration>) -> Result<bool, TransportError> {
        self.close(hub);
        self.dial(hub);
        self.resume(hub);
        let mut dirty = std::mem::take(&mut self.dirty);
        hub.take_dirty(&mut dirty);
        for slot in dirty.drain(..) {
            self.write(hub, slot);
        }
        self.dirty = dirty;
        self.wait(
            if hub.has_work() {
                Some(Duration::ZERO)
            } else {
                wait
            },
            hub.now,
        )?;

        let mut woken = false;
        let mut keys = std::mem::take(&mut self.keys);
        self.reactor.ready.take(&mut keys);
        for key in keys.drain(..) {
            match key {
                Key::Write(slot) => self.finish_connect(hub, slot),
                // Completions are taken from `done` below.
                Key::Read(_) => {}
                Key::Accept(port) => self.accept(hub, port)?,
                Key::Timer | Key::Wake => woken |= self.reactor.handle(key),
            }
        }
        self.keys = keys;
        let done = std::mem::take(&mut *self.done.borrow_mut());
        for done in done {
            self.finished(hub, done);
        }
        Ok(woken)
    }
}

impl TokioUring {
    /// Starts operations and waits.
    fn wait(&mut self, wait: Option<Duration>, now: Instant) -> Result<(), TransportError> {
        let at_once = wait == Some(Duration::ZERO);
        if at_once || !self.starts.is_empty() {
            self.submit().map_err(broken)?;
        }
        if !at_once && self.reactor.ready.len() == 0 {
            self.reactor.arm(wait, now).map_err(broken)?;
            self.runtime.block_on(self.reactor.ready.wait());
        }
        Ok(())
    }

    /// Starts operations and parks once: the crate submits only then, so that a turn which found
    /// something to do at once would otherwise leave its writes lying. The timer tells a park.
    fn submit(&mut self) -> io::Result<()> {
        self.reactor.arm_at_once()?;
        let (starts, done) = (std::mem::take(&mut self.starts), &self.done);
        let ready = &self.reactor.ready;
        self.runtime.block_on(async {
            for start in starts {
                let (done, ready) = (Rc::clone(done), Arc::clone(ready));
                ::tokio_uring::spawn(async move {
                    let (key, result) = start.run().await;
                    done.borrow_mut().push(result);
                    ready.note(key);
                });
            }
            ready.wait_for(Key::Timer).await;
        });
        self.reactor.ready.remove(Key::Timer);
        self.reactor.handle(Key::Timer);
        Ok(())
    }

    fn close(&mut self, hub: &mut Hub) {
        for (slot, words) in std::mem::take(&mut hub.closes) {
            if let Some(Stream::Connected(stream)) =
                self.streams.get_mut(slot).and_then(Option::as_mut)
            {
                stream.closing = true;
                stream.reading &= stream.held.take().is_none();
                if let Some(words) = words {
                    // A hint to the other side; if it does not fit, so be it.
                    let _ = sock::write_vectored(stream.fd(), &[IoSlice::new(&words)]);
                }
                if stream.reading || stream.writing {
                    sock::shut_down(stream.fd());
                    continue;
                }
            }
            self.forget(hub, slot);
        }
    }

    fn forget(&mut self, hub: &mut Hub, slot: usize) {
        if let Some(stream) = self.streams.get_mut(slot) {
            *stream = None;
        }
        hub.release(slot);
    }

    fn dial(&mut self, hub: &mut Hub) {
        let dials = std::mem::take(&mut hub.dials);
        if dials.is_empty() {
            return;
        }
        let ready = Arc::clone(&self.reactor.ready);
        // Inside the runtime, for the registration with its reactor.
        let sources: Vec<_> = self.runtime.block_on(async {
            let dial = |(slot, addr)| {
                let source = sock::dial(addr, &hub.options)
                    .and_then(|fd| Source::new(fd, &ready, Key::Write(slot), Key::Write(slot)));
                (slot, source)
            };
            dials.into_iter().map(dial).collect()
        });
        for (slot, source) in sources {
            match source {
                Ok(source) => self.put(slot, Stream::Connecting(source)),
                Err(_) => hub.failed(slot, DownReason::ConnectFailed),
            }
            self.reactor.ready.note(Key::Write(slot));
        }
    }

    fn finish_connect(&mut self, hub: &mut Hub, slot: usize) {
        let Some(place) = self.streams.get_mut(slot) else {
            return;
        };
        match place {
            Some(Stream::Connecting(source)) if source.writable().is_ready() => {}
            _ => return,
        }
        let Some(Stream::Connecting(source)) = place.take() else {
            return;
        };
        let fd = source.into_inner();
        if sock::connect_error(fd.as_fd()).is_some() {
            return hub.failed(slot, DownReason::ConnectFailed);
        }
        self.start(hub, slot, fd);
        hub.connected(slot);
    }

    fn accept(&mut self, hub: &mut Hub, port: crate::link::Port) -> Result<(), TransportError> {
        let mut accepted = Vec::new();
        self.reactor
            .accept(port, hub, |_, slot, fd| accepted.push((slot, fd)))?;
        for (slot, fd) in accepted {
            self.start(hub, slot, fd);
        }
        Ok(())
    }

    /// A connected socket: its first read starts.
    fn start(&mut self, hub: &mut Hub, slot: usize, fd: OwnedFd) {
        if sock::set_blocking(fd.as_fd()).is_err() {
            return hub.failed(slot, DownReason::Io);
        }
        let len = if hub.is_replica(slot) {
            REPLICA_BUFFER_LEN
        } else {
            CLIENT_BUFFER_LEN
        };
        let connected = Connected {
            stream: Rc::new(TcpStream::from_std(fd.into())),
            reading: false,
            writing: false,
            closing: false,
            buffer: Vec::with_capacity(len),
            held: None,
        };
        self.put(slot, Stream::Connected(connected));
        self.read(hub, slot);
    }

    fn put(&mut self, slot: usize, stream: Stream) {
        if self.streams.len() <= slot {
            self.streams.resize_with(slot + 1, || None);
        }
        self.streams[slot] = Some(stream);
    }

    fn connected(&mut self, slot: usize) -> Option<&mut Connected> {
        match self.streams.get_mut(slot).and_then(Option::as_mut) {
            Some(Stream::Connected(connected)) => Some(connected),
            _ => None,
        }
    }

    fn read(&mut self, hub: &mut Hub, slot: usize) {
        let Some(connected) = self.connected(slot) else {
            return;
        };
        if connected.reading || connected.closing || !hub.may_move(slot) {
            return;
        }
        connected.reading = true;
        let (into, buffer) = match hub.take_buffer(slot) {
            Some(buffer) => {
                let from = buffer.len();
                (Into::Frame, buffer.slice(from..))
            }
            None => (
                Into::Stream,
                std::mem::take(&mut connected.buffer).slice(..),
            ),
        };
        let stream = Rc::clone(&connected.stream);
        self.starts.push(Start::Read {
            slot,
            stream,
            into,
            buffer,
        });
    }

    fn write(&mut self, hub: &mut Hub, slot: usize) {
        let Some(connected) = self.connected(slot) else {
            return;
        };
        if connected.writing || connected.closing {
            return;
        }
        let Some(wire) = hub.wire(slot) else { return };
        let segments = wire.gather_owned(SLICES_MAX);
        connected.writing = true;
        let stream = Rc::clone(&connected.stream);
        self.starts.push(Start::Write {
            slot,
            stream,
            segments,
        });
    }

    fn finished(&mut self, hub: &mut Hub, done: Done) {
        let slot = done.slot();
        let Some(connected) = self.connected(slot) else {
            return;
        };
        match &done {
            Done::Read { .. } => connected.reading = false,
            Done::Wrote { .. } => connected.writing = false,
        }
        if connected.closing {
            if !connected.reading && !connected.writing {
                self.forget(hub, slot);
            }
            return;
        }
        match done {
            Done::Wrote {
                result: Ok(len), ..
            } => {
                hub.wrote(slot, len);
                hub.mark_dirty(slot);
            }
            Done::Wrote { result: Err(_), .. } => hub.failed(slot, DownReason::Io),
            Done::Read { .. } if !hub.may_move(slot) => {
                connected.reading = true;
                connected.held = Some(done);
            }
            Done::Read {
                into,
                mut buffer,
                result,
                ..
            } => {
                match (into, &result) {
                    (Into::Frame, _) => hub.put_buffer(slot, buffer),
                    (Into::Stream, Ok(len)) => {
                        hub.feed(slot, &buffer[..*len]);
                        buffer.clear();
                        connected.buffer = buffer;
                    }
                    (Into::Stream, Err(_)) => {}
                }
                match result {
                    Ok(0) => hub.ended(slot),
                    Ok(_) => self.read(hub, slot),
                    Err(_) => hub.failed(slot, DownReason::Io),
                }
            }
        }
    }

    fn resume(&mut self, hub: &mut Hub) {
        for slot in std::mem::take(&mut hub.unblocked) {
            let held = self
                .connected(slot)
                .and_then(|connected| connected.held.take());
            if let Some(held) = held {
                self.finished(hub, held);
            }
        }
    }
}

impl Connected {
    fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the stream is alive as long as `self` and closes its descriptor when dropped.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }
}

impl Drop for TokioUring {
    /// Lets the operations end before their runtime does.
    fn drop(&mut self) {
        for stream in self.streams.iter().flatten() {
            if let Stream::Connected(connected) = stream {
                sock::shut_down(connected.fd());
            }
        }
        self.starts.clear();
        self.streams.clear();
        let started = Instant::now();
        while Rc::strong_count(&self.done) > 1 && started.elapsed() < Duration::from_secs(1) {
            let _ = self.wait(Some(Duration::ZERO), started);
            self.reactor.ready.take(&mut self.keys);
            for key in std::mem::take(&mut self.keys) {
                self.reactor.handle(key);
            }
        }
    }
}
