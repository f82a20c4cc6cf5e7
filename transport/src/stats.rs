//! Counters since `open`.

use crate::DownReason;

/// Counters of a transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// By replica index.
    pub replicas: Vec<LinkStats>,
    /// Sum over all client connections (our clients, or the servers that we are a client of).
    pub clients: LinkStats,
    /// Client connections now up.
    pub clients_up: usize,
    /// Connections now between accept or dial and authentication.
    pub handshaking: usize,
    /// Connections ever accepted, before any authentication.
    pub accepted: u64,
    /// Ended connections by `DownReason as usize`, before and after authentication.
    pub closed: Vec<u64>,
    /// Sends that the kernel completed as zero-copy, and those it reported as copied after all.
    pub zero_copy_sends: u64,
    pub zero_copy_copied: u64,
}

impl Stats {
    /// How many connections ended for `reason`.
    pub fn closed_for(&self, reason: DownReason) -> u64 {
        self.closed.get(reason as usize).copied().unwrap_or(0)
    }
}

/// Counters of one link or of one kind of links. Bytes are payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    pub frames_in: u64,
    pub bytes_in: u64,
    pub frames_out: u64,
    pub bytes_out: u64,
    /// Times the link came up.
    pub ups: u64,
    /// Frames refused with `SendError::Full`.
    pub full: u64,
}
