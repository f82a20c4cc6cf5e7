//! Signatures off the replica's thread, where that pays.
//!
//! A hand-off to another thread costs 50 to 100 us in waking and caches, so cheap jobs run where
//! they are asked for and only dear ones go to the pool. Consensus goes before bulk. Both queues are
//! bounded; when one is full, the job runs inline, which slows its asker down instead of growing.

mod cost;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;

use crossbeam::channel::{Receiver, Sender, bounded};
use crossbeam::queue::SegQueue;
use crypto::{Done, Job};
use transport::Waker;
use types::Epoch;

use crate::NodeError;
pub use cost::CostModel;

/// Does one job of one epoch.
pub type Work = Arc<dyn Fn(&Epoch, Job) -> Done + Send + Sync>;

/// Jobs of consensus that may wait. A view has a handful per replica.
const URGENT_JOBS_MAX: usize = 1024;
/// Bulk jobs that may wait; each may hold a whole batch.
const BULK_JOBS_MAX: usize = 32;
/// Below this estimate a job is not worth the hand-off.
const INLINE_COST_US: u64 = 200;

/// The pool, seen from the replica's thread.
pub struct CryptoPool {
    work: Work,
    cost: CostModel,
    urgent: Sender<Task>,
    bulk: Sender<Task>,
    shared: Arc<Shared>,
    inline: VecDeque<(u64, Done)>,
    stats: PoolStats,
    threads: Vec<JoinHandle<()>>,
}

/// Counters since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStats {
    /// Done on the replica's thread because they are cheap, or because there are no helpers.
    pub inline: u64,
    /// Handed to a helper.
    pub handed_off: u64,
    /// Done on the replica's thread because the queue was full.
    pub overflowed: u64,
    /// Signatures checked: an aggregate, a list or a batch of one certificate counts once.
    pub checks: u64,
    /// Waiting now.
    pub urgent_depth: usize,
    pub bulk_depth: usize,
    /// Busy time of the helpers, nanoseconds.
    pub busy_ns: u64,
}

struct Task {
    tag: u64,
    epoch: Epoch,
    job: Job,
}

/// What helpers and owner share. `done` is bounded by the two queues and the number of helpers,
/// since the owner empties it before it asks for more.
struct Shared {
    done: SegQueue<(u64, Done)>,
    waker: Waker,
    broken: AtomicBool,
    busy_ns: AtomicU64,
}

impl CryptoPool {
    /// Starts `threads` helpers; with 0 everything runs inline.
    ///
    /// # Errors
    /// [`NodeError::Thread`] if a thread cannot be started.
    pub fn new(
        threads: usize,
        cost: CostModel,
        work: Work,
        waker: Waker,
    ) -> Result<CryptoPool, NodeError> {
        let (urgent, urgent_jobs) = bounded(URGENT_JOBS_MAX);
        let (bulk, bulk_jobs) = bounded(BULK_JOBS_MAX);
        let shared = Arc::new(Shared {
            done: SegQueue::new(),
            waker,
            broken: AtomicBool::new(false),
            busy_ns: AtomicU64::new(0),
        });
        let threads = (0..threads)
            .map(|index| {
                let helper = Helper {
                    urgent: urgent_jobs.clone(),
                    bulk: bulk_jobs.clone(),
                    work: work.clone(),
                    shared: shared.clone(),
                };
                std::thread::Builder::new()
                    .name(format!("crypto-{index}"))
                    .spawn(move || helper.run())
                    .map_err(|error| NodeError::Thread {
                        name: "crypto",
                        why: format!("could not be started ({error})"),
                    })
            })
            .collect::<Result<_, _>>()?;
        Ok(CryptoPool {
            work,
            cost,
            urgent,
            bulk,
            shared,
            inline: VecDeque::new(),
            stats: PoolStats::default(),
            threads,
        })
    }

    /// Does the job or hands it off; the answer comes out of [`CryptoPool::take`].
    pub fn submit(&mut self, tag: u64, epoch: Epoch, job: Job) {
        let estimate = self.cost.of(&job);
        self.stats.checks += cost::checks(&job);
        if self.threads.is_empty() || (estimate.us < INLINE_COST_US && !estimate.bulk) {
            self.stats.inline += 1;
            return self.run_inline(Task { tag, epoch, job });
        }
        let queue = if estimate.bulk {
            &self.bulk
        } else {
            &self.urgent
        };
        match queue.try_send(Task { tag, epoch, job }) {
            Ok(()) => self.stats.handed_off += 1,
            Err(refused) => {
                self.stats.overflowed += 1;
                self.run_inline(refused.into_inner());
            }
        }
    }

    /// The next answer, in no particular order.
    pub fn take(&mut self) -> Option<(u64, Done)> {
        self.inline.pop_front().or_else(|| self.shared.done.pop())
    }

    /// Whether [`CryptoPool::take`] has something.
    pub fn has_done(&self) -> bool {
        !self.inline.is_empty() || !self.shared.done.is_empty()
    }

    /// # Errors
    /// [`NodeError::Thread`] if a helper panicked: its job is lost, and the replica cannot go on.
    pub fn check(&self) -> Result<(), NodeError> {
        match self.shared.broken.load(Relaxed) {
            false => Ok(()),
            true => Err(NodeError::Thread {
                name: "crypto",
                why: "panicked".into(),
            }),
        }
    }

    pub fn stats(&self) -> PoolStats {
        PoolStats {
            urgent_depth: self.urgent.len(),
            bulk_depth: self.bulk.len(),
            busy_ns: self.shared.busy_ns.load(Relaxed),
            ..self.stats
        }
    }

    fn run_inline(&mut self, task: Task) {
        let done = (self.work)(&task.epoch, task.job);
        self.inline.push_back((task.tag, done));
    }
}

impl Drop for CryptoPool {
    fn drop(&mut self) {
        // Closed queues end the helpers, after what they are doing now.
        (self.urgent, self.bulk) = (bounded(0).0, bounded(0).0);
        for thread in self.threads.drain(..) {
            // A panic was reported by `check`.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for CryptoPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CryptoPool")
            .field("threads", &self.threads.len())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

struct Helper {
    urgent: Receiver<Task>,
    bulk: Receiver<Task>,
    work: Work,
    shared: Arc<Shared>,
}

impl Helper {
    fn run(self) {
        let _alarm = Alarm(&self.shared);
        while let Some(task) = self.next() {
            let start_ns = measure::monotonic_ns();
            let done = (self.work)(&task.epoch, task.job);
            let busy_ns = measure::monotonic_ns() - start_ns;
            self.shared.busy_ns.fetch_add(busy_ns, Relaxed);
            self.shared.done.push((task.tag, done));
            self.shared.waker.wake();
        }
    }

    /// Urgent before bulk, also when both wait; nothing when the pool is dropped.
    fn next(&self) -> Option<Task> {
        crossbeam::channel::select_biased! {
            recv(self.urgent) -> task => task.ok(),
            recv(self.bulk) -> task => task.ok(),
        }
    }
}

/// Tells the owner that a helper panicked.
struct Alarm<'a>(&'a Shared);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Relaxed);
            self.0.waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
