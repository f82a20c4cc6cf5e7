//! Execution: a block of 1000 transactions on a state that is filled already.

use std::hint::black_box;

use bytes::Bytes;
use execution::kv::format;
use execution::{AppKind, BatchInput, Executor};
use gungraun::{library_benchmark, library_benchmark_group};
use types::Height;
use types::batch::{GroupBuilder, digest};

const BLOCK_TXS: u64 = 1000;
const GROUP_TXS: u64 = 50;
const KEYS: u64 = 2000;

/// Transactions of block `height`, the next ones of each session.
fn block(height: u64, transfers: bool) -> Vec<BatchInput> {
    let (mut bytes, mut payload) = (Vec::new(), Vec::new());
    for who in 0..BLOCK_TXS / GROUP_TXS {
        let mut group = GroupBuilder::new();
        for i in 0..GROUP_TXS {
            let number = (height * BLOCK_TXS + who * GROUP_TXS + i).wrapping_mul(0x9e37_79b9);
            payload.clear();
            match transfers {
                true => format::transfer(number % KEYS, (number >> 16) % KEYS, 1, &mut payload),
                false => {
                    format::put(&(number % KEYS).to_le_bytes(), &[], &mut payload);
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
        executor.execute_block(Height(height), &block(height, transfers), &mut |_, _, _| {});
    }
    (executor, block(5, transfers))
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

library_benchmark_group!(name = blocks, benchmarks = block_of_1000);
