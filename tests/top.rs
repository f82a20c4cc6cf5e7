//! `reforge top` on terminals of its own, beside a run whose replicas are played by this test, and beside
//! real ones.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use common::pty::Pty;
use common::{Cluster, reforge, text};
use measure::folder;
use nix::sys::signal::Signal;

/// Plays a replica that is asked for its health and its metrics; each answer has executed more.
fn play_replica() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for (count, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            let len = stream.read(&mut request).unwrap_or(0);
            let body = match request[..len].starts_with(b"GET /healthz") {
                true => "{\"mode\":\"NOMINAL\"}".to_owned(),
                false => format!(
                    "reforge_height 7.0\nreforge_tx_executed_total {}\n",
                    100 * count
                ),
            };
            let _ = write!(stream, "HTTP/1.0 200 OK\r\n\r\n{body}");
        }
    });
    address
}

/// A run with one replica there.
fn begin_run(root: &Path, name: &str, address: &str) {
    let replica = root.join(name).join("replica-0");
    std::fs::create_dir_all(&replica).unwrap();
    let config = format!("metrics_addr = \"{address}\"\n");
    std::fs::write(replica.join(folder::CONFIG), config).unwrap();
    std::fs::write(root.join(name).join(folder::RUN), "{}").unwrap();
}

fn top(root: &Path) -> Command {
    let mut command = reforge();
    command.arg("top").arg(root).args(["--interval-ms", "100"]);
    command
}

#[test]
fn it_follows_a_campaign_and_gives_the_terminal_back() {
    let dir = tempfile::tempdir().unwrap();
    let address = play_replica();
    let mut pty = Pty::start(&top(dir.path()), 100, 24);
    pty.wait_for("waiting for a run in");
    begin_run(dir.path(), "000-low", &address);
    pty.wait_for("000-low  running");
    pty.wait_for("NOMINAL");
    assert!(pty.is_taken());

    begin_run(dir.path(), "001-high", &address);
    pty.wait_for("001-high  running");
    pty.press("p");
    pty.wait_for("PAUSED");
    pty.press("p");
    pty.wait_for("p holds");
    pty.press("q");
    let left = pty.end();
    assert!(left.status.success(), "{}", left.text);
    assert!(left.is_restored && left.text.is_empty(), "{}", left.text);
}

#[test]
fn escape_control_c_and_signals_give_the_terminal_back() {
    let dir = tempfile::tempdir().unwrap();
    let ends: [fn(&mut Pty); 4] = [
        |pty| pty.press("\u{1b}"),
        |pty| pty.press("\u{3}"),
        |pty| pty.signal(Signal::SIGTERM),
        |pty| pty.signal(Signal::SIGINT),
    ];
    for (at, end) in ends.iter().enumerate() {
        let mut pty = Pty::start(&top(dir.path()), 80, 24);
        pty.wait_for("waiting for a run in");
        end(&mut pty);
        let left = pty.end();
        assert!(left.status.success(), "end {at}: {}", left.text);
        assert!(left.is_restored, "end {at}: {}", left.text);
    }
}

#[test]
fn one_snapshot_is_plain_text_about_real_replicas() {
    let cluster = Cluster::new(4);
    let mut nodes = cluster.start_all("");
    std::fs::write(cluster.dir.path().join(folder::RUN), "{}").unwrap();
    nodes.pop().unwrap().kill();

    let output = top(cluster.dir.path()).arg("--once").output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let words = |replica: &str| -> Vec<&str> {
        let lines = said.lines().map(|line| line.split_whitespace());
        let mut rows = lines.map(Iterator::collect::<Vec<_>>);
        rows.find(|words| words.first() == Some(&replica))
            .unwrap_or_default()
    };
    for replica in ["0", "1", "2"] {
        assert_eq!(words(replica)[1..3], ["NOMINAL", "yes"], "{said}");
        // Rates are of the time between two looks.
        assert_eq!(words(replica)[6], "0", "{said}");
    }
    assert_eq!(words("3"), ["3", "no", "answer"], "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
    common::stop_all(nodes);
}

#[test]
fn what_cannot_be_shown_is_one_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |command: &mut Command, expected: &str| {
        let output = command.output().unwrap();
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(
            error.starts_with("error: ") && error.lines().count() == 1,
            "{error}"
        );
        assert!(error.contains(expected), "{error}");
        assert!(output.stdout.is_empty());
    };
    fails(&mut top(dir.path()), "use `--once`");
    fails(
        top(dir.path()).arg("--once"),
        "found no folder with a run.json",
    );
    fails(
        &mut top(&dir.path().join("nowhere")),
        "expected the folder of a run",
    );
}
