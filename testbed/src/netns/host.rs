//! One host: a namespace with one interface on the bridge.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;

use nix::sched::{CloneFlags, setns};

use super::tools::{ip_in, nft_in, tc_in};
use crate::error::TestbedError;

/// Where `ip netns` keeps its names.
pub(super) const NAMES: &str = "/run/netns";
/// The interface inside.
const INTERFACE: &str = "eth0";
/// A bucket holds what passes in this part of a second, and at least a few large segments.
const BURST_PER_S: u64 = 100;
const BURST_BYTES_MIN: u64 = 256 * 1024;
/// Longer queues are cut off.
const QUEUE: &str = "100ms";

#[derive(Debug)]
pub(super) struct Host {
    namespace: String,
    hub: String,
    number: usize,
    /// Who is refused at the moment; nothing is known before the first table.
    refused: Option<Vec<Ipv4Addr>>,
}

impl Host {
    pub(super) fn new(namespace: String, hub: String, number: usize) -> Self {
        Self {
            namespace,
            hub,
            number,
            refused: None,
        }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Its address; the namespaces are a world of their own, so that it can be any.
    pub(super) fn address(&self) -> Ipv4Addr {
        let number = self.number as u32;
        Ipv4Addr::new(10, 77, (number / 250) as u8, (number % 250 + 1) as u8)
    }

    /// The other end of its cable, in the hub.
    fn port(&self) -> String {
        format!("port{}", self.number)
    }

    /// A cable to the bridge, an address, and an empty table of who is refused.
    pub(super) fn connect(&mut self, bridge: &str) -> Result<(), TestbedError> {
        let (inside, hub, port) = (&self.namespace, &self.hub, &self.port());
        let add = [
            "link", "add", port, "type", "veth", "peer", "name", INTERFACE,
        ];
        ip_in(hub, &[&add[..], &["netns", inside]].concat())?;
        ip_in(hub, &["link", "set", port, "master", bridge, "up"])?;
        let address = format!("{}/16", self.address());
        ip_in(inside, &["addr", "add", &address, "dev", INTERFACE])?;
        ip_in(inside, &["link", "set", INTERFACE, "up"])?;
        self.refuse(&[])
    }

    /// Nothing that these send gets in any more; what others send does.
    pub(super) fn refuse(&mut self, from: &[Ipv4Addr]) -> Result<(), TestbedError> {
        if self.refused.as_deref() == Some(from) {
            return Ok(());
        }
        let mut ruleset = "add table ip reforge\n\
             add chain ip reforge in { type filter hook input priority 0; policy accept; }\n\
             flush chain ip reforge in\n"
            .to_owned();
        for address in from {
            ruleset.push_str(&format!("add rule ip reforge in ip saddr {address} drop\n"));
        }
        nft_in(&self.namespace, &ruleset)?;
        self.refused = Some(from.to_vec());
        Ok(())
    }

    /// What it can send, and what it can receive, at most.
    pub(super) fn limit(&self, bytes_per_s: Option<u64>) -> Result<(), TestbedError> {
        for (namespace, device) in [(&self.namespace, INTERFACE), (&self.hub, &self.port())] {
            match bytes_per_s {
                Some(bytes_per_s) => {
                    let rate = format!("{}bit", bytes_per_s.saturating_mul(8));
                    let burst = (bytes_per_s / BURST_PER_S).max(BURST_BYTES_MIN).to_string();
                    let device = ["qdisc", "replace", "dev", device, "root"];
                    let bucket = ["tbf", "rate", &rate, "burst", &burst, "latency", QUEUE];
                    tc_in(namespace, &[&device[..], &bucket].concat())?;
                }
                None => {
                    // There is always one; without a limit it is the system's own.
                    let shown = tc_in(namespace, &["qdisc", "show", "dev", device])?;
                    if shown.contains("qdisc tbf") {
                        tc_in(namespace, &["qdisc", "del", "dev", device, "root"])?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Does something in the namespace; nothing if it cannot be entered.
    pub(super) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Option<T> {
        let path = Path::new(NAMES).join(&self.namespace);
        // A thread of its own: it never has to find its way back.
        std::thread::scope(|scope| {
            let entered = scope.spawn(move || {
                let file = File::open(path).ok()?;
                setns(file, CloneFlags::CLONE_NEWNET).ok()?;
                Some(act())
            });
            entered.join().ok().flatten()
        })
    }
}
