//! Real processes: one killed in the middle of writing, one that meets a real limit of its file system.
//!
//! The child is this test binary itself, told by its environment which part to play.
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use storage::{FileJournal, Journal, Options, Record, Recovery, StorageError, open};

const ROLE: &str = "STORAGE_TEST_ROLE";
const DIR: &str = "STORAGE_TEST_DIR";

fn record(n: u64, len: usize) -> Record {
    let payload = vec![(n % 251) as u8; len];
    let mut key = [0; 32];
    key[..8].copy_from_slice(&n.to_le_bytes());
    Record::new(1, key, [Bytes::from(payload)]).expect("small")
}

fn start(dir: &Path) -> Result<(FileJournal, Recovery), StorageError> {
    let options = Options {
        segment_bytes: 256 << 10,
        ..Options::new([1; 32])
    };
    open(dir, options, Box::new(|| {}))
}

/// Appends and reports every acknowledged record on its standard output, for ever or until an error.
fn play_the_child(dir: &Path, len: impl Fn(u64) -> usize) -> StorageError {
    let (mut journal, recovery) = start(dir).expect("opens");
    let mut out = std::io::stdout();
    for n in recovery.records.len() as u64.. {
        journal.append(record(n, len(n)));
        let token = journal.sync();
        if let Err(error) = journal.wait(token) {
            return error;
        }
        // Gone once it is in the pipe, whatever happens to this process.
        writeln!(out, "\nacknowledged {n}")
            .and_then(|()| out.flush())
            .expect("the parent reads");
    }
    unreachable!("the loop is endless")
}

fn len_when_killed(n: u64) -> usize {
    (n as usize * 977) % 20_000
}

fn len_when_limited(n: u64) -> usize {
    if n < 20 { 10_000 } else { 3 << 20 }
}

/// Not a test of its own: the part of the child.
#[test]
fn child() {
    let (Ok(role), Ok(dir)) = (std::env::var(ROLE), std::env::var(DIR)) else {
        return;
    };
    let error = match role.as_str() {
        "killed" => play_the_child(Path::new(&dir), len_when_killed),
        _ => play_the_child(Path::new(&dir), len_when_limited),
    };
    println!("\nfailed {error}");
}

fn this_binary() -> PathBuf {
    std::env::current_exe().expect("a path")
}

fn spawn(mut command: Command, role: &str, dir: &Path) -> Child {
    command
        .args(["--exact", "child", "--nocapture"])
        .env(ROLE, role)
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts")
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let out = child.stdout.take().expect("piped");
    BufReader::new(out).lines().map_while(Result::ok)
}

fn acknowledged(line: &str) -> Option<u64> {
    line.strip_prefix("acknowledged ")?.parse().ok()
}

#[test]
fn a_killed_process_loses_nothing_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut known = 0;
    for round in 1..=5u64 {
        let mut child = spawn(Command::new(this_binary()), "killed", dir.path());
        let mut lines = lines(&mut child);
        let target = known + 17 * round;
        let reached = lines
            .by_ref()
            .filter_map(|l| acknowledged(&l))
            .find(|n| *n >= target);
        assert!(reached.is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        // What was still in the pipe was acknowledged too.
        let last = lines
            .filter_map(|l| acknowledged(&l))
            .last()
            .or(reached)
            .unwrap();
        let (_journal, recovery) = start(dir.path()).unwrap();
        let count = recovery.records.len() as u64;
        assert!(count > last, "{count} records, {last} acknowledged");
        for (n, found) in (0..).zip(&recovery.records) {
            assert_eq!(*found, record(n, len_when_killed(n)));
        }
        known = count;
    }
}

/// `ulimit -f` makes the preallocation fail as a full disk does; no permission is needed for it.
#[test]
fn a_file_system_limit_is_a_clear_error_and_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "sh"])
        .arg(this_binary());
    let mut child = spawn(shell, "limited", dir.path());
    let lines: Vec<String> = lines(&mut child).collect();
    child.wait().unwrap();
    let last = lines
        .iter()
        .filter_map(|line| acknowledged(line))
        .next_back();
    assert_eq!(last, Some(19), "{lines:#?}");
    let failure = lines
        .iter()
        .find_map(|line| line.strip_prefix("failed "))
        .unwrap();
    assert!(
        failure.starts_with("disk full") && failure.contains("free space"),
        "{failure}"
    );
    // Without the limit it opens again, with everything, and goes on.
    let (mut journal, recovery) = start(dir.path()).unwrap();
    assert_eq!(
        recovery.records,
        (0..20).map(|n| record(n, 10_000)).collect::<Vec<_>>()
    );
    journal.append(record(20, 3 << 20));
    let token = journal.sync();
    journal.wait(token).unwrap();
}
