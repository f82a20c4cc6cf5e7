//! A child of an orchestrator ends with it, however that one ends.
//!
//! Its standard input is a pipe that only the orchestrator holds, and its main loop stops in order when
//! that closes. That alone leaves two kinds behind: a child that was frozen (`pause`) reads nothing, and
//! one that hangs does not stop. So the kernel wakes it when its parent ends, and a thread that waits for
//! the end of the pipe, without reading from it, gives it a few seconds and then ends it.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Set by the provider for what it starts.
pub const TIED: &str = "REFORGE_TIED";
/// Time to stop in order once the orchestrator is gone; all in all 10 s are allowed.
const STOP_WITHIN: Duration = Duration::from_secs(7);

/// Called first by every subcommand that an orchestrator starts; does nothing for any other parent.
///
/// # Errors
/// The system's, when the child could stay behind.
pub fn tie_to_orchestrator() -> std::io::Result<()> {
    if std::env::var_os(TIED).is_none() {
        return Ok(());
    }
    // Not SIGKILL: what can still stop in order leaves its part of the record. A parent that ended before
    // this line has closed the pipe, and cannot have frozen anybody.
    set_pdeathsig(Signal::SIGCONT)?;
    let body = || {
        await_closed();
        std::thread::sleep(STOP_WITHIN);
        let _ = kill(Pid::this(), Signal::SIGKILL);
    };
    std::thread::Builder::new()
        .name("tie".into())
        .spawn(body)
        .map(drop)
}

/// Returns when the other end of standard input is closed.
fn await_closed() {
    let stdin = std::io::stdin();
    loop {
        // No event is asked for: a hang-up is always told.
        let mut watched = [PollFd::new(stdin.as_fd(), PollFlags::empty())];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EBADF) => return,
            Err(_) => {}
        }
    }
}
