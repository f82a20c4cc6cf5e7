//! Fake replicas as a process of their own, to measure what the generator itself costs:
//! `fake_cluster DIR` writes `DIR/committee.toml` and answers until standard input ends.

#[path = "../tests/support/mod.rs"]
mod support;

fn main() {
    let dir = std::env::args().nth(1).expect("usage: fake_cluster DIR");
    let _cluster = support::FakeCluster::start(std::path::Path::new(&dir));
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
