//! tokio's reactor, used without tasks: each source has a waker that notes its key.
//!
//! `wait` drives the runtime on the calling thread until some key is noted. Both tokio back ends
//! take their listeners, timer, waker and dials from here.

use crate::TransportError;
use crate::endpoint::Listeners;
use crate::hub::{ACCEPTS_PER_TURN, Hub};
use crate::link::Port;
use crate::sock::{self, TimerFd};
use crate::waker::WakeState;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// What became ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Timer,
    Wake,
    Accept(Port),
    Read(usize),
    Write(usize),
}

/// Keys noted since the last wait.
#[derive(Default)]
pub(crate) struct Ready(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    keys: Vec<Key>,
    main: Option<Waker>,
}

impl Ready {
    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, key: Key) {
        let mut noted = self.lock();
        noted.keys.push(key);
        if let Some(main) = noted.main.take() {
            main.wake();
        }
    }

    /// Until something is noted.
    pub(crate) async fn wait(&self) {
        self.wait_until(|keys| !keys.is_empty()).await;
    }

    /// Until this key is noted.
    pub(crate) async fn wait_for(&self, key: Key) {
        self.wait_until(|keys| keys.contains(&key)).await;
    }

    async fn wait_until(&self, done: impl Fn(&[Key]) -> bool) {
        poll_fn(|cx| {
            let mut noted = self.lock();
            if done(&noted.keys) {
                return Poll::Ready(());
            }
            noted.main = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(crate) fn remove(&self, key: Key) {
        self.lock().keys.retain(|noted| *noted != key);
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().keys.len()
    }

    /// Swaps the noted keys out.
    pub(crate) fn take(&self, into: &mut Vec<Key>) {
        std::mem::swap(&mut self.lock().keys, into);
    }

    pub(crate) fn waker(self: &Arc<Self>, key: Key) -> Waker {
        Waker::from(Arc::new(KeyWaker {
            key,
            ready: Arc::clone(self),
        }))
    }
}

struct KeyWaker {
    key: Key,
    ready: Arc<Ready>,
}

impl Wake for KeyWaker {
    fn wake(self: Arc<Self>) {
        self.ready.note(self.key);
    }
}

/// A descriptor in the reactor with its two wakers.
pub(crate) struct Source<T: AsRawFd> {
    fd: AsyncFd<T>,
    read: Waker,
    write: Waker,
}

impl<T: AsRawFd> Source<T> {
    /// Must be called inside the runtime.
    pub(crate) fn new(fd: T, ready: &Arc<Ready>, read: Key, write: Key) -> io::Result<Self> {
        let (read, write) = (ready.waker(read), ready.waker(write));
        // SAFETY: `T` is one of this room's types that own their descriptor for as long as they
        // live and always return the same one (OwnedFd, TimerFd, WakeState).
        let fd = unsafe { AsyncFd::register(fd)? };
        Ok(Self { fd, read, write })
    }

    /// Ready to read, or armed: its key will be noted.
    pub(crate) fn readable(&self) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        self.fd
            .poll_read_ready(&mut Context::from_waker(&self.read))
    }

    /// Ready to write, or armed: its key will be noted.
    pub(crate) fn writable(&self) -> Poll<io::Result<AsyncFdReadyGuard<'_, T>>> {
        self.fd
            .poll_write_ready(&mut Context::from_waker(&self.write))
    }

    pub(crate) fn get(&self) -> &T {
        self.fd.get_ref()
    }

    pub(crate) fn into_inner(self) -> T {
        self.fd.into_inner()
    }

    /// Forgets a readiness that was used up, and arms.
    fn rearm(&self) {
        while let Poll::Ready(Ok(mut guard)) = self.readable() {
            guard.clear_ready();
        }
    }
}

pub(crate) struct Reactor {
    pub ready: Arc<Ready>,
    timer: Source<TimerFd>,
    /// When the timer fires; an early wake-up is harmless, a system call per wait is not.
    armed: Option<Instant>,
    wake: Source<Arc<WakeState>>,
    peers: Option<Source<OwnedFd>>,
    clients: Option<Source<OwnedFd>>,
    /// Out of descriptors: when to look at the listeners again.
    accept_again: Option<Instant>,
}

impl Reactor {
    /// Must be called inside the runtime.
    pub(crate) fn new(listeners: Listeners, wake: &Arc<WakeState>) -> io::Result<Self> {
        let ready = Arc::<Ready>::default();
        let source = |listener: Option<std::net::TcpListener>, port| {
            let key = Key::Accept(port);
            listener
                .map(|listener| Source::new(listener.into(), &ready, key, key))
                .transpose()
        };
        let peers = source(listeners.peers, Port::Peers)?;
        let clients = source(listeners.clients, Port::Clients)?;
        let timer = Source::new(TimerFd::new()?, &ready, Key::Timer, Key::Timer)?;
        let wake = Source::new(Arc::clone(wake), &ready, Key::Wake, Key::Wake)?;
        ready.note(Key::Accept(Port::Peers));
        ready.note(Key::Accept(Port::Clients));
        timer.rearm();
        wake.rearm();
        Ok(Self {
            ready,
            timer,
            armed: None,
            wake,
            peers,
            clients,
            accept_again: None,
        })
    }

    /// Sets the timer for a wait of this length.
    pub(crate) fn arm(&mut self, wait: Option<Duration>, now: Instant) -> io::Result<()> {
        if self.accept_again.is_some_and(|at| at <= now) {
            self.accept_again = None;
            self.ready.note(Key::Accept(Port::Peers));
            self.ready.note(Key::Accept(Port::Clients));
        }
        let again = self
            .accept_again
            .map(|at| at.saturating_duration_since(now));
        let Some(wait) = [wait, again].into_iter().flatten().min() else {
            return Ok(());
        };
        let until = now + wait;
        if self
            .armed
            .is_some_and(|armed| armed > now && armed <= until)
        {
            return Ok(());
        }
        self.timer.get().set(Some(wait))?;
        self.armed = Some(until);
        Ok(())
    }

    /// Makes the timer fire as soon as somebody waits.
    pub(crate) fn arm_at_once(&mut self) -> io::Result<()> {
        self.armed = None;
        self.timer.get().set(Some(Duration::ZERO))
    }

    /// Handles the keys that are not of connections. Says whether the waker was readable.
    pub(crate) fn handle(&mut self, key: Key) -> bool {
        match key {
            Key::Timer => {
                self.armed = None;
                self.timer.rearm();
            }
            Key::Wake => {
                self.wake.get().drain();
                self.wake.rearm();
                return true;
            }
            _ => {}
        }
        false
    }

    /// Accepts a bounded number of connections of one port.
    pub(crate) fn accept(
        &mut self,
        port: Port,
        hub: &mut Hub,
        mut each: impl FnMut(&mut Hub, usize, OwnedFd),
    ) -> Result<(), TransportError> {
        let source = if port == Port::Peers {
            &self.peers
        } else {
            &self.clients
        };
        let Some(source) = source else { return Ok(()) };
        for _ in 0..ACCEPTS_PER_TURN {
            let Poll::Ready(guard) = source.readable() else {
                return Ok(());
            };
            let what = "cannot wait for connections";
            let mut guard = guard.map_err(|source| TransportError::Io { what, source })?;
            match sock::accept(source.get().as_fd(), &hub.options) {
                Ok(Some(fd)) => {
                    if let Some(slot) = hub.accepted(port) {
                        each(hub, slot, fd);
                    }
                }
                Ok(None) => guard.clear_ready(),
                // Out of descriptors or memory: make room, and come back.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    hub.evict();
                    self.accept_again = Some(Instant::now() + ACCEPT_PAUSE);
                    return Ok(());
                }
            }
        }
        self.ready.note(Key::Accept(port));
        Ok(())
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
