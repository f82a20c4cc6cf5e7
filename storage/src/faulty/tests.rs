use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::testing::{asleep, options, record};

#[test]
fn nothing_completes_before_the_simulator_says_so() {
    let wakes = Arc::new(AtomicUsize::new(0));
    let disk = SimDisk::new(options(), 1);
    let counter = wakes.clone();
    let on_synced = Box::new(move || {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let (mut journal, _) = disk.open(on_synced).unwrap();
    journal.append(record(1, 10));
    let first = journal.sync();
    assert_eq!(journal.sync(), first, "nothing new to sync");
    journal.append(record(2, 10));
    let second = journal.sync();
    assert!(first < second && disk.asked() == second);
    assert_eq!(journal.synced().unwrap(), SyncToken::START);
    assert_eq!(journal.staged_bytes(), disk.queued_bytes());
    disk.complete_up_to(first);
    assert_eq!(journal.synced().unwrap(), first);
    disk.complete_up_to(first);
    assert_eq!(wakes.load(Ordering::Relaxed), 1);
    disk.complete_up_to(second);
    assert_eq!(
        (journal.synced().unwrap(), journal.staged_bytes()),
        (second, 0)
    );
    assert_eq!(
        (wakes.load(Ordering::Relaxed), journal.stats().records),
        (2, 2)
    );
}

#[test]
fn a_full_disk_is_final_and_loses_nothing_that_was_acknowledged() {
    let disk = SimDisk::new(options(), 1);
    disk.set_capacity_bytes(Some(40 << 10));
    let (mut journal, _) = disk.open(asleep()).unwrap();
    let mut acknowledged = Vec::new();
    let error = (0..100).find_map(|n| {
        journal.append(record(n, 3000));
        let token = journal.sync();
        disk.complete_up_to(token);
        match journal.synced() {
            Ok(done) => {
                assert_eq!(done, token);
                acknowledged.push(record(n, 3000));
                None
            }
            Err(error) => Some(error),
        }
    });
    assert!(
        matches!(error, Some(StorageError::DiskFull { .. })),
        "{error:?}"
    );
    disk.set_capacity_bytes(None);
    journal.append(record(0, 1));
    let token = journal.sync();
    disk.complete_up_to(token);
    assert!(
        matches!(journal.synced(), Err(StorageError::DiskFull { .. })),
        "sticky"
    );
    drop(journal);
    let (_, recovery) = disk.open(asleep()).unwrap();
    assert_eq!(recovery.records[..acknowledged.len()], acknowledged);
}

#[test]
fn a_failed_sync_is_final() {
    let disk = SimDisk::new(options(), 1);
    let (mut journal, _) = disk.open(asleep()).unwrap();
    journal.append(record(1, 10));
    let token = journal.sync();
    disk.fail_next_sync();
    for _ in 0..2 {
        disk.complete_up_to(token);
        assert!(matches!(journal.synced(), Err(StorageError::Io { .. })));
    }
}

#[test]
fn a_crashed_journal_is_dead_and_an_open_one_locks_the_disk() {
    let disk = SimDisk::new(options(), 1);
    let (mut old, _) = disk.open(asleep()).unwrap();
    assert!(matches!(
        disk.open(asleep()),
        Err(StorageError::Locked { .. })
    ));
    disk.crash(5);
    let (mut new, _) = disk.open(asleep()).unwrap();
    old.append(record(1, 1));
    let token = old.sync();
    disk.complete_up_to(token);
    assert!(old.synced().is_err());
    drop(old);
    new.append(record(2, 1));
    let token = new.sync();
    disk.complete_up_to(token);
    assert_eq!(new.synced().unwrap(), token);
}

#[derive(Debug, Clone)]
enum Act {
    Append(usize),
    Sync,
    Complete(u8),
    Rotate(Vec<usize>),
    Crash(u64),
    Kill(u64),
    Drop,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => (0..300usize).prop_map(Act::Append),
        2 => (1000..9000usize).prop_map(Act::Append),
        1 => (15000..40000usize).prop_map(Act::Append),
        6 => Just(Act::Sync),
        5 => any::<u8>().prop_map(Act::Complete),
        1 => prop::collection::vec(0..4000usize, 0..6).prop_map(Act::Rotate),
        2 => any::<u64>().prop_map(Act::Crash),
        2 => any::<u64>().prop_map(Act::Kill),
        1 => Just(Act::Drop),
    ]
}

/// The journal's contents after each command of the current life; index 0 is what was recovered.
struct Model {
    states: Vec<(Vec<Record>, usize)>,
}

impl Model {
    fn apply(&mut self, change: impl FnOnce(&mut (Vec<Record>, usize))) {
        let mut next = self.states[self.states.len() - 1].clone();
        change(&mut next);
        self.states.push(next);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever the disk does, a recovery finds the state after some command that lies between the last
    /// completed token and the last one handed over.
    #[test]
    fn every_crash_leaves_a_prefix_with_everything_synced(
        acts in prop::collection::vec(act(), 1..80),
        seed in any::<u64>(),
    ) {
        let disk = SimDisk::new(options(), seed);
        let (mut journal, _) = disk.open(asleep()).unwrap();
        let mut model = Model { states: vec![(Vec::new(), 0)] };
        let mut n = 0;
        let mut next = |len| { n += 1; record(n, len) };
        for act in acts.into_iter().chain([Act::Crash(seed)]) {
            match act {
                Act::Append(len) => {
                    let record = next(len);
                    journal.append(record.clone());
                    model.apply(|(all, _)| all.push(record));
                }
                Act::Rotate(lens) => {
                    let base: Vec<Record> = lens.into_iter().map(&mut next).collect();
                    journal.rotate(base.clone());
                    model.apply(|state| *state = (base.clone(), base.len()));
                }
                Act::Sync => {
                    journal.sync();
                }
                Act::Complete(share) => {
                    let (done, asked) = (disk.completed().0, disk.asked().0);
                    let part = (asked - done.min(asked)) * u64::from(share) / 255;
                    disk.complete_up_to(SyncToken(done + part));
                }
                Act::Crash(_) | Act::Kill(_) | Act::Drop => {
                    let (done, asked) = (disk.completed().0 as usize, disk.asked().0 as usize);
                    match act {
                        Act::Crash(seed) => disk.crash(seed),
                        Act::Kill(seed) => disk.kill(seed),
                        _ => drop(journal),
                    }
                    let (reopened, recovery) = disk.open(asleep()).unwrap();
                    journal = reopened;
                    let found = (recovery.records, recovery.base_records);
                    let allowed = &model.states[done..=asked.max(done)];
                    prop_assert!(allowed.contains(&found), "between {} and {}", done, asked);
                    model = Model { states: vec![found] };
                }
            }
        }
    }

    /// A decayed bit is refused, or costs part of the last group, or hits nothing; never a wrong record.
    #[test]
    fn decay_never_changes_a_record(sizes in prop::collection::vec(0..3000usize, 1..20), seed in any::<u64>()) {
        let disk = SimDisk::new(options(), seed);
        let (mut journal, _) = disk.open(asleep()).unwrap();
        let all: Vec<Record> = (0u64..).zip(&sizes).map(|(n, len)| record(n, *len)).collect();
        for record in &all {
            journal.append(record.clone());
            let token = journal.sync();
            disk.complete_up_to(token);
        }
        drop(journal);
        disk.decay(seed);
        if let Ok((_, recovery)) = disk.open(asleep()) {
            prop_assert!(recovery.records.len() + 1 >= all.len());
            prop_assert_eq!(&recovery.records[..], &all[..recovery.records.len()]);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_disk(seed in any::<u64>()) {
        let run = || {
            let disk = SimDisk::new(options(), seed);
            let (mut journal, _) = disk.open(asleep()).unwrap();
            for n in 0..20 {
                journal.append(record(n, 700));
                let token = journal.sync();
                if n % 3 == 0 {
                    disk.complete_up_to(token);
                }
            }
            disk.crash(seed);
            let bytes = disk.store().state().fingerprint();
            let (_, recovery) = disk.open(asleep()).unwrap();
            (bytes, recovery.records, recovery.dropped)
        };
        prop_assert_eq!(run(), run());
    }
}
