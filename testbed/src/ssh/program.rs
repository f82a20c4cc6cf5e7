//! The one binary that every host gets, known by its hash.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::inventory::Host;
use crate::error::TestbedError;
use crate::run::io;

/// A short command on a host ends within this time.
const COMMAND_WITHIN: Duration = Duration::from_secs(30);
/// The slowest line that a binary is sent over.
const BYTES_PER_S_MIN: u64 = 250_000;
/// Hexadecimal digits of the hash in the name.
const NAME_DIGITS: usize = 32;

#[derive(Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// blake3, hex.
    pub hash: String,
    bytes: u64,
}

impl Program {
    pub(super) fn load(path: &Path) -> Result<Self, TestbedError> {
        let bytes = std::fs::read(path).map_err(io("read the program", path))?;
        Ok(Self {
            path: path.to_path_buf(),
            hash: blake3::hash(&bytes).to_hex().to_string(),
            bytes: bytes.len() as u64,
        })
    }

    /// Where it lies below the work folder.
    pub(super) fn name(&self) -> String {
        format!("bin/reforge-{}", &self.hash[..NAME_DIGITS])
    }

    /// Brings it to a host that does not have it yet.
    pub(super) fn bring(&self, host: &Host, known_hosts: &Path) -> Result<(), TestbedError> {
        let (work, name) = (&host.work, self.name());
        let look = format!(
            "mkdir -p {work}/bin && cd {work} && if test -x {name}; then echo there; else echo missing; fi"
        );
        let mut command = host.ssh(known_hosts, &look);
        let told = finish(host, command.stdin(Stdio::null()), COMMAND_WITHIN)?;
        match told.trim() {
            "there" => return Ok(()),
            "missing" => {}
            other => {
                return Err(failed(
                    host,
                    &format!("expected `there` or `missing`, found {other:?}"),
                ));
            }
        }
        // Under another name until it is whole.
        let part = format!("bin/part-{}-{}", std::process::id(), &self.hash[..8]);
        let bring = format!(
            "cd {work} && umask 077 && cat > {part} && chmod 700 {part} && mv {part} {name}"
        );
        let file = File::open(&self.path).map_err(io("open the program", &self.path))?;
        let mut command = host.ssh(known_hosts, &bring);
        let within = COMMAND_WITHIN + Duration::from_secs(self.bytes / BYTES_PER_S_MIN);
        finish(host, command.stdin(file), within)?;
        Ok(())
    }
}

fn failed(host: &Host, what: &str) -> TestbedError {
    TestbedError::Setup(format!("host {}: {what}", host.name))
}

/// Runs `ssh` to its end and returns what the command printed there.
fn finish(host: &Host, command: &mut Command, within: Duration) -> Result<String, TestbedError> {
    let mut child = command.process_group(0).spawn().map_err(|error| {
        TestbedError::Setup(format!(
            "provider ssh needs `ssh`: {error}; install openssh-client"
        ))
    })?;
    let deadline = Instant::now() + within;
    // Both print a line or two, which fits into their pipes.
    let status = loop {
        let ended = child.try_wait().map_err(|e| failed(host, &e.to_string()))?;
        if let Some(status) = ended {
            break status;
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Err(failed(host, &format!("ssh did not end within {within:?}")));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let (mut out, mut said) = (String::new(), String::new());
    let read = |pipe: Option<&mut dyn Read>, text: &mut String| {
        if let Some(pipe) = pipe {
            let _ = pipe.read_to_string(text);
        }
    };
    read(child.stdout.as_mut().map(|p| p as &mut dyn Read), &mut out);
    read(child.stderr.as_mut().map(|p| p as &mut dyn Read), &mut said);
    match status.success() {
        true => Ok(out),
        false => Err(failed(
            host,
            &format!(
                "ssh ended with {status}: {}; try the same ssh by hand, and see that its key is in \
                 known_hosts",
                said.trim()
            ),
        )),
    }
}
