//! Whether a drill can be carried out, and whether recovery from it can be expected at all.

use measure::{Attack, DrillKind, PlannedDrill};

use super::{Contradiction, LoadSpec, Sweep, require};

/// Links are cut this long before the attackers act, so a drill cannot begin at once.
const AT_S_MIN: f64 = 0.5;

pub(super) fn check(key: &str, sweep: &Sweep, load: &LoadSpec) -> Result<(), Contradiction> {
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
    let sizes = sweep.axes.replicas.as_ref().map_or(&[][..], |list| &list.0);
    for &n in sizes {
        let mut left = n;
        let mut before_s = AT_S_MIN;
        for attack in drill.attacks(n) {
            times(key, &attack, load, before_s)?;
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

fn times(key: &str, attack: &Attack, load: &LoadSpec, after_s: f64) -> Result<(), Contradiction> {
    let Attack { at_s, heal_s, .. } = *attack;
    require(at_s >= after_s && at_s < load.duration_s, key, || {
        format!(
            "expected at_s from {after_s} to below load.duration_s = {}, found {at_s}",
            load.duration_s
        )
    })?;
    let heals = heal_s.is_none_or(|heal_s| heal_s > at_s && heal_s < load.duration_s);
    require(heals, key, || {
        format!("expected heal_s between at_s and load.duration_s, found {heal_s:?}")
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
