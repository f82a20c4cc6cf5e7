//! Free loopback ports for a committee.
//!
//! They come from outside the kernel's ephemeral range: an outgoing connection of one replica
//! could otherwise take the port of another that has not bound it yet, or connect to itself.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use crate::error::TestbedError;

/// Ports below are left to services.
const PORT_MIN: u16 = 10_000;

/// Different ports, all free at the moment of the return. Another process may still take one
/// before it is bound; the replica then says so and the run fails clearly.
pub(crate) fn free_ports(count: usize) -> Result<Vec<u16>, TestbedError> {
    let range = outside_ephemeral(
        &std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default(),
    );
    let span = usize::from(range.end - range.start);
    // Campaigns side by side begin at different places.
    let offset = std::process::id() as usize * 997 + measure::monotonic_ns() as usize / 1000;
    // Held until all are found, so that none is found twice.
    let listeners: Vec<(u16, TcpListener)> = (0..span)
        // More than there are cannot be found: nothing is tried then.
        .take(if count > span { 0 } else { span })
        .map(|step| range.start + ((offset + step) % span) as u16)
        .filter_map(|port| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?)))
        .take(count)
        .collect();
    if listeners.len() < count {
        return Err(TestbedError::Setup(format!(
            "expected {count} free loopback ports from {} to {}, found {}; \
             end the programs that hold them or use fewer replicas",
            range.start,
            range.end - 1,
            listeners.len()
        )));
    }
    Ok(listeners.into_iter().map(|(port, _)| port).collect())
}

/// The larger part outside the ephemeral range; everything when the kernel's file is unreadable.
fn outside_ephemeral(file: &str) -> Range<u16> {
    let mut bounds = file.split_whitespace().map(str::parse::<u16>);
    let (Some(Ok(low)), Some(Ok(high))) = (bounds.next(), bounds.next()) else {
        return PORT_MIN..u16::MAX;
    };
    let below = PORT_MIN..low.max(PORT_MIN);
    let above = high.saturating_add(1).max(PORT_MIN)..u16::MAX;
    match below.len().max(above.len()) {
        // A range that leaves next to nothing is ignored.
        0..=1024 => PORT_MIN..u16::MAX,
        _ if below.len() >= above.len() => below,
        _ => above,
    }
}

#[cfg(test)]
mod tests;
