//! A program on a terminal of its own, and what a user would see on it.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{Termios, tcgetattr};
use nix::unistd::Pid;
use vt100::Parser;

/// Anything that is waited for happens within this time, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// What programs send to get it.
const OTHER_SCREEN: &[u8] = b"\x1b[?1049h";

pub struct Pty {
    child: Child,
    keys: File,
    /// Kept open, so that what the program left can be asked for after its end.
    terminal: Option<OwnedFd>,
    /// How the terminal was set before the program began.
    before: Termios,
    output: Receiver<Vec<u8>>,
    /// All that it wrote so far.
    written: Vec<u8>,
    parser: Parser,
}

/// What a program left behind.
pub struct Left {
    pub status: ExitStatus,
    /// Whether it ever showed the other screen.
    pub was_taken: bool,
    /// Input is echoed and edited in lines again, the cursor is seen, and the first screen is shown.
    pub is_restored: bool,
    /// What stands on the screen.
    pub text: String,
}

impl Pty {
    pub fn start(command: &Command, columns: u16, rows: u16) -> Pty {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let OpenptyResult { master, slave } = openpty(&size, None).unwrap();
        let before = tcgetattr(&slave).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        // A session of its own, so that its terminal is this one and not that of the test.
        let child = Command::new("setsid")
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("setsid of util-linux");
        let (send, output) = channel();
        let mut screen = File::from(master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Fails once nobody holds the other end any more.
            while let Ok(len @ 1..) = screen.read(&mut buffer) {
                if send.send(buffer[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        let side = |cells| NonZeroU16::new(cells).unwrap();
        Pty {
            child,
            keys: File::from(master),
            terminal: Some(slave),
            before,
            output,
            written: Vec::new(),
            parser: Parser::new(side(rows), side(columns), 0),
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    /// Waits for a text on the screen.
    pub fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.parser.screen().contents().contains(text) {
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.show(&bytes),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!(
                        "never {text:?}; it shows:\n{}",
                        self.parser.screen().contents()
                    )
                }
            }
        }
    }

    /// Whether the program has the terminal to itself: no echo, the other screen.
    pub fn is_taken(&self) -> bool {
        !self.is_set_back() && self.parser.screen().alternate_screen()
    }

    fn is_set_back(&self) -> bool {
        let terminal = self.terminal.as_ref().expect("open until the end");
        tcgetattr(terminal).unwrap() == self.before
    }

    fn show(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        self.parser.process(bytes);
    }

    /// Waits for its end.
    pub fn end(mut self) -> Left {
        let status = self.child.wait().unwrap();
        let is_set_back = self.is_set_back();
        // Nobody holds this end any more: the output ends.
        self.terminal = None;
        while let Ok(bytes) = self.output.recv() {
            self.show(&bytes);
        }
        let screen = self.parser.screen();
        Left {
            status,
            was_taken: self
                .written
                .windows(OTHER_SCREEN.len())
                .any(|bytes| bytes == OTHER_SCREEN),
            is_restored: is_set_back && !screen.alternate_screen() && !screen.hide_cursor(),
            text: screen.contents(),
        }
    }
}
