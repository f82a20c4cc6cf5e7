//! The trait, once for all back ends: a hub, and a back end that moves its bytes.

use crate::hub::Hub;
use crate::waker::WakeState;
use crate::{
    Backend, Class, ConnId, Event, FallbackNotice, Frame, LocalAddrs, PeerConfig, SendError,
    ServerConfig, Shape, Stats, Transport, TransportConfig, TransportError, Waker, sock,
};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a back end must do; all else is shared.
pub(crate) trait Mover {
    const BACKEND: Backend;

    /// Opens and closes the sockets that the hub asks for, writes dirty links, waits up to `wait`
    /// (`None`: without bound) for something to happen, and feeds the hub. Says whether the waker's
    /// descriptor was readable.
    fn turn(&mut self, hub: &mut Hub, wait: Option<Duration>) -> Result<bool, TransportError>;
}

/// The listeners of a replica, bound and not blocking.
pub(crate) struct Listeners {
    pub peers: Option<TcpListener>,
    pub clients: Option<TcpListener>,
}

struct Endpoint<M> {
    mover: M,
    hub: Hub,
    wake: Arc<WakeState>,
    addrs: LocalAddrs,
}

/// Opens a transport. If io_uring is missing or forbidden here, `epoll` runs instead, and the
/// notice says so.
///
/// # Errors
/// [`TransportError`] for bad configuration and for addresses that cannot be listened on.
pub fn open(
    config: TransportConfig,
) -> Result<(Box<dyn Transport>, Option<FallbackNotice>), TransportError> {
    let wanted = config.backend;
    let why = match wanted {
        Backend::Epoll => None,
        Backend::TokioUring => crate::tokio_uring::missing(),
        Backend::IoUring => crate::io_uring::missing(),
    };
    let notice = why.map(|why| FallbackNotice {
        wanted,
        got: Backend::Epoll,
        why,
    });
    if let Some(notice) = &notice {
        tracing::warn!("{notice}");
    }
    let backend = notice.as_ref().map_or(wanted, |notice| notice.got);
    let transport = match backend {
        Backend::Epoll => Endpoint::<crate::epoll::Epoll>::open(&config)?,
        Backend::TokioUring => Endpoint::<crate::tokio_uring::TokioUring>::open(&config)?,
        Backend::IoUring => Endpoint::<crate::io_uring::IoUring>::open(&config)?,
    };
    Ok((transport, notice))
}

/// How a mover is made.
pub(crate) trait Open: Mover + Sized + 'static {
    fn open(
        config: &TransportConfig,
        listeners: Listeners,
        wake: &Arc<WakeState>,
    ) -> Result<Self, TransportError>;
}

impl<M: Open> Endpoint<M> {
    fn open(config: &TransportConfig) -> Result<Box<dyn Transport>, TransportError> {
        let hub = Hub::new(config, Instant::now())?;
        let replica = config.replica.as_ref();
        let peers = replica.map(|replica| sock::listen(&replica.peer_listen, &hub.options));
        let clients = replica.and_then(|replica| replica.client_listen.as_ref());
        let clients = clients.map(|listen| sock::listen(listen, &hub.options));
        let listeners = Listeners {
            peers: peers.transpose()?,
            clients: clients.transpose()?,
        };
        let addr = |l: &Option<TcpListener>| l.as_ref().and_then(|l| l.local_addr().ok());
        let addrs = LocalAddrs {
            peers: addr(&listeners.peers),
            clients: addr(&listeners.clients),
        };
        let wake = WakeState::new().map_err(|source| TransportError::Io {
            what: "cannot make an eventfd",
            source,
        })?;
        let mover = M::open(config, listeners, &wake)?;
        Ok(Box::new(Self {
            mover,
            hub,
            wake,
            addrs,
        }))
    }
}

impl<M: Mover> Transport for Endpoint<M> {
    fn poll(
        &mut self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> Result<(), TransportError> {
        let start = Instant::now();
        let deadline = timeout.map(|timeout| start + timeout);
        let mut now = start;
        loop {
            self.hub.tick(now);
            let awake = !self.hub.events.is_empty() || !self.wake.fall_asleep();
            let due = [deadline, self.hub.next_due()].into_iter().flatten().min();
            // What the mover itself finds left to do after its writes shortens this further.
            let wait = if awake || self.hub.has_hellos() {
                Some(Duration::ZERO)
            } else {
                due.map(|due| due.saturating_duration_since(now))
            };
            let readable = self.mover.turn(&mut self.hub, wait);
            let woken = self.wake.rise(matches!(readable, Ok(true)));
            readable?;
            self.hub.answer_hellos();
            events.append(&mut self.hub.events);
            if woken {
                events.push(Event::Woken);
            }
            now = Instant::now();
            if !events.is_empty() || deadline.is_some_and(|deadline| now >= deadline) {
                self.hub.now = now;
                return Ok(());
            }
        }
    }

    fn send(&mut self, peer: u16, class: Class, frame: Frame) -> Result<(), SendError> {
        self.hub.send(peer, class, frame)
    }

    fn reply(&mut self, conn: ConnId, frame: Frame) -> Result<(), SendError> {
        self.hub.reply(conn, frame)
    }

    fn connect(&mut self, server: &ServerConfig) -> Result<ConnId, TransportError> {
        self.hub.connect(server)
    }

    fn close(&mut self, conn: ConnId) {
        self.hub.close_id(conn);
    }

    fn waker(&self) -> Waker {
        Waker::from_state(Arc::clone(&self.wake))
    }

    fn queued_bytes(&self, peer: u16, class: Class) -> usize {
        self.hub.queued_bytes(peer, class)
    }

    fn queued_bytes_conn(&self, conn: ConnId) -> usize {
        self.hub.queued_bytes_conn(conn)
    }

    fn is_up(&self, peer: u16) -> bool {
        self.hub.is_up(peer)
    }

    fn stats(&self) -> Stats {
        self.hub.stats()
    }

    fn backend(&self) -> Backend {
        M::BACKEND
    }

    fn local_addrs(&self) -> LocalAddrs {
        self.addrs
    }

    fn set_shape(&mut self, peer: u16, shape: Shape) {
        self.hub.now = Instant::now();
        self.hub.set_shape(peer, shape);
    }

    fn set_peer(&mut self, peer: u16, config: Option<PeerConfig>) {
        self.hub.set_peer(peer, config);
    }
}
