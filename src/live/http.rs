//! One question to a replica's metrics address.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_millis(500);
const ANSWER_LEN_BYTES_MAX: u64 = 1 << 20;

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Status 200.
    pub is_good: bool,
    pub body: String,
}

/// None if there is no answer, or something that is none.
pub fn get(address: &str, path: &str) -> Option<Answer> {
    let to: SocketAddr = address.parse().ok()?;
    let mut stream = TcpStream::connect_timeout(&to, ANSWER_WITHIN).ok()?;
    stream.set_read_timeout(Some(ANSWER_WITHIN)).ok()?;
    stream.set_write_timeout(Some(ANSWER_WITHIN)).ok()?;
    // Of HTTP 1.0, so that the body ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    let mut bounded = stream.take(ANSWER_LEN_BYTES_MAX);
    bounded.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        is_good: head.split(' ').nth(1)? == "200",
        body: body.to_owned(),
    })
}
