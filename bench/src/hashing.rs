//! How fast payloads are hashed, on one core.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// As large as a full batch of a fast replica, in bytes.
const PIECE: usize = 512 << 10;

/// Bytes per second of BLAKE3 over pieces of half a mebibyte, on this thread.
#[must_use]
pub fn bytes_per_s(time: Duration) -> f64 {
    let piece = vec![7; PIECE];
    let start = Instant::now();
    let mut pieces = 0u32;
    while start.elapsed() < time {
        black_box(types::batch::digest(black_box(&piece)));
        pieces += 1;
    }
    f64::from(pieces) * PIECE as f64 / start.elapsed().as_secs_f64()
}
