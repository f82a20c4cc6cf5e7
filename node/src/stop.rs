//! Being asked to stop or to profile, from outside of the replica's thread: signals, and the end of
//! standard input.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;
use transport::Waker;

use crate::NodeError;

/// What was asked for and not yet done.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    stop: Arc<AtomicBool>,
    profile: Arc<AtomicBool>,
}

impl Asked {
    /// Listens to SIGTERM, SIGINT and SIGUSR2, and to standard input if `stdin`. A second SIGTERM or
    /// SIGINT ends the process as if nobody listened.
    ///
    /// # Errors
    /// [`NodeError::Thread`] if signals cannot be listened to.
    pub fn listen(stdin: bool, waker: Waker) -> Result<Asked, NodeError> {
        let asked = Asked::default();
        let failed = |error: std::io::Error| NodeError::Thread {
            name: "signals",
            why: format!("could not be started ({error})"),
        };
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGUSR2]).map_err(failed)?;
        let (asking, waking) = (asked.clone(), waker.clone());
        let listen = move || {
            for signal in signals.forever() {
                if signal == SIGUSR2 {
                    asking.profile.store(true, Relaxed);
                } else if asking.stop.swap(true, Relaxed) {
                    let _ = signal_hook::low_level::emulate_default_handler(signal);
                }
                waking.wake();
            }
        };
        spawn("signals", listen).map_err(failed)?;
        if stdin {
            let asking = asked.clone();
            let watch = move || {
                drain(&mut std::io::stdin().lock());
                asking.stop.store(true, Relaxed);
                waker.wake();
            };
            spawn("stdin", watch).map_err(failed)?;
        }
        Ok(asked)
    }

    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    pub fn is_stop(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Whether a profile was asked for since the last call.
    pub fn take_profile(&self) -> bool {
        self.profile.load(Relaxed) && self.profile.swap(false, Relaxed)
    }
}

/// A write beyond a file size limit becomes an error that names the file, instead of a silent kill.
///
/// # Errors
/// [`NodeError::Thread`] if the signal cannot be taken over.
pub fn survive_file_limits() -> Result<(), NodeError> {
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map(drop)
        .map_err(|error| NodeError::Thread {
            name: "signals",
            why: format!("could not take SIGXFSZ ({error})"),
        })
}

/// Neither thread ever ends: they die with the process.
fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name(name.into())
        .spawn(body)
        .map(drop)
}

/// Reads to the end; what is said does not matter.
fn drain(input: &mut impl Read) {
    let mut ignored = [0; 512];
    while let Ok(1..) | Err(_) = input.read(&mut ignored).or_else(retry) {}
}

/// An interrupted read is tried again, any other error is an end.
fn retry(error: std::io::Error) -> std::io::Result<usize> {
    match error.kind() {
        std::io::ErrorKind::Interrupted => Err(error),
        _ => Ok(0),
    }
}
