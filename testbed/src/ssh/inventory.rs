//! The hosts of provider `ssh`, and how ssh reaches them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::error::TestbedError;

/// Connecting takes at most this long; a connection over which nothing comes is given up soon as well.
const OPTIONS: [&str; 9] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    "IdentitiesOnly=yes",
    "ControlMaster=no",
    "ClearAllForwardings=yes",
    "ConnectTimeout=10",
    "ServerAliveInterval=2",
    "ServerAliveCountMax=4",
];

/// A whole inventory. Relative paths start at its folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inventory {
    /// The keys of all hosts, as `ssh-keyscan` prints them; nothing else is trusted.
    pub known_hosts: PathBuf,
    /// In the order in which replicas are given to them.
    pub host: Vec<Host>,
}

/// What runs on a host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    /// Replicas and generators.
    #[default]
    Both,
    Replica,
    Load,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    pub name: String,
    /// Where ssh finds it.
    pub address: String,
    /// An address that the host itself has, for traffic between hosts; absent: `address`.
    pub internal: Option<String>,
    pub user: String,
    #[serde(default = "ssh_port")]
    pub port: u16,
    pub identity: PathBuf,
    /// A folder for the program and for runs, made if need be; relative to the user's home.
    #[serde(default = "work")]
    pub work: String,
    /// Replicas listen from here on, three ports each.
    #[serde(default = "first_port")]
    pub first_port: u16,
    #[serde(default)]
    pub role: Role,
}

fn ssh_port() -> u16 {
    22
}

fn work() -> String {
    "reforge".into()
}

fn first_port() -> u16 {
    7000
}

impl Inventory {
    pub(super) fn load(path: &Path) -> Result<Self, TestbedError> {
        let text =
            std::fs::read_to_string(path).map_err(crate::run::io("read the inventory", path))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        Self::from_toml(&text, folder)
            .map_err(|message| TestbedError::Setup(format!("{}: {message}", path.display())))
    }

    pub(super) fn from_toml(text: &str, folder: &Path) -> Result<Self, String> {
        let mut inventory: Self = toml::from_str(text).map_err(|e| e.to_string())?;
        inventory.known_hosts = existing(folder, &inventory.known_hosts)?;
        for host in &mut inventory.host {
            host.identity = existing(folder, &host.identity)?;
        }
        inventory.check()?;
        Ok(inventory)
    }

    fn check(&self) -> Result<(), String> {
        for (index, host) in self.host.iter().enumerate() {
            let name = &host.name;
            // Parts of command lines here and there: nothing that a shell or ssh reads as more.
            let plain = |text: &str, more: &str| {
                let fits = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
                !text.is_empty() && !text.starts_with('-') && text.chars().all(fits)
            };
            let parts = [
                ("name", name, "-_."),
                ("address", &host.address, "-.:"),
                ("user", &host.user, "-_."),
                ("work", &host.work, "-_./"),
            ];
            for (key, text, more) in parts {
                if !plain(text, more) {
                    return Err(format!(
                        "host {name:?}: expected {key} of letters, digits and `{more}`, found {text:?}"
                    ));
                }
            }
            let internal = host.internal();
            if internal.parse::<std::net::IpAddr>().is_err() {
                return Err(format!(
                    "host {name}: expected an IP address for traffic between hosts, found {internal:?}; \
                     set `internal`"
                ));
            }
            if self.host[..index].iter().any(|other| other.name == *name) {
                return Err(format!("found host {name} twice"));
            }
        }
        for (role, what) in [(Role::Replica, "replicas"), (Role::Load, "generators")] {
            if self.of(role).next().is_none() {
                return Err(format!("expected a host for {what}, found none"));
            }
        }
        Ok(())
    }

    /// Indices of the hosts that such a process may run on.
    pub(super) fn of(&self, role: Role) -> impl Iterator<Item = usize> {
        let all = self.host.iter().enumerate();
        all.filter(move |(_, host)| host.role == role || host.role == Role::Both)
            .map(|(index, _)| index)
    }
}

fn existing(folder: &Path, path: &Path) -> Result<PathBuf, String> {
    let path = folder.join(path);
    path.canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))
}

impl Host {
    pub(super) fn internal(&self) -> &str {
        self.internal.as_deref().unwrap_or(&self.address)
    }

    /// `ssh` to it, to run one command there.
    pub(super) fn ssh(&self, known_hosts: &Path, remote: &str) -> Command {
        let mut command = Command::new("ssh");
        command.args(["-F", "none", "-T", "-x"]);
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile=\"{}\"", known_hosts.display()))
            .arg("-i")
            .arg(&self.identity)
            .args(["-p", &self.port.to_string(), "-l", &self.user])
            .args(["--", &self.address, remote])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

#[cfg(test)]
mod tests;
