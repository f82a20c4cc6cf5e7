//! Unit tests of the parts. The whole is tested by the simulator, which runs the real driver.

pub(crate) mod fixture;
mod lanes;
mod leaders;
mod pacemaker;
mod rules;
mod tips;
mod tree;
mod values;
mod votes;
