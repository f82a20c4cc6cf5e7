//! The gate gates: a slowdown of 5 % that is planted in the bench fails it, and without one it passes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Short paths, so that counting them takes a second.
const FILTER: &str = "counted::codec::*";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Counts into `path`; with `plant`, 5 % slower.
fn count(path: &Path, plant: bool) {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root());
    command.args([
        "bench",
        "--quiet",
        "-p",
        "bench",
        "-p",
        "crypto-bench",
        "--bench",
        "counted",
        "--",
    ]);
    command.args(["--output-format=json", FILTER]);
    // As `just count` has it, so that the bench is built once: build scripts look at what cargo tells them of
    // their package, and here it is still told of the test's.
    command.env("CARGO_INCREMENTAL", "0");
    let of_the_test =
        |key: &str| key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_");
    std::env::vars()
        .filter(|(key, _)| of_the_test(key))
        .for_each(|(key, _)| {
            command.env_remove(key);
        });
    match plant {
        true => command.env("REFORGE_PLANT", "1"),
        false => command.env_remove("REFORGE_PLANT"),
    };
    let output = command.output().expect("cargo runs");
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "needs valgrind and gungraun-runner in the PATH: {why}"
    );
    std::fs::write(path, output.stdout).expect("a writable folder");
}

fn gate(counts: &Path, baselines: &Path, bless: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reforge"));
    command.arg("gate").arg(counts);
    command.arg("--baselines").arg(baselines);
    if bless {
        command.arg("--bless");
    }
    command.output().expect("reforge runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
#[ignore = "needs valgrind and gungraun-runner: `just gate-planted`"]
fn a_planted_slowdown_fails_the_gate_and_nothing_else_does() {
    let dir = TempDir::new().expect("a temporary folder");
    let (counts, baselines) = (
        dir.path().join("counts.jsonl"),
        dir.path().join("baselines"),
    );
    std::fs::create_dir(&baselines).expect("a writable folder");

    count(&counts, false);
    let missing = gate(&counts, &baselines, false);
    assert_eq!(missing.status.code(), Some(12), "{}", text(&missing));
    assert!(text(&missing).contains("just bless"), "{}", text(&missing));
    let blessed = gate(&counts, &baselines, true);
    assert!(blessed.status.success(), "{}", text(&blessed));

    count(&counts, false);
    let same = gate(&counts, &baselines, false);
    assert!(same.status.success(), "{}", text(&same));

    count(&counts, true);
    let slower = gate(&counts, &baselines, false);
    assert_eq!(slower.status.code(), Some(10), "{}", text(&slower));
    assert!(
        text(&slower).contains("counted::codec::decode/proposal takes +5."),
        "{}",
        text(&slower)
    );
}
