//! Waking `poll` from other threads: coalesced, and without a system call while it is awake.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Makes [`poll`](crate::Transport::poll) return [`Event::Woken`](crate::Event::Woken).
#[derive(Clone)]
pub struct Waker(Inner);

#[derive(Clone)]
enum Inner {
    Eventfd(Arc<WakeState>),
    Call(Arc<dyn Fn() + Send + Sync>),
}

impl Waker {
    /// A waker that calls `wake`; for transports that are not made of sockets.
    pub fn from_fn(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Inner::Call(Arc::new(wake)))
    }

    pub(crate) fn from_state(state: Arc<WakeState>) -> Self {
        Self(Inner::Eventfd(state))
    }

    /// Cheap if the transport is awake or was woken already.
    pub fn wake(&self) {
        match &self.0 {
            Inner::Eventfd(state) => state.wake(),
            Inner::Call(call) => call(),
        }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}

/// The poll side: `pending` says that somebody woke, `asleep` that only the eventfd can be heard.
pub(crate) struct WakeState {
    pending: AtomicBool,
    asleep: AtomicBool,
    eventfd: OwnedFd,
}

impl WakeState {
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        // SAFETY: no pointers are passed; the result is checked before it is used.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just returned by eventfd and nobody else owns it.
        let eventfd = unsafe { OwnedFd::from_raw_fd(fd) };
        let (pending, asleep) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Arc::new(Self {
            pending,
            asleep,
            eventfd,
        }))
    }

    fn wake(&self) {
        if !self.pending.swap(true, SeqCst) && self.asleep.load(SeqCst) {
            let one = 1u64.to_ne_bytes();
            // SAFETY: the buffer is 8 readable bytes, as eventfd requires. A full counter (EAGAIN)
            // means that the poller is going to wake anyway.
            unsafe { libc::write(self.eventfd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    /// Announces that the poller is about to block; false if it must not, for somebody woke it.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, SeqCst);
        !self.pending.load(SeqCst)
    }

    /// Ends the sleep, empties the eventfd if `readable`, and says whether somebody woke us.
    pub(crate) fn rise(&self, readable: bool) -> bool {
        self.asleep.store(false, SeqCst);
        if readable {
            self.drain();
        }
        self.pending.load(SeqCst) && self.pending.swap(false, SeqCst)
    }

    pub(crate) fn drain(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the buffer is 8 writable bytes; the descriptor does not block.
        unsafe {
            libc::read(
                self.eventfd.as_raw_fd(),
                count.as_mut_ptr().cast(),
                count.len(),
            )
        };
    }
}

impl AsRawFd for WakeState {
    fn as_raw_fd(&self) -> i32 {
        self.eventfd.as_raw_fd()
    }
}
