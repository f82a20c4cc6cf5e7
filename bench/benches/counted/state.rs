//! Execution: a block of 1000 transactions on a state that is filled already, and a whole interval
//! between two checkpoints with the copies that follow a snapshot and the digest of the next.

use std::hint::black_box;

use bytes::Bytes;
use execution::kv::format;
use execution::{AppKind, BatchInput, Executor, Snapshot};
use gungraun::{library_benchmark, library_benchmark_group};
use types::Height;
use types::batch::{GroupBuilder, digest};

const BLOCK_TXS: u64 = 1000;
const GROUP_TXS: u64 = 50;
const KEYS: u64 = 2000;
/// About ten records per part, and each is written once in an interval, as at 64 MiB between
/// checkpoints and 100 k keys.
const INTERVAL_KEYS: u64 = 40_000;
const INTERVAL_BLOCKS: u64 = 40;

/// Transactions of block `height`, the next ones of each session.
fn block(height: u64, transfers: bool, keys: u64) -> Vec<BatchInput> {
    let (mut bytes, mut payload) = (Vec::new(), Vec::new());
    for who in 0..BLOCK_TXS / GROUP_TXS {
        let mut group = GroupBuilder::new();
        for i in 0..GROUP_TXS {
            let number = (height * BLOCK_TXS + who * GROUP_TXS + i).wrapping_mul(0x9e37_79b9);
            payload.clear();
            match transfers {
                true => format::transfer(number % keys, (number >> 16) % keys, 1, &mut payload),
                false => {
                    format::put(&(number % keys).to_le_bytes(), &[], &mut payload);
                    payload.resize(512, 7);
                }
            }
            group.push(height * GROUP_TXS + i, &payload);
        }
        group.finish(&[who as u8; 16], &mut bytes);
    }
    vec![BatchInput {
        digest: digest(&bytes),
        bytes: Bytes::from(bytes),
        receipts: true,
    }]
}

fn filled(kind: AppKind, transfers: bool) -> (Executor, Vec<BatchInput>) {
    let mut executor = Executor::new(kind);
    for height in 1..=4 {
        let block = block(height, transfers, KEYS);
        executor.execute_block(Height(height), &block, &mut |_, _, _| {});
    }
    (executor, block(5, transfers, KEYS))
}

#[library_benchmark]
#[bench::kv_put(filled(AppKind::Kv, false))]
#[bench::kv_transfer(filled(AppKind::Kv, true))]
#[bench::null(filled(AppKind::Null, false))]
fn block_of_1000(case: (Executor, Vec<BatchInput>)) -> (Executor, Vec<BatchInput>) {
    let (mut executor, batches) = case;
    let summary = executor.execute_block(Height(5), &batches, &mut |_, _, entry| {
        black_box(entry);
    });
    assert_eq!(summary.txs, BLOCK_TXS);
    (executor, batches)
}

struct Interval {
    executor: Executor,
    _before: Snapshot,
    blocks: Vec<Vec<BatchInput>>,
}

/// After two intervals, the state of the one before is gone: its parts can be used again.
fn interval(transfers: bool) -> Interval {
    let mut executor = Executor::new(AppKind::Kv);
    let mut before = None;
    for height in 1..=2 * INTERVAL_BLOCKS {
        let block = block(height, transfers, INTERVAL_KEYS);
        executor.execute_block(Height(height), &block, &mut |_, _, _| {});
        if height % INTERVAL_BLOCKS == 0 {
            let snapshot = executor.snapshot();
            snapshot.digest();
            before = Some(snapshot);
        }
    }
    let next = 2 * INTERVAL_BLOCKS + 1..=3 * INTERVAL_BLOCKS;
    Interval {
        executor,
        _before: before.expect("an interval ended"),
        blocks: next
            .map(|height| block(height, transfers, INTERVAL_KEYS))
            .collect(),
    }
}

#[library_benchmark]
#[bench::kv_put(interval(false))]
#[bench::kv_transfer(interval(true))]
fn interval_of_40_blocks(mut case: Interval) -> (Interval, Snapshot) {
    for (at, block) in (2 * INTERVAL_BLOCKS + 1..).zip(&case.blocks) {
        case.executor
            .execute_block(Height(at), block, &mut |_, _, entry| {
                black_box(entry);
            });
    }
    let snapshot = case.executor.snapshot();
    black_box(snapshot.digest());
    (case, snapshot)
}

library_benchmark_group!(
    name = blocks,
    benchmarks = [block_of_1000, interval_of_40_blocks]
);
