//! Who broke the rules, and what follows. Pure functions: signatures are verified elsewhere, time and
//! confidences come as arguments.
//!
//! The predicates themselves, one per offence, are [`types::offence`]: a client needs them too.

mod attribution;
mod closed_box;
pub mod gate;
mod pairs;
mod segment;
mod watch;

pub use attribution::{Attribution, NoFork, attribute};
pub use closed_box::{Absent, ClosedBox, ClosedBoxVerdict, Sentence, sentence};
pub use segment::Segment;
pub use types::offence::{NoFraud, convicted, culprits};
pub use watch::Watch;

#[cfg(test)]
mod tests;
