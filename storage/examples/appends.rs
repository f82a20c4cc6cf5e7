//! Synced appends of this machine's disk: `cargo run --release -p storage --example appends [DIR]`.
//!
//! One append per sync shows the latency that a vote pays; 8 records under way show group commit.
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::{FileJournal, Journal, Options, Record, StorageError, SyncToken, open};

const SECONDS: u64 = 3;

fn main() -> Result<(), StorageError> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join(format!("storage-appends-{}", std::process::id()));
    println!(
        "{:>10} {:>7} {:>10} {:>9} {:>9} {:>9}",
        "bytes", "depth", "appends/s", "p50 us", "p99 us", "syncs/s"
    );
    for (len, depth) in [(4 << 10, 1), (4 << 10, 8), (512 << 10, 1), (512 << 10, 8)] {
        measure(&dir, len, depth)?;
        // A folder of the example's own making.
        let _ = std::fs::remove_dir_all(&dir);
    }
    Ok(())
}

fn measure(dir: &std::path::Path, len: usize, depth: usize) -> Result<(), StorageError> {
    let (wake, woken) = mpsc::channel();
    let on_synced = Box::new(move || _ = wake.send(()));
    let (mut journal, _) = open(dir, Options::new([0; 32]), on_synced)?;
    let payload = Bytes::from(vec![0x5a; len]);
    let mut under_way: Vec<(SyncToken, Instant)> = Vec::new();
    let mut latencies_us: Vec<u64> = Vec::new();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(SECONDS) {
        while under_way.len() < depth {
            let at = Instant::now();
            under_way.push((append(&mut journal, &payload)?, at));
        }
        let _ = woken.recv();
        let done = journal.synced()?;
        under_way.retain(|(token, at)| {
            if *token <= done {
                latencies_us.push(at.elapsed().as_micros() as u64);
            }
            *token > done
        });
        // Stay within a few segments, as a replica does.
        if journal.usage().live_bytes > 1 << 30 {
            journal.rotate(Vec::new());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    latencies_us.sort_unstable();
    let at = |share: f64| latencies_us[((latencies_us.len() - 1) as f64 * share) as usize];
    let rate = latencies_us.len() as f64 / seconds;
    let syncs = journal.stats().syncs as f64 / seconds;
    println!(
        "{len:>10} {depth:>7} {rate:>10.0} {:>9} {:>9} {syncs:>9.0}",
        at(0.5),
        at(0.99)
    );
    Ok(())
}

fn append(journal: &mut FileJournal, payload: &Bytes) -> Result<SyncToken, StorageError> {
    journal.append(Record::new(0, [0; 32], [payload.clone()])?);
    Ok(journal.sync())
}
