//! Hosts to reach by ssh: one sshd per network namespace, with keys and configurations of their own in a temporary
//! folder. Nothing outside it changes, and all of it goes when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::text;

/// What the monotonic clock of the second host shows more, in seconds: as if it had been up longer.
pub const AHEAD_S: u64 = 5_000;

pub struct Hosts {
    pub dir: TempDir,
    prefix: String,
    count: usize,
    listeners: Vec<Child>,
}

impl Hosts {
    /// `prefix` makes the names of the namespaces; a process id is added.
    pub fn new(prefix: &str, count: usize) -> Hosts {
        let prefix = format!("{prefix}-{}", std::process::id());
        let mut hosts = Hosts {
            dir: tempfile::tempdir().unwrap(),
            prefix,
            count,
            listeners: Vec::new(),
        };
        let hub = hosts.namespace("hub");
        must("ip", &["netns", "add", &hub]);
        must("ip", &["-n", &hub, "link", "add", "br0", "type", "bridge"]);
        must("ip", &["-n", &hub, "link", "set", "br0", "up"]);
        for index in 0..count {
            hosts.connect(&hosts.namespace(&index.to_string()), index);
        }
        // Whoever runs the experiment sits on the same network.
        hosts.connect(&hosts.namespace("desk"), count);
        hosts.keys();
        for index in 0..count {
            hosts.listen(index);
        }
        hosts.inventory();
        hosts
    }

    pub fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn address(index: usize) -> String {
        format!("10.78.0.{}", index + 1)
    }

    fn connect(&self, namespace: &str, index: usize) {
        let (hub, port) = (self.namespace("hub"), format!("port{index}"));
        must("ip", &["netns", "add", namespace]);
        let cable = ["link", "add", &port, "type", "veth", "peer", "name", "eth0"];
        let ends = [&["-n", &hub], &cable[..], &["netns", namespace]].concat();
        must("ip", &ends);
        must(
            "ip",
            &["-n", &hub, "link", "set", &port, "master", "br0", "up"],
        );
        let address = format!("{}/24", Hosts::address(index));
        must(
            "ip",
            &["-n", namespace, "addr", "add", &address, "dev", "eth0"],
        );
        must("ip", &["-n", namespace, "link", "set", "eth0", "up"]);
        must("ip", &["-n", namespace, "link", "set", "lo", "up"]);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn keys(&self) {
        let make = |name: &str| {
            let path = self.file(name);
            let path = path.to_str().unwrap();
            must("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path]);
            std::fs::read_to_string(format!("{path}.pub")).unwrap()
        };
        std::fs::write(self.file("authorized"), make("user")).unwrap();
        let mut known = String::new();
        for index in 0..self.count {
            let key = make(&format!("host-{index}"));
            let words: Vec<&str> = key.split(' ').take(2).collect();
            known.push_str(&format!("{} {}\n", Hosts::address(index), words.join(" ")));
        }
        std::fs::write(self.file("known_hosts"), known).unwrap();
    }

    fn listen(&mut self, index: usize) {
        let dir = self.dir.path().display();
        let config = self.file(&format!("sshd-{index}"));
        let text = format!(
            "ListenAddress {}\nHostKey {dir}/host-{index}\nAuthorizedKeysFile {dir}/authorized\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\n",
            Hosts::address(index)
        );
        std::fs::write(&config, text).unwrap();
        let log = File::create(self.file(&format!("sshd-{index}.log"))).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace(&index.to_string())]);
        if index == 1 {
            let ahead = AHEAD_S.to_string();
            command.args(["unshare", "--time", "--monotonic", &ahead, "--fork"]);
        }
        // `ip netns exec` has a mount namespace of its own: this `/run` is seen by nobody else.
        let script =
            "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f \"$0\"";
        let started = command
            .args(["sh", "-c", script])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.listeners.push(started.unwrap());
        super::wait_until("sshd listens", || {
            let log = std::fs::read_to_string(self.file(&format!("sshd-{index}.log")));
            log.unwrap().contains("Server listening")
        });
    }

    fn inventory(&self) {
        let mut text = "known_hosts = \"known_hosts\"\n".to_owned();
        for index in 0..self.count {
            let work = self.work(index);
            text.push_str(&format!(
                "\n[[host]]\nname = \"host-{index}\"\naddress = \"{}\"\nuser = \"root\"\n\
                 identity = \"user\"\nwork = \"{}\"\nrole = \"{}\"\n",
                Hosts::address(index),
                work.display(),
                if index == 0 { "both" } else { "replica" },
            ));
        }
        std::fs::write(self.file("hosts.toml"), text).unwrap();
    }

    pub fn inventory_file(&self) -> PathBuf {
        self.file("hosts.toml")
    }

    pub fn work(&self, index: usize) -> PathBuf {
        self.file(&format!("work-{index}"))
    }

    /// Folders of runs that are still on a host.
    pub fn runs(&self, index: usize) -> usize {
        std::fs::read_dir(self.work(index).join("runs")).map_or(0, Iterator::count)
    }

    /// A command at the desk.
    pub fn at_desk(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace("desk")]);
        command.arg(program);
        command
    }

    /// Nothing reaches a host any more, and nobody is told.
    pub fn unplug(&self, index: usize) {
        let (hub, port) = (self.namespace("hub"), format!("port{index}"));
        must("ip", &["-n", &hub, "link", "set", &port, "down"]);
    }

    /// Programs of ours that run on a host.
    pub fn running(&self, index: usize) -> Vec<u32> {
        let mut all = pids(&self.namespace(&index.to_string()));
        all.retain(|pid| {
            let program = std::fs::read_link(format!("/proc/{pid}/exe"));
            program.is_ok_and(|path| path.starts_with(self.work(index)))
        });
        all
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let names = (0..self.count).map(|index| index.to_string());
        for name in names.chain(["desk".into(), "hub".into()]) {
            let namespace = self.namespace(&name);
            for pid in pids(&namespace) {
                let pid = nix::unistd::Pid::from_raw(pid as i32);
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let deleted = Command::new("ip")
                .args(["netns", "delete", &namespace])
                .output();
            let _ = deleted;
        }
        for mut listener in self.listeners.drain(..) {
            let _ = listener.kill();
            let _ = listener.wait();
        }
    }
}

fn pids(namespace: &str) -> Vec<u32> {
    let output = Command::new("ip")
        .args(["netns", "pids", namespace])
        .output()
        .unwrap();
    let text = text(&output.stdout);
    text.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn must(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        text(&output.stderr)
    );
}
