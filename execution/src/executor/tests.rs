use std::collections::HashMap;

use proptest::prelude::*;
use types::batch::{GroupBuilder, digest};

use super::*;
use crate::kv::{BALANCE_INITIAL, code, format};

const ANNE: SessionId = [1; 16];
const BERT: SessionId = [2; 16];

fn group(session: &SessionId, txs: &[(u64, Vec<u8>)], out: &mut Vec<u8>) {
    let mut group = GroupBuilder::new();
    txs.iter()
        .for_each(|(seq, payload)| group.push(*seq, payload));
    group.finish(session, out);
}

fn input(bytes: Vec<u8>) -> BatchInput {
    BatchInput {
        digest: digest(&bytes),
        bytes: Bytes::from(bytes),
        receipts: true,
    }
}

fn batch(session: &SessionId, txs: &[(u64, Vec<u8>)]) -> BatchInput {
    let mut bytes = Vec::new();
    group(session, txs, &mut bytes);
    input(bytes)
}

fn put(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    format::put(key, value, &mut out);
    out
}

fn transfer(from: u64, to: u64, amount: u64) -> Vec<u8> {
    let mut out = Vec::new();
    format::transfer(from, to, amount, &mut out);
    out
}

type Told = (usize, SessionId, Entry);

fn run(executor: &mut Executor, height: u64, batches: &[BatchInput]) -> (BlockSummary, Vec<Told>) {
    let mut told = Vec::new();
    let summary = executor.execute_block(Height(height), batches, &mut |batch, session, entry| {
        told.push((batch, *session, entry));
    });
    assert_eq!(summary.ledger, executor.ledger());
    (summary, told)
}

fn entry(seq: u64, height: u64, position: u32, outcome: Outcome) -> Entry {
    Entry {
        seq,
        height: Height(height),
        position,
        outcome,
    }
}

#[test]
fn positions_run_through_the_block_and_outcomes_are_told() {
    let mut executor = Executor::new(AppKind::Kv);
    let mut quiet = batch(&BERT, &[(0, put(b"k", b"bert")), (1, b"noise".to_vec())]);
    quiet.receipts = false;
    let first = batch(
        &ANNE,
        &[(7, put(b"k", b"v")), (8, transfer(1, 2, 2_000_000))],
    );
    let last = batch(&ANNE, &[(7, put(b"k", b"v")), (7, put(b"k", b"w"))]);
    let (summary, told) = run(&mut executor, 1, &[first.clone(), quiet, last]);
    let poor = Outcome::Rejected(code::INSUFFICIENT_FUNDS);
    assert_eq!(
        told,
        [
            (0, ANNE, entry(7, 1, 0, Outcome::Applied)),
            (0, ANNE, entry(8, 1, 1, poor)),
            (2, ANNE, entry(7, 1, 0, Outcome::Duplicate)),
            (2, ANNE, entry(7, 1, 5, Outcome::SequenceReused)),
        ]
    );
    let counts = (summary.txs, summary.applied, summary.rejected);
    assert_eq!(counts, (6, 2, 2));
    assert_eq!((summary.duplicates, summary.sequence_reused), (1, 1));
    // A rejected transaction used its number too, and later blocks point back.
    let (_, told) = run(&mut executor, 5, &[first]);
    assert_eq!(
        told,
        [
            (0, ANNE, entry(7, 1, 0, Outcome::Duplicate)),
            (0, ANNE, entry(8, 1, 1, Outcome::Duplicate)),
        ]
    );
    assert_eq!(executor.height(), Height(5));
    let jump = batch(&ANNE, &[(1 << 40, put(b"a", b"")), (9, put(b"b", b""))]);
    let (summary, told) = run(&mut executor, 6, &[jump]);
    assert_eq!(summary.below_window, 1);
    assert_eq!(told[1].2, entry(9, 6, 1, Outcome::BelowWindow));
}

#[test]
fn a_batch_ends_at_its_first_malformed_group() {
    let mut bytes = Vec::new();
    group(&ANNE, &[(0, put(b"a", b"1"))], &mut bytes);
    bytes.extend_from_slice(&[0xee; 17]);
    group(&BERT, &[(0, put(b"b", b"2"))], &mut bytes);
    let mut executor = Executor::new(AppKind::Kv);
    let after = batch(&BERT, &[(0, put(b"c", b"3"))]);
    let (summary, told) = run(&mut executor, 1, &[input(bytes), after]);
    assert_eq!(summary.txs, 2);
    assert_eq!(told[1].2, entry(0, 1, 1, Outcome::Applied));
}

#[test]
#[should_panic(expected = "block 3 after block 3")]
fn a_height_executes_once() {
    let mut executor = Executor::new(AppKind::Null);
    run(&mut executor, 3, &[]);
    run(&mut executor, 3, &[]);
}

#[test]
fn the_ledger_tells_histories_apart_and_the_state_follows() {
    let (one, two) = (
        batch(&ANNE, &[(0, put(b"a", b"1"))]),
        batch(&BERT, &[(0, put(b"b", b"2"))]),
    );
    let ledger = |blocks: &[(u64, &[BatchInput])]| {
        let mut executor = Executor::new(AppKind::Kv);
        for (height, batches) in blocks {
            run(&mut executor, *height, batches);
        }
        (executor.ledger(), executor.state_digest())
    };
    let both = [one.clone(), two.clone()];
    let swapped = [two.clone(), one.clone()];
    let base = ledger(&[(1, &both)]);
    assert_eq!(base, ledger(&[(1, &both)]));
    let others = [
        ledger(&[(1, &swapped)]),
        ledger(&[(2, &both)]),
        ledger(&[(1, &both[..1]), (2, &both[1..])]),
        ledger(&[(1, &both), (2, &[])]),
    ];
    for other in others {
        assert_ne!(base.0, other.0);
        assert_ne!(base.1, other.1);
    }
}

/// A history that goes through every outcome, with evictions of the window by a jump.
fn pinned_history(executor: &mut Executor) {
    for height in 1..=40u64 {
        let mut txs: Vec<(u64, Vec<u8>)> = (0..20)
            .map(|i| {
                (
                    height * 20 + i,
                    put(&[(i * height % 50) as u8], &[i as u8; 30]),
                )
            })
            .collect();
        txs.push((height * 20, put(b"again", b"")));
        txs.push((height * 20 + 1, txs[1].1.clone()));
        let far = if height > 30 { 5_000_000 } else { 7_000 };
        txs.push((far + height, transfer(height % 5, height % 7, 300_000)));
        let transfers: Vec<(u64, Vec<u8>)> = (0..10)
            .map(|i| (height * 10 + i, transfer(i % 4, i % 3, 100_000)))
            .collect();
        let mut who = ANNE;
        who[15] = (height % 3) as u8;
        run(
            executor,
            height,
            &[batch(&who, &txs), batch(&BERT, &transfers)],
        );
    }
}

/// Replicas of all machines and versions must arrive at these; a change is a change of protocol.
#[test]
fn digests_are_pinned() {
    let mut kv = Executor::new(AppKind::Kv);
    let mut null = Executor::new(AppKind::Null);
    let empty = kv.state_digest().to_string();
    pinned_history(&mut kv);
    pinned_history(&mut null);
    let encoding = Digest::of("test", &kv.snapshot().encode());
    let found = [
        empty,
        kv.ledger().to_string(),
        kv.state_digest().to_string(),
        encoding.to_string(),
        null.ledger().to_string(),
        null.state_digest().to_string(),
    ];
    let expected: [&str; 6] = [
        "c66de96bda5a3d1f7455ff59d8038fbb12e8ab2d76960d1e1baeb307245c0350",
        "377472b584706e8702430428acb0b015669eab499d4ce6034c1fd9c8970c9363",
        "9fdd11b8a99247cdb865f980627a36eaa0c806b5fed8d6e400bbff2ada9ef359",
        "aeb99799f62a42954dc1ba004889d109b2f2b6a689b63047d011066ca305ad5d",
        "ed24b28b56ae05f226e762e85b1c554ef2c048b3df8082775a4ba0e002ac1bc4",
        "81efaf80b2c98a718f4eee07b4d35df9caa922e207bb6d789a58edc6a7b28247",
    ];
    assert_eq!(found, expected);
}

/// What a block should come to, written down without windows, buckets or sharing.
#[derive(Default)]
struct Model {
    used: HashMap<(u8, u64), (Vec<u8>, Height, u32)>,
    values: HashMap<u8, Vec<u8>>,
    accounts: HashMap<u64, u64>,
}

#[derive(Debug, Clone)]
enum Act {
    Put(u8, u8),
    Transfer(u64, u64, u64),
    Noise(u8),
}

impl Act {
    fn payload(&self) -> Vec<u8> {
        match self {
            Act::Put(key, value) => put(&[*key], &[*value; 9]),
            Act::Transfer(from, to, amount) => transfer(*from, *to, *amount),
            Act::Noise(byte) => vec![9, *byte],
        }
    }
}

impl Model {
    fn step(&mut self, who: u8, seq: u64, act: &Act, height: Height, position: u32) -> Entry {
        let entry = |height, position, outcome| Entry {
            seq,
            height,
            position,
            outcome,
        };
        let payload = act.payload();
        if let Some((first, at, index)) = self.used.get(&(who, seq)) {
            return match *first == payload {
                true => entry(*at, *index, Outcome::Duplicate),
                false => entry(height, position, Outcome::SequenceReused),
            };
        }
        self.used.insert((who, seq), (payload, height, position));
        let outcome = match act {
            Act::Put(key, value) => {
                self.values.insert(*key, vec![*value; 9]);
                Outcome::Applied
            }
            Act::Noise(_) => Outcome::Rejected(code::MALFORMED),
            Act::Transfer(from, to, amount) => {
                let has = *self.accounts.entry(*from).or_insert(BALANCE_INITIAL);
                if has < *amount {
                    Outcome::Rejected(code::INSUFFICIENT_FUNDS)
                } else {
                    *self.accounts.entry(*from).or_insert(BALANCE_INITIAL) -= amount;
                    *self.accounts.entry(*to).or_insert(BALANCE_INITIAL) += amount;
                    Outcome::Applied
                }
            }
        };
        entry(height, position, outcome)
    }
}

type Tx = (u64, Act);

/// Blocks of batches of groups; a group is a session with its transactions.
type Blocks = Vec<Vec<Vec<(u8, Vec<Tx>)>>>;

fn blocks() -> impl Strategy<Value = Blocks> {
    let act = prop_oneof![
        (0u8..10, 0u8..3).prop_map(|(key, value)| Act::Put(key, value)),
        (0u64..4, 0u64..4, 0u64..900_000).prop_map(|(a, b, c)| Act::Transfer(a, b, c)),
        (0u8..3).prop_map(Act::Noise),
    ];
    let tx = (0u64..150, act);
    let group = (0u8..3, proptest::collection::vec(tx, 0..40));
    let batch = proptest::collection::vec(group, 0..4);
    let block = proptest::collection::vec(batch, 0..4);
    proptest::collection::vec(block, 1..6)
}

fn inputs(block: &[Vec<(u8, Vec<Tx>)>]) -> Vec<BatchInput> {
    let batch = |groups: &Vec<(u8, Vec<Tx>)>| {
        let mut bytes = Vec::new();
        for (who, txs) in groups {
            let txs: Vec<_> = txs.iter().map(|(seq, act)| (*seq, act.payload())).collect();
            group(&[*who; 16], &txs, &mut bytes);
        }
        input(bytes)
    };
    block.iter().map(batch).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every entry is what the model says. Three more executors arrive at the same: one that
    /// asks for no receipts, one that is cloned from a snapshot before every block, and one that is
    /// restored from bytes before the last. Snapshots taken on the way keep their digest.
    #[test]
    fn agrees_with_a_naive_model_however_the_state_travels(blocks in blocks()) {
        let (mut plain, mut model) = (Executor::new(AppKind::Kv), Model::default());
        let mut quiet = plain.clone();
        let mut cloned = plain.clone();
        let mut snapshots = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            let height = index as u64 + 1;
            let mut batches = inputs(block);
            let snapshot = cloned.snapshot();
            cloned = snapshot.to_executor();
            snapshots.push((plain.snapshot(), plain.state_digest()));
            let (summary, told) = run(&mut plain, height, &batches);
            run(&mut cloned, height, &batches);
            let mut expected = Vec::new();
            for (index, groups) in block.iter().enumerate() {
                for (who, txs) in groups {
                    for (seq, act) in txs {
                        let position = expected.len() as u32;
                        let entry = model.step(*who, *seq, act, Height(height), position);
                        expected.push((index, [*who; 16], entry));
                    }
                }
            }
            prop_assert_eq!(summary.txs, expected.len() as u64);
            prop_assert_eq!(told, expected);
            batches.iter_mut().for_each(|batch| batch.receipts = false);
            let (same, told) = run(&mut quiet, height, &batches);
            prop_assert_eq!(same, summary);
            prop_assert!(told.is_empty());
        }
        let App::Kv(kv) = plain.app() else { panic!("kv was asked for") };
        for key in 0u8..10 {
            prop_assert_eq!(kv.get(&[key]), model.values.get(&key).map(|v| &v[..]));
        }
        for account in 0u64..4 {
            let expected = model.accounts.get(&account).copied().unwrap_or(BALANCE_INITIAL);
            prop_assert_eq!(kv.balance(account), expected);
        }
        prop_assert_eq!(cloned.state_digest(), plain.state_digest());
        prop_assert_eq!(quiet.state_digest(), plain.state_digest());
        for (snapshot, digest) in &snapshots {
            prop_assert_eq!(snapshot.digest(), *digest);
        }
        let (before, digest) = &snapshots[snapshots.len() - 1];
        let mut restored = Executor::restore(&before.encode(), *digest).unwrap();
        run(&mut restored, blocks.len() as u64, &inputs(&blocks[blocks.len() - 1]));
        prop_assert_eq!(restored.state_digest(), plain.state_digest());
        prop_assert_eq!(restored.snapshot().encode(), plain.snapshot().encode());
    }

    #[test]
    fn no_batch_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut executor = Executor::new(AppKind::Kv);
        run(&mut executor, 1, &[input(bytes)]);
    }
}
