//! Whether the planned faults make sense one after the other, and whether the provider can do them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use measure::{Direction, FaultAction, PlannedFault};

use super::{Contradiction, DELAY_MS_MAX, require, smallest};
use crate::spec::{Durability, ProviderKind, Spec, Sweep};

/// What `tc` and the link shaper can say.
pub(super) const BANDWIDTH: RangeInclusive<u64> = 1_000..=125_000_000_000;

/// What a replica is, as the plan goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Down,
}

pub(super) fn check(key: &str, sweep: &Sweep, spec: &Spec) -> Result<(), Contradiction> {
    let mut plan: Vec<PlannedFault> = sweep.faults.clone().unwrap_or_default();
    plan.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let n = smallest(&sweep.axes.replicas);
    let durability = sweep.axes.durability.as_ref();
    let memory = durability.is_some_and(|list| list.0.contains(&Durability::Memory));
    let mut states: BTreeMap<u32, State> = BTreeMap::new();
    let mut cut_off: BTreeSet<u32> = BTreeSet::new();
    let lasts_s = (-spec.load.warmup_s, spec.duration_s_of(sweep));
    for fault in &plan {
        fits(key, fault, n, lasts_s)?;
        can(key, fault, spec.provider)?;
        if fault.action.is_of_network() {
            listens(key, fault, n, &states, spec.provider)?;
            match fault.action {
                FaultAction::Partition => cut_off.extend(ends(fault, n)),
                FaultAction::Heal => ends(fault, n).iter().for_each(|r| {
                    cut_off.remove(r);
                }),
                _ => {}
            }
            continue;
        }
        let PlannedFault {
            at_s,
            action,
            replica,
            ..
        } = *fault;
        let state = states.entry(replica).or_insert(State::Running);
        *state = match (action, *state) {
            (FaultAction::Crash, State::Running | State::Paused) => State::Down,
            (FaultAction::Restart, State::Down) => State::Running,
            (FaultAction::Pause, State::Running) => State::Paused,
            (FaultAction::Resume, State::Paused) => State::Running,
            (action, state) => {
                return Err((
                    key.to_owned(),
                    format!("{action:?} of replica {replica} at {at_s} s: it is {state:?} then"),
                ));
            }
        };
        let restart = action == FaultAction::Restart;
        require(!(restart && memory), key, || {
            "a restart needs durability = \"strict\": in memory mode a replica forgets its votes \
             and would not be correct any more"
                .into()
        })?;
        let forgets = restart && cut_off.contains(&replica);
        require(
            !forgets || spec.provider == ProviderKind::Netns,
            key,
            || {
                format!(
                    "restart of replica {replica} at {at_s} s within a partition needs provider = \"netns\": \
                     elsewhere replicas hold their links still themselves, and forget it"
                )
            },
        )?;
    }
    Ok(())
}

/// The replica and the other ends.
fn ends(fault: &PlannedFault, n: u32) -> Vec<u32> {
    let mut ends = fault.others(n);
    ends.push(fault.replica);
    ends
}

/// Times, indices and figures of one fault, and nothing that it has no use for.
fn fits(
    key: &str,
    fault: &PlannedFault,
    n: u32,
    (first_s, last_s): (f64, f64),
) -> Result<(), Contradiction> {
    let (at_s, action) = (fault.at_s, fault.action);
    for &replica in std::iter::once(&fault.replica).chain(&fault.peers) {
        require(replica < n, key, || {
            format!("replica {replica} does not exist in a committee of {n}")
        })?;
    }
    require(at_s >= first_s && at_s <= last_s, key, || {
        format!("at_s = {at_s} is outside the load, which lasts from {first_s} s to {last_s} s")
    })?;
    let links = action.is_of_network() && action != FaultAction::HostBandwidth;
    let different: BTreeSet<u32> = fault.peers.iter().copied().collect();
    let peers = different.len() == fault.peers.len() && !different.contains(&fault.replica);
    require(peers && (links || different.is_empty()), key, || {
        format!(
            "peers are of partition, heal and shape: different replicas, and not replica {} itself",
            fault.replica
        )
    })?;
    let direction = fault.direction.is_both() || action == FaultAction::Partition;
    require(direction, key, || "direction is of a partition".into())?;
    let delay = fault.delay_ms;
    let delays =
        delay.is_none_or(|ms| action == FaultAction::Shape && (0.0..=DELAY_MS_MAX).contains(&ms));
    require(delays, key, || {
        format!("delay_ms is of a shape, from 0 to {DELAY_MS_MAX}; found {delay:?}")
    })?;
    let bandwidth = fault.bandwidth_bytes_per_s;
    let limits = matches!(action, FaultAction::Shape | FaultAction::HostBandwidth);
    let limited = bandwidth.is_none_or(|b| limits && BANDWIDTH.contains(&b));
    require(limited, key, || {
        format!(
            "bandwidth_bytes_per_s is of a shape or host-bandwidth, from 1000 to 125000000000; \
             found {bandwidth:?}"
        )
    })
}

/// What needs a network of our own.
fn can(key: &str, fault: &PlannedFault, provider: ProviderKind) -> Result<(), Contradiction> {
    if provider == ProviderKind::Netns {
        return Ok(());
    }
    let found = provider.name();
    require(fault.direction == Direction::Both, key, || {
        format!(
            "a partition that holds one way needs provider = \"netns\", found {found:?}: there replicas \
             hold their links still themselves, which stops both ways"
        )
    })?;
    require(fault.action != FaultAction::HostBandwidth, key, || {
        format!(
            "host-bandwidth needs provider = \"netns\", found {found:?}; shape limits single links"
        )
    })
}

/// Who is told by its control socket must be able to listen: a frozen replica is not, and one that is down has
/// no links to shape.
fn listens(
    key: &str,
    fault: &PlannedFault,
    n: u32,
    states: &BTreeMap<u32, State>,
    provider: ProviderKind,
) -> Result<(), Contradiction> {
    let told: Vec<u32> = match (fault.action, provider) {
        (FaultAction::Shape, _) => vec![fault.replica],
        (FaultAction::HostBandwidth, _) | (_, ProviderKind::Netns) => Vec::new(),
        _ => ends(fault, n),
    };
    for replica in told {
        let state = states.get(&replica).copied().unwrap_or(State::Running);
        let down = state == State::Down && fault.action == FaultAction::Shape;
        require(state != State::Paused && !down, key, || {
            format!(
                "{} tells replica {replica}, which is {state:?} then",
                fault.summary()
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
