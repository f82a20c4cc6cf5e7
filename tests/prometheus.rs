//! A real Prometheus scrapes a running testbed by the configuration of the docs, and every query of the
//! dashboard finds data.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(90);
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const SPEC: &str = "name = \"observed\"\n[axes]\nrate_tps = 50\n[load]\nduration_s = 120\n";

/// Ends with the test, whatever becomes of it.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Running {
        Running(command.spawn().expect("the program is installed"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // As Ctrl-C: a testbed ends its processes then.
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        let _ = self.0.wait();
    }
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/observability")
}

fn reforge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reforge"));
    command.stderr(Stdio::null());
    command
}

/// Expression of every panel, with the panel's title.
fn queries() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(docs().join("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap().to_owned();
            let expr = target["expr"].as_str().unwrap();
            queries.push((title, expr.replace("$__rate_interval", "10s")));
        }
    }
    queries
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}

/// Whether a query finds at least one series.
fn finds_data(port: u16, query: &str) -> bool {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = get(port, &format!("/api/v1/query?query={query}")).unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    let found = answer.pointer("/data/result").and_then(|r| r.as_array());
    found.is_some_and(|series| !series.is_empty())
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let own = ["reforge_mode", "reforge_incidents", "reforge_load_"];
    for (title, query) in queries() {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for metric in words.filter(|word| word.starts_with("reforge_")) {
            let is_known = measure::metrics::ALL.iter().any(|m| m.name == metric)
                || own.iter().any(|name| metric.starts_with(name));
            assert!(is_known, "{title}: {metric} does not exist");
        }
    }
}

#[test]
#[ignore = "needs prometheus: `just observe-test`"]
fn every_panel_of_the_dashboard_finds_data() {
    let dir = tempfile::tempdir().unwrap();
    let (spec, out) = (dir.path().join("spec.toml"), dir.path().join("out"));
    std::fs::write(&spec, SPEC).unwrap();
    std::fs::create_dir(&out).unwrap();
    let mut run = reforge();
    run.arg("run")
        .arg(&spec)
        .arg("--out")
        .arg(out.join("campaign"));
    let _run = Running::start(run.stdout(Stdio::null()));
    let start = Instant::now();
    let campaign = out.join("campaign");
    while !campaign.is_dir() {
        assert!(start.elapsed() < PATIENCE, "the run never began");
        std::thread::sleep(POLL_INTERVAL);
    }

    let mut export = reforge();
    export
        .arg("export")
        .arg(&campaign)
        .args(["--listen", "127.0.0.1:0"]);
    let mut export = Running::start(export.stdout(Stdio::piped()));
    let mut address = String::new();
    let output = export.0.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut address).unwrap();
    let address = address.trim().trim_start_matches("http://");

    let config = std::fs::read_to_string(docs().join("prometheus.yml")).unwrap();
    let path = dir.path().join("prometheus.yml");
    std::fs::write(&path, config.replace("127.0.0.1:9109", address)).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut prometheus = Command::new("prometheus");
    prometheus.arg(format!("--config.file={}", path.display()));
    prometheus.arg(format!(
        "--storage.tsdb.path={}",
        dir.path().join("tsdb").display()
    ));
    prometheus.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let _prometheus = Running::start(prometheus.stdout(Stdio::null()).stderr(Stdio::null()));

    let all = queries();
    assert!(all.len() > 20, "{all:?}");
    let mut open = all;
    let start = Instant::now();
    while !open.is_empty() {
        open.retain(|(_, query)| !finds_data(port, query));
        assert!(start.elapsed() < PATIENCE, "no data for {open:#?}");
        std::thread::sleep(POLL_INTERVAL);
    }
}
