//! Limits of the machine: what a replica could reach if nothing but one thing cost anything. Every figure is
//! measured where it is printed; a share of a bound means something only if both come from one machine and
//! one hour.

pub mod disk;
pub mod dissemination;
pub mod error;
pub mod hashing;
pub mod hops;
pub mod latency;
pub mod transports;

pub use error::BenchError;

/// The middle one of `values`; zero of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests;
