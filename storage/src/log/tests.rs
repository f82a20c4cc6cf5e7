//! Torn tails and damage, byte by byte, on the simulated disk.
use super::*;
use crate::frame::FRAME_HEAD_BYTES;
use crate::sim_store::SimStore;
use crate::testing::{appends, open_sim, record};

const SIZES: [usize; 6] = [0, 1, 100, 700, 64, 8];

fn records(from: u64, count: u64) -> Vec<Record> {
    (from..from + count)
        .map(|n| record(n, SIZES[(n % 6) as usize]))
        .collect()
}

fn offsets(from: u64, records: &[Record]) -> Vec<u64> {
    let mut at = from;
    let mut out = vec![at];
    for record in records {
        at += frame_bytes(record.len_bytes());
        out.push(at);
    }
    out
}

/// A disk with the two groups, and where each of their records starts.
fn two_groups() -> (SimStore, Vec<Record>, Vec<u64>, usize) {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    let all = records(1, 12);
    let synced = 6;
    log.run(&appends(&all[..synced])).unwrap();
    log.run(&appends(&all[synced..])).unwrap();
    let at = offsets(SEGMENT_HEAD_BYTES, &all);
    (store, all, at, synced)
}

/// Rebuilds the same disk (the same seed gives the same bytes) and changes it.
fn recovered(
    change: impl FnOnce(&SimStore),
) -> Result<(Vec<Record>, Option<crate::Dropped>), StorageError> {
    let (store, ..) = two_groups();
    change(&store);
    let (_, recovery) = open_sim(&store)?;
    // Repair must be complete: a second opening finds the same and nothing more to drop.
    let (_, again) = open_sim(&store)?;
    assert_eq!(recovery.records, again.records);
    assert_eq!(again.dropped, None);
    Ok((recovery.records, recovery.dropped))
}

fn overwrite(store: &SimStore, from: u64, to: u64, byte: u8) {
    let mut store = store.clone();
    let bytes = vec![byte; (to - from) as usize];
    store.write(from, &mut [IoSlice::new(&bytes)]).unwrap();
}

#[test]
fn what_was_written_is_read_back_in_order() {
    let (store, all, ..) = two_groups();
    let (log, recovery) = open_sim(&store).unwrap();
    assert_eq!(recovery.records, all);
    assert_eq!(
        (recovery.base_records, recovery.segments, recovery.dropped),
        (0, 1, None)
    );
    assert_eq!(log.tail.next_seq, 13);
}

#[test]
fn a_tail_cut_at_any_byte_leaves_whole_records_and_everything_synced() {
    let (_, all, at, synced) = two_groups();
    let end = at[all.len()];
    for cut in at[synced]..end {
        let (found, dropped) = recovered(|store| overwrite(store, cut, end, 0)).unwrap();
        // A record may survive a cut in its padding or in zeros of its own.
        let whole = at.iter().filter(|start| **start <= cut).count() - 1;
        assert!(found.len() >= whole.max(synced), "cut at {cut}");
        assert_eq!(found, all[..found.len()], "cut at {cut}");
        if let Some(dropped) = dropped {
            assert_eq!(dropped.offset, at[found.len()]);
            assert!(dropped.bytes <= cut - dropped.offset);
        }
    }
}

#[test]
fn garbage_from_any_byte_of_the_tail_on_is_dropped() {
    let (_, all, at, synced) = two_groups();
    for cut in at[synced]..at[all.len()] {
        let (found, dropped) = recovered(|store| overwrite(store, cut, 12 << 10, 0xa5)).unwrap();
        assert!(found.len() >= synced);
        assert_eq!(found, all[..found.len()], "garbage from {cut}");
        assert!(dropped.is_some());
    }
}

#[test]
fn a_flipped_bit_in_the_last_group_costs_at_most_that_group() {
    let (_, all, at, synced) = two_groups();
    for offset in at[synced]..at[all.len()] {
        let bit = offset as u8 % 8;
        let (found, _) = recovered(|store| store.state().flip(0, offset, bit)).unwrap();
        let hit = at.iter().filter(|start| **start <= offset).count() - 1;
        assert!(
            found.len() == hit || found.len() == all.len(),
            "flip at {offset}"
        );
        assert_eq!(found, all[..found.len()]);
    }
}

#[test]
fn a_flipped_bit_in_a_group_that_was_synced_before_another_is_an_error() {
    let (_, all, at, synced) = two_groups();
    for (record, start) in all[..synced].iter().zip(&at) {
        for offset in *start..start + (FRAME_HEAD_BYTES + record.len_bytes()) as u64 {
            let outcome = recovered(|store| store.state().flip(0, offset, offset as u8));
            let Err(StorageError::Corrupt {
                offset: found,
                reason,
                ..
            }) = outcome
            else {
                panic!("damage at byte {offset} was not refused: {outcome:?}");
            };
            assert_eq!(found, *start, "{reason}");
        }
    }
}

#[test]
fn a_flipped_bit_in_the_segment_head_is_an_error() {
    for offset in 0..96 {
        assert!(
            recovered(|store| store.state().flip(0, offset, 3)).is_err(),
            "byte {offset}"
        );
    }
}

#[test]
fn dropped_records_never_reappear_behind_an_identical_successor() {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    let (old, lost) = (records(1, 3), records(4, 3));
    log.run(&appends(&old)).unwrap();
    log.run(&appends(&lost)).unwrap();
    let at = offsets(SEGMENT_HEAD_BYTES, &old)[3];
    // The first record of the last group is torn; the two behind it are whole on disk.
    store.state().flip(0, at + 90, 0);
    let (mut log, recovery) = open_sim(&store).unwrap();
    assert_eq!(recovery.records, old);
    let dropped = recovery.dropped.unwrap();
    assert_eq!((dropped.offset, dropped.segment), (at, 0));
    // Byte for byte what was torn, so that only the zeros keep the others away.
    log.run(&appends(&lost[..1])).unwrap();
    let (_, recovery) = open_sim(&store).unwrap();
    assert_eq!(recovery.records, [&old[..], &lost[..1]].concat());
    assert_eq!(recovery.dropped, None);
}

#[test]
fn a_frame_of_another_predecessor_does_not_continue_the_log() {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    let salt = log.tail.salt;
    log.run(&appends(&records(1, 2))).unwrap();
    let at = log.usage().segment_used_bytes;
    // Right number, right salt, valid checksum: only the chain tells.
    let (stale, _) = encode_frame(&record(6, 0), salt, 0xdead, 3, 2);
    store
        .clone()
        .write(at, &mut [IoSlice::new(&stale)])
        .unwrap();
    let (_, recovery) = open_sim(&store).unwrap();
    assert_eq!(recovery.records, records(1, 2));
    assert!(recovery.dropped.unwrap().reason.contains("another history"));
}

#[test]
fn segments_follow_each_other_and_damage_in_the_middle_is_an_error() {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    let all: Vec<Record> = (1..40).map(|n| record(n, 3000)).collect();
    all.chunks(5)
        .for_each(|group| log.run(&appends(group)).unwrap());
    let usage = log.usage();
    assert!(usage.segments > 5, "{usage:?}");
    assert_eq!(usage.disk_bytes, usage.segments * (16 << 10));
    let (_, recovery) = open_sim(&store).unwrap();
    assert_eq!(
        (recovery.records, recovery.segments as u64),
        (all, usage.segments)
    );

    for segment in 0..usage.segments - 1 {
        store.state().flip(segment, 5000, 1);
        let error = open_sim(&store).map(drop).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("sim/{segment}")),
            "{error}"
        );
        store.state().flip(segment, 5000, 1);
    }
    assert!(open_sim(&store).is_ok());
    store.clone().remove(&[2]).unwrap();
    let error = open_sim(&store).map(drop).unwrap_err();
    assert!(
        error.to_string().contains("segment 2 is missing"),
        "{error}"
    );
    store.clone().remove(&[0, 1]).unwrap();
    let error = open_sim(&store).map(drop).unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_middle_segment_that_ends_early_is_an_error() {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    let all: Vec<Record> = (1..8).map(|n| record(n, 3000)).collect();
    log.run(&appends(&all)).unwrap();
    let at = offsets(SEGMENT_HEAD_BYTES, &all[..3]);
    store.clone().resume(0).unwrap();
    overwrite(&store, at[2], at[3], 0);
    let error = open_sim(&store).map(drop).unwrap_err();
    assert!(error.to_string().contains("end with record 2"), "{error}");
}

#[test]
fn a_record_larger_than_a_segment_gets_a_segment_of_its_own() {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    let all = vec![record(1, 10), record(2, 3 << 20), record(3, 10)];
    log.run(&appends(&all)).unwrap();
    let (_, recovery) = open_sim(&store).unwrap();
    assert_eq!((recovery.records, recovery.segments), (all, 2));
}

#[test]
fn a_base_replaces_everything_older_and_may_exceed_a_segment() {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    log.run(&appends(&records(1, 50))).unwrap();
    let base: Vec<Record> = (100..110).map(|n| record(n, 5000)).collect();
    let mut group = appends(&records(60, 2));
    group.push(Command::Rotate(base.clone()));
    group.extend(appends(&records(70, 3)));
    log.run(&group).unwrap();
    let usage = log.usage();
    assert_eq!(store.list().unwrap().len() as u64, usage.segments);
    let (_, recovery) = open_sim(&store).unwrap();
    assert_eq!(recovery.base_records, 10);
    assert_eq!(recovery.records, [base, records(70, 3)].concat());
    // Damage in a base is never a torn tail, since a base is durable before it is visible.
    let segment = store.list().unwrap()[0];
    store.state().flip(segment, 4096 + 9 * 5072 + 100, 0);
    assert!(matches!(
        open_sim(&store).map(drop),
        Err(StorageError::Corrupt { .. })
    ));
}

#[test]
fn an_empty_base_empties_the_journal() {
    let store = SimStore::default();
    let (mut log, _) = open_sim(&store).unwrap();
    log.run(&appends(&records(1, 5))).unwrap();
    log.run(&[Command::Rotate(Vec::new())]).unwrap();
    let (_, recovery) = open_sim(&store).unwrap();
    assert_eq!(
        (
            recovery.records.len(),
            recovery.base_records,
            recovery.segments
        ),
        (0, 0, 1)
    );
}

#[test]
fn what_a_recovery_returned_survives_the_next_cut() {
    for seed in 0..40 {
        let store = SimStore::default();
        let (mut log, _) = open_sim(&store).unwrap();
        // The process dies between write and sync: the records stand in the page cache only.
        store.state().steps_left = Some(1);
        assert!(log.run(&appends(&records(1, 5))).is_err());
        let mut rng = Salts(seed);
        store.state().kill(&mut rng);
        let (_, recovery) = open_sim(&store).unwrap();
        assert_eq!(recovery.records, records(1, 5));
        store.state().crash(&mut rng);
        let (_, recovery) = open_sim(&store).unwrap();
        assert_eq!(recovery.records, records(1, 5), "seed {seed}");
    }
}

/// The power goes at every single operation of a rotation, and again during the recovery from it.
#[test]
fn a_cut_at_any_step_of_a_rotation_leaves_the_old_or_the_new_journal() {
    let old = [records(1, 6), (20..26).map(|n| record(n, 4000)).collect()].concat();
    let base = records(30, 4);
    let (mut seen_old, mut seen_new) = (false, false);
    for seed in 0..400 {
        let store = SimStore::default();
        let (mut log, _) = open_sim(&store).unwrap();
        log.run(&appends(&old)).unwrap();
        store.state().steps_left = Some(seed % 10);
        let finished = log.run(&[Command::Rotate(base.clone())]).is_ok();
        let mut rng = Salts(seed);
        store.state().crash(&mut rng);
        store.state().steps_left = Some(rng.next() % 4);
        let _ = open_sim(&store);
        store.state().crash(&mut rng);
        let (_, recovery) = open_sim(&store).unwrap();
        let is_new = recovery.records == base;
        assert!(
            is_new || (recovery.records == old && !finished),
            "seed {seed}"
        );
        (seen_old, seen_new) = (seen_old | !is_new, seen_new | (is_new && !finished));
        if is_new {
            assert_eq!(store.list().unwrap().len(), 1, "older segments are gone");
        }
    }
    assert!(seen_old && seen_new);
}
