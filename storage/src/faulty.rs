//! A journal on a simulated disk, for the seeded simulator: no threads, no clock, no randomness of its own.
//! Encoding, segments and recovery are those of the real journal; only the disk is not real.
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::log::{Command, Log, Salts};
use crate::recovery::{Recovery, open_log};
use crate::sim_store::SimStore;
use crate::{Journal, Options, Record, Stats, StorageError, SyncToken, Usage, Waker};

/// A simulated machine's disk, held by the simulator; clones are the same disk. It outlives the journals opened on it.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Inner>>);

struct Inner {
    options: Options,
    salts: Salts,
    store: SimStore,
    open: Option<Open>,
    /// Number of the process that may use the disk; older ones are dead.
    process: u64,
}

/// What dies with the process.
struct Open {
    log: Log<SimStore>,
    queue: VecDeque<Batch>,
    queued_bytes: u64,
    asked: u64,
    done: u64,
    failed: Option<StorageError>,
    stats: Stats,
    on_synced: Option<Waker>,
}

struct Batch {
    commands: Vec<Command>,
    count: u64,
    bytes: u64,
}

impl SimDisk {
    /// An empty disk. The same `seed` and the same calls give the same bytes.
    pub fn new(options: Options, seed: u64) -> Self {
        let (store, salts) = (SimStore::default(), Salts(seed));
        Self(Arc::new(Mutex::new(Inner {
            options,
            salts,
            store,
            open: None,
            process: 0,
        })))
    }

    /// Starts a process on the disk; what [`crate::open`] is to a real one.
    ///
    /// # Errors
    /// As [`crate::open`]; [`StorageError::Locked`] while an earlier journal is neither dropped nor crashed.
    pub fn open(&self, on_synced: Waker) -> Result<(FaultyJournal, Recovery), StorageError> {
        let mut inner = self.inner();
        inner.options.check()?;
        if inner.open.is_some() {
            return Err(StorageError::Locked { dir: "sim".into() });
        }
        let salts = Salts(inner.salts.next());
        let (log, recovery) = open_log(inner.store.clone(), &inner.options, salts)?;
        inner.process += 1;
        inner.open = Some(Open {
            log,
            queue: VecDeque::new(),
            queued_bytes: 0,
            asked: 0,
            done: 0,
            failed: None,
            stats: Stats::default(),
            on_synced: Some(on_synced),
        });
        let journal = FaultyJournal {
            disk: self.clone(),
            process: inner.process,
            pending: Vec::new(),
            pending_bytes: 0,
            appended: 0,
        };
        Ok((journal, recovery))
    }

    /// Newest token that was asked for: a sync is under way while it is above [`SimDisk::completed`].
    pub fn asked(&self) -> SyncToken {
        SyncToken(self.inner().open.as_ref().map_or(0, |open| open.asked))
    }

    /// Newest completed token.
    pub fn completed(&self) -> SyncToken {
        SyncToken(self.inner().open.as_ref().map_or(0, |open| open.done))
    }

    /// Bytes handed over and not yet durable: what a slow disk's delay depends on.
    pub fn queued_bytes(&self) -> u64 {
        self.inner()
            .open
            .as_ref()
            .map_or(0, |open| open.queued_bytes)
    }

    /// Lets the disk finish, as one group, everything handed over up to `token`; then wakes the journal's owner.
    /// Without anything to finish it does nothing.
    pub fn complete_up_to(&self, token: SyncToken) {
        let Some(waker) = self
            .inner()
            .open
            .as_mut()
            .and_then(|open| open.complete(token))
        else {
            return;
        };
        // Called without the lock: the simulator may look at the disk from within.
        waker();
        if let Some(open) = &mut self.inner().open {
            open.on_synced.get_or_insert(waker);
        }
    }

    /// Cuts the power: of what was handed over and not completed, any part may have reached the disk, torn
    /// anywhere; the rest and everything staged is lost. The open journal is dead: it completes nothing any more.
    pub fn crash(&self, seed: u64) {
        let (store, mut rng) = self.stop(seed);
        store.state().crash(&mut rng);
    }

    /// Kills the process as `kill -9` does: as [`SimDisk::crash`], but whatever was written stays, also unsynced, and
    /// only a later crash may take what no sync has covered by then.
    pub fn kill(&self, seed: u64) {
        let (store, mut rng) = self.stop(seed);
        store.state().kill(&mut rng);
    }

    fn stop(&self, seed: u64) -> (SimStore, Salts) {
        let mut inner = self.inner();
        let mut rng = Salts(seed);
        if let Some(mut open) = inner.open.take() {
            open.run_into_the_cut(&mut rng);
        }
        inner.process += 1;
        (inner.store.clone(), rng)
    }

    /// Sets the room for segments in bytes, `None` for no limit. A journal that meets the limit fails for good.
    pub fn set_capacity_bytes(&self, capacity_bytes: Option<u64>) {
        self.inner().store.state().capacity_bytes = capacity_bytes;
    }

    /// Makes the next sync fail with an I/O error.
    pub fn fail_next_sync(&self) {
        self.inner().store.state().fail_sync = true;
    }

    /// Flips one bit somewhere in what was ever written: decay, which a recovery may refuse but never pass on.
    pub fn decay(&self, seed: u64) {
        let inner = self.inner();
        let mut rng = Salts(seed);
        let mut state = inner.store.state();
        let written = state.written();
        if !written.is_empty() {
            let (segment, len) = written[(rng.next() % written.len() as u64) as usize];
            let (offset, bit) = (rng.next() % len.max(1), rng.next() as u8);
            state.flip(segment, offset, bit);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn store(&self) -> SimStore {
        self.inner().store.clone()
    }
}

impl Open {
    /// Runs the batches up to `token` as one group; returns the waker if there was anything to do.
    fn complete(&mut self, token: SyncToken) -> Option<Waker> {
        if self.failed.is_some() {
            return None;
        }
        let batches = self
            .queue
            .iter()
            .take_while(|batch| batch.count <= token.0)
            .count();
        let group = self.take(batches)?;
        match self.log.run(&group.commands) {
            Ok(()) => {
                self.done = group.count;
                self.queued_bytes -= group.bytes;
                self.stats.syncs += 1;
                self.stats.bytes += group.bytes;
                for command in &group.commands {
                    self.stats.records += command.records();
                    self.stats.rotations += u64::from(matches!(command, Command::Rotate(_)));
                }
            }
            Err(error) => self.failed = Some(error),
        }
        self.on_synced.take()
    }

    /// The disk was somewhere in the queue when the power went.
    fn run_into_the_cut(&mut self, rng: &mut Salts) {
        if self.failed.is_some() {
            return;
        }
        let steps = rng.next() % (4 + 4 * self.queue.len() as u64);
        self.log.store.state().steps_left = Some(steps);
        while !self.queue.is_empty() {
            let batches = 1 + rng.next() % self.queue.len() as u64;
            let Some(group) = self.take(batches as usize) else {
                return;
            };
            if self.log.run(&group.commands).is_err() {
                return;
            }
        }
    }

    /// The first `batches` of the queue as one.
    fn take(&mut self, batches: usize) -> Option<Batch> {
        let mut taken = self.queue.drain(..batches);
        let mut group = taken.next()?;
        for next in taken {
            group.commands.extend(next.commands);
            group.count = next.count;
            group.bytes += next.bytes;
        }
        Some(group)
    }
}

/// The journal of a simulated process. Dropping it ends the process between two syncs: what was completed
/// is durable, the rest was never written.
///
/// It never blocks: [`Options::staged_bytes_max`] is left to the simulator to watch.
pub struct FaultyJournal {
    disk: SimDisk,
    process: u64,
    pending: Vec<Command>,
    pending_bytes: u64,
    appended: u64,
}

impl FaultyJournal {
    fn with_open<T>(&mut self, f: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let mut inner = self.disk.inner();
        if inner.process == self.process {
            inner.open.as_mut().map(f)
        } else {
            None
        }
    }

    fn look<T>(&self, f: impl FnOnce(&Open) -> T) -> Option<T> {
        let inner = self.disk.inner();
        if inner.process == self.process {
            inner.open.as_ref().map(f)
        } else {
            None
        }
    }

    fn stage(&mut self, command: Command) {
        self.appended += 1;
        self.pending_bytes += command.bytes();
        self.pending.push(command);
    }
}

impl Journal for FaultyJournal {
    fn append(&mut self, record: Record) {
        self.stage(Command::Append(record));
    }

    fn sync(&mut self) -> SyncToken {
        let commands = mem::take(&mut self.pending);
        let (count, bytes) = (self.appended, mem::take(&mut self.pending_bytes));
        if !commands.is_empty() {
            self.with_open(|open| {
                open.asked = count;
                open.queued_bytes += bytes;
                open.queue.push_back(Batch {
                    commands,
                    count,
                    bytes,
                });
            });
        }
        SyncToken(self.appended)
    }

    fn synced(&mut self) -> Result<SyncToken, StorageError> {
        let state = self.with_open(|open| match &open.failed {
            Some(error) => Err(error.clone()),
            None => Ok(SyncToken(open.done)),
        });
        let crashed = || StorageError::io("sync", "sim", io::Error::other("this process is dead"));
        state.unwrap_or_else(|| Err(crashed()))
    }

    fn rotate(&mut self, base: Vec<Record>) {
        self.stage(Command::Rotate(base));
    }

    fn staged_bytes(&self) -> u64 {
        self.pending_bytes + self.look(|open| open.queued_bytes).unwrap_or(0)
    }

    fn usage(&self) -> Usage {
        self.look(|open| open.log.usage()).unwrap_or_default()
    }

    fn stats(&self) -> Stats {
        self.look(|open| open.stats).unwrap_or_default()
    }
}

impl Drop for FaultyJournal {
    fn drop(&mut self) {
        let mut inner = self.disk.inner();
        if inner.process == self.process {
            inner.open = None;
        }
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk")
            .field("segments", &self.inner().store.state().written())
            .finish()
    }
}

impl fmt::Debug for FaultyJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyJournal")
            .field("appended", &self.appended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
