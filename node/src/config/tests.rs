use std::path::Path;

use super::*;

const LEAST: &str = "committee = \"c.toml\"\nkeys = \"k.toml\"\ndata_dir = \"data\"\n";

fn parse(more: &str) -> Result<NodeConfig, String> {
    NodeConfig::parse(&format!("{LEAST}{more}"), Path::new("/srv/r0/node.toml"))
        .map_err(|error| error.to_string())
}

fn refused(more: &str) -> String {
    parse(more).expect_err("was accepted")
}

#[test]
fn three_keys_are_enough_and_paths_start_at_the_file() {
    let config = parse("").unwrap();
    assert_eq!(config.committee, Path::new("/srv/r0/c.toml"));
    assert_eq!(config.data_dir.as_deref(), Some(Path::new("/srv/r0/data")));
    assert_eq!(config.durability, Durability::Strict);
    assert_eq!(config.transport.backend, Backend::Epoll);
    assert!(!config.transport.encryption);
    assert_eq!(config.lanes.batch_bytes, 256 << 10);
    assert_eq!(config.timing.view_timeout_ms, 250);
    assert!(config.control.is_none() && config.metrics_addr.is_none());
}

#[test]
fn every_key_of_the_docs_is_read() {
    let docs = include_str!("../../../docs/config.md");
    let example = docs
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("docs/config.md begins with a whole example");
    let config = NodeConfig::parse(example, Path::new("node.toml")).unwrap();
    assert_eq!(config.rule, Some(CommitRule::TwoChain));
    assert_eq!(config.transport.shape.len(), 2);
    assert_eq!(config.transport.shape[1].to, Some(2));
    assert_eq!(config.admission.tx_per_s, Some(200_000));
    assert!(config.control.is_some() && config.profile.is_some());
}

#[test]
fn unknown_keys_are_refused_with_their_line() {
    let error = refused("metrics_adr = \"127.0.0.1:1\"\n");
    assert!(error.contains("node.toml, line 4, column 1"), "{error}");
    assert!(error.contains("metrics_adr"), "{error}");
    let error = refused("[transport]\nbackend = \"epoll\"\nbakend = 1\n");
    assert!(error.contains("line 6"), "{error}");
}

#[test]
fn wrong_types_and_ranges_are_refused_with_their_line() {
    let cases = [
        ("durability = \"most\"\n", 4, "memory"),
        ("stop_on_stdin_eof = 1\n", 4, "bool"),
        ("[transport]\nbackend = \"dpdk\"\n", 5, "io-uring"),
        ("[lanes]\nbatch_bytes = 3000000\n", 5, "2097152"),
        ("[lanes]\nbatch_bytes = -1\n", 5, "found -1"),
        ("[clients]\nauth = \"maybe\"\n", 5, "signed"),
        ("[crypto]\nthreads = 65\n", 5, "0 to 64"),
        ("rule = \"one-chain\"\n", 4, "three-chain"),
        ("[[transport.shape]]\nloss = 1.5\n", 5, "0 to 1"),
        ("[[transport.shape]]\ndelay_ms = nan\n", 5, "NaN"),
    ];
    for (text, line, says) in cases {
        let error = refused(text);
        assert!(error.contains(&format!("line {line},")), "{text}: {error}");
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn contradictions_are_refused() {
    let idle = refused("[timing]\nview_timeout_ms = 100\nidle_view_ms = 100\n");
    assert!(idle.contains("must be below"), "{idle}");
    let dir = NodeConfig::parse("committee = \"c\"\nkeys = \"k\"\n", Path::new("n.toml"))
        .expect_err("was accepted")
        .to_string();
    assert!(dir.contains("data_dir"), "{dir}");
    let profile = refused("[profile]\nafter_s = 1\n");
    assert!(profile.contains("report_dir"), "{profile}");
}

#[test]
fn memory_needs_no_folder() {
    let text = "committee = \"c\"\nkeys = \"k\"\ndurability = \"memory\"\n";
    assert!(NodeConfig::parse(text, Path::new("n.toml")).is_ok());
}
