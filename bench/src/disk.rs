//! What a synced append costs: what every promise of a `strict` replica waits for.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::BenchError;

/// Times of `count` appends of `len` bytes with `fdatasync`, in microseconds, into a file in `dir` whose
/// length does not change, as that of a journal's segment does not.
///
/// # Errors
/// [`BenchError::Disk`]
pub fn synced_appends_us(dir: &Path, len: usize, count: usize) -> Result<Vec<f64>, BenchError> {
    let path = dir.join(format!("reforge-limits-{}", std::process::id()));
    let disk = |source| BenchError::Disk {
        path: path.clone(),
        source,
    };
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .map_err(disk)?;
    let piece = vec![7; len];
    // Written once, so that appends change data and no block map.
    for _ in 0..count {
        file.write_all(&piece).map_err(disk)?;
    }
    file.sync_all().map_err(disk)?;
    let mut file = OpenOptions::new().write(true).open(&path).map_err(disk)?;
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let start = Instant::now();
        file.write_all(&piece).map_err(disk)?;
        file.sync_data().map_err(disk)?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    std::fs::remove_file(&path).map_err(disk)?;
    Ok(times)
}
