//! Dissemination alone: clients stream transactions to all replicas, each packs them into batches, hashes them
//! and sends them to all others, who hash them and say that they have them. The same transport, frames
//! and hashing as in the node, all replicas and the client on this machine; no ordering, no execution, no
//! signatures. No replica on top of this can be faster.

mod client;
mod replica;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use measure::{Usage, median};
use transport::{Backend, PeerConfig, ServerConfig, public_key};

use crate::BenchError;

/// Binds handshakes of this bench together.
const CLUSTER: [u8; 32] = *b"reforge limits: dissemination   ";
/// Links are up within this time, or something is wrong.
const UP_WITHIN: Duration = Duration::from_secs(20);

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// At least 2.
    pub replicas: u16,
    /// Bytes of a transaction, its share of a group's head included.
    pub tx_bytes: usize,
    /// A batch is cut at this size.
    pub batch_bytes: usize,
    pub backend: Backend,
    pub encryption: bool,
    pub warmup: Duration,
    pub windows: usize,
    pub window: Duration,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            replicas: 4,
            tx_bytes: 512,
            batch_bytes: 512 << 10,
            backend: Backend::Epoll,
            encryption: false,
            warmup: Duration::from_secs(1),
            windows: 5,
            window: Duration::from_secs(1),
        }
    }
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Bound {
    pub windows: Vec<Window>,
}

/// One of the measured windows.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Transactions per second that all replicas held.
    pub tps: f64,
    /// CPU per transaction of all replicas and the client together, in microseconds.
    pub cpu_us_per_tx: f64,
}

impl Bound {
    /// The median window.
    #[must_use]
    pub fn tps(&self) -> f64 {
        self.median(|window| window.tps)
    }

    /// [`Window::cpu_us_per_tx`], the median window.
    #[must_use]
    pub fn cpu_us_per_tx(&self) -> f64 {
        self.median(|window| window.cpu_us_per_tx)
    }

    fn median(&self, of: impl Fn(&Window) -> f64) -> f64 {
        median(&self.windows.iter().map(of).collect::<Vec<_>>())
    }
}

/// What the threads share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Replicas whose links to all others are up.
    ready: AtomicU64,
    /// Transactions that everybody holds.
    held: AtomicU64,
}

/// Keys and addresses of one replica.
#[derive(Debug, Clone, Copy)]
struct Seat {
    private_key: [u8; 32],
    peer: SocketAddr,
    client: SocketAddr,
}

impl Seat {
    fn peer(&self) -> PeerConfig {
        PeerConfig {
            addr: self.peer,
            public_key: public_key(&self.private_key),
        }
    }

    fn server(&self) -> ServerConfig {
        ServerConfig {
            addr: self.client,
            public_key: public_key(&self.private_key),
        }
    }
}

/// Measures the bound.
///
/// # Errors
/// [`BenchError`] if the machine lacks something, or nothing arrives.
pub fn run(plan: &Plan) -> Result<Bound, BenchError> {
    let listen = || TcpListener::bind("127.0.0.1:0").map_err(BenchError::Socket);
    let (mut seats, mut listeners) = (Vec::new(), Vec::new());
    for index in 0..plan.replicas {
        let (peers, clients) = (listen()?, listen()?);
        let mut private_key = [7; 32];
        private_key[..2].copy_from_slice(&index.to_le_bytes());
        seats.push(Seat {
            private_key,
            peer: peers.local_addr().map_err(BenchError::Socket)?,
            client: clients.local_addr().map_err(BenchError::Socket)?,
        });
        listeners.push((peers, clients));
    }
    let shared = Arc::new(Shared::default());
    let mut threads = Threads {
        running: Vec::new(),
        shared: shared.clone(),
    };
    for (index, listeners) in listeners.into_iter().enumerate() {
        let (plan, seats, shared) = (plan.clone(), seats.clone(), shared.clone());
        let run = move || replica::run(&plan, index as u16, &seats, listeners, &shared);
        threads.start("a replica", run)?;
    }
    threads.wait(|| shared.ready.load(Ordering::Acquire) >= u64::from(plan.replicas))?;
    let (of, servers) = (
        plan.clone(),
        seats.iter().map(Seat::server).collect::<Vec<_>>(),
    );
    let stop = shared.clone();
    threads.start("the client", move || client::run(&of, &servers, &stop))?;
    measure(plan, &shared, &threads)
}

fn measure(plan: &Plan, shared: &Shared, threads: &Threads) -> Result<Bound, BenchError> {
    threads.wait(|| shared.held.load(Ordering::Acquire) > 0)?;
    // Large committees take longer to fill their queues.
    std::thread::sleep(plan.warmup + plan.warmup * u32::from(plan.replicas) / 10);
    let mut windows = Vec::with_capacity(plan.windows);
    for _ in 0..plan.windows {
        let (before, start) = (shared.held.load(Ordering::Acquire), Instant::now());
        let cpu_s = Usage::of_this_process().cpu_s();
        std::thread::sleep(plan.window);
        let held = (shared.held.load(Ordering::Acquire) - before) as f64;
        let cpu_s = Usage::of_this_process().cpu_s() - cpu_s;
        windows.push(Window {
            tps: held / start.elapsed().as_secs_f64(),
            cpu_us_per_tx: cpu_s * 1e6 / held.max(1.0),
        });
    }
    threads.check()?;
    Ok(Bound { windows })
}

type Ended = JoinHandle<Result<(), BenchError>>;

/// Ends with the value: whatever happened, no thread stays.
struct Threads {
    running: Vec<(&'static str, Ended)>,
    shared: Arc<Shared>,
}

impl Threads {
    fn start(
        &mut self,
        what: &'static str,
        run: impl FnOnce() -> Result<(), BenchError> + Send + 'static,
    ) -> Result<(), BenchError> {
        let thread = Builder::new().name(what.to_owned()).spawn(run);
        let thread = thread.map_err(|error| BenchError::Thread {
            what,
            why: error.to_string(),
        })?;
        self.running.push((what, thread));
        Ok(())
    }

    /// None of them ends by itself on a good day.
    fn check(&self) -> Result<(), BenchError> {
        match self.running.iter().find(|(_, thread)| thread.is_finished()) {
            Some((what, _)) => Err(BenchError::Thread {
                what,
                why: "see above".into(),
            }),
            None => Ok(()),
        }
    }

    /// Until `holds`, while all of them run.
    fn wait(&self, holds: impl Fn() -> bool) -> Result<(), BenchError> {
        let deadline = Instant::now() + UP_WITHIN;
        while !holds() {
            self.check()?;
            if Instant::now() > deadline {
                return Err(BenchError::Silent(UP_WITHIN.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for (what, thread) in self.running.drain(..) {
            if let Ok(Err(error)) = thread.join() {
                eprintln!("{what}: {error}");
            }
        }
    }
}
