//! The `epoll` back end: tokio's current-thread runtime, driven inside `poll`.

use crate::endpoint::{Listeners, Mover, Open};
use crate::hub::Hub;
use crate::reactor::{Key, Reactor, Ready, Source};
use crate::waker::WakeState;
use crate::{Backend, DownReason, TransportConfig, TransportError, sock};
use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

const READ_BUFFER_LEN: usize = 64 << 10;
/// Slices of one vectored write.
const SLICES_MAX: usize = 64;
/// Bytes moved per connection before the others have their turn.
const READ_TURN_BYTES: usize = 1 << 20;
const WRITE_TURN_BYTES: usize = 1 << 20;

pub(crate) struct Epoll {
    runtime: tokio::runtime::Runtime,
    reactor: Reactor,
    /// By slot.
    streams: Vec<Option<Stream>>,
    buffer: Box<[u8]>,
    keys: Vec<Key>,
    dirty: Vec<usize>,
}

struct Stream {
    source: Source<OwnedFd>,
    connecting: bool,
    ready: Arc<Ready>,
}

impl Open for Epoll {
    fn open(
        _config: &TransportConfig,
        listeners: Listeners,
        wake: &Arc<WakeState>,
    ) -> Result<Self, TransportError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build();
        let runtime = runtime.map_err(broken)?;
        let guard = runtime.enter();
        let reactor = Reactor::new(listeners, wake).map_err(broken)?;
        drop(guard);
        let buffer = sock::read_buffer(READ_BUFFER_LEN);
        let (streams, keys, dirty) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self {
            runtime,
            reactor,
            streams,
            buffer,
            keys,
            dirty,
        })
    }
}

impl Mover for Epoll {
    const BACKEND: Backend = Backend::Epoll;

    fn turn(&mut self, hub: &mut Hub, wait: Option<Duration>) -> Result<bool, TransportError> {
        self.close(hub);
        self.dial(hub);
        for slot in hub.unblocked.drain(..) {
            self.reactor.ready.note(Key::Read(slot));
        }
        self.flush(hub);
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
                Key::Read(slot) => self.read(hub, slot),
                Key::Write(slot) => self.write(hub, slot),
                Key::Accept(port) => {
                    let _guard = self.runtime.enter();
                    let (ready, streams) = (Arc::clone(&self.reactor.ready), &mut self.streams);
                    self.reactor.accept(port, hub, |hub, slot, fd| {
                        match Stream::new(fd, slot, false, &ready) {
                            Ok(stream) => put(streams, slot, stream),
                            Err(_) => hub.failed(slot, DownReason::Io),
                        }
                        ready.note(Key::Read(slot));
                    })?;
                }
                Key::Timer | Key::Wake => woken |= self.reactor.handle(key),
            }
        }
        self.keys = keys;
        Ok(woken)
    }
}

impl Epoll {
    fn wait(&mut self, wait: Option<Duration>, now: Instant) -> Result<(), TransportError> {
        let ready = &self.reactor.ready;
        if wait == Some(Duration::ZERO) || ready.len() > 0 {
            // One look at the descriptors: a yield makes the runtime drive its reactor.
            self.runtime.block_on(tokio::task::yield_now());
            return Ok(());
        }
        self.reactor.arm(wait, now).map_err(broken)?;
        self.runtime.block_on(self.reactor.ready.wait());
        Ok(())
    }

    fn close(&mut self, hub: &mut Hub) {
        for (slot, words) in std::mem::take(&mut hub.closes) {
            let stream = self.streams.get_mut(slot).and_then(Option::take);
            if let (Some(stream), Some(words)) = (stream, words) {
                // A hint to the other side; if it does not fit, so be it.
                let _ = sock::write_vectored(stream.source.get().as_fd(), &[IoSlice::new(&words)]);
            }
            hub.release(slot);
        }
    }

    fn dial(&mut self, hub: &mut Hub) {
        let _guard = self.runtime.enter();
        for (slot, addr) in std::mem::take(&mut hub.dials) {
            let stream = sock::dial(addr, &hub.options)
                .and_then(|fd| Stream::new(fd, slot, true, &self.reactor.ready));
            match stream {
                Ok(stream) => put(&mut self.streams, slot, stream),
                Err(_) => hub.failed(slot, DownReason::ConnectFailed),
            }
            self.reactor.ready.note(Key::Write(slot));
        }
    }

    fn flush(&mut self, hub: &mut Hub) {
        let mut dirty = std::mem::take(&mut self.dirty);
        hub.take_dirty(&mut dirty);
        for slot in dirty.drain(..) {
            self.write(hub, slot);
        }
        self.dirty = dirty;
    }

    fn write(&mut self, hub: &mut Hub, slot: usize) {
        let Some(stream) = self.streams.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if stream.connecting && !stream.finish_connect(hub, slot) {
            return;
        }
        let mut written = 0;
        while let Some(wire) = hub.wire(slot) {
            if written >= WRITE_TURN_BYTES {
                return hub.mark_dirty(slot);
            }
            let Poll::Ready(Ok(mut guard)) = stream.source.writable() else {
                return;
            };
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = wire.gather(&mut slices);
            let slices = &slices[..count];
            match sock::write_vectored(stream.source.get().as_fd(), slices) {
                Ok(len) => {
                    if len < slices.iter().map(|slice| slice.len()).sum() {
                        guard.clear_ready();
                    }
                    written += len;
                    hub.wrote(slot, len);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return hub.failed(slot, DownReason::Io),
            }
        }
    }

    fn read(&mut self, hub: &mut Hub, slot: usize) {
        let Some(stream) = self.streams.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        if stream.connecting {
            return;
        }
        let mut read = 0;
        // A blocked link is read again when the hub says so.
        while hub.may_move(slot) {
            if read >= READ_TURN_BYTES {
                return self.reactor.ready.note(Key::Read(slot));
            }
            let Poll::Ready(Ok(mut guard)) = stream.source.readable() else {
                return;
            };
            let fd = stream.source.get().as_fd();
            let result = hub.read_with(slot, &mut self.buffer, |direct, rest| {
                sock::read_vectored(fd, direct, rest)
            });
            match result {
                Ok((0, _)) => return hub.ended(slot),
                Ok((len, room)) => {
                    if len < room {
                        guard.clear_ready();
                    }
                    read += len;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return hub.failed(slot, DownReason::Io),
            }
        }
    }
}

impl Stream {
    fn new(fd: OwnedFd, slot: usize, connecting: bool, ready: &Arc<Ready>) -> io::Result<Self> {
        let source = Source::new(fd, ready, Key::Read(slot), Key::Write(slot))?;
        Ok(Self {
            source,
            connecting,
            ready: Arc::clone(ready),
        })
    }

    /// True once the dial has succeeded.
    fn finish_connect(&mut self, hub: &mut Hub, slot: usize) -> bool {
        let Poll::Ready(Ok(_guard)) = self.source.writable() else {
            return false;
        };
        if sock::connect_error(self.source.get().as_fd()).is_some() {
            hub.failed(slot, DownReason::ConnectFailed);
            return false;
        }
        self.connecting = false;
        hub.connected(slot);
        // Armed, or ready and then noted by hand.
        if self.source.readable().is_ready() {
            self.ready.note(Key::Read(slot));
        }
        true
    }
}

fn put(streams: &mut Vec<Option<Stream>>, slot: usize, stream: Stream) {
    if streams.len() <= slot {
        streams.resize_with(slot + 1, || None);
    }
    streams[slot] = Some(stream);
}

fn broken(source: io::Error) -> TransportError {
    TransportError::Io {
        what: "the epoll reactor does not work",
        source,
    }
}
