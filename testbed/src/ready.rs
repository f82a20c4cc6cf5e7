//! Readiness: `GET /healthz` on a replica's metrics address answers 200.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Connecting and answering may take this long before the question is asked again.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// The status line is all that is read.
const STATUS_LINE_LEN_BYTES: usize = 64;

/// Asks once. No answer, a slow answer and another answer all mean "not yet".
pub(crate) fn is_ready(address: &str) -> bool {
    ask(address).is_some_and(|line| {
        line.strip_prefix("HTTP/1.")
            .and_then(|rest| rest.get(2..5))
            .is_some_and(|code| code == "200")
    })
}

fn ask(address: &str) -> Option<String> {
    let address: SocketAddr = address.parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    stream.set_write_timeout(Some(ANSWER_WITHIN)).ok()?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut line = Vec::with_capacity(STATUS_LINE_LEN_BYTES);
    let mut byte = [0; 1];
    while line.len() < STATUS_LINE_LEN_BYTES && stream.read(&mut byte).ok()? == 1 {
        if byte[0] == b'\r' {
            break;
        }
        line.push(byte[0]);
    }
    String::from_utf8(line).ok()
}

#[cfg(test)]
mod tests;
