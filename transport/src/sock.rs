//! System calls on sockets that all back ends share.

use crate::{Listen, TransportError};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// Unsent bytes that the kernel keeps per socket before it says "not writable": the reason why a
/// control frame never waits behind megabytes of bulk.
const NOTSENT_LOWAT_BYTES: libc::c_int = 256 << 10;
const BACKLOG: i32 = 1024;

/// Options of every stream.
#[derive(Clone, Debug)]
pub(crate) struct SocketOptions {
    pub congestion: Option<String>,
    pub silent_timeout: Duration,
}

impl SocketOptions {
    /// Buffer sizes are left alone: fixed ones halve the throughput.
    pub(crate) fn apply(&self, socket: &Socket) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_user_timeout(Some(self.silent_timeout))?;
        let probe = (self.silent_timeout / 3).max(Duration::from_secs(1));
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(probe).with_interval(probe))?;
        if let Some(name) = &self.congestion {
            socket.set_tcp_congestion(name.as_bytes())?;
        }
        let (value, len) = (
            NOTSENT_LOWAT_BYTES,
            size_of::<libc::c_int>() as libc::socklen_t,
        );
        let (level, name) = (libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT);
        // SAFETY: `value` is a live c_int and `len` its size.
        let done = unsafe {
            libc::setsockopt(
                socket.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                len,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

/// Binds (or takes over) a listener that does not block.
pub(crate) fn listen(
    listen: &Listen,
    options: &SocketOptions,
) -> Result<TcpListener, TransportError> {
    let listener = match listen {
        Listen::Bound(listener) => listener
            .try_clone()
            .map_err(|source| listen_error(listen, source))?,
        Listen::Addr(addr) => bind(*addr).map_err(|source| listen_error(listen, source))?,
    };
    let socket = socket2::SockRef::from(&listener);
    let ready = listener
        .set_nonblocking(true)
        .and_then(|()| match &options.congestion {
            Some(name) => socket.set_tcp_congestion(name.as_bytes()),
            None => Ok(()),
        });
    ready.map_err(|source| listen_error(listen, source))?;
    Ok(listener)
}

fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn listen_error(listen: &Listen, source: io::Error) -> TransportError {
    let addr = match listen {
        Listen::Addr(addr) => *addr,
        Listen::Bound(listener) => listener
            .local_addr()
            .unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))),
    };
    TransportError::Listen { addr, source }
}

/// Accepts one connection, non-blocking and with its options set; `None`: there is none.
pub(crate) fn accept(
    listener: BorrowedFd<'_>,
    options: &SocketOptions,
) -> io::Result<Option<OwnedFd>> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let (no_addr, no_len) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: null is allowed for the address and its length; the result is checked.
    let fd = unsafe { libc::accept4(listener.as_raw_fd(), no_addr, no_len, flags) };
    if fd < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::EAGAIN) => Ok(None),
            // The connection died in the backlog: the next may be alive.
            Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO) => accept(listener, options),
            _ => Err(error),
        };
    }
    // SAFETY: accept4 just returned this descriptor; nobody else owns it.
    let socket = Socket::from(unsafe { OwnedFd::from_raw_fd(fd) });
    match options.apply(&socket) {
        Ok(()) => Ok(Some(socket.into())),
        // Already reset by the other side: nothing to tell anybody.
        Err(_) => accept(listener, options),
    }
}

/// Starts a connection; it is there once the socket is writable and [`connect_error`] is none.
pub(crate) fn dial(addr: SocketAddr, options: &SocketOptions) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    options.apply(&socket)?;
    match socket.connect(&addr.into()) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// Whether a started connection failed.
pub(crate) fn connect_error(fd: BorrowedFd<'_>) -> Option<io::Error> {
    socket2::SockRef::from(&fd)
        .take_error()
        .unwrap_or_else(Some)
}

/// io_uring waits in the kernel only for blocking sockets.
pub(crate) fn set_blocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    socket2::SockRef::from(&fd).set_nonblocking(false)
}

/// Ends both directions at once, whatever is in flight.
pub(crate) fn shut_down(fd: BorrowedFd<'_>) {
    // Fails only if it is not connected any more.
    let _ = socket2::SockRef::from(&fd).shutdown(std::net::Shutdown::Both);
}

/// Reads into `direct` first, then into `rest`.
pub(crate) fn read_vectored(
    fd: BorrowedFd<'_>,
    direct: &mut [MaybeUninit<u8>],
    rest: &mut [u8],
) -> io::Result<usize> {
    let mut slices = [
        libc::iovec {
            iov_base: direct.as_mut_ptr().cast(),
            iov_len: direct.len(),
        },
        libc::iovec {
            iov_base: rest.as_mut_ptr().cast(),
            iov_len: rest.len(),
        },
    ];
    let skip = usize::from(direct.is_empty());
    let slices = &mut slices[skip..];
    // SAFETY: both slices are writable for their lengths and live until the call returns.
    let len = unsafe { libc::readv(fd.as_raw_fd(), slices.as_ptr(), slices.len() as libc::c_int) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// Writes without a signal if the peer is gone.
pub(crate) fn write_vectored(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: an all-zero msghdr is valid (null pointers with zero lengths).
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice is ABI compatible with iovec; sendmsg does not write through it.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len() as _;
    let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
    // SAFETY: `message` points to `slices`, which live until the call returns.
    let len = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, flags) };
    usize::try_from(len).map_err(|_| io::Error::last_os_error())
}

/// A timer descriptor for waits below a millisecond.
#[derive(Debug)]
pub(crate) struct TimerFd(OwnedFd);

impl TimerFd {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: no pointers; the result is checked.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just returned by timerfd_create; nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Fires once after `wait`; `None` disarms. Clears an expiration that was not read.
    pub(crate) fn set(&self, wait: Option<Duration>) -> io::Result<()> {
        let wait = wait.map_or(Duration::ZERO, |wait| wait.max(Duration::from_nanos(1)));
        let value = libc::timespec {
            tv_sec: wait.as_secs().min(1 << 30) as libc::time_t,
            tv_nsec: libc::c_long::from(wait.subsec_nanos() as i32),
        };
        let interval = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spec = libc::itimerspec {
            it_interval: interval,
            it_value: value,
        };
        // SAFETY: `spec` lives until the call returns; the old value is not asked for.
        let done = unsafe {
            libc::timerfd_settime(self.0.as_raw_fd(), 0, &raw const spec, std::ptr::null_mut())
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}

impl AsRawFd for TimerFd {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

/// A buffer for `rest` of [`read_vectored`].
pub(crate) fn read_buffer(len: usize) -> Box<[u8]> {
    vec![0; len].into_boxed_slice()
}
