//! The rooms of the workspace may only depend on each other along the arrows of the architecture. An
//! arrow that does not work means that something stands in the wrong room: move it, not the arrow.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Normal dependencies between rooms; the root package may use everything.
const ARROWS: &str = "
    types        ->
    crypto       -> types
    consensus    -> types
    execution    -> types
    storage      ->
    transport    ->
    measure      ->
    audit        -> consensus crypto types measure
    node         -> consensus execution crypto storage transport types measure
    loadgen      -> transport types crypto execution measure
    crypto-bench -> crypto types measure
    bench        -> node consensus crypto storage transport types measure
    adversary    -> node consensus execution crypto storage transport types measure
    sim          -> adversary node consensus execution crypto storage transport types measure
    testbed      -> types measure
    results      -> measure
    unify        ->
";

fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    ARROWS
        .lines()
        .filter_map(|line| line.split_once("->"))
        .map(|(from, to)| (from.trim(), to.split_whitespace().collect()))
        .collect()
}

#[test]
fn rooms_depend_along_the_arrows_only() {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .expect("cargo metadata");
    let allowed = allowed();
    let rooms: BTreeSet<&str> = metadata.packages.iter().map(|p| p.name.as_str()).collect();
    let expected: BTreeSet<&str> = allowed.keys().copied().chain(["reforge"]).collect();
    assert_eq!(
        rooms, expected,
        "a room without arrows, or arrows without a room"
    );

    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some(targets) = allowed.get(package.name.as_str()) else {
            continue;
        };
        let normal = package
            .dependencies
            .iter()
            .filter(|d| d.kind != DependencyKind::Development);
        for dependency in normal {
            let name = dependency.name.as_str();
            if rooms.contains(name) && !targets.contains(name) {
                wrong.push(format!("{} -> {name}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that nobody drew: {wrong:?}");
}

/// What `--workspace` builds, `cargo run` and the benches need not build again.
#[test]
fn third_party_crates_have_the_same_features_in_every_command() {
    let all = features("--workspace -e normal,build,dev");
    for narrower in [
        "-e normal,build",
        "-e normal,build,dev",
        "-p bench -p crypto-bench -e normal,build,dev",
    ] {
        let apart: Vec<_> = features(narrower).difference(&all).cloned().collect();
        assert!(
            apart.is_empty(),
            "{narrower} builds these anew: {apart:?}; add the features that they lack to unify/Cargo.toml"
        );
    }
}

/// Packages of a command with their features, once for the target and once for the host.
fn features(selection: &str) -> BTreeSet<String> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    command.args("tree --offline --prefix none --no-dedupe -f".split(' '));
    command.arg("{p} [{f}]").args(selection.split(' '));
    let output = command.output().expect("cargo runs");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree {selection}: {why}");
    let text = String::from_utf8_lossy(&output.stdout);
    let packages: BTreeSet<String> = text.lines().map(str::to_owned).collect();
    assert!(packages.len() > 50, "found only {packages:?}");
    packages
}

#[test]
fn only_the_crypto_room_attests() {
    let mut found = Vec::new();
    for file in sources() {
        let relative = file.strip_prefix(root()).expect("below the root");
        let text = std::fs::read_to_string(&file).expect("a source file is text");
        let here = relative.starts_with("crypto")
            || relative == Path::new("types/src/verified.rs")
            || relative == Path::new("tests/arrows.rs");
        if !here && text.contains("Verified::attest") {
            found.push(relative.to_path_buf());
        }
    }
    assert!(
        found.is_empty(),
        "`Verified::attest` outside of crypto: {found:?}; send a Job to crypto's Engine instead"
    );
}

#[test]
fn unsafe_code_stays_in_transport_and_crypto() {
    let mut found = Vec::new();
    for file in sources() {
        let relative = file.strip_prefix(root()).expect("below the root");
        let text = std::fs::read_to_string(&file).expect("a source file is text");
        let here = ["transport", "crypto", "tests"]
            .iter()
            .any(|room| relative.starts_with(room));
        if !here && (text.contains("unsafe {") || text.contains("allow(unsafe_code")) {
            found.push(relative.to_path_buf());
        }
    }
    assert!(found.is_empty(), "unsafe code in {found:?}");
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the repository's rooms.
fn sources() -> Vec<PathBuf> {
    let rooms = allowed().into_keys().chain(["src", "tests"]);
    let mut folders: Vec<PathBuf> = rooms.map(|room| root().join(room)).collect();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .expect("a room is a folder")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 100, "found only {} sources", files.len());
    files
}
