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

#[cfg(test)]
mod tests;
