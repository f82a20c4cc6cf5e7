//! The journal on a real disk: a helper thread "disk" writes and syncs while the next group gathers.
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;
use std::{fmt, io, mem};

use crossbeam::channel::{Receiver, Sender, TrySendError, bounded};

use crate::folder::Folder;
use crate::log::{Command, Log, Salts};
use crate::recovery::{Recovery, open_log};
use crate::store::Store;
use crate::{Journal, Options, Record, Stats, StorageError, SyncToken, Usage, Waker};

/// Batches under way to the disk thread; when it is full, later ones gather in the journal.
const QUEUE_BATCHES: usize = 64;
/// The disk thread stops adding batches to a group at this size, so that a sync takes bounded time.
const GROUP_BYTES_MAX: u64 = 16 << 20;

/// Opens the journal in folder `dir`, making both if need be, and returns what survived.
///
/// `on_synced` is called from the disk thread after every sync, also a failed one.
///
/// # Errors
/// [`StorageError::Locked`], [`StorageError::WrongOwner`], [`StorageError::WrongFormat`],
/// [`StorageError::Corrupt`], [`StorageError::DiskFull`], [`StorageError::Io`], [`StorageError::BadOption`].
pub fn open(
    dir: &Path,
    options: Options,
    on_synced: Waker,
) -> Result<(FileJournal, Recovery), StorageError> {
    options.check()?;
    let salts = Salts(RandomState::new().hash_one(std::process::id()));
    let (log, recovery) = open_log(Folder::open(dir)?, &options, salts)?;
    Ok((start(log, &options, on_synced)?, recovery))
}

/// Starts the disk thread over an opened log.
fn start<S: Store + Send + 'static>(
    log: Log<S>,
    options: &Options,
    on_synced: Waker,
) -> Result<FileJournal, StorageError> {
    let path = log.path();
    let shared = Arc::new(Shared::default());
    shared.progress().usage = log.usage();
    let (sender, receiver) = bounded(QUEUE_BATCHES);
    let disk = Disk {
        log,
        receiver,
        shared: shared.clone(),
        on_synced,
    };
    let thread = std::thread::Builder::new()
        .name("disk".into())
        .spawn(move || disk.run())
        .map_err(|e| StorageError::io("start the disk thread for", path, e))?;
    Ok(FileJournal {
        staged_bytes_max: options.staged_bytes_max,
        pending: Vec::new(),
        appended: 0,
        asked: 0,
        queue: Some(sender),
        thread: Some(thread),
        shared,
    })
}

/// The journal of a replica on a real disk. Dropping it hands over what was asked for, waits for the disk
/// thread to finish that, and releases the folder.
pub struct FileJournal {
    staged_bytes_max: u64,
    pending: Vec<Command>,
    appended: u64,
    asked: u64,
    queue: Option<Sender<Batch>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

struct Batch {
    commands: Vec<Command>,
    /// Appends and rotations up to its end.
    count: u64,
    bytes: u64,
}

#[derive(Default)]
struct Shared {
    /// Appends and rotations that are durable.
    done: AtomicU64,
    staged_bytes: AtomicU64,
    failed: OnceLock<StorageError>,
    progress: Mutex<Progress>,
    /// Signalled after every group, for those who block.
    advanced: Condvar,
}

#[derive(Default)]
struct Progress {
    usage: Usage,
    stats: Stats,
}

impl Shared {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Plain figures: a panic elsewhere cannot leave them half-changed in a way that matters.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_until(&self, reached: impl Fn() -> bool) {
        let mut progress = self.progress();
        while !reached() && self.failed.get().is_none() {
            progress = self
                .advanced
                .wait(progress)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn fail(&self, error: StorageError) {
        let _ = self.failed.set(error);
        let _guard = self.progress();
        self.advanced.notify_all();
    }
}

impl FileJournal {
    /// Blocks until `token` is durable: for start and stop, not for the loop.
    ///
    /// # Errors
    /// As [`Journal::synced`].
    pub fn wait(&mut self, token: SyncToken) -> Result<(), StorageError> {
        if token.0 > self.shared.done.load(Ordering::Acquire) {
            self.hand_over_blocking();
        }
        self.shared
            .wait_until(|| self.shared.done.load(Ordering::Acquire) >= token.0);
        match self.shared.failed.get() {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    fn stage(&mut self, command: Command) {
        let bytes = command.bytes();
        self.make_room(bytes);
        self.appended += 1;
        if self.shared.failed.get().is_none() {
            self.shared.staged_bytes.fetch_add(bytes, Ordering::Relaxed);
            self.pending.push(command);
        }
    }

    /// Keeps the hard bound: blocks until `bytes` fit, or nothing else is staged.
    fn make_room(&mut self, bytes: u64) {
        let staged = |shared: &Shared| shared.staged_bytes.load(Ordering::Acquire);
        let room = self.staged_bytes_max.saturating_sub(bytes);
        if staged(&self.shared) > room {
            self.hand_over_blocking();
            self.shared.wait_until(|| staged(&self.shared) <= room);
        }
    }

    /// Gives the staged commands to the disk thread if it takes them now.
    fn hand_over(&mut self) {
        if let Some(batch) = self.batch()
            && let Some(queue) = &self.queue
            && let Err(TrySendError::Full(batch)) = queue.try_send(batch)
        {
            // A full queue means a sync under way; its wake-up brings the loop back to `synced`.
            self.pending = batch.commands;
        }
    }

    fn hand_over_blocking(&mut self) {
        if let Some(batch) = self.batch()
            && let Some(queue) = &self.queue
        {
            // Disconnected means failed: `synced` says so.
            let _ = queue.send(batch);
        }
    }

    fn batch(&mut self) -> Option<Batch> {
        if self.pending.is_empty() {
            return None;
        }
        let commands = mem::take(&mut self.pending);
        let bytes = commands.iter().map(Command::bytes).sum();
        Some(Batch {
            commands,
            count: self.appended,
            bytes,
        })
    }
}

impl Journal for FileJournal {
    fn append(&mut self, record: Record) {
        self.stage(Command::Append(record));
    }

    fn sync(&mut self) -> SyncToken {
        self.asked = self.appended;
        self.hand_over();
        SyncToken(self.asked)
    }

    fn synced(&mut self) -> Result<SyncToken, StorageError> {
        if let Some(error) = self.shared.failed.get() {
            return Err(error.clone());
        }
        if self.asked > self.appended - self.pending.len() as u64 {
            self.hand_over();
        }
        Ok(SyncToken(self.shared.done.load(Ordering::Acquire)))
    }

    fn rotate(&mut self, base: Vec<Record>) {
        self.stage(Command::Rotate(base));
        self.hand_over();
    }

    fn staged_bytes(&self) -> u64 {
        self.shared.staged_bytes.load(Ordering::Acquire)
    }

    fn usage(&self) -> Usage {
        self.shared.progress().usage
    }

    fn stats(&self) -> Stats {
        self.shared.progress().stats
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        if self.asked > self.appended - self.pending.len() as u64 {
            self.hand_over_blocking();
        }
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileJournal")
            .field("appended", &self.appended)
            .field("asked", &self.asked)
            .field("staged_bytes", &self.staged_bytes())
            .field("failed", &self.shared.failed.get())
            .finish_non_exhaustive()
    }
}

/// The disk thread's side.
struct Disk<S: Store> {
    log: Log<S>,
    receiver: Receiver<Batch>,
    shared: Arc<Shared>,
    on_synced: Waker,
}

impl<S: Store> Disk<S> {
    fn run(mut self) {
        while let Ok(first) = self.receiver.recv() {
            let group = self.gather(first);
            let started = Instant::now();
            let outcome = self.log.run(&group.commands);
            let sync_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            match outcome {
                Ok(()) => self.publish(&group, sync_ns),
                Err(error) => {
                    self.shared.fail(error);
                    (self.on_synced)();
                    return;
                }
            }
            (self.on_synced)();
        }
    }

    /// Everything that is queued by now becomes one group.
    fn gather(&self, mut group: Batch) -> Batch {
        while group.bytes < GROUP_BYTES_MAX
            && let Ok(next) = self.receiver.try_recv()
        {
            group.commands.extend(next.commands);
            group.count = next.count;
            group.bytes += next.bytes;
        }
        group
    }

    fn publish(&self, group: &Batch, sync_ns: u64) {
        let mut progress = self.shared.progress();
        progress.usage = self.log.usage();
        let stats = &mut progress.stats;
        stats.syncs += 1;
        stats.bytes += group.bytes;
        stats.records += group.commands.iter().map(Command::records).sum::<u64>();
        stats.rotations += group
            .commands
            .iter()
            .filter(|c| matches!(c, Command::Rotate(_)))
            .count() as u64;
        stats.sync_ns_total = stats.sync_ns_total.saturating_add(sync_ns);
        stats.sync_ns_max = stats.sync_ns_max.max(sync_ns);
        self.shared
            .staged_bytes
            .fetch_sub(group.bytes, Ordering::Release);
        self.shared.done.store(group.count, Ordering::Release);
        self.shared.advanced.notify_all();
    }
}

impl<S: Store> Drop for Disk<S> {
    fn drop(&mut self) {
        // Covers a panic too: whoever waits for a token must not wait for ever. After a regular stop nobody does.
        let stopped = io::Error::other("the disk thread has stopped");
        self.shared
            .fail(StorageError::io("write", self.log.path(), stopped));
        if std::thread::panicking() {
            (self.on_synced)();
        }
    }
}

#[cfg(test)]
mod tests;
