use std::path::PathBuf;
use std::sync::mpsc;

use super::*;
use crate::sim_store::SimStore;
use crate::testing::{asleep, open_sim, options, record};

fn reopened(dir: &Path) -> Recovery {
    open(dir, options(), asleep()).unwrap().1
}

#[test]
fn what_was_synced_is_there_after_reopening_and_tokens_are_monotonic() {
    let dir = tempfile::tempdir().unwrap();
    let (wake, woken) = mpsc::channel();
    let on_synced = Box::new(move || _ = wake.send(()));
    let (mut journal, recovery) = open(dir.path(), options(), on_synced).unwrap();
    assert_eq!((recovery.segments, journal.sync()), (0, SyncToken::START));
    let all: Vec<Record> = (1..60).map(|n| record(n, n as usize * 37)).collect();
    let mut last = SyncToken::START;
    for group in all.chunks(7) {
        group
            .iter()
            .for_each(|record| journal.append(record.clone()));
        let token = journal.sync();
        while journal.synced().unwrap() < token {
            woken.recv().unwrap();
        }
        assert!(journal.synced().unwrap() > last);
        last = token;
    }
    assert_eq!((journal.staged_bytes(), last.count()), (0, 59));
    let (stats, usage) = (journal.stats(), journal.usage());
    assert_eq!((stats.records, stats.rotations), (59, 0));
    assert!(stats.syncs <= 9 && stats.sync_ns_max <= stats.sync_ns_total);
    assert!(usage.segments > 3 && usage.live_bytes == stats.bytes + usage.segments * 4096);
    drop(journal);
    let recovery = reopened(dir.path());
    assert_eq!((recovery.records, recovery.dropped), (all, None));
}

#[test]
fn a_rotation_deletes_the_older_files() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), options(), asleep()).unwrap();
    (0..40).for_each(|n| journal.append(record(n, 2000)));
    let token = journal.sync();
    journal.wait(token).unwrap();
    assert!(journal.usage().segments > 3);
    let base = vec![record(100, 50), record(101, 60_000)];
    journal.rotate(base.clone());
    journal.append(record(102, 5));
    let token = journal.sync();
    journal.wait(token).unwrap();
    assert_eq!(journal.stats().rotations, 1);
    let files = std::fs::read_dir(dir.path()).unwrap().count() as u64;
    assert_eq!(
        files,
        journal.usage().segments + 1,
        "the lock file and the live segments"
    );
    drop(journal);
    let recovery = reopened(dir.path());
    assert_eq!(recovery.base_records, 2);
    assert_eq!(recovery.records, [base, vec![record(102, 5)]].concat());
}

#[test]
fn what_was_asked_for_is_finished_when_the_journal_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), options(), asleep()).unwrap();
    for n in 0..300 {
        journal.append(record(n, 100));
        journal.sync();
    }
    drop(journal);
    assert_eq!(reopened(dir.path()).records.len(), 300);
}

#[test]
fn a_folder_belongs_to_one_journal_at_a_time_and_to_one_owner() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path(), options(), asleep()).unwrap();
    let error = open(dir.path(), options(), asleep()).map(drop).unwrap_err();
    assert!(matches!(error, StorageError::Locked { .. }), "{error}");
    drop(journal);
    let other = Options {
        owner: [8; 32],
        ..options()
    };
    let error = open(dir.path(), other, asleep()).map(drop).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StorageError::WrongOwner { .. }), "{text}");
    assert!(
        text.contains(&"07".repeat(32)) && text.contains(&"08".repeat(32)),
        "{text}"
    );
    assert!(
        open(dir.path(), options(), asleep()).is_ok(),
        "nothing was changed"
    );
}

fn only_segment(dir: &Path) -> PathBuf {
    dir.join(format!("{:016x}.segment", 0))
}

#[test]
fn another_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path(), options(), asleep()).unwrap());
    let path = only_segment(dir.path());
    let good = std::fs::read(&path).unwrap();
    for (offset, byte, expected) in [(8, 2, "version 2"), (0, b'x', "magic"), (20, 1, "checksum")] {
        let mut bytes = good.clone();
        bytes[offset] = byte;
        std::fs::write(&path, bytes).unwrap();
        let error = open(dir.path(), options(), asleep()).map(drop).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    std::fs::write(&path, &good[..100]).unwrap();
    let error = open(dir.path(), options(), asleep()).map(drop).unwrap_err();
    assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
}

/// The same recovery as on the simulated disk, here through real files.
#[test]
fn a_torn_file_is_repaired_and_written_on() {
    let dir = tempfile::tempdir().unwrap();
    let group: Vec<Record> = (1..6).map(|n| record(n, 90)).collect();
    let (mut journal, _) = open(dir.path(), options(), asleep()).unwrap();
    group
        .iter()
        .for_each(|record| journal.append(record.clone()));
    journal.sync();
    drop(journal);
    let path = only_segment(dir.path());
    let good = std::fs::read(&path).unwrap();
    for cut in (4096..4096 + 5 * 168).step_by(11) {
        let mut torn = good.clone();
        torn[cut..cut + 40].fill(0xee);
        std::fs::write(&path, torn).unwrap();
        let (mut journal, recovery) = open(dir.path(), options(), asleep()).unwrap();
        let whole = (cut - 4096) / 168;
        assert!(recovery.records == group[..whole] || recovery.records == group[..whole + 1]);
        journal.append(record(9, 9));
        journal.sync();
        drop(journal);
        let again = reopened(dir.path());
        let expected = [recovery.records, vec![record(9, 9)]].concat();
        assert_eq!(
            (again.records, again.dropped),
            (expected, None),
            "cut at {cut}"
        );
    }
}

#[test]
fn the_largest_record_passes_and_a_larger_one_does_not_exist() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path(), options(), asleep()).unwrap();
    let payload = bytes::Bytes::from(vec![3; crate::RECORD_BYTES_MAX]);
    let largest = Record::new(1, [1; 32], [payload.clone()]).unwrap();
    journal.append(largest.clone());
    let token = journal.sync();
    journal.wait(token).unwrap();
    drop(journal);
    assert_eq!(reopened(dir.path()).records, [largest]);
    let error = Record::new(1, [1; 32], [payload, bytes::Bytes::from_static(b"x")]).unwrap_err();
    assert!(error.to_string().contains("16777217"), "{error}");
}

#[test]
fn options_out_of_range_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for bad in [
        Options {
            segment_bytes: 4096,
            ..options()
        },
        Options {
            segment_bytes: 1 << 40,
            ..options()
        },
        Options {
            staged_bytes_max: 1,
            ..options()
        },
    ] {
        let error = open(dir.path(), bad, asleep()).map(drop).unwrap_err();
        assert!(matches!(error, StorageError::BadOption { .. }), "{error}");
    }
}

#[test]
fn a_failed_sync_is_sticky_and_acknowledges_nothing_afterwards() {
    let store = SimStore::default();
    let (log, _) = open_sim(&store).unwrap();
    let mut journal = start(log, &options(), asleep()).unwrap();
    journal.append(record(1, 10));
    let good = journal.sync();
    journal.wait(good).unwrap();
    store.state().fail_sync = true;
    journal.append(record(2, 10));
    let bad = journal.sync();
    assert!(matches!(journal.wait(bad), Err(StorageError::Io { .. })));
    for n in 3..200 {
        journal.append(record(n, 10_000));
        let token = journal.sync();
        assert!(journal.wait(token).is_err() && journal.synced().is_err());
    }
}

/// A disk whose syncs end when the test says so.
struct Gated {
    inner: SimStore,
    gate: mpsc::Receiver<()>,
    panics: bool,
}

impl Store for Gated {
    fn list(&self) -> Result<Vec<u64>, StorageError> {
        self.inner.list()
    }
    fn len_bytes(&self, segment: u64) -> Result<u64, StorageError> {
        self.inner.len_bytes(segment)
    }
    fn read_at(&self, segment: u64, offset: u64, out: &mut [u8]) -> Result<(), StorageError> {
        self.inner.read_at(segment, offset, out)
    }
    fn path(&self, segment: u64) -> PathBuf {
        self.inner.path(segment)
    }
    fn resume(&mut self, segment: u64) -> Result<(), StorageError> {
        self.inner.resume(segment)
    }
    fn begin(&mut self, segment: u64, len_bytes: u64) -> Result<(), StorageError> {
        self.inner.begin(segment, len_bytes)
    }
    fn write(&mut self, at: u64, slices: &mut [io::IoSlice<'_>]) -> Result<(), StorageError> {
        self.inner.write(at, slices)
    }
    fn sync(&mut self) -> Result<(), StorageError> {
        assert!(!self.panics, "a bug in the disk thread");
        let _ = self.gate.recv();
        self.inner.sync()
    }
    fn publish(&mut self) -> Result<(), StorageError> {
        self.inner.publish()
    }
    fn remove(&mut self, segments: &[u64]) -> Result<(), StorageError> {
        self.inner.remove(segments)
    }
}

fn gated(
    panics: bool,
    options: &Options,
) -> (FileJournal, mpsc::Sender<()>, mpsc::Receiver<()>, SimStore) {
    let store = SimStore::default();
    let (open_gate, gate) = mpsc::channel();
    let (wake, woken) = mpsc::channel();
    let disk = Gated {
        inner: store.clone(),
        gate,
        panics,
    };
    let (log, _) = open_log(disk, options, Salts(1)).unwrap();
    let on_synced = Box::new(move || _ = wake.send(()));
    (
        start(log, options, on_synced).unwrap(),
        open_gate,
        woken,
        store,
    )
}

#[test]
fn syncs_never_wait_for_a_busy_disk_and_gather_into_groups() {
    let (mut journal, gate, woken, store) = gated(
        false,
        &Options {
            segment_bytes: 1 << 20,
            ..options()
        },
    );
    // Far more batches than the queue holds, while the disk does not finish a single sync.
    let mut token = SyncToken::START;
    for n in 0..1000 {
        journal.append(record(n, 10));
        token = journal.sync();
    }
    assert_eq!(journal.synced().unwrap(), SyncToken::START);
    assert_eq!(journal.staged_bytes(), 1000 * frame(10));
    let mut syncs = 0;
    while journal.synced().unwrap() < token {
        gate.send(()).unwrap();
        woken.recv().unwrap();
        syncs += 1;
    }
    assert!(syncs <= 4, "{syncs} syncs for 1000 batches");
    assert_eq!((journal.stats().syncs, journal.staged_bytes()), (syncs, 0));
    drop(journal);
    let (_, recovery) = open_sim(&store).unwrap();
    let all: Vec<Record> = (0..1000).map(|n| record(n, 10)).collect();
    assert_eq!(recovery.records, all);
}

fn frame(len: usize) -> u64 {
    crate::frame::frame_bytes(len)
}

#[test]
fn appending_blocks_at_the_hard_bound_and_loses_nothing() {
    let bound = 64 << 10;
    let options = Options {
        staged_bytes_max: bound,
        segment_bytes: 4 << 20,
        ..options()
    };
    let (mut journal, gate, _woken, store) = gated(false, &options);
    let (progress, seen) = mpsc::channel();
    let appender = std::thread::spawn(move || {
        for n in 0..100 {
            journal.append(record(n, 4000));
            progress.send(journal.staged_bytes()).unwrap();
        }
        let token = journal.sync();
        journal.wait(token).unwrap();
    });
    let fitting = bound / frame(4000);
    for _ in 0..fitting {
        assert!(seen.recv().unwrap() <= bound);
    }
    assert!(
        seen.try_recv().is_err(),
        "the next append must wait for the disk"
    );
    for _ in 0..100 {
        gate.send(()).unwrap();
    }
    assert!(seen.iter().all(|staged| staged <= bound));
    appender.join().unwrap();
    let (_, recovery) = open_sim(&store).unwrap();
    assert_eq!(
        recovery.records,
        (0..100).map(|n| record(n, 4000)).collect::<Vec<_>>()
    );
}

#[test]
fn a_panic_of_the_disk_thread_wakes_whoever_waits() {
    let (mut journal, _gate, woken, _) = gated(true, &options());
    journal.append(record(1, 1));
    let token = journal.sync();
    woken.recv().unwrap();
    assert!(journal.wait(token).is_err() && journal.synced().is_err());
}
