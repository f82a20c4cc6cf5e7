//! One attack of a drill, term by term: Eq. 5 of Gong et al. (USENIX Security 2025), with the
//! definitions of the protocol's design. Everything is on one clock, `CLOCK_MONOTONIC` of the host.
//!
//! `T_safe_converge = T_detect + T_attribute + T_reconfigure + T_resync`, from `t0`: the later of the
//! two conflicting commits at correct replicas and of the moment from which both halves can talk.
//! * detect: until the first correct replica holds a verified conflict;
//! * attribute: until the last correct replica holds proofs against everybody who is left out;
//! * reconfigure: until the recovery block is final at the last of them;
//! * resync: until the last of them has executed its first ordinary block of the new epoch.
//!
//! A milestone cannot come before the one that it builds on: one that does (a replica takes over the
//! finished agreement before it has seen every proof) counts nothing, so that the terms add up.

mod readiness;

use std::collections::{BTreeMap, BTreeSet};

use measure::{Attack, DrillKind, DrillStep, EventKind, IncidentKind, IncidentLine};
use serde::{Deserialize, Serialize};

use crate::record::Record;
pub use readiness::Readiness;

/// What one attack came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// Number of the attack in the run, from 0.
    pub attack: u32,
    /// `split` or `evict`.
    pub kind: String,
    /// Who attacked.
    pub attackers: Vec<u32>,
    /// Who is left out in the end, as correct replicas agreed.
    pub convicted: Vec<u32>,
    /// Of these, who did not attack. Anybody here is a defect.
    pub convicted_falsely: Vec<u32>,
    /// Offences by name, with the number of replicas that were convicted of one first by it, as seen
    /// by the correct replica that knows most.
    pub offences: BTreeMap<String, u64>,
    /// What the attackers did and saw of `t0` and after it.
    pub terms: Terms,
    /// The plan's steps that were not reached, in words.
    pub gave_up: Vec<String>,
    /// Eq. 3: `dT_recovery * rho_false_evict / (1 + rho_proof_capture)`, in seconds: how long the
    /// recovery took, weighted by the share of the evicted that had not attacked, and lightened by the
    /// share of the attackers against whom there is a proof. Zero where nobody is evicted falsely.
    pub lambda: Option<f64>,
    /// Eq. 7.
    #[serde(default)]
    pub readiness: Option<Readiness>,
    /// Height that both halves decided differently, lowest that was seen.
    pub split_height: Option<u64>,
    /// Deepest rollback: blocks undone at one replica, by the timelines and ledgers.
    pub blocks_undone_max: u64,
    /// Most transactions that one replica executed anew at another place or with another outcome.
    pub moved_max: u64,
    /// Of these, most that lost their effect at one replica.
    pub invalidated_max: u64,
    /// Batches that were handed in again, over all replicas.
    pub orphans: u64,
    /// False alarms: lies of peers about splits.
    pub false_alarms: u64,
    /// What clients saw.
    pub clients: ClientView,
}

/// Eq. 5 in nanoseconds; absent where the files do not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// `t0`.
    pub t0_ns: Option<u64>,
    /// `T_detect`; zero if it was known before the halves could talk.
    pub detect_ns: Option<u64>,
    /// `T_attribute`.
    pub attribute_ns: Option<u64>,
    /// `T_reconfigure`.
    pub reconfigure_ns: Option<u64>,
    /// `T_resync`.
    pub resync_ns: Option<u64>,
    /// The sum of all four.
    pub converge_ns: Option<u64>,
}

impl Terms {
    /// Names and values, in their order.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<u64>); 5] {
        [
            ("detect", self.detect_ns),
            ("attribute", self.attribute_ns),
            ("reconfigure", self.reconfigure_ns),
            ("resync", self.resync_ns),
            ("converge", self.converge_ns),
        ]
    }
}

/// The attack through the eyes of the generators.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ClientView {
    /// From `t0` to the first proven receipt of the new epoch that any client got.
    pub first_commit_ns: Option<u64>,
    /// Longest stretch of seconds without any finished request, from the attack on.
    pub outage_s: f64,
    /// Finished per second before the attack, from whole rows of the measured phase.
    pub before_tps: Option<f64>,
    /// Finished per second from two seconds after the first commit to the end of the measured phase or
    /// to the next attack.
    pub after_tps: Option<f64>,
    /// Median over these seconds of their median corrected latency.
    pub after_p50_ns: Option<u64>,
    /// Seconds in which some connection told of each mode, worst mode of a second only.
    pub seconds: BTreeMap<String, u64>,
}

/// Seconds after the first commit that are not yet "after": requests that waited end in them.
const SETTLED_NS: u64 = 2_000_000_000;

/// The reports of a run's attacks; nothing without a drill.
#[must_use]
pub(crate) fn reports(record: &Record) -> Vec<DrillReport> {
    let Some(plan) = &record.run.drill else {
        return Vec::new();
    };
    let attacks = plan.attacks(record.run.replicas);
    let begins = |attack: &Attack| step_ns(record, attack.index, |s| is_begin(s, plan.kind));
    let mut reports = Vec::new();
    for (at, attack) in attacks.iter().enumerate() {
        let from_ns = begins(attack);
        let until_ns = attacks.get(at + 1).and_then(begins).unwrap_or(u64::MAX);
        // Liars lie from their start on: what was found before anybody looked counts as well.
        let from_ns = match plan.kind {
            DrillKind::Evict => from_ns.map(|_| 0),
            DrillKind::Split => from_ns,
        };
        let kind = match plan.kind {
            DrillKind::Split => "split",
            DrillKind::Evict => "evict",
        };
        let mut report = DrillReport {
            attack: attack.index,
            kind: kind.into(),
            attackers: attack.attackers.clone(),
            gave_up: gave_up(record, attack.index),
            ..DrillReport::default()
        };
        if let Some(from_ns) = from_ns {
            let window = Window::new(record, from_ns, until_ns);
            report.fill(record, &window, plan.kind);
        }
        reports.push(report);
    }
    reports
}

fn is_begin(step: &DrillStep, kind: DrillKind) -> bool {
    match kind {
        DrillKind::Split => *step == DrillStep::Cut,
        DrillKind::Evict => *step == DrillStep::Attack,
    }
}

fn steps(record: &Record, index: u32) -> impl Iterator<Item = (u64, &DrillStep)> {
    record
        .events
        .iter()
        .filter_map(move |event| match &event.kind {
            EventKind::Drill { attack, step } if *attack == index => {
                Some((event.monotonic_ns, step))
            }
            _ => None,
        })
}

fn step_ns(record: &Record, index: u32, is: impl Fn(&DrillStep) -> bool) -> Option<u64> {
    let mut found = steps(record, index).filter(|(_, step)| is(step));
    found.next().map(|(at_ns, _)| at_ns)
}

fn gave_up(record: &Record, index: u32) -> Vec<String> {
    let what = steps(record, index).filter_map(|(_, step)| match step {
        DrillStep::GaveUp { what } => Some(what.clone()),
        _ => None,
    });
    what.collect()
}

/// The timelines of the correct replicas between two moments.
struct Window<'a> {
    from_ns: u64,
    until_ns: u64,
    lines: Vec<(u32, Vec<&'a IncidentLine>)>,
}

impl<'a> Window<'a> {
    fn new(record: &'a Record, from_ns: u64, until_ns: u64) -> Window<'a> {
        let within = |line: &&IncidentLine| (from_ns..until_ns).contains(&line.at_ns);
        let lines = record.incidents.iter();
        let lines = lines.map(|(replica, all)| (*replica, all.iter().filter(within).collect()));
        Window {
            from_ns,
            until_ns,
            lines: lines.collect(),
        }
    }

    /// Every line.
    fn all(&self) -> impl Iterator<Item = &'a IncidentLine> {
        self.lines
            .iter()
            .flat_map(|(_, lines)| lines.iter().copied())
    }

    /// When the last of `correct` got to what `is` says; nothing if one of them never did.
    fn last_first(&self, correct: &[u32], is: impl Fn(&IncidentKind) -> bool) -> Option<u64> {
        let first = |replica: &u32| {
            let (_, lines) = self.lines.iter().find(|(index, _)| index == replica)?;
            let found = lines.iter().filter(|line| is(&line.what));
            found.map(|line| line.at_ns).min()
        };
        let firsts: Option<Vec<u64>> = correct.iter().map(first).collect();
        firsts?.into_iter().max()
    }
}

impl DrillReport {
    fn fill(&mut self, record: &Record, window: &Window<'_>, kind: DrillKind) {
        self.convicted = match kind {
            DrillKind::Split => convicted(window),
            DrillKind::Evict => evicted(window, record.run.replicas),
        };
        let falsely = self.convicted.iter().copied();
        self.convicted_falsely = falsely
            .filter(|replica| !self.attackers.contains(replica))
            .collect();
        self.offences = offences(window);
        self.split_height = steps(record, self.attack).find_map(|(_, step)| match step {
            DrillStep::SplitSeen { height } => Some(*height),
            _ => None,
        });
        for line in window.all() {
            match &line.what {
                IncidentKind::Merged {
                    moved,
                    invalidated,
                    orphans,
                    ..
                } => {
                    self.moved_max = self.moved_max.max(*moved);
                    self.invalidated_max = self.invalidated_max.max(*invalidated);
                    self.orphans += orphans;
                }
                IncidentKind::FalseAlarm { .. } => self.false_alarms += 1,
                _ => {}
            }
        }
        self.blocks_undone_max = blocks_undone(record, window);
        self.terms = self.terms(record, window, kind);
        self.lambda = self.lambda();
        self.readiness = readiness::of(self, window, &record.run.correct(), kind);
        self.clients = clients(record, window, self.terms.t0_ns);
    }

    fn terms(&self, record: &Record, window: &Window<'_>, kind: DrillKind) -> Terms {
        let correct = record.run.correct();
        let seen = step_ns(record, self.attack, |s| {
            matches!(s, DrillStep::SplitSeen { .. })
        });
        let healed = step_ns(record, self.attack, |s| *s == DrillStep::Healed);
        let t0_ns = match kind {
            // Without two commits there is nothing to recover from.
            DrillKind::Split => seen.and(healed).max(seen),
            // Without a split nothing is to be noticed before the first proof.
            DrillKind::Evict => first_conviction(window),
        };
        let is_conflict = |what: &IncidentKind| match kind {
            DrillKind::Split => matches!(what, IncidentKind::Conflict { .. }),
            DrillKind::Evict => matches!(what, IncidentKind::Convicted { .. }),
        };
        let conflicts = window.all().filter(|line| is_conflict(&line.what));
        let detected = conflicts.map(|line| line.at_ns).min();
        let all: BTreeSet<u32> = self.convicted.iter().copied().collect();
        let attributed = window.last_first(&correct, |what| match what {
            IncidentKind::Convicted { excluded, .. } => {
                !all.is_empty() && all.iter().all(|culprit| excluded.contains(culprit))
            }
            _ => false,
        });
        // Nothing is agreed on apart when somebody is evicted: the epoch without them begins.
        let is_clean = |members: &[u32]| !all.iter().any(|culprit| members.contains(culprit));
        let clean: BTreeSet<&str> = window
            .all()
            .filter_map(|line| match &line.what {
                IncidentKind::Merged { epoch, members, .. } if is_clean(members) => {
                    Some(epoch.as_str())
                }
                _ => None,
            })
            .collect();
        let reconfigured = window.last_first(&correct, |what| match (what, kind) {
            (IncidentKind::Committed { .. }, DrillKind::Split) => true,
            (IncidentKind::Merged { members, .. }, DrillKind::Evict) => is_clean(members),
            _ => false,
        });
        let resynced = window.last_first(&correct, |what| match what {
            IncidentKind::FirstBlock { epoch, .. } => {
                kind == DrillKind::Split || clean.contains(epoch.as_str())
            }
            _ => false,
        });
        let mut terms = Terms {
            t0_ns,
            ..Terms::default()
        };
        let Some(mut before_ns) = t0_ns else {
            return terms;
        };
        let mut term = |at_ns: Option<u64>| {
            let at_ns = at_ns?.max(before_ns);
            Some(at_ns - std::mem::replace(&mut before_ns, at_ns))
        };
        terms.detect_ns = term(detected);
        terms.attribute_ns = term(attributed);
        terms.reconfigure_ns = term(reconfigured);
        terms.resync_ns = term(resynced);
        let four = [
            terms.detect_ns,
            terms.attribute_ns,
            terms.reconfigure_ns,
            terms.resync_ns,
        ];
        terms.converge_ns = four.into_iter().sum();
        terms
    }

    fn lambda(&self) -> Option<f64> {
        let recovery_s = self.terms.converge_ns? as f64 * 1e-9;
        let evicted = self.convicted.len().max(1) as f64;
        let attackers = self.attackers.len().max(1) as f64;
        let captured = self.convicted.len() - self.convicted_falsely.len();
        let false_evict = self.convicted_falsely.len() as f64 / evicted;
        let proof_capture = captured as f64 / attackers;
        Some(recovery_s * false_evict / (1.0 + proof_capture))
    }
}

/// Whom the agreed value leaves out; before there is one, whom any correct replica has proofs against.
fn convicted(window: &Window<'_>) -> Vec<u32> {
    let agreed = window.all().find_map(|line| match &line.what {
        IncidentKind::Committed { excluded, .. } => Some(excluded.clone()),
        _ => None,
    });
    agreed.unwrap_or_else(|| {
        let known = window.all().filter_map(|line| match &line.what {
            IncidentKind::Convicted { excluded, .. } => Some(excluded.iter().copied()),
            _ => None,
        });
        let all: BTreeSet<u32> = known.flatten().collect();
        all.into_iter().collect()
    })
}

fn first_conviction(window: &Window<'_>) -> Option<u64> {
    let proofs = window
        .all()
        .filter(|line| matches!(line.what, IncidentKind::Convicted { .. }));
    proofs.map(|line| line.at_ns).min()
}

/// Who is no member any more after the last eviction.
fn evicted(window: &Window<'_>, replicas: u32) -> Vec<u32> {
    let merges = window.all().filter_map(|line| match &line.what {
        IncidentKind::Merged { members, .. } => Some((line.at_ns, members)),
        _ => None,
    });
    match merges.max_by_key(|(at_ns, _)| *at_ns) {
        None => Vec::new(),
        Some((_, members)) => (0..replicas).filter(|r| !members.contains(r)).collect(),
    }
}

fn offences(window: &Window<'_>) -> BTreeMap<String, u64> {
    let of = |lines: &Vec<&IncidentLine>| {
        let mut known = BTreeSet::new();
        let mut offences: BTreeMap<String, u64> = BTreeMap::new();
        for line in lines {
            if let IncidentKind::Convicted {
                culprits, offence, ..
            } = &line.what
            {
                let new = culprits.iter().filter(|culprit| known.insert(**culprit));
                *offences.entry(offence.clone()).or_default() += new.count() as u64;
            }
        }
        offences.retain(|_, count| *count > 0);
        offences
    };
    let all = window.lines.iter().map(|(_, lines)| of(lines));
    // The first of those that know most.
    all.reduce(|most, other| {
        let sum = |offences: &BTreeMap<String, u64>| offences.values().sum::<u64>();
        if sum(&other) > sum(&most) {
            other
        } else {
            most
        }
    })
    .unwrap_or_default()
}

/// Most blocks that a marker undid which belongs to a merge of this window.
fn blocks_undone(record: &Record, window: &Window<'_>) -> u64 {
    let merges = |replica: u32, height: u64| {
        let lines = window.lines.iter().find(|(index, _)| *index == replica);
        lines.is_some_and(|(_, lines)| lines.iter().any(|line| line.what.kept() == Some(height)))
    };
    let mut most = 0;
    for (replica, ledger) in &record.ledgers {
        let mut chain = BTreeMap::new();
        for entry in &ledger.records {
            if !entry.is_rollback() {
                chain.insert(entry.height, ());
                continue;
            }
            let undone = chain.split_off(&entry.height.saturating_add(1)).len() as u64;
            if merges(*replica, entry.height) {
                most = most.max(undone);
            }
        }
    }
    most
}

fn clients(record: &Record, window: &Window<'_>, t0_ns: Option<u64>) -> ClientView {
    let seen = record.loads.iter().flat_map(|load| &load.recovery.epochs);
    let commits = seen.filter_map(|epoch| epoch.first_commit_ns);
    let first_ns = commits
        .filter(|at_ns| (window.from_ns..window.until_ns).contains(at_ns))
        .min();
    let start_ns = record.loads.iter().map(|l| l.measure_start_ns).min();
    let end_ns = record.loads.iter().map(|l| l.measure_end_ns).max();
    let (start_ns, end_ns) = (start_ns.unwrap_or(0), end_ns.unwrap_or(0));
    let until_ns = window.until_ns.min(end_ns);
    let mut view = ClientView {
        first_commit_ns: first_ns
            .zip(t0_ns)
            .map(|(first_ns, t0_ns)| first_ns.saturating_sub(t0_ns)),
        before_tps: crate::judge::mean_tps(record, start_ns, window.from_ns),
        ..ClientView::default()
    };
    if let Some(first_ns) = first_ns {
        let settled_ns = first_ns + SETTLED_NS;
        view.after_tps = crate::judge::mean_tps(record, settled_ns, until_ns);
        view.after_p50_ns = median_p50_ns(record, settled_ns, until_ns);
    }
    let mut silent_s = 0.0;
    for row in &record.series {
        if row.monotonic_ns <= window.from_ns || row.monotonic_ns > until_ns {
            continue;
        }
        *view.seconds.entry(row.mode.name().into()).or_default() += 1;
        // Generators report the same second side by side.
        match row.counts.finished == 0 && row.counts.offered > 0 {
            true => silent_s += row.interval_s / f64::from(record.run.generators.max(1)),
            false => silent_s = 0.0,
        }
        view.outage_s = view.outage_s.max(silent_s);
    }
    view
}

/// Median of the seconds' medians, of rows that lie wholly between two moments.
pub(crate) fn median_p50_ns(record: &Record, from_ns: u64, until_ns: u64) -> Option<u64> {
    let rows = record.series.iter().filter(|row| {
        let begin_ns = row
            .monotonic_ns
            .saturating_sub((row.interval_s * 1e9) as u64);
        begin_ns >= from_ns && row.monotonic_ns <= until_ns && row.counts.finished > 0
    });
    let mut medians: Vec<u64> = rows.map(|row| row.p50_ns).collect();
    medians.sort_unstable();
    medians.get(medians.len().saturating_sub(1) / 2).copied()
}
