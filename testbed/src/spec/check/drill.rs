//! Whether a drill can be carried out, and whether recovery from it can be expected at all.

use measure::{Attack, DrillKind, Kill, PlannedDrill};

use super::{Contradiction, Sweep, require};
use crate::spec::Durability;

/// Links are cut this long before the attackers act, so a drill cannot begin at once.
const AT_S_MIN: f64 = 0.5;

pub(super) fn check(key: &str, sweep: &Sweep, duration_s: f64) -> Result<(), Contradiction> {
    let Some(drill) = &sweep.drill else {
        return Ok(());
    };
    let faults = sweep.faults.as_deref().unwrap_or_default();
    let liars = sweep.adversaries.as_deref().unwrap_or_default();
    require(faults.is_empty() && liars.is_empty(), key, || {
        "expected no faults and no adversaries beside a drill: who is correct must be plain".into()
    })?;
    let recovery = sweep.axes.recovery.as_ref();
    require(
        recovery.is_none_or(|list| !list.0.contains(&false)),
        key,
        || "needs recovery = true: a baseline stops at a split".into(),
    )?;
    require((1.0..=3600.0).contains(&drill.wait_s), key, || {
        format!("expected wait_s from 1 to 3600, found {}", drill.wait_s)
    })?;
    if let Some(kill) = drill.kill {
        killed(key, drill, kill, sweep)?;
    }
    let sizes = sweep.axes.replicas.as_ref().map_or(&[][..], |list| &list.0);
    for &n in sizes {
        let mut left = n;
        let mut before_s = AT_S_MIN;
        for attack in drill.attacks(n) {
            times(key, &attack, duration_s, before_s)?;
            who(key, drill, &attack, left)?;
            left = left.saturating_sub(attack.attackers.len() as u32);
            before_s = attack.heal_s.unwrap_or(attack.at_s);
        }
        let correct = drill.correct(n).len();
        require(correct >= 2, key, || {
            format!("expected at least two replicas that stay correct, found {correct} of {n}")
        })?;
    }
    Ok(())
}

/// Whoever is killed is correct, remembers what it signed, and comes back while it is waited for.
fn killed(key: &str, drill: &PlannedDrill, kill: Kill, sweep: &Sweep) -> Result<(), Contradiction> {
    let split = drill.kind == DrillKind::Split;
    require(split, key, || "kill needs kind = \"split\"".into())?;
    let durability = sweep.axes.durability.as_ref();
    let forgets = durability.is_some_and(|list| list.0.contains(&Durability::Memory));
    require(!forgets, key, || {
        "kill needs durability = \"strict\": in memory mode a replica forgets its votes and would not \
         be correct any more"
            .into()
    })?;
    let away_ms = kill.after_ms.saturating_add(kill.back_ms);
    require((away_ms as f64) < drill.wait_s * 1e3, key, || {
        format!("expected after_ms + back_ms below wait_s, found {away_ms} ms")
    })?;
    let sizes = sweep.axes.replicas.as_ref().map_or(&[][..], |list| &list.0);
    for &n in sizes {
        require(drill.correct(n).contains(&kill.replica), key, || {
            let replica = kill.replica;
            format!("kill: replica {replica} of {n} is not among those that stay correct")
        })?;
    }
    Ok(())
}

fn times(key: &str, attack: &Attack, duration_s: f64, after_s: f64) -> Result<(), Contradiction> {
    let Attack { at_s, heal_s, .. } = *attack;
    require(at_s >= after_s && at_s < duration_s, key, || {
        format!("expected at_s from {after_s} to below duration_s = {duration_s}, found {at_s}")
    })?;
    let heals = heal_s.is_none_or(|heal_s| heal_s > at_s && heal_s < duration_s);
    require(heals, key, || {
        format!("expected heal_s between at_s and duration_s = {duration_s}, found {heal_s:?}")
    })
}

/// Enough to split `n` members and few enough to recover from; or few enough to be evicted.
fn who(key: &str, drill: &PlannedDrill, attack: &Attack, n: u32) -> Result<(), Contradiction> {
    let f = n.saturating_sub(1) / 3;
    let q = n - f;
    let split = 2 * q - n;
    let most = split + (2 * f).saturating_sub(1) / 3;
    let found = attack.attackers.len() as u32;
    match drill.kind {
        DrillKind::Evict => {
            require((1..=f).contains(&found), key, || {
                format!("expected 1 to {f} attackers to evict of {n}, found {found}")
            })?;
            require(drill.second.is_none(), key, || {
                "expected no second attack after an eviction".into()
            })
        }
        DrillKind::Split => {
            require((split..=most).contains(&found), key, || {
                format!("expected {split} to {most} attackers to split {n}, found {found}")
            })?;
            let smaller = attack.sides.iter().map(Vec::len).min().unwrap_or(0) as u32;
            require(smaller >= 1 && smaller + found >= q, key, || {
                format!(
                    "{found} attackers and {smaller} of the smaller half are no quorum of {q}: that \
                     half commits nothing"
                )
            })
        }
    }
}
