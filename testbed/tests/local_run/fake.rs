//! Stand-ins for `reforge keygen`, `node` and `load`: they read the same configurations, serve
//! `/healthz`, leave the same files and obey the same signals, and order nothing.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use measure::files::{JsonLines, write_atomic};
use measure::{IncidentKind, IncidentLine, LedgerRecord, LedgerWriter, folder, monotonic_ns};
use signal_hook::consts::SIGTERM;
use toml::Table;

const POLL: Duration = Duration::from_millis(2);

/// Acts as the subcommand, or tells that it is none.
pub fn main(arguments: &[String]) -> bool {
    testbed::tie_to_orchestrator().unwrap();
    match arguments.first().map(String::as_str) {
        Some("keygen") => keygen(&arguments[1..]),
        Some("node") => node(&config(&arguments[1..])),
        Some("adversary") => adversary(&arguments[1..]),
        Some("load") => load(&config(&arguments[1..])),
        _ => return false,
    }
    true
}

fn config(arguments: &[String]) -> Table {
    assert_eq!(arguments[0], "--config");
    std::fs::read_to_string(&arguments[1])
        .unwrap()
        .parse()
        .unwrap()
}

/// As a node, but it leaves what it was told to do.
fn adversary(arguments: &[String]) {
    let at = arguments.iter().position(|a| a == "--config").unwrap();
    let config = config(&arguments[at..]);
    let told = path(&config, "report_dir").join("arguments.txt");
    std::fs::write(told, arguments[..at].join(" ")).unwrap();
    node(&config);
}

fn path(config: &Table, key: &str) -> PathBuf {
    PathBuf::from(config[key].as_str().unwrap())
}

fn keygen(arguments: &[String]) {
    let flags: BTreeMap<&str, &str> = arguments
        .chunks(2)
        .map(|pair| (pair[0].as_str(), pair[1].as_str()))
        .collect();
    let out = Path::new(flags["--out"]);
    let replicas: usize = flags["--replicas"].parse().unwrap();
    for list in ["--addresses", "--client-addresses"] {
        assert_eq!(flags[list].split(',').count(), replicas);
    }
    std::fs::create_dir_all(out.join("keys")).unwrap();
    for index in 0..replicas {
        std::fs::write(out.join(format!("keys/replica-{index}.toml")), "secret").unwrap();
    }
    let committee = format!("rule = {:?}\n", flags["--rule"]);
    std::fs::write(out.join("committee.toml"), committee).unwrap();
}

/// `[fake] mode`: `stubborn` ignores every request to stop, `broken` ends at once.
fn node(config: &Table) {
    let mode = config
        .get("fake")
        .and_then(|fake| fake["mode"].as_str())
        .unwrap_or("good")
        .to_owned();
    let (mode, hopeless) = (mode.as_str(), mode == "hopeless");
    if mode == "broken" {
        eprintln!("the fake replica is broken on purpose");
        std::process::exit(3);
    }
    assert!(path(config, "keys").exists() && path(config, "committee").exists());
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, stop.clone()).unwrap();
    stop_on_stdin_eof(config, &stop);
    let report = path(config, "report_dir");
    let mut ledger = LedgerWriter::open(&report.join(folder::LEDGER)).unwrap();
    for height in 1..=3 {
        ledger.append(&block_of(height)).unwrap();
    }
    ledger.flush().unwrap();
    let report_dir = report.clone();
    if let Some(control) = config.get("control") {
        let socket = PathBuf::from(control["socket"].as_str().unwrap());
        std::thread::spawn(move || obey(&socket, &report_dir, ledger, hopeless));
    }
    let listener = TcpListener::bind(config["metrics_addr"].as_str().unwrap()).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    while !stop.load(Ordering::SeqCst) || mode == "stubborn" {
        std::thread::sleep(POLL);
    }
    write_atomic(&report.join(folder::STATUS), b"{}").unwrap();
}

/// The control socket. Cut off from somebody, a replica commits a block of its own; after that it
/// recovers at once, unless it is `hopeless`.
fn obey(socket: &Path, report: &Path, mut ledger: LedgerWriter, hopeless: bool) {
    let name = report.file_name().unwrap().to_str().unwrap().to_owned();
    let index: u8 = name.strip_prefix("replica-").unwrap().parse().unwrap();
    let mut incidents = JsonLines::open(&report.join(folder::INCIDENTS)).unwrap();
    let mut height = 3;
    let mut is_cut = false;
    for stream in UnixListener::bind(socket).unwrap().incoming() {
        let mut stream = stream.unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let cut = line.contains("\"block\"");
            assert!(cut || line.contains("\"unblock\""), "{line}");
            if cut && !std::mem::replace(&mut is_cut, true) {
                height += 1;
                let block = [100 + index % 2; 32];
                let own = LedgerRecord {
                    block,
                    ..block_of(height)
                };
                ledger.append(&own).unwrap();
            } else if !cut && std::mem::replace(&mut is_cut, false) && !hopeless {
                ledger
                    .append(&LedgerRecord::rollback(height - 1, [0; 8]))
                    .unwrap();
                ledger.append(&block_of(height)).unwrap();
                let epoch = "aa".to_owned();
                let what = IncidentKind::FirstBlock { epoch, height };
                let at_ns = monotonic_ns() + 1_000_000;
                // After everybody has been told: the end of a recovery comes after the heal.
                incidents.append(&IncidentLine { at_ns, what }).unwrap();
            }
            ledger.flush().unwrap();
            stream.write_all(b"{\"ok\":true}\n").unwrap();
        }
    }
}

fn stop_on_stdin_eof(config: &Table, stop: &Arc<AtomicBool>) {
    assert_eq!(config["stop_on_stdin_eof"].as_bool(), Some(true));
    let stop = stop.clone();
    std::thread::spawn(move || {
        // Returns when the orchestrator's end of the pipe is gone.
        let _ = std::io::stdin().read(&mut [0]);
        stop.store(true, Ordering::SeqCst);
    });
}

fn block_of(height: u64) -> LedgerRecord {
    LedgerRecord {
        height,
        view: height,
        epoch: [0; 8],
        block: [height as u8; 32],
        digest: [height as u8; 32],
        txs: 1,
    }
}

/// Ends with its schedule, or when it is asked to, or with the orchestrator.
fn load(config: &Table) {
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, stop.clone()).unwrap();
    stop_on_stdin_eof(config, &stop);
    let seconds = |key: &str| config[key].as_float().unwrap();
    let length_ns = ((seconds("warmup_s") + seconds("duration_s")) * 1e9) as u64;
    let end_ns = config["start_at"].as_integer().unwrap() as u64 + length_ns;
    while monotonic_ns() < end_ns && !stop.load(Ordering::SeqCst) {
        std::thread::sleep(POLL);
    }
    write_atomic(&path(config, "out_dir").join(folder::LOAD), b"{}").unwrap();
}
