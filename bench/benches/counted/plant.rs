//! A slowdown of exactly 5 % on request: the gate's own test plants it and expects to be refused. It
//! lives in the bench alone; production code knows nothing of it.

pub const ENV: &str = "REFORGE_PLANT";

/// How often a short path is walked in one count. Asked for before the count begins.
pub fn rounds() -> u32 {
    match std::env::var_os(ENV) {
        None => 100,
        Some(_) => 105,
    }
}
