//! One connection to the agent of a host. Everything has a time limit: a host that says nothing for too long is lost,
//! and stays lost.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::protocol::{Answer, Ask, Line, Request};
use crate::error::TestbedError;
use crate::provider::Exit;

/// The sign of life is asked for this often.
const BEAT: Duration = Duration::from_secs(1);
/// A sign of life that takes longer is none.
const BEAT_WITHIN: Duration = Duration::from_secs(8);
/// Whatever is asked is answered within this time.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// Characters of what ssh said that are kept for an error.
const SAID_MAX: usize = 2_000;

/// What both directions know.
#[derive(Debug, Default)]
struct State {
    exits: BTreeMap<u32, Exit>,
    /// Before the first line ssh is still connecting.
    heard: bool,
    /// Since when a sign of life is waited for.
    asked: Option<Instant>,
    /// When and why it was given up.
    lost: Option<(u64, String)>,
    said: String,
}

/// Shared by a connection and the processes on its host.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn lost(&self) -> Option<(u64, String)> {
        let mut state = self.lock();
        if state
            .asked
            .is_some_and(|asked| asked.elapsed() > BEAT_WITHIN)
        {
            give_up(
                &mut state,
                &format!("nothing was heard for {BEAT_WITHIN:?}"),
            );
        }
        state.lost.clone()
    }

    pub(super) fn lose(&self, reason: &str) {
        give_up(&mut self.lock(), reason);
    }

    /// The end of a process, also with its host.
    pub(super) fn exit(&self, pid: u32) -> Option<Exit> {
        let ended = self.lock().exits.get(&pid).copied();
        let lost = || {
            self.lost().map(|_| Exit {
                code: None,
                signal: None,
            })
        };
        ended.or_else(lost)
    }
}

fn give_up(state: &mut State, reason: &str) {
    if state.lost.is_none() {
        let said = state.said.trim();
        let said = match said.is_empty() {
            true => String::new(),
            false => format!("; ssh said: {said}"),
        };
        state.lost = Some((measure::monotonic_ns(), format!("{reason}{said}")));
    }
}

/// Sends requests whose answers nobody waits for.
#[derive(Debug, Clone)]
pub(super) struct Orders(Sender<Option<String>>);

impl Orders {
    pub(super) fn send(&self, ask: Ask) {
        let line = serde_json::to_string(&Request { id: 0, ask }).unwrap_or_default();
        // Nobody is left to carry it out otherwise.
        let _ = self.0.send(Some(line + "\n"));
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    name: String,
    child: Child,
    /// Nothing is the end of them.
    lines: Sender<Option<String>>,
    answers: Receiver<(u64, Result<Answer, String>)>,
    early: BTreeMap<u64, Result<Answer, String>>,
    next: u64,
    shared: Shared,
}

impl Connection {
    /// Speaks to an agent by the input and output of a command.
    pub(super) fn open(name: &str, mut command: Command) -> Result<Self, TestbedError> {
        let started = command.process_group(0).spawn();
        let mut child = started.map_err(|error| {
            TestbedError::Setup(format!(
                "provider ssh needs `ssh`: {error}; install openssh-client"
            ))
        })?;
        let shared = Shared::default();
        let (lines, to_send) = channel();
        let (to_answer, answers) = channel();
        if let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        {
            let of = shared.clone();
            std::thread::spawn(move || write(stdin, &to_send, &of));
            let of = shared.clone();
            std::thread::spawn(move || listen(stderr, &of));
            let of = shared.clone();
            std::thread::spawn(move || read(stdout, &to_answer, &of));
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
            answers,
            early: BTreeMap::new(),
            next: 1,
            shared,
        })
    }

    pub(super) fn orders(&self) -> Orders {
        Orders(self.lines.clone())
    }

    pub(super) fn shared(&self) -> Shared {
        self.shared.clone()
    }

    /// Asks and goes on; the number is for [`Connection::wait`].
    pub(super) fn send(&mut self, ask: Ask) -> u64 {
        let id = self.next;
        self.next += 1;
        let line = serde_json::to_string(&Request { id, ask }).unwrap_or_default();
        // Whether it arrived is seen by the answer.
        let _ = self.lines.send(Some(line + "\n"));
        id
    }

    /// The answer; without one in time the host is lost.
    pub(super) fn wait(&mut self, id: u64) -> Result<Answer, TestbedError> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let answer = loop {
            if let Some(answer) = self.early.remove(&id) {
                break answer;
            }
            if let Some((_, reason)) = self.shared.lost() {
                return Err(self.error(&format!("is lost: {reason}")));
            }
            match self.answers.recv_timeout(Duration::from_millis(50)) {
                Ok((answered, answer)) => {
                    self.early.insert(answered, answer);
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.shared
                        .lose(&format!("no answer within {ANSWER_WITHIN:?}"));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.shared.lose("the connection ended");
                }
            }
        };
        answer.map_err(|message| self.error(&message))
    }

    pub(super) fn ask(&mut self, ask: Ask) -> Result<Answer, TestbedError> {
        let id = self.send(ask);
        self.wait(id)
    }

    /// Asks for something that is answered by nothing but success.
    pub(super) fn order(&mut self, ask: Ask) -> Result<(), TestbedError> {
        self.ask(ask).map(|_| ())
    }

    pub(super) fn error(&self, message: &str) -> TestbedError {
        TestbedError::Setup(format!("host {}: {message}", self.name))
    }

    /// Ends the agent, and with it everything that it started.
    pub(super) fn close(&mut self, within: Duration) {
        // Its input ends: it goes by itself.
        let _ = self.lines.send(None);
        let deadline = Instant::now() + within;
        while self.shared.lost().is_none() && Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                _ => return,
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.lines.send(None);
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lines as they come, and the question for a sign of life in between.
fn write(mut stdin: ChildStdin, lines: &Receiver<Option<String>>, shared: &Shared) {
    let clock = Request {
        id: 0,
        ask: Ask::Clock,
    };
    let beat = serde_json::to_string(&clock).unwrap_or_default() + "\n";
    let mut beaten = Instant::now();
    loop {
        let line = match lines.recv_timeout(BEAT.saturating_sub(beaten.elapsed())) {
            Ok(Some(line)) => line,
            Err(RecvTimeoutError::Timeout) => {
                beaten = Instant::now();
                let mut state = shared.lock();
                if state.heard {
                    state.asked.get_or_insert(beaten);
                }
                beat.clone()
            }
            Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
        };
        if stdin.write_all(line.as_bytes()).is_err() {
            // The reader sees the end, and why.
            return;
        }
    }
}

fn read(stdout: impl Read, answers: &Sender<(u64, Result<Answer, String>)>, shared: &Shared) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        {
            let mut state = shared.lock();
            (state.heard, state.asked) = (true, None);
        }
        match serde_json::from_str(&line) {
            Ok(Line::Answer { id: 0, .. }) => {}
            Ok(Line::Answer { id, answer }) => {
                if answers.send((id, answer)).is_err() {
                    return;
                }
            }
            Ok(Line::Exited { pid, exit }) => {
                shared.lock().exits.insert(pid, exit);
            }
            Err(_) => {
                shared.lose(&format!("expected an answer of the agent, found {line:?}"));
                return;
            }
        }
    }
    shared.lose("the connection ended");
}

fn listen(stderr: impl Read, shared: &Shared) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut state = shared.lock();
        if state.said.len() + line.len() < SAID_MAX {
            state.said.push_str(&line);
            state.said.push(' ');
        }
    }
}
