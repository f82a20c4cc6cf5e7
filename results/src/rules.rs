//! The rules a run is judged by. Each looks at one thing and gives its reasons.

mod drill;

use std::collections::BTreeSet;

use measure::{Event, EventKind, FaultAction, LoadResult, PlannedFault, ReplicaReport};

use crate::consistency::Consistency;
use crate::judgement::{Reason, RunJudgement};
use crate::record::Record;
use crate::verdict::Verdict;

/// Offered and asked load may differ by this share, apart from the schedule's own randomness.
const OFFERED_TOLERANCE: f64 = 0.02;
/// A fault applied later than this after its planned time is another experiment.
const FAULT_LATE_NS_MAX: u64 = 1_000_000_000;
/// Nothing finished for this long at the end of the measured phase is no progress any more.
const STALL_S: f64 = 2.0;
/// Requests that have to be offered during a stall before it counts as one.
const STALL_OFFERED_MIN: u64 = 10;

type Reasons = Vec<Reason>;

fn say(reasons: &mut Reasons, verdict: Verdict, text: impl Into<String>) {
    reasons.push(Reason {
        verdict,
        text: text.into(),
    });
}

/// All rules, in the order of the lattice.
pub(crate) fn apply(record: &Record, run: &RunJudgement, reasons: &mut Reasons) {
    agreement(record, &run.consistency, reasons);
    receipts(record, &run.consistency, reasons);
    harness(record, reasons);
    generators(record, run, reasons);
    configuration(record, reasons);
    replicas(record, reasons);
    faults(record, reasons);
    drill::apply(record, run, reasons);
    progress(record, run, reasons);
    thresholds(record, run, reasons);
}

/// All replicas executed the same history, and enough of it was told twice.
fn agreement(record: &Record, consistency: &Consistency, reasons: &mut Reasons) {
    if let Some(divergence) = &consistency.divergence {
        say(
            reasons,
            Verdict::Diverged,
            format!(
                "replicas {} and {} differ in the {} of height {} ({} heights differ)",
                divergence.one,
                divergence.other,
                divergence.field,
                divergence.height,
                consistency.divergent_heights
            ),
        );
    }
    if record.run.replicas > 1 && consistency.heights_shared == 0 {
        say(
            reasons,
            Verdict::Inconclusive,
            "no height was executed by two replicas: agreement cannot be judged",
        );
    }
    for (replica, ledger) in &record.ledgers {
        if ledger.damaged {
            say(
                reasons,
                Verdict::InvalidHarness,
                format!("the ledger of replica {replica} is damaged, not just torn at its end"),
            );
        }
        if ledger.records.is_empty() {
            say(
                reasons,
                Verdict::Inconclusive,
                format!("the ledger of replica {replica} is empty"),
            );
        }
    }
}

/// What clients hold is what replicas executed.
fn receipts(record: &Record, consistency: &Consistency, reasons: &mut Reasons) {
    let bad = record.sum(|load| load.receipts_bad);
    if bad > 0 {
        say(
            reasons,
            Verdict::Diverged,
            format!("{bad} receipts do not hold against their commit certificate"),
        );
    }
    for load in &record.loads {
        if !load.options.trust_unchecked && load.total.finished > 0 && load.receipts_checked == 0 {
            say(
                reasons,
                Verdict::InvalidHarness,
                format!(
                    "generator {} counts {} finished requests and checked no receipt",
                    load.generator, load.total.finished
                ),
            );
        }
    }
    let finished = record.sum(|load| load.total.finished);
    if let Some(txs) = consistency.txs
        && finished > txs
    {
        say(
            reasons,
            Verdict::Inconclusive,
            format!("clients hold {finished} receipts, the ledgers tell of {txs} transactions"),
        );
    }
}

/// The harness says of itself that it failed or was interrupted.
fn harness(record: &Record, reasons: &mut Reasons) {
    let mut ready = false;
    let correct = record.run.correct();
    let is_attacker = |name: &str| {
        let index = name.strip_prefix("replica-").and_then(|i| i.parse().ok());
        index.is_some_and(|index: u32| !correct.contains(&index))
    };
    for event in &record.events {
        match &event.kind {
            EventKind::Ready => ready = true,
            EventKind::HarnessFailure { reason } => {
                say(reasons, Verdict::InvalidHarness, reason.clone());
            }
            EventKind::Interrupted => {
                say(reasons, Verdict::Inconclusive, "interrupted by the user");
            }
            EventKind::HostLost { host, reason } => say(
                reasons,
                Verdict::Inconclusive,
                format!("host {host} was lost: {reason}"),
            ),
            EventKind::ProcessExited {
                name,
                code,
                signal,
                expected: false,
                ..
            } if !is_attacker(name) => say(
                reasons,
                Verdict::Inconclusive,
                format!("{name} ended unasked (code {code:?}, signal {signal:?}); see its log"),
            ),
            _ => {}
        }
    }
    if !ready {
        say(
            reasons,
            Verdict::Inconclusive,
            "the replicas never became ready",
        );
    }
}

/// The load was the one asked for, and every request has a fate and a place in the record.
fn generators(record: &Record, run: &RunJudgement, reasons: &mut Reasons) {
    for load in &record.loads {
        let k = load.generator;
        if load.saturated {
            let why = load
                .saturated_reason
                .as_deref()
                .unwrap_or("no reason given");
            say(
                reasons,
                Verdict::InvalidHarness,
                format!("generator {k} was saturated itself: {why}"),
            );
        }
        if load.interrupted {
            say(
                reasons,
                Verdict::Inconclusive,
                format!("generator {k} was stopped before the end of its schedule"),
            );
        }
        if !load.measured.is_balanced() || !load.total.is_balanced() {
            say(
                reasons,
                Verdict::InvalidHarness,
                format!(
                    "generator {k}: its requests do not add up: {:?}",
                    load.total
                ),
            );
        }
    }
    if record.loads.len() != record.run.generators as usize {
        return;
    }
    let offered = run.outcomes.offered;
    if run.corrected.count != offered {
        say(
            reasons,
            Verdict::InvalidHarness,
            format!(
                "{offered} requests were offered, {} are in the latency record",
                run.corrected.count
            ),
        );
    }
    if record.run.load.in_flight.is_some() {
        // A closed loop offers what was answered.
        return;
    }
    let shape = &record.run.load.shape;
    let asked = record.run.rate_tps * shape.work_s(0.0, record.run.duration_s);
    // Five standard deviations of a Poisson count, which a constant schedule never needs.
    let tolerance = asked * OFFERED_TOLERANCE + 5.0 * asked.sqrt();
    if (offered as f64 - asked).abs() > tolerance && !record.loads.iter().any(|l| l.interrupted) {
        say(
            reasons,
            Verdict::InvalidHarness,
            format!("{asked:.0} requests were to be offered, {offered} were"),
        );
    }
}

/// Every process ran what the spec asked for.
fn configuration(record: &Record, reasons: &mut Reasons) {
    let run = &record.run;
    let mut differs = |who: String, what: &str, asked: &str, found: &str| {
        if asked != found {
            // Another transport is a legal fall-back, but not what was to be measured.
            let verdict = match what {
                "backend" => Verdict::Inconclusive,
                _ => Verdict::InvalidHarness,
            };
            say(
                reasons,
                verdict,
                format!("{who}: {what} {asked} was asked for, {found} ran"),
            );
        }
    };
    for report in record.reports.iter().flatten() {
        let who = || format!("replica {}", report.replica);
        differs(who(), "durability", &run.durability, &report.durability);
        differs(who(), "scheme", &run.scheme, &report.scheme);
        differs(who(), "rule", &run.rule, &report.rule);
        differs(who(), "backend", &run.backend, &report.backend);
        differs(who(), "client auth", &run.auth, &report.auth);
        differs(who(), "app", &run.app, &report.app);
        let (asked, found) = (run.encryption.to_string(), report.encryption.to_string());
        differs(who(), "encryption", &asked, &found);
    }
    for load in &record.loads {
        let who = || format!("generator {}", load.generator);
        differs(who(), "client auth", &run.auth, &load.options.auth);
        let (asked, found) = (run.size_bytes, load.options.size_bytes);
        differs(who(), "size_bytes", &asked.to_string(), &found.to_string());
    }
}

/// Every replica that was alive at the end left a report of a clean stop.
fn replicas(record: &Record, reasons: &mut Reasons) {
    let down = down_at_the_end(&record.run.faults);
    let correct = record.run.correct();
    let reports = record.reports.iter().enumerate();
    for (index, report) in reports.filter(|(index, _)| correct.contains(&(*index as u32))) {
        let text = match report {
            None if down.contains(&(index as u32)) => continue,
            None => format!("replica {index} left no report"),
            Some(ReplicaReport {
                clean_stop: true, ..
            }) => continue,
            Some(report) => format!(
                "replica {index} stopped by itself: {}",
                report.failure.as_deref().unwrap_or("no reason given")
            ),
        };
        say(reasons, Verdict::Inconclusive, text);
    }
}

fn down_at_the_end(faults: &[PlannedFault]) -> BTreeSet<u32> {
    let mut down = BTreeSet::new();
    for fault in faults {
        match fault.action {
            FaultAction::Crash => down.insert(fault.replica),
            FaultAction::Restart => down.remove(&fault.replica),
            // Neither a frozen replica nor one that is cut off is down.
            _ => false,
        };
    }
    down
}

/// Every planned fault happened, at about its time.
fn faults(record: &Record, reasons: &mut Reasons) {
    let Some(start_ns) = record.loads.iter().map(|l| l.measure_start_ns).min() else {
        return;
    };
    for planned in &record.run.faults {
        let due_ns = start_ns.saturating_add_signed((planned.at_s * 1e9) as i64);
        match applied_at(&record.events, planned) {
            None => say(
                reasons,
                Verdict::Inconclusive,
                format!("planned and not done: {}", planned.summary()),
            ),
            Some(at_ns) if at_ns.abs_diff(due_ns) > FAULT_LATE_NS_MAX => say(
                reasons,
                Verdict::Inconclusive,
                format!(
                    "{} came {:.1} s off",
                    planned.summary(),
                    at_ns.abs_diff(due_ns) as f64 * 1e-9
                ),
            ),
            Some(_) => {}
        }
    }
}

/// When a planned fault was applied.
pub(crate) fn applied_at(events: &[Event], planned: &PlannedFault) -> Option<u64> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::Fault {
            replica,
            action,
            planned_s,
            network,
        } if (*replica, *action) == (planned.replica, planned.action)
            && *planned_s == planned.at_s
            && network.as_ref().is_none_or(|network| network == planned) =>
        {
            Some(event.monotonic_ns)
        }
        _ => None,
    })
}

/// Requests finish, and still do so at the end.
fn progress(record: &Record, run: &RunJudgement, reasons: &mut Reasons) {
    if run.outcomes.offered == 0 {
        say(
            reasons,
            Verdict::Inconclusive,
            "no request was offered in the measured phase",
        );
        return;
    }
    if run.outcomes.finished == 0 {
        say(
            reasons,
            Verdict::NoProgress,
            format!("none of {} offered requests finished", run.outcomes.offered),
        );
        return;
    }
    let Some(end_ns) = record.loads.iter().map(measure_end_ns).max() else {
        return;
    };
    let from_ns = end_ns.saturating_sub((STALL_S * 1e9) as u64);
    let last: Vec<_> = record
        .series
        .iter()
        .filter(|row| row.monotonic_ns > from_ns && row.monotonic_ns <= end_ns + 500_000_000)
        .collect();
    let offered: u64 = last.iter().map(|row| row.counts.offered).sum();
    let finished: u64 = last.iter().map(|row| row.counts.finished).sum();
    if finished == 0 && offered >= STALL_OFFERED_MIN {
        say(
            reasons,
            Verdict::NoProgress,
            format!("nothing finished in the last {STALL_S} s of the measured phase"),
        );
    }
}

fn measure_end_ns(load: &LoadResult) -> u64 {
    load.measure_end_ns
}

/// The spec's bounds; a bound without data is not kept.
fn thresholds(record: &Record, run: &RunJudgement, reasons: &mut Reasons) {
    let bounds = &record.run.thresholds;
    if let (Some(least), Some(goodput)) = (bounds.goodput_min, run.goodput)
        && goodput < least
    {
        say(
            reasons,
            Verdict::ThresholdFailed,
            format!(
                "goodput {:.2} % is below {:.2} %",
                goodput * 100.0,
                least * 100.0
            ),
        );
    }
    if let Some(least) = bounds.dissemination_share_min {
        let least = least * 100.0;
        match &run.dissemination {
            None => say(
                reasons,
                Verdict::Inconclusive,
                format!(
                    "at least {least:.1} % of dissemination alone are asked for, which was not measured"
                ),
            ),
            Some(found) if found.share * 100.0 < least => say(
                reasons,
                Verdict::ThresholdFailed,
                format!(
                    "{:.1} % of the {:.0} tx/s of dissemination alone are below {least:.1} %",
                    found.share * 100.0,
                    found.bound_tps
                ),
            ),
            Some(_) => {}
        }
    }
    let corrected = &run.corrected;
    for (name, bound_ms, found_ns) in [
        ("p50", bounds.p50_ms_max, corrected.p50_ns),
        ("p99", bounds.p99_ms_max, corrected.p99_ns),
    ] {
        let found_ms = found_ns as f64 * 1e-6;
        if let Some(bound_ms) = bound_ms
            && corrected.count > 0
            && found_ms > bound_ms
        {
            say(
                reasons,
                Verdict::ThresholdFailed,
                format!("corrected {name} {found_ms:.1} ms is above {bound_ms} ms"),
            );
        }
    }
}
