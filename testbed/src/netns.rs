//! Provider `netns`: a network namespace and an address per replica and per generator, veth pairs into a bridge that
//! has a namespace of its own. `tc` limits hosts, `nft` cuts between them. Delays are made by the links' own shaper.
//!
//! Nothing is made outside namespaces whose names tell who owns them: to remove these removes everything.

mod host;
mod leftover;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::process::Command;

use measure::EventLog;

use crate::error::TestbedError;
use crate::local;
use crate::owner::Owner;
use crate::provider::{Addresses, Place, Process, ProcessPlan, Provider};
use crate::ready;
use crate::spec::NetworkSpec;
use host::Host;
pub use leftover::clean;
use tools::{ip, ip_in};

/// Where everything of a replica listens; every replica has its own address.
const PEER_PORT: u16 = 7000;
const CLIENT_PORT: u16 = 8000;
const METRICS_PORT: u16 = 9100;
/// The bridge, in the namespace `hub`.
const BRIDGE: &str = "br0";

/// See the module.
#[derive(Debug)]
pub struct Netns {
    prefix: String,
    host_bandwidth: Option<u64>,
    /// By the names of their processes.
    hosts: BTreeMap<String, Host>,
    /// Namespaces that were made, in their order.
    made: Vec<String>,
}

impl Netns {
    /// Looks for the tools, and removes what runs left behind whose owners were killed.
    ///
    /// # Errors
    /// [`TestbedError::Setup`] without the tools or the privileges.
    pub fn new(network: &NetworkSpec) -> Result<Self, TestbedError> {
        tools::check()?;
        clean()?;
        Ok(Self {
            prefix: Owner::this()?.prefix(),
            host_bandwidth: network.host_bandwidth_bytes_per_s,
            hosts: BTreeMap::new(),
            made: Vec::new(),
        })
    }

    fn namespace(&mut self, name: &str) -> Result<String, TestbedError> {
        let namespace = format!("{}-{name}", self.prefix);
        ip(&["netns", "add", &namespace])?;
        self.made.push(namespace.clone());
        ip_in(&namespace, &["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    fn add_host(&mut self, hub: &str, process: &str) -> Result<(), TestbedError> {
        let number = self.hosts.len();
        let namespace = self.namespace(process)?;
        let mut host = Host::new(namespace, hub.to_owned(), number);
        host.connect(BRIDGE)?;
        if process.starts_with("replica-") {
            host.limit(self.host_bandwidth)?;
        }
        self.hosts.insert(process.to_owned(), host);
        Ok(())
    }

    fn replica(&self, index: u32) -> Result<&Host, TestbedError> {
        let host = self.hosts.get(&format!("replica-{index}"));
        host.ok_or_else(|| TestbedError::Setup(format!("replica {index} has no namespace")))
    }

    /// Removes all namespaces; the first failure is told after all were tried.
    fn remove(&mut self) -> Result<(), TestbedError> {
        self.hosts.clear();
        let mut result = Ok(());
        while let Some(namespace) = self.made.pop() {
            result = result.and(leftover::remove(&namespace));
        }
        result
    }
}

impl Provider for Netns {
    fn name(&self) -> &'static str {
        "netns"
    }

    fn begin(
        &mut self,
        _: &Place,
        replicas: u32,
        generators: u32,
    ) -> Result<Vec<Addresses>, TestbedError> {
        self.remove()?;
        let hub = self.namespace("hub")?;
        ip_in(&hub, &["link", "add", BRIDGE, "type", "bridge"])?;
        ip_in(&hub, &["link", "set", BRIDGE, "up"])?;
        for index in 0..replicas {
            self.add_host(&hub, &format!("replica-{index}"))?;
        }
        for index in 0..generators {
            self.add_host(&hub, &format!("load-{index}"))?;
        }
        let addresses = |index: u32| {
            let address = self.replica(index)?.address();
            Ok(Addresses {
                peer: format!("{address}:{PEER_PORT}"),
                client: format!("{address}:{CLIENT_PORT}"),
                metrics: format!("{address}:{METRICS_PORT}"),
            })
        };
        (0..replicas).map(addresses).collect()
    }

    fn start(&mut self, plan: &ProcessPlan) -> Result<Box<dyn Process>, TestbedError> {
        let command = match self.hosts.get(&plan.name) {
            // `ip netns exec` becomes the program: the id of the child is that of the process.
            Some(host) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", host.namespace()]);
                command.arg(&plan.executable);
                command
            }
            None => Command::new(&plan.executable),
        };
        Ok(Box::new(local::spawn(plan, command)?))
    }

    fn end(&mut self, _: &mut EventLog) -> Result<(), TestbedError> {
        self.remove()
    }

    fn is_ready(&mut self, replica: u32, metrics: &str) -> bool {
        let Ok(host) = self.replica(replica) else {
            return false;
        };
        host.inside(|| ready::is_ready(metrics)).unwrap_or(false)
    }

    fn has_network(&self) -> bool {
        true
    }

    fn cut(&mut self, pairs: &BTreeSet<(u32, u32)>) -> Result<(), TestbedError> {
        let mut refused: BTreeMap<u32, Vec<Ipv4Addr>> = BTreeMap::new();
        for (from, to) in pairs {
            let address = self.replica(*from)?.address();
            refused.entry(*to).or_default().push(address);
        }
        for (process, host) in &mut self.hosts {
            let index = process.strip_prefix("replica-");
            if let Some(index) = index.and_then(|i| i.parse::<u32>().ok()) {
                host.refuse(refused.get(&index).map_or(&[], Vec::as_slice))?;
            }
        }
        Ok(())
    }

    fn limit(&mut self, replica: u32, bytes_per_s: Option<u64>) -> Result<(), TestbedError> {
        self.replica(replica)?.limit(bytes_per_s)
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        // After a failure; what stays behind is found by the next start.
        let _ = self.remove();
    }
}
