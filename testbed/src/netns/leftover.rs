//! Namespaces of runs that were killed: their names say who made them, and only what a dead owner left is touched.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::tools::{self, ip};
use crate::error::TestbedError;
use crate::owner;

/// Removes the namespaces that killed orchestrators left behind, and returns their names.
///
/// # Errors
/// [`TestbedError::Setup`] when one cannot be removed, or the tools are missing.
pub fn clean() -> Result<Vec<String>, TestbedError> {
    tools::check()?;
    let mut removed = Vec::new();
    for name in names()? {
        if owner::of(&name).is_some_and(|owner| !owner.is_alive()) {
            remove(&name)?;
            removed.push(name);
        }
    }
    Ok(removed)
}

/// All namespaces that have a name.
fn names() -> Result<Vec<String>, TestbedError> {
    let all = ip(&["netns", "list"])?;
    let names = all
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

/// Ends whatever still runs in a namespace of ours, and removes it.
pub(super) fn remove(name: &str) -> Result<(), TestbedError> {
    match end(name) {
        // Two orchestrators that start beside the leftovers of a third remove them at the same time.
        Err(_) if !names()?.iter().any(|other| other == name) => Ok(()),
        ended => ended,
    }
}

fn end(name: &str) -> Result<(), TestbedError> {
    for pid in ip(&["netns", "pids", name])?.split_whitespace() {
        if let Ok(pid) = pid.parse() {
            // It may end by itself in this moment.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    ip(&["netns", "delete", name])?;
    Ok(())
}
