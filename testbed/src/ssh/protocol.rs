//! What is said over one connection: a JSON object per line, requests to the agent, answers and ends of processes
//! from it.

use std::path::PathBuf;

use measure::Fingerprint;
use serde::{Deserialize, Serialize};

use crate::provider::{Exit, Signal};

/// Requests carry a number; the answer carries it as well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub id: u64,
    pub ask: Ask,
}

/// What the agent can do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ask {
    /// Who are you, and a folder for one run.
    Hello,
    /// What does your clock show? Answered at once, whatever else is going on; also the sign of life.
    Clock,
    /// Are these ports free?
    Ports {
        address: String,
        ports: Vec<u16>,
    },
    Folder {
        path: PathBuf,
    },
    /// A small file of text, readable by its owner alone.
    Write {
        path: PathBuf,
        text: String,
    },
    Start {
        name: String,
        arguments: Vec<String>,
        environment: Vec<(String, String)>,
        log: PathBuf,
    },
    Signal {
        pid: u32,
        signal: Signal,
    },
    /// Does a replica answer that it is ready?
    Ready {
        metrics: String,
    },
    /// Commands for a control socket.
    Tell {
        socket: PathBuf,
        commands: Vec<String>,
    },
    /// All files below a folder.
    List {
        path: PathBuf,
    },
    /// A part of a file, from an offset.
    Read {
        path: PathBuf,
        offset: u64,
    },
}

/// A line from the agent.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Line {
    Answer {
        id: u64,
        answer: Result<Answer, String>,
    },
    Exited {
        pid: u32,
        exit: Exit,
    },
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    Hello {
        /// blake3 of the program, hex.
        program: String,
        /// The folder for this run, absolute.
        run: PathBuf,
        fingerprint: Box<Fingerprint>,
    },
    Clock {
        monotonic_ns: u64,
    },
    Done,
    Started {
        pid: u32,
    },
    Ready(bool),
    /// Relative to the folder asked for.
    Files(Vec<PathBuf>),
    /// base64; empty at the end of the file.
    Bytes(String),
}
