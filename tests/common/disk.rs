//! A disk that is too small.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use super::{Node, text};

/// Room for the first segment of a journal, not for the second.
const SMALL: &str = "size=96m";
const LARGE: &str = "size=512m";
/// Less than any journal under load has written already.
const LIMIT_BYTES: u64 = 1 << 16;

/// How one folder runs out of room.
pub enum Disk {
    /// A real file system of its own, in a mount namespace of this thread and of what it starts: it is
    /// gone with them, whatever ends them.
    Tmpfs(PathBuf),
    /// A limit on the size of files, put on the running replica. Needs no privileges.
    Limit,
}

impl Disk {
    /// A small file system on `folder` where this machine lets us mount one, else a limit.
    pub fn small(folder: &Path) -> Disk {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = unshare(CloneFlags::CLONE_NEWNS)
            .map_err(|error| error.to_string())
            .and_then(|()| run(Command::new("mount").args(["--make-rprivate", "/"])))
            .and_then(|()| {
                let mut mount = Command::new("mount");
                run(mount
                    .args(["-t", "tmpfs", "-o", SMALL, "tmpfs"])
                    .arg(folder))
            });
        match mounted {
            Ok(()) => Disk::Tmpfs(folder.to_path_buf()),
            Err(why) => {
                println!("no file system of its own ({why}): a limit on file sizes stands for it");
                Disk::Limit
            }
        }
    }

    /// From now on the disk of `node` is full, or full as soon as the load has filled it.
    pub fn fill(&self, node: &Node) {
        if let Disk::Limit = self {
            let mut limit = Command::new("prlimit");
            limit.arg(format!("--pid={}", node.child.id()));
            run(limit.arg(format!("--fsize={LIMIT_BYTES}:"))).unwrap();
        }
    }

    /// Makes space; a limit went with the replica that it was put on.
    pub fn grow(&self) {
        if let Disk::Tmpfs(folder) = self {
            let options = format!("remount,{LARGE}");
            run(Command::new("mount").args(["-o", &options]).arg(folder)).unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Disk::Tmpfs(folder) = self {
            // The folder above it is removed next. Lazily: a replica may still be ending.
            let _ = run(Command::new("umount").arg("--lazy").arg(folder));
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(text(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
