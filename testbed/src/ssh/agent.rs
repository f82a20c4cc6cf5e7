//! The other end: `reforge agent`, started on a host by ssh. It starts processes and hands files over, and ends with
//! everything that it started once nobody speaks to it any more.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use measure::Fingerprint;

use super::protocol::{Answer, Ask, Line, Request};
use crate::error::TestbedError;
use crate::local::{self, LocalProcess};
use crate::provider::{Process, ProcessPlan};
use crate::{control, owner, ready};

/// Whoever started it speaks every second; silence for this long means that nobody is there.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// How often it looks whether processes have ended.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Largest part of a file in one answer.
const PART_BYTES: u64 = 512 * 1024;
/// Folders of runs, below the work folder.
const RUNS: &str = "runs";

/// Serves requests until they end; the current folder is the work folder.
///
/// # Errors
/// [`TestbedError`] when it cannot begin. Later failures are answers.
pub fn serve(
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) -> Result<(), TestbedError> {
    let run = make_run()?;
    let (lines, to_write) = channel();
    let (sender, requests) = channel();
    // Both may be blocked for ever when the other end is silent: they are left behind at the end.
    std::thread::spawn(move || write(output, &to_write));
    let clock = lines.clone();
    std::thread::spawn(move || read(input, &sender, &clock));
    let mut agent = Agent {
        run: run.clone(),
        processes: BTreeMap::new(),
    };
    let mut heard = Instant::now();
    loop {
        match requests.recv_timeout(POLL_INTERVAL) {
            Ok(request) => {
                heard = Instant::now();
                if let Some(Request { id, ask }) = request {
                    let answer = agent.answer(ask);
                    // Nobody listens any more: the requests end as well.
                    let _ = lines.send(Line::Answer { id, answer });
                }
            }
            Err(RecvTimeoutError::Timeout) if heard.elapsed() < SILENCE_MAX => {}
            Err(_) => break,
        }
        agent.tell_ends(&lines);
    }
    // All processes have ended before their files go.
    drop(agent);
    fs::remove_dir_all(&run).map_err(crate::run::io("remove", &run))
}

fn write(mut output: impl Write, lines: &Receiver<Line>) {
    for line in lines {
        let Ok(mut text) = serde_json::to_vec(&line) else {
            return;
        };
        text.push(b'\n');
        if output
            .write_all(&text)
            .and_then(|()| output.flush())
            .is_err()
        {
            return;
        }
    }
}

/// Hands requests on, and answers what concerns the clock without waiting for anything.
fn read(input: impl Read, requests: &Sender<Option<Request>>, answers: &Sender<Line>) {
    for line in BufReader::new(input).lines().map_while(Result::ok) {
        let monotonic_ns = measure::host_monotonic_ns();
        let Ok(request) = serde_json::from_str::<Request>(&line) else {
            return;
        };
        let sent = match request.ask {
            Ask::Clock => {
                let answer = Ok(Answer::Clock { monotonic_ns });
                let id = request.id;
                answers.send(Line::Answer { id, answer }).is_ok() && requests.send(None).is_ok()
            }
            _ => requests.send(Some(request)).is_ok(),
        };
        if !sent {
            return;
        }
    }
}

/// A folder of its own for this run, after what killed agents left was removed.
fn make_run() -> Result<PathBuf, TestbedError> {
    let here = std::env::current_dir().map_err(crate::run::io("find", Path::new(".")))?;
    let runs = here.join(RUNS);
    let io = |action| crate::run::io(action, &runs);
    fs::create_dir_all(&runs).map_err(io("create"))?;
    for entry in fs::read_dir(&runs).map_err(io("list"))? {
        let path = entry.map_err(io("list"))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if owner::of(&name).is_some_and(|owner| !owner.is_alive()) {
            fs::remove_dir_all(&path).map_err(crate::run::io("remove", &path))?;
        }
    }
    let run = runs.join(format!("{}-run", owner::Owner::this()?.prefix()));
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700).create(&run).map_err(io("create"))?;
    Ok(run)
}

struct Agent {
    run: PathBuf,
    processes: BTreeMap<u32, LocalProcess>,
}

impl Agent {
    fn answer(&mut self, ask: Ask) -> Result<Answer, String> {
        let text = |error: std::io::Error| error.to_string();
        match ask {
            Ask::Hello => {
                let program = std::env::current_exe().and_then(fs::read).map_err(text)?;
                Ok(Answer::Hello {
                    program: blake3::hash(&program).to_hex().to_string(),
                    run: self.run.clone(),
                    fingerprint: Box::new(Fingerprint::collect()),
                })
            }
            // The reader has answered.
            Ask::Clock => Ok(Answer::Done),
            Ask::Ports { address, ports } => {
                let address: IpAddr = address.parse().map_err(|e| format!("{address}: {e}"))?;
                for port in ports {
                    TcpListener::bind((address, port))
                        .map_err(|e| format!("{address}:{port}: {e}"))?;
                }
                Ok(Answer::Done)
            }
            Ask::Folder { path } => {
                fs::create_dir_all(path).map_err(text)?;
                Ok(Answer::Done)
            }
            Ask::Write {
                path,
                text: content,
            } => {
                let mut options = File::options();
                options.write(true).create(true).truncate(true).mode(0o600);
                let mut file = options.open(path).map_err(text)?;
                file.write_all(content.as_bytes()).map_err(text)?;
                Ok(Answer::Done)
            }
            Ask::Start {
                name,
                arguments,
                environment,
                log,
            } => self.start(name, arguments, environment, log),
            Ask::Signal { pid, signal } => {
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.signal(signal).map_err(|e| e.to_string())?;
                }
                Ok(Answer::Done)
            }
            Ask::Ready { metrics } => Ok(Answer::Ready(ready::is_ready(&metrics))),
            Ask::Tell { socket, commands } => {
                control::tell(&socket, &commands).map_err(|e| e.to_string())?;
                Ok(Answer::Done)
            }
            Ask::List { path } => {
                let mut files = Vec::new();
                list(&path, Path::new(""), &mut files).map_err(text)?;
                Ok(Answer::Files(files))
            }
            Ask::Read { path, offset } => {
                let mut file = File::open(path).map_err(text)?;
                file.seek(SeekFrom::Start(offset)).map_err(text)?;
                let mut bytes = Vec::new();
                file.take(PART_BYTES)
                    .read_to_end(&mut bytes)
                    .map_err(text)?;
                Ok(Answer::Bytes(STANDARD.encode(bytes)))
            }
        }
    }

    fn start(
        &mut self,
        name: String,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        log: PathBuf,
    ) -> Result<Answer, String> {
        let plan = ProcessPlan {
            name,
            executable: std::env::current_exe().map_err(|e| e.to_string())?,
            arguments,
            environment,
            log,
        };
        let process = local::start(&plan).map_err(|e| e.to_string())?;
        let pid = process.pid();
        self.processes.insert(pid, process);
        Ok(Answer::Started { pid })
    }

    fn tell_ends(&mut self, lines: &Sender<Line>) {
        self.processes
            .retain(|pid, process| match process.poll_exit() {
                Ok(Some(exit)) => {
                    let _ = lines.send(Line::Exited { pid: *pid, exit });
                    false
                }
                _ => true,
            });
    }
}

fn list(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        match entry.file_type()? {
            kind if kind.is_dir() => list(root, &path, files)?,
            kind if kind.is_file() => files.push(path),
            _ => {}
        }
    }
    Ok(())
}
