//! From lists to points: the product of the axes of every sweep, in an order against drift.

use measure::{PlannedAdversary, PlannedDrill, PlannedFault, Thresholds};

use super::axes::{App, Auth, Backend, Durability, OneOrMany, Rule, Scheme};
use super::{Spec, Sweep};

/// One run to be made: every axis has one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Place in the campaign's order.
    pub index: u32,
    /// Name of its run folder, unique in the campaign.
    pub name: String,
    /// Repetition of the same point, from 0.
    pub repetition: u32,
    /// Committee size.
    pub replicas: u32,
    /// Commit rule.
    pub rule: Rule,
    /// Signature scheme.
    pub scheme: Scheme,
    /// Durability.
    pub durability: Durability,
    /// Transport.
    pub backend: Backend,
    /// Encryption between replicas.
    pub encryption: bool,
    /// Client authentication.
    pub auth: Auth,
    /// Application.
    pub app: App,
    /// Offered rate of all generators together, transactions per second.
    pub rate_tps: f64,
    /// Length of the measured phase in seconds.
    pub duration_s: f64,
    /// Payload size in bytes.
    pub size_bytes: u32,
    /// Seed of this run; the same for the same repetition, so that points are comparable.
    pub seed: u64,
    /// Faults, sorted by time.
    pub faults: Vec<PlannedFault>,
    /// Replicas that lie.
    pub adversaries: Vec<PlannedAdversary>,
    /// The attack beyond the bound.
    pub drill: Option<PlannedDrill>,
    /// Whether replicas can recover; absent: left to them.
    pub recovery: Option<bool>,
    /// Delay of every link between replicas, one way.
    pub delay_ms: f64,
    /// Bounds.
    pub thresholds: Thresholds,
}

/// All points of all sweeps, once per repetition; every second round runs backwards (ABBA).
pub(super) fn expand(spec: &Spec) -> Vec<Point> {
    let mut round: Vec<Point> = spec
        .sweep
        .iter()
        .flat_map(|sweep| product(spec, sweep))
        .collect();
    for point in &mut round {
        if spec.load.in_flight.is_some() {
            point.rate_tps = 0.0;
        }
        let rate = match spec.load.in_flight {
            Some(in_flight) => format!("closed{in_flight}"),
            None => format!("{}tps", point.rate_tps.round()),
        };
        point.name = label(&point.name, &rate, point);
    }
    let mut all = Vec::with_capacity(round.len() * spec.repetitions as usize);
    for repetition in 0..spec.repetitions {
        for point in &round {
            let mut point = point.clone();
            point.index = all.len() as u32;
            point.repetition = repetition;
            point.seed = spec.seed.wrapping_add(u64::from(repetition));
            point.name = format!("{:03}-{}-r{repetition}", point.index, point.name);
            all.push(point);
        }
        round.reverse();
    }
    all
}

/// A point at another rate.
pub(crate) fn probe(point: &Point, index: u32, rate_tps: f64) -> Point {
    let mut probe = point.clone();
    let name = point.name.split_once('-').map_or("", |(_, name)| name);
    let tps = |rate: f64| format!("-{}tps", rate.round());
    let old = tps(point.rate_tps);
    // The last one: a sweep may be called after a rate.
    let at = name.rfind(&old).unwrap_or(0);
    let (before, after) = name.split_at(at);
    let after = after.replacen(&old, &tps(rate_tps), 1);
    probe.name = format!("{index:03}-{before}{after}");
    (probe.index, probe.rate_tps) = (index, rate_tps);
    probe
}

/// The probe that a folder is named after.
pub(crate) fn find_probe(spec: &Spec, name: &str) -> Option<Point> {
    spec.capacity?;
    let (index, rest) = name.split_once('-')?;
    let index = index.parse().ok()?;
    let (before, _) = rest.rsplit_once("tps")?;
    let rate_tps = before.rsplit('-').next()?.parse().ok()?;
    let mut probes = spec
        .points()
        .into_iter()
        .map(|point| probe(&point, index, rate_tps));
    probes.find(|probe| probe.name == name)
}

fn product(spec: &Spec, sweep: &Sweep) -> Vec<Point> {
    let axes = &sweep.axes;
    let mut faults = sweep.faults.clone().unwrap_or_default();
    faults.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    let start = Point {
        index: 0,
        name: sweep.name.clone(),
        repetition: 0,
        replicas: 0,
        rule: Rule::default(),
        scheme: Scheme::default(),
        durability: Durability::default(),
        backend: Backend::default(),
        encryption: false,
        auth: Auth::default(),
        app: App::default(),
        rate_tps: 0.0,
        duration_s: spec.duration_s_of(sweep),
        size_bytes: 0,
        seed: 0,
        faults,
        adversaries: sweep.adversaries.clone().unwrap_or_default(),
        drill: sweep.drill,
        recovery: None,
        delay_ms: 0.0,
        thresholds: sweep.thresholds.unwrap_or_default(),
    };
    let points = vec![start];
    let points = times(points, &axes.replicas, |p, v| p.replicas = v);
    let points = times(points, &axes.scheme, |p, v| p.scheme = v);
    let points = times(points, &axes.durability, |p, v| p.durability = v);
    let points = times(points, &axes.backend, |p, v| p.backend = v);
    let points = times(points, &axes.encryption, |p, v| p.encryption = v);
    let points = times(points, &axes.auth, |p, v| p.auth = v);
    let points = times(points, &axes.app, |p, v| p.app = v);
    let points = times(points, &axes.size_bytes, |p, v| p.size_bytes = v);
    let points = times(points, &axes.rate_tps, |p, v| p.rate_tps = v);
    let points = times(points, &axes.rule, |p, v| p.rule = v);
    let points = times(points, &axes.delay_ms, |p, v| p.delay_ms = v);
    // Innermost: what is measured against each other runs side by side.
    times(points, &axes.recovery, |p, v| p.recovery = Some(v))
}

fn times<T: Copy>(
    points: Vec<Point>,
    values: &Option<OneOrMany<T>>,
    set: impl Fn(&mut Point, T),
) -> Vec<Point> {
    let Some(OneOrMany(values)) = values else {
        return points;
    };
    let mut product = Vec::with_capacity(points.len() * values.len());
    for point in &points {
        for &value in values {
            let mut point = point.clone();
            set(&mut point, value);
            product.push(point);
        }
    }
    product
}

/// The sweep and what most often differs; the index makes the name unique.
fn label(sweep: &str, rate: &str, point: &Point) -> String {
    let delay = match point.delay_ms {
        0.0 => String::new(),
        ms => format!("-{ms}ms"),
    };
    let recovery = match point.recovery {
        None => "",
        Some(false) => "-baseline",
        Some(true) => "-ready",
    };
    format!(
        "{sweep}-n{}-{}-{}-{}-{}-{rate}{delay}{recovery}",
        point.replicas,
        point.rule.name(),
        point.scheme.name(),
        point.durability.name(),
        point.backend.name(),
    )
}
