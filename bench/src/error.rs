//! What can go wrong on the way to a figure.

use std::path::PathBuf;

use thiserror::Error;
use transport::{SendError, TransportError};

/// See the module.
#[derive(Debug, Error)]
pub enum BenchError {
    #[error("no loopback socket: {0}; end what holds the ports")]
    Socket(std::io::Error),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("replica {replica} could not send: {source}; this is a defect of the bench")]
    Send { replica: u16, source: SendError },
    #[error("{what} ended early: {why}")]
    Thread { what: &'static str, why: String },
    #[error("nothing arrived within {0} s: expected every batch at everybody")]
    Silent(u64),
    #[error("cannot write {path}: {source}; name a folder on the disk that is to be measured")]
    Disk {
        path: PathBuf,
        source: std::io::Error,
    },
}
