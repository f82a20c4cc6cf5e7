//! Instruction counts of the hot paths outside of the signature schemes, for `just gate`: they do not
//! depend on the neighbours.

// The macros of gungraun make what they make.
#![allow(missing_debug_implementations)]

mod cluster;
mod frames;
mod plant;
mod receipts;
mod state;

use gungraun::{LibraryBenchmarkConfig, main};

use cluster::driver;
use frames::codec;
use receipts::load;
use state::blocks;

main!(
    config = LibraryBenchmarkConfig::default().pass_through_env(plant::ENV);
    library_benchmark_groups = codec, blocks, driver, load
);
