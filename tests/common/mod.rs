//! Real replicas as child processes on loopback, for the tests of the binary.
#![allow(dead_code)] // every test binary uses its own part of this

pub mod disk;
pub mod evidence;
pub mod hosts;
pub mod pty;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Anything that is waited for happens within this time, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub fn reforge() -> Command {
    Command::new(env!("CARGO_BIN_EXE_reforge"))
}

/// A generated cluster: keys, addresses, and a folder for each replica.
pub struct Cluster {
    pub dir: TempDir,
    pub n: usize,
    ports: Vec<u16>,
}

impl Cluster {
    pub fn new(n: usize) -> Cluster {
        Cluster::at(n, free_ports(3 * n))
    }

    /// Another cluster, with keys of its own, on the same addresses.
    pub fn twin(&self) -> Cluster {
        Cluster::at(self.n, self.ports.clone())
    }

    fn at(n: usize, ports: Vec<u16>) -> Cluster {
        let dir = tempfile::tempdir().unwrap();
        let list = |kind: usize| {
            (0..n)
                .map(|i| format!("127.0.0.1:{}", ports[3 * i + kind]))
                .collect::<Vec<_>>()
                .join(",")
        };
        let made = reforge()
            .args(["keygen", "--replicas", &n.to_string(), "--out"])
            .arg(dir.path())
            .args(["--addresses", &list(0), "--client-addresses", &list(1)])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        Cluster { dir, n, ports }
    }

    pub fn peer_port(&self, replica: usize) -> u16 {
        self.ports[3 * replica]
    }

    pub fn client_port(&self, replica: usize) -> u16 {
        self.ports[3 * replica + 1]
    }

    pub fn metrics_port(&self, replica: usize) -> u16 {
        self.ports[3 * replica + 2]
    }

    pub fn folder(&self, replica: usize) -> PathBuf {
        self.dir.path().join(format!("replica-{replica}"))
    }

    pub fn key(&self, replica: usize) -> PathBuf {
        self.dir.path().join(format!("keys/replica-{replica}.toml"))
    }

    /// Writes the configuration of one replica, with `more` appended, and names its file.
    pub fn config(&self, replica: usize, more: &str) -> PathBuf {
        let folder = self.folder(replica);
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("config.toml");
        let text = format!(
            "committee = \"../committee.toml\"\nkeys = \"../keys/replica-{replica}.toml\"\n\
             data_dir = \"data\"\nreport_dir = \".\"\nstop_on_stdin_eof = true\n\
             metrics_addr = \"127.0.0.1:{}\"\n{more}",
            self.metrics_port(replica)
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn start(&self, replica: usize, more: &str) -> Node {
        Node::start(&self.config(replica, more), self.metrics_port(replica))
    }

    /// As [`Cluster::start`], with another command than `node`.
    pub fn start_as(&self, command: &str, args: &[&str], replica: usize, more: &str) -> Node {
        let config = self.config(replica, more);
        Node::start_as(command, args, &config, self.metrics_port(replica))
    }

    pub fn start_all(&self, more: &str) -> Vec<Node> {
        let nodes: Vec<Node> = (0..self.n).map(|i| self.start(i, more)).collect();
        nodes.iter().for_each(|node| node.wait_ready());
        nodes
    }
}

/// A running replica; dropping it kills it.
pub struct Node {
    pub child: Child,
    pub log: PathBuf,
    metrics_port: u16,
}

impl Node {
    pub fn start(config: &Path, metrics_port: u16) -> Node {
        Node::start_as("node", &[], config, metrics_port)
    }

    pub fn start_as(command: &str, args: &[&str], config: &Path, metrics_port: u16) -> Node {
        let log = config.with_extension("log");
        let child = reforge()
            .args([command, "--config"])
            .arg(config)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Node {
            child,
            log,
            metrics_port,
        }
    }

    /// Status code and body.
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.metrics_port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let code = answer.split(' ').nth(1)?.parse().ok()?;
        Some((code, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    pub fn wait_ready(&self) {
        self.wait("ready", |node| {
            node.get("/healthz").is_some_and(|(code, _)| code == 200)
        });
    }

    pub fn wait(&self, what: &str, holds: impl Fn(&Node) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(
                Instant::now() < end,
                "never {what}; healthz {:?}; log:\n{}",
                self.get("/healthz"),
                self.log()
            );
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// One figure of `/metrics`, summed over its labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics")?;
        let values = text.lines().filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        });
        values
            .map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    pub fn height(&self) -> u64 {
        self.metric("reforge_height").unwrap_or(0.0) as u64
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its standard input and waits for the graceful end.
    pub fn stop(mut self) -> ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits for something that another process brings about.
pub fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "gave up waiting: {what}");
        std::thread::sleep(POLL_INTERVAL);
    }
}

pub fn stop_all(nodes: Vec<Node>) {
    for node in nodes {
        let log = node.log.clone();
        assert!(
            node.stop().success(),
            "{}",
            std::fs::read_to_string(log).unwrap()
        );
    }
}

/// Runs a replica that must fail by itself, and checks that it says why in exactly one line.
pub fn fails(config: &Path) -> String {
    fails_as(reforge().args(["node", "--config"]).arg(config))
}

pub fn fails_as(command: &mut Command) -> String {
    let output: Output = command.env("REFORGE_LOG", "off").output().unwrap();
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.starts_with("error: "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ports below the kernel's ephemeral range, so that no outgoing connection takes one. No two calls of a
/// process find the same ones: tests run side by side, and a port is free until its replica binds it.
fn free_ports(count: usize) -> Vec<u16> {
    static NEXT: OnceLock<AtomicUsize> = OnceLock::new();
    let begin = || {
        AtomicUsize::new(
            std::process::id() as usize * 131 + measure::monotonic_ns() as usize / 1000,
        )
    };
    let next = NEXT.get_or_init(begin);
    let found: Vec<(u16, TcpListener)> = (0..20_000)
        .map(|_| 12_000 + (next.fetch_add(1, Ordering::Relaxed) % 20_000) as u16)
        .filter_map(|port| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?)))
        .take(count)
        .collect();
    assert_eq!(found.len(), count, "not enough free ports");
    found.into_iter().map(|(port, _)| port).collect()
}
