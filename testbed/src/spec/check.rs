//! Contradictions in a resolved spec, each with its key and, where the text has it, its line.

mod drill;
mod faults;

use std::collections::BTreeMap;

use measure::Thresholds;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::axes::{AxisLists, OneOrMany};
use super::{Arrival, LoadSpec, ProviderKind, Spec, Sweep, WanSpec};
use crate::config::{LOAD_KEYS, NODE_KEYS};
use crate::error::TestbedError;

/// Replicas of one committee; the protocol's signer sets end there too.
const REPLICAS_MAX: u32 = 128;
/// Bounds of one transaction, as loadgen and the protocol have them.
const SIZE_BYTES_MIN: u32 = 64;
const SIZE_BYTES_MAX: u32 = 256 * 1024;
const RATE_TPS_MIN: f64 = 0.1;
const RATE_TPS_MAX: f64 = 1e8;
const SECONDS_MAX: f64 = 86_400.0;
const DURATION_S_MIN: f64 = 0.1;
const IN_FLIGHT_MAX: u32 = 100_000;
const RUNS_MAX: usize = 10_000;
const DISSEMINATION_S_MAX: u32 = 60;
/// Bounds of `reforge limits`.
const BOUND_REPLICAS_MAX: u32 = 100;
const BOUND_SIZE_BYTES_MAX: u32 = 4096;
pub(super) const DELAY_MS_MAX: f64 = 10_000.0;
const REGIONS_MAX: usize = 32;
/// What `reforge adversary --act` takes.
const ACTS: [&str; 2] = ["proposal-to-two", "silent-leader"];

/// A key and what is wrong with it.
type Contradiction = (String, String);

pub(super) fn check(spec: &Spec, text: &str, origin: &str) -> Result<(), TestbedError> {
    find(spec).map_err(|(key, message)| TestbedError::SpecContradiction {
        origin: origin.to_owned(),
        line: line_of(text, &key),
        key,
        message,
    })
}

fn find(spec: &Spec) -> Result<(), Contradiction> {
    name("name", &spec.name)?;
    require(spec.seed <= i64::MAX as u64, "seed", || {
        "expected at most 2^63 - 1, the largest integer of TOML".into()
    })?;
    require(
        (1..=1000).contains(&spec.repetitions),
        "repetitions",
        || format!("expected 1 to 1000, found {}", spec.repetitions),
    )?;
    require(
        spec.dissemination_s <= DISSEMINATION_S_MAX,
        "dissemination_s",
        || {
            format!(
                "expected 0 to {DISSEMINATION_S_MAX}, found {}",
                spec.dissemination_s
            )
        },
    )?;
    load(&spec.load)?;
    capacity(spec)?;
    require(
        (1..=600_000).contains(&spec.timing.view_timeout_ms),
        "timing.view_timeout_ms",
        || {
            format!(
                "expected 1 to 600000, found {}",
                spec.timing.view_timeout_ms
            )
        },
    )?;
    if let Some(wan) = &spec.wan {
        regions(wan)?;
        let delays = spec.sweep.iter().any(|sweep| sweep.axes.delay_ms.is_some());
        require(!delays, "wan", || {
            "expected either regions or axes.delay_ms, found both".into()
        })?;
    }
    place(spec)?;
    own_keys("node", &spec.node, NODE_KEYS)?;
    own_keys("generator", &spec.generator, LOAD_KEYS)?;
    let mut names = BTreeMap::new();
    for (index, sweep) in spec.sweep.iter().enumerate() {
        let key = |rest: &str| format!("sweep.{index}.{rest}");
        name(&key("name"), &sweep.name)?;
        require(
            names.insert(sweep.name.as_str(), index).is_none(),
            &key("name"),
            || format!("expected different names, found {:?} twice", sweep.name),
        )?;
        axes(&key("axes"), &sweep.axes)?;
        let rates = sweep.axes.rate_tps.as_ref().map_or(0, |list| list.0.len());
        require(
            spec.load.in_flight.is_none() || rates == 1,
            &key("axes.rate_tps"),
            || {
                format!(
                    "a closed loop has no rate: expected at most one, which is ignored, found {rates}"
                )
            },
        )?;
        if spec.dissemination_s > 0 {
            bound(&key("axes"), &sweep.axes)?;
        }
        let bounds = sweep.thresholds.unwrap_or_default();
        thresholds(&key("thresholds"), bounds)?;
        ratios(&key("thresholds"), bounds, sweep, spec.dissemination_s)?;
        let duration_s = spec.duration_s_of(sweep);
        seconds(&key("duration_s"), duration_s, DURATION_S_MIN)?;
        faults::check(&key("faults"), sweep, spec)?;
        adversaries(&key("adversaries"), sweep)?;
        drill::check(&key("drill"), sweep, duration_s)?;
    }
    let runs = spec.points().len();
    require(runs <= RUNS_MAX, "axes", || {
        format!("expected at most {RUNS_MAX} runs, found {runs}; split the spec")
    })
}

/// What only some providers can do.
fn place(spec: &Spec) -> Result<(), Contradiction> {
    let provider = spec.provider;
    let local = provider == ProviderKind::Local;
    require(
        local || spec.dissemination_s == 0,
        "dissemination_s",
        || {
            format!(
                "is measured on loopback and no bound of provider {}; leave it out",
                provider.name()
            )
        },
    )?;
    let key = "network.host_bandwidth_bytes_per_s";
    let Some(bandwidth) = spec.network.host_bandwidth_bytes_per_s else {
        return Ok(());
    };
    require(provider == ProviderKind::Netns, key, || {
        format!("needs provider = \"netns\", found {:?}", provider.name())
    })?;
    require(faults::BANDWIDTH.contains(&bandwidth), key, || {
        format!("expected 1000 to 125000000000 bytes per second, found {bandwidth}")
    })
}

fn name(key: &str, name: &str) -> Result<(), Contradiction> {
    let fits = (1..=48).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    require(fits, key, || {
        format!("expected 1 to 48 letters, digits, `-` or `_`, found {name:?}")
    })
}

/// Two places must not say the same thing: what an axis or the load decides is not free.
fn own_keys(section: &str, table: &toml::Table, reserved: &[&str]) -> Result<(), Contradiction> {
    for key in reserved {
        let mut parts = key.split('.');
        let first = parts.next().and_then(|part| table.get(part));
        let found = parts.fold(first, |value, part| value?.get(part));
        require(found.is_none(), &format!("{section}.{key}"), || {
            "is decided by the axes, the load or the placement; set it there".into()
        })?;
    }
    Ok(())
}

fn seconds(key: &str, value: f64, least: f64) -> Result<(), Contradiction> {
    require((least..=SECONDS_MAX).contains(&value), key, || {
        format!("expected {least} to {SECONDS_MAX} seconds, found {value}")
    })
}

fn load(load: &LoadSpec) -> Result<(), Contradiction> {
    seconds("load.duration_s", load.duration_s, DURATION_S_MIN)?;
    seconds("load.warmup_s", load.warmup_s, 0.0)?;
    seconds("load.cooldown_s", load.cooldown_s, 0.0)?;
    let count = |key: &str, value: u64, most: u64| {
        require((1..=most).contains(&value), key, || {
            format!("expected 1 to {most}, found {value}")
        })
    };
    count("load.generators", load.generators.into(), 64)?;
    count(
        "load.connections",
        load.connections.unwrap_or(1).into(),
        1024,
    )?;
    shape(load)?;
    count("load.sessions", load.sessions.into(), 4096)?;
    count("load.keys", load.keys, 1 << 32)
}

/// A search sets the rate itself, and its goal is its threshold.
fn capacity(spec: &Spec) -> Result<(), Contradiction> {
    let Some(goal) = spec.capacity else {
        return Ok(());
    };
    let key = "capacity";
    let fits = RATE_TPS_MIN <= goal.low_tps
        && goal.low_tps < goal.high_tps
        && goal.high_tps <= RATE_TPS_MAX;
    require(fits, key, || {
        format!(
            "expected low_tps below high_tps, from {RATE_TPS_MIN} to {RATE_TPS_MAX}, found {} and {}",
            goal.low_tps, goal.high_tps
        )
    })?;
    let fits = (0.01..=1.0).contains(&goal.resolution)
        && (0.0..=1.0).contains(&goal.goodput_min)
        && goal.p99_ms_max > 0.0;
    require(fits, key, || {
        format!(
            "expected resolution = 0.01 to 1, goodput_min = 0 to 1 and p99_ms_max above 0, found {goal:?}"
        )
    })?;
    require(spec.load.in_flight.is_none(), key, || {
        "a closed loop has no rate to search for: drop load.in_flight".into()
    })?;
    for (index, sweep) in spec.sweep.iter().enumerate() {
        let place = format!("sweep.{index}");
        let bounds = sweep.thresholds.unwrap_or_default();
        require(
            bounds == Thresholds::default(),
            &format!("{place}.thresholds"),
            || "the goal of a search stands in [capacity]: drop the thresholds".into(),
        )?;
        require(sweep.drill.is_none(), &format!("{place}.drill"), || {
            "a drill has no capacity: drop it, or [capacity]".into()
        })?;
        let rates = sweep.axes.rate_tps.as_ref().map_or(0, |list| list.0.len());
        require(rates == 1, &format!("{place}.axes.rate_tps"), || {
            format!("a search sets the rate itself: drop the {rates} rates")
        })?;
    }
    Ok(())
}

/// A closed loop has a number in flight and nothing else; ramps and bursts are shapes of a rate.
fn shape(load: &LoadSpec) -> Result<(), Contradiction> {
    let closed = load.arrival == Arrival::Closed;
    require(closed == load.in_flight.is_some(), "load.in_flight", || {
        "expected a number with arrival = \"closed\", and none with another one".into()
    })?;
    if let Some(in_flight) = load.in_flight {
        let fits = (load.generators..=IN_FLIGHT_MAX).contains(&in_flight);
        require(fits, "load.in_flight", || {
            format!(
                "expected at least one per generator and at most {IN_FLIGHT_MAX}, found {in_flight}"
            )
        })?;
        require(load.shape().is_steady(), "load.arrival", || {
            "a closed loop has no rate to ramp or burst: drop load.ramp and load.burst".into()
        })?;
    }
    if let Some(ramp) = load.ramp {
        let fits = (0.01..=1.0).contains(&ramp.from) && (0.1..=SECONDS_MAX).contains(&ramp.over_s);
        require(fits, "load.ramp", || {
            format!("expected from = 0.01 to 1 and over_s from 0.1 on, found {ramp:?}")
        })?;
    }
    if let Some(burst) = load.burst {
        let fits = (0.01..=SECONDS_MAX).contains(&burst.every_s)
            && burst.length_s >= 0.001
            && burst.length_s < burst.every_s
            && (0.0..=1000.0).contains(&burst.factor);
        require(fits, "load.burst", || {
            format!(
                "expected length_s below every_s, from 0.001 and 0.01 on, and factor = 0 to 1000, found {burst:?}"
            )
        })?;
    }
    Ok(())
}

fn axes(key: &str, axes: &AxisLists) -> Result<(), Contradiction> {
    let key = |axis: &str| format!("{key}.{axis}");
    list(&key("rule"), &axes.rule, |_| Ok(()))?;
    list(&key("scheme"), &axes.scheme, |_| Ok(()))?;
    list(&key("durability"), &axes.durability, |_| Ok(()))?;
    list(&key("backend"), &axes.backend, |_| Ok(()))?;
    list(&key("encryption"), &axes.encryption, |_| Ok(()))?;
    list(&key("auth"), &axes.auth, |_| Ok(()))?;
    list(&key("app"), &axes.app, |_| Ok(()))?;
    list(&key("replicas"), &axes.replicas, |&n| {
        within((1..=REPLICAS_MAX).contains(&n), "1 to 128 replicas", n)
    })?;
    list(&key("rate_tps"), &axes.rate_tps, |&rate| {
        let fits = (RATE_TPS_MIN..=RATE_TPS_MAX).contains(&rate);
        within(fits, "0.1 to 1e8 transactions per second", rate)
    })?;
    list(&key("size_bytes"), &axes.size_bytes, |&size| {
        let fits = (SIZE_BYTES_MIN..=SIZE_BYTES_MAX).contains(&size);
        within(fits, "64 to 262144 bytes", size)
    })?;
    if axes.recovery.is_some() {
        list(&key("recovery"), &axes.recovery, |_| Ok(()))?;
    }
    if axes.delay_ms.is_some() {
        list(&key("delay_ms"), &axes.delay_ms, |&ms| {
            within((0.0..=DELAY_MS_MAX).contains(&ms), "0 to 10000 ms", ms)
        })?;
    }
    Ok(())
}

/// What `reforge limits` can measure.
fn bound(key: &str, axes: &AxisLists) -> Result<(), Contradiction> {
    let most = |name: &str, list: &Option<OneOrMany<u32>>, most: u32| {
        let found = list.iter().flat_map(|list| &list.0).max().copied();
        require(
            found.is_none_or(|found| found <= most),
            &format!("{key}.{name}"),
            || format!("expected at most {most} with dissemination_s, found {found:?}"),
        )
    };
    most("replicas", &axes.replicas, BOUND_REPLICAS_MAX)?;
    most("size_bytes", &axes.size_bytes, BOUND_SIZE_BYTES_MAX)
}

fn regions(wan: &WanSpec) -> Result<(), Contradiction> {
    let (key, rtt_ms) = ("wan.rtt_ms", &wan.rtt_ms);
    let regions = rtt_ms.len();
    require((1..=REGIONS_MAX).contains(&regions), key, || {
        format!("expected 1 to {REGIONS_MAX} regions, found {regions}")
    })?;
    for (row, times) in rtt_ms.iter().enumerate() {
        require(times.len() == regions, key, || {
            format!(
                "expected {regions} round trips per region, found {} in row {row}",
                times.len()
            )
        })?;
        for (column, &ms) in times.iter().enumerate() {
            let fits = (0.0..=2.0 * DELAY_MS_MAX).contains(&ms);
            let back = rtt_ms[column].get(row);
            require(fits && back == Some(&ms), key, || {
                format!(
                    "expected a symmetrical table of 0 to {} ms, found {ms} in row {row}, column {column}, and {back:?} the other way",
                    2.0 * DELAY_MS_MAX
                )
            })?;
        }
    }
    Ok(())
}

fn within(fits: bool, expected: &str, found: impl std::fmt::Display) -> Result<(), String> {
    fits.then_some(())
        .ok_or_else(|| format!("expected {expected}, found {found}"))
}

fn list<T: PartialEq + std::fmt::Debug>(
    key: &str,
    values: &Option<OneOrMany<T>>,
    each: impl Fn(&T) -> Result<(), String>,
) -> Result<(), Contradiction> {
    let values = values.as_ref().map_or(&[][..], |values| &values.0);
    require(!values.is_empty(), key, || {
        "expected at least one value, found an empty list".into()
    })?;
    for (index, value) in values.iter().enumerate() {
        each(value).map_err(|message| (key.to_owned(), message))?;
        require(!values[..index].contains(value), key, || {
            format!("found {value:?} twice; use `repetitions` to repeat points")
        })?;
    }
    Ok(())
}

fn thresholds(key: &str, thresholds: Thresholds) -> Result<(), Contradiction> {
    if let Some(goodput) = thresholds.goodput_min {
        require((0.0..=1.0).contains(&goodput), key, || {
            format!("expected goodput_min from 0 to 1, found {goodput}")
        })?;
    }
    for bound_ms in [thresholds.p50_ms_max, thresholds.p99_ms_max]
        .into_iter()
        .flatten()
    {
        require(bound_ms > 0.0 && bound_ms.is_finite(), key, || {
            format!("expected a positive bound in ms, found {bound_ms}")
        })?;
    }
    if let (Some(p50), Some(p99)) = (thresholds.p50_ms_max, thresholds.p99_ms_max) {
        require(p50 <= p99, key, || {
            format!("p50_ms_max = {p50} is above p99_ms_max = {p99}; no run can tell them apart")
        })?;
    }
    Ok(())
}

/// A floor under a ratio needs both of its sides in the campaign.
fn ratios(
    key: &str,
    bounds: Thresholds,
    sweep: &Sweep,
    dissemination_s: u32,
) -> Result<(), Contradiction> {
    if let Some(share) = bounds.dissemination_share_min {
        require(share > 0.0 && share <= 1.0, key, || {
            format!("expected dissemination_share_min above 0 and up to 1, found {share}")
        })?;
        require(dissemination_s > 0, key, || {
            "dissemination_share_min needs `dissemination_s` above 0: the bound is measured then"
                .into()
        })?;
    }
    let ratios = [bounds.ready_throughput_min, bounds.ready_p50_max];
    for ratio in ratios.into_iter().flatten() {
        require(ratio > 0.0 && ratio.is_finite(), key, || {
            format!("expected a positive ratio to the baseline, found {ratio}")
        })?;
        let both = sweep.axes.recovery.as_ref();
        let both =
            both.is_some_and(|OneOrMany(axis)| axis.contains(&true) && axis.contains(&false));
        require(both, key, || {
            "a ratio to the baseline needs `axes.recovery = [false, true]`".into()
        })?;
    }
    Ok(())
}

/// At most `f` different replicas of the smallest committee, with acts that exist.
fn adversaries(key: &str, sweep: &Sweep) -> Result<(), Contradiction> {
    let liars = sweep.adversaries.as_deref().unwrap_or_default();
    let n = smallest(&sweep.axes.replicas);
    let most = n.saturating_sub(1) / 3;
    require(liars.len() <= most as usize, key, || {
        format!(
            "expected at most {most} in a committee of {n}, found {}",
            liars.len()
        )
    })?;
    for (index, liar) in liars.iter().enumerate() {
        require(liar.replica < n, key, || {
            let replica = liar.replica;
            format!("replica {replica} does not exist in a committee of {n}")
        })?;
        let mut before = liars[..index].iter();
        require(
            before.all(|other| other.replica != liar.replica),
            key,
            || format!("found replica {} twice", liar.replica),
        )?;
        require(ACTS.contains(&liar.act.as_str()), key, || {
            format!("expected one of {}, found {:?}", ACTS.join(", "), liar.act)
        })?;
    }
    Ok(())
}

fn smallest(replicas: &Option<OneOrMany<u32>>) -> u32 {
    replicas
        .as_ref()
        .and_then(|list| list.0.iter().min().copied())
        .unwrap_or(0)
}

fn require(holds: bool, key: &str, message: impl FnOnce() -> String) -> Result<(), Contradiction> {
    if holds {
        Ok(())
    } else {
        Err((key.to_owned(), message()))
    }
}

/// Line of the longest part of a dotted path that stands in the text. A sweep inherits from the
/// base, so that `sweep.0.axes.rule` may have its line at `axes.rule`.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let table = DeTable::parse(text).ok()?;
    let parts: Vec<&str> = key.split('.').collect();
    let own = descend(table.get_ref(), &parts);
    let inherited = (parts[0] == "sweep" && parts.len() > 2)
        .then(|| descend(table.get_ref(), &parts[2..]))
        .flatten();
    let (_, offset) = match (own, inherited) {
        (Some(own), Some(inherited)) if inherited.0 + 2 > own.0 => inherited,
        (own, inherited) => own.or(inherited)?,
    };
    Some(text[..offset].matches('\n').count() + 1)
}

/// How many parts of the path were found, and where the last of them begins.
fn descend(table: &DeTable<'_>, parts: &[&str]) -> Option<(usize, usize)> {
    let (first, rest) = parts.split_first()?;
    let (key, value) = table
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == *first)?;
    let here = (1, key.span().start);
    Some(
        descend_value(value, rest)
            .map(|(depth, offset)| (depth + 1, offset))
            .unwrap_or(here),
    )
}

fn descend_value(value: &Spanned<DeValue<'_>>, parts: &[&str]) -> Option<(usize, usize)> {
    match value.get_ref() {
        DeValue::Table(table) => descend(table, parts),
        DeValue::Array(list) => {
            let (first, rest) = parts.split_first()?;
            let item = list.get(first.parse::<usize>().ok()?)?;
            let here = (1, item.span().start);
            Some(
                descend_value(item, rest)
                    .map(|(depth, offset)| (depth + 1, offset))
                    .unwrap_or(here),
            )
        }
        _ => None,
    }
}
