//! Whose something is that a killed process may leave behind: a name that begins with who made it.

use crate::error::TestbedError;

/// All names begin so: `reforge-<process id>-<its start>-<what>`.
const PREFIX: &str = "reforge-";

/// A process. Ids come again; together with the start they do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub pid: u32,
    /// In ticks since the boot.
    start: u64,
}

impl Owner {
    /// This process.
    pub(crate) fn this() -> Result<Self, TestbedError> {
        let pid = std::process::id();
        let start = started(pid)
            .ok_or_else(|| TestbedError::Setup("expected /proc/<id>/stat, found none".into()))?;
        Ok(Self { pid, start })
    }

    pub(crate) fn prefix(self) -> String {
        format!("{PREFIX}{}-{}", self.pid, self.start)
    }

    pub(crate) fn is_alive(self) -> bool {
        started(self.pid) == Some(self.start)
    }
}

/// Who made something, if its name is one of ours.
pub(crate) fn of(name: &str) -> Option<Owner> {
    let mut parts = name.strip_prefix(PREFIX)?.splitn(3, '-');
    let (pid, start) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().map(|_| Owner { pid, start })
}

fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may hold anything; the state follows it.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let start = fields.nth(18)?.parse().ok()?;
    (state != "Z").then_some(start)
}

#[cfg(test)]
mod tests;
