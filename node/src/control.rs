//! The control socket: fault injection for whoever may open a file of mode 0600; off unless configured.
//! One JSON object per line in, one out.

mod command;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use serde_json::{Value, json};
use transport::Waker;

use crate::NodeError;
use crate::snapshot::Board;
pub use command::{Command, Shapes};

/// Commands that may wait for the replica's thread.
const COMMANDS_MAX: usize = 64;
/// Longest line.
const LINE_LEN_MAX: u64 = 16 << 10;
/// The replica's thread answers within this time, or the client is told that it does not.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A client that is silent for this long makes room for the next one.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// A command on its way to the replica's thread.
#[derive(Debug)]
pub struct Order {
    pub command: Command,
    answer: mpsc::SyncSender<Result<(), String>>,
}

impl Order {
    pub fn answer(self, result: Result<(), String>) {
        // Nobody listens any more if the client waited too long.
        let _ = self.answer.try_send(result);
    }
}

/// The replica's end. Dropping it removes the socket.
#[derive(Debug)]
pub struct Control {
    orders: Receiver<Order>,
    path: PathBuf,
}

impl Control {
    /// Binds `path` and serves it, one client at a time, on a thread of its own.
    ///
    /// # Errors
    /// [`NodeError`] if the path is taken or cannot be bound.
    pub fn open(path: &Path, board: Board, waker: Waker) -> Result<Control, NodeError> {
        remove_dead(path);
        let failed = |source| NodeError::Listen {
            what: "control",
            addr: path.display().to_string(),
            source,
        };
        let listener = bind_private(path).map_err(failed)?;
        let (send, orders) = bounded(COMMANDS_MAX);
        let desk = Desk { send, board, waker };
        std::thread::Builder::new()
            .name("control".into())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    if let Err(error) = desk.serve(stream) {
                        tracing::debug!(%error, "control client gone");
                    }
                }
            })
            .map_err(failed)?;
        Ok(Control {
            orders,
            path: path.to_path_buf(),
        })
    }

    pub fn next(&self) -> Option<Order> {
        self.orders.try_recv().ok()
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // It may be gone already; the next start would remove it as well.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Nobody but the owner can connect, not even between bind and chmod: the socket gets its name only
/// after its mode.
fn bind_private(path: &Path) -> std::io::Result<UnixListener> {
    let mut hidden = path.as_os_str().to_owned();
    hidden.push(format!(".{}", std::process::id()));
    let hidden = PathBuf::from(hidden);
    let listener = UnixListener::bind(&hidden)?;
    let named = std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::hard_link(&hidden, path));
    let _ = std::fs::remove_file(&hidden);
    named.map(|()| listener)
}

/// Removes a socket on which nobody listens: left behind by a killed process.
fn remove_dead(path: &Path) {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err() {
        let _ = std::fs::remove_file(path);
    }
}

struct Desk {
    send: Sender<Order>,
    board: Board,
    waker: Waker,
}

impl Desk {
    fn serve(&self, stream: UnixStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(IDLE_MAX))?;
        stream.set_write_timeout(Some(IDLE_MAX))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut writer = stream;
        loop {
            let mut line = Vec::new();
            let read = (&mut reader)
                .take(LINE_LEN_MAX)
                .read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(());
            }
            let complete = line.ends_with(b"\n");
            let answer = match complete {
                true => self.execute(&line),
                false => json!({"ok": false, "error": "expected one line of at most 16 KiB"}),
            };
            writer.write_all(format!("{answer}\n").as_bytes())?;
            if !complete {
                return Ok(());
            }
        }
    }

    fn execute(&self, line: &[u8]) -> Value {
        let result = match serde_json::from_slice::<Command>(line) {
            Err(error) => Err(format!("bad command: {error}")),
            Ok(Command::State) => {
                return json!({"ok": true, "state": *self.board.read()});
            }
            Ok(command) => self.order(command),
        };
        match result {
            Ok(()) => json!({"ok": true}),
            Err(error) => json!({"ok": false, "error": error}),
        }
    }

    fn order(&self, command: Command) -> Result<(), String> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.send
            .try_send(Order { command, answer })
            .map_err(|_| "the replica has stopped or has too many commands waiting".to_owned())?;
        self.waker.wake();
        answered
            .recv_timeout(ANSWER_WITHIN)
            .unwrap_or_else(|_| Err("the replica did not answer within 5 s".into()))
    }
}

#[cfg(test)]
mod tests;
