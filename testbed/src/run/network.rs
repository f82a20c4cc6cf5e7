//! Faults of links and hosts: by the provider's own network where it has one, else by the replicas, whose control
//! sockets are told to hold links still.

use std::collections::BTreeSet;

use measure::{Direction, FaultAction, PlannedFault};

use super::cluster::Cluster;
use super::sockets::Sockets;
use crate::error::TestbedError;
use crate::provider::{Provider, Told};
use crate::spec::{Point, Spec};

/// What is cut at the moment.
#[derive(Debug, Default)]
pub(super) struct Network {
    /// Nothing passes from the first to the second.
    cut: BTreeSet<(u32, u32)>,
}

impl Network {
    /// Does what a fault of the network asks for.
    pub(super) fn apply(
        &mut self,
        fault: &PlannedFault,
        spec: &Spec,
        point: &Point,
        sockets: &Sockets,
        cluster: &Cluster,
        provider: &mut dyn Provider,
    ) -> Result<(), TestbedError> {
        match fault.action {
            FaultAction::Partition | FaultAction::Heal => {
                let next = after(&self.cut, fault, point.replicas);
                match provider.has_network() {
                    true => provider.cut(&next)?,
                    false => provider.tell(&hold(&self.cut, &next, sockets, cluster))?,
                }
                self.cut = next;
                Ok(())
            }
            FaultAction::Shape => {
                let commands = shapes(fault, spec, point);
                provider.tell(&[sockets.told(fault.replica, commands)])
            }
            FaultAction::HostBandwidth => {
                provider.limit(fault.replica, fault.bandwidth_bytes_per_s)
            }
            FaultAction::Crash
            | FaultAction::Restart
            | FaultAction::Pause
            | FaultAction::Resume => Ok(()),
        }
    }
}

/// What is cut after a partition or a heal.
fn after(cut: &BTreeSet<(u32, u32)>, fault: &PlannedFault, replicas: u32) -> BTreeSet<(u32, u32)> {
    let mut next = cut.clone();
    let me = fault.replica;
    for peer in fault.others(replicas) {
        let (out, back) = ((me, peer), (peer, me));
        let pairs = match fault.direction {
            Direction::Both => vec![out, back],
            Direction::Out => vec![out],
            Direction::In => vec![back],
        };
        for pair in pairs {
            match fault.action {
                FaultAction::Heal => next.remove(&pair),
                _ => next.insert(pair),
            };
        }
    }
    next
}

/// Commands for both ends of every link that changes. Who is down has no links, and forgets them.
fn hold(
    cut: &BTreeSet<(u32, u32)>,
    next: &BTreeSet<(u32, u32)>,
    sockets: &Sockets,
    cluster: &Cluster,
) -> Vec<Told> {
    let mut all = Vec::new();
    let changed: BTreeSet<(u32, u32)> = cut.symmetric_difference(next).copied().collect();
    let ends: BTreeSet<u32> = changed.iter().map(|(from, _)| *from).collect();
    for replica in ends {
        if !cluster.is_up(replica) {
            continue;
        }
        let of_it = changed.iter().filter(|(from, _)| *from == replica);
        let commands = of_it.map(|&(from, peer)| {
            let command = match next.contains(&(from, peer)) {
                true => "block",
                false => "unblock",
            };
            format!("{{\"cmd\":\"{command}\",\"peer\":{peer}}}")
        });
        all.push(sockets.told(replica, commands.collect()));
    }
    all
}

/// One command per link; what the fault does not say is as the spec has it.
fn shapes(fault: &PlannedFault, spec: &Spec, point: &Point) -> Vec<String> {
    let base_ms = |to: u32| match &spec.wan {
        Some(wan) => wan.delay_ms(fault.replica, to),
        None => point.delay_ms,
    };
    let bandwidth = match fault.bandwidth_bytes_per_s {
        Some(bytes_per_s) => bytes_per_s.to_string(),
        None => "null".to_owned(),
    };
    let one = |to: u32| {
        let delay_ms = fault.delay_ms.unwrap_or_else(|| base_ms(to));
        format!(
            "{{\"cmd\":\"shape\",\"to\":{to},\"delay_ms\":{delay_ms:?},\"bandwidth_bytes_per_s\":{bandwidth}}}"
        )
    };
    fault.others(point.replicas).into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
