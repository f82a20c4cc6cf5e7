//! Prints what execution costs per transaction: `cargo run --release -p execution --example cost`.
//! One thread, CPU time; a snapshot with its digest every 150 blocks (600 k transactions), as a
//! checkpoint per second would take. Snapshot and digest are the shortest wall time seen.

use std::time::{Duration, Instant};

use bytes::Bytes;
use execution::{AppKind, BatchInput, Executor};
use types::Height;
use types::batch::{GroupBuilder, digest};

const BATCH_TXS: u64 = 1000;
const GROUP_TXS: u64 = 50;
const BATCHES: u64 = 4;
const SESSIONS: u64 = 64;
const PAYLOAD_LEN_BYTES: usize = 512;

/// CPU time of this thread: the machine may be busy with other things.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent_ns = stat.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(spent_ns.unwrap_or_default())
}

/// Deterministic numbers: splitmix64.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

struct Load {
    random: u64,
    seqs: Vec<u64>,
    keys: u64,
    transfers: bool,
}

impl Load {
    fn payload(&mut self, out: &mut Vec<u8>) {
        out.clear();
        let key = next(&mut self.random) % self.keys;
        if self.transfers {
            let to = next(&mut self.random) % self.keys;
            execution::kv::format::transfer(key, to, 1, out);
        } else {
            let mut name = [0; 16];
            name[..8].copy_from_slice(&key.to_le_bytes());
            execution::kv::format::put(&name, &[], out);
            out.extend_from_slice(&next(&mut self.random).to_le_bytes());
            out.resize(PAYLOAD_LEN_BYTES, 7);
        }
    }

    fn batch(&mut self) -> BatchInput {
        let (mut bytes, mut payload) = (Vec::new(), Vec::new());
        for _ in 0..BATCH_TXS / GROUP_TXS {
            let mut group = GroupBuilder::new();
            let who = (next(&mut self.random) % SESSIONS) as usize;
            for _ in 0..GROUP_TXS {
                self.payload(&mut payload);
                group.push(self.seqs[who], &payload);
                self.seqs[who] += 1;
            }
            let mut session = [0; 16];
            session[..8].copy_from_slice(&(who as u64).to_le_bytes());
            group.finish(&session, &mut bytes);
        }
        BatchInput {
            digest: digest(&bytes),
            bytes: Bytes::from(bytes),
            receipts: false,
        }
    }
}

fn measure(what: &str, kind: AppKind, keys: u64, transfers: bool, blocks: u64) {
    let mut load = Load {
        random: 1,
        seqs: vec![0; SESSIONS as usize],
        keys,
        transfers,
    };
    let mut executor = Executor::new(kind);
    let (mut run, mut cut, mut hashed) = (Duration::ZERO, Duration::MAX, Duration::MAX);
    let (mut txs, mut kept) = (0, None);
    for height in 1..=2 * blocks {
        let mut batches: Vec<BatchInput> = (0..BATCHES).map(|_| load.batch()).collect();
        batches[0].receipts = true;
        let mut entries = 0u64;
        let begin = cpu();
        let summary = executor.execute_block(Height(height), &batches, &mut |_, _, _| entries += 1);
        // The first half fills the state.
        if height > blocks {
            run += cpu() - begin;
            txs += summary.txs;
        }
        assert_eq!((summary.applied, entries), (summary.txs, BATCH_TXS));
        if height % 150 == 0 {
            let begin = Instant::now();
            let snapshot = executor.snapshot();
            let taken = begin.elapsed();
            snapshot.digest();
            if height > blocks {
                cut = cut.min(taken);
                hashed = hashed.min(begin.elapsed() - taken);
            }
            kept = Some(snapshot);
        }
    }
    let size_bytes = kept.map_or(0, |snapshot| snapshot.len_bytes());
    println!(
        "{what:<28} {:>6.0} ns/tx   snapshot {:>7.1} us   digest {:>8.2} ms   state {:>6.1} MB",
        run.as_nanos() as f64 / txs as f64,
        cut.as_secs_f64() * 1e6,
        hashed.as_secs_f64() * 1e3,
        size_bytes as f64 / 1e6,
    );
}

fn main() {
    measure("null, 512 B", AppKind::Null, 1000, false, 300);
    measure("put 512 B, 10 k keys", AppKind::Kv, 10_000, false, 300);
    measure("put 512 B, 100 k keys", AppKind::Kv, 100_000, false, 300);
    measure("put 512 B, 1 M keys", AppKind::Kv, 1_000_000, false, 600);
    measure("transfer, 10 k accounts", AppKind::Kv, 10_000, true, 300);
    measure("transfer, 1 M accounts", AppKind::Kv, 1_000_000, true, 600);
}
