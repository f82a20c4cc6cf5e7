//! Replicas that attack. The real core runs inside; what it says is bent on its way out, with the
//! replica's own keys, so that every act is one which a Byzantine replica could really commit.
//!
//! Used by the simulator, and over real sockets by wrapping the node's platform.

mod acts;
mod byzantine;
mod forge;
mod invent;
mod memory;
mod near_miss;
pub mod process;
mod rng;
pub mod split;

pub use acts::{Act, Acts, Plan};
pub use byzantine::{Byzantine, RawLink};
pub use forge::Forge;
pub use rng::SplitMix;

#[cfg(test)]
mod tests;
