//! The control socket of a replica, from outside: one JSON object per line, one answer per line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::error::TestbedError;
use crate::provider::Told;

/// A replica that does not answer within this time is not going to.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Gives commands one after the other.
///
/// # Errors
/// [`TestbedError::Control`] with the first that was not carried out.
pub(crate) fn tell(socket: &Path, commands: &[String]) -> Result<(), TestbedError> {
    let failed = |found: String| TestbedError::Control {
        socket: socket.to_path_buf(),
        found,
    };
    let io = |error: std::io::Error| failed(error.to_string());
    let stream = UnixStream::connect(socket).map_err(io)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).map_err(io)?;
    stream.set_write_timeout(Some(ANSWER_WITHIN)).map_err(io)?;
    let mut answers = BufReader::new(stream.try_clone().map_err(io)?);
    let mut stream = stream;
    // All at once: they take effect together, as far as the replica can.
    let lines: String = commands.iter().map(|c| format!("{c}\n")).collect();
    stream.write_all(lines.as_bytes()).map_err(io)?;
    for command in commands {
        let mut answer = String::new();
        answers.read_line(&mut answer).map_err(io)?;
        if !answer.contains("\"ok\":true") {
            return Err(failed(format!("{command} was answered by {answer:?}")));
        }
    }
    Ok(())
}

/// Gives every replica its commands, all at the same time.
///
/// # Errors
/// As [`tell`], the first of any.
pub(crate) fn tell_all(all: &[Told]) -> Result<(), TestbedError> {
    std::thread::scope(|scope| {
        let told: Vec<_> = all
            .iter()
            .map(|one| scope.spawn(move || tell(&one.socket, &one.commands)))
            .collect();
        let mut result = Ok(());
        for thread in told {
            let one = thread.join().unwrap_or_else(|_| {
                Err(TestbedError::Setup("a thread of the drill panicked".into()))
            });
            result = result.and(one);
        }
        result
    })
}
