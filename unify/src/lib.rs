//! No code: the features of third-party crates that some room, test or bench of the workspace switches on,
//! switched on for all. Cargo resolves features per command, so `cargo test --workspace`, `cargo run` and
//! `cargo bench -p bench` would each build most of the tree anew (two minutes each, and CI uses all three).
//! Tested in `tests/arrows.rs`.
