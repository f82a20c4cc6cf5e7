//! From a folder to a judgement.

use std::collections::BTreeMap;
use std::path::Path;

use measure::files::{read_json, write_json};
use measure::{
    CampaignRecord, IncidentKind, LedgerRecord, MeasureError, RunFolder, SCHEMA_VERSION, folder,
};

use crate::capacity;
use crate::consistency::{Consistency, compare};
use crate::drill;
use crate::drill_stats;
use crate::floors;
use crate::judgement::{
    DisseminationShare, FaultEffect, Judgement, Reason, ReplicaSummary, RunJudgement,
};
use crate::overhead::{self, Conclusion, Overhead};
use crate::record::{self, Record};
use crate::rules;
use crate::tx_check;
use crate::verdict::Verdict;
use crate::wan;

/// Figures after a fault are taken from this long after the last one.
const SETTLED_AFTER_S: f64 = 5.0;

/// Judges a run folder or a campaign folder. What cannot be read is a reason, never a pass.
#[must_use]
pub fn judge(root: &Path) -> Judgement {
    let mut judgement = Judgement {
        schema: SCHEMA_VERSION,
        experiment: None,
        spec_hash: None,
        command: None,
        verdict: Verdict::Pass,
        reasons: Vec::new(),
        runs: Vec::new(),
        drills: Vec::new(),
        capacity: Vec::new(),
        overhead: Vec::new(),
    };
    if root.join(folder::CAMPAIGN).exists() {
        judge_campaign(root, &mut judgement);
    } else if root.join(folder::RUN).exists() {
        let run = judge_run(root);
        if let Some(point) = &run.point {
            judgement.experiment = Some(point.experiment.clone());
            judgement.spec_hash = Some(point.spec_hash.clone());
            judgement.command = Some(point.command.clone());
        }
        judgement.runs.push(run);
    }
    if judgement.runs.is_empty() {
        judgement.reasons.push(Reason {
            verdict: Verdict::Inconclusive,
            text: "expected campaign.json or run.json in the folder, found no run".into(),
        });
    }
    judgement.drills = drill_stats::stats(&judgement.runs);
    judgement.overhead = overhead::compare(&judgement.runs);
    judgement.capacity = capacity::searches(&judgement.runs);
    if root.join(folder::CAMPAIGN).exists() {
        let reasons = capacity::reasons(&judgement.capacity, &judgement.runs);
        judgement.reasons.extend(reasons);
    }
    let few = |o: &&Overhead| o.conclusion == Conclusion::Inconclusive;
    if let Some(first) = judgement.overhead.iter().find(few) {
        judgement.reasons.push(Reason {
            verdict: Verdict::Inconclusive,
            text: format!(
                "expected at least {} pairs of usable runs for a comparison, found {} ({})",
                overhead::PAIRS_MIN,
                first.ratios.len(),
                first.point
            ),
        });
    }
    let floors = floors::check(&judgement.runs, &judgement.overhead);
    judgement.reasons.extend(floors);
    let reasons = judgement.reasons.iter().map(|reason| reason.verdict);
    let runs = judgement.runs.iter().map(capacity::weight);
    judgement.verdict = reasons.chain(runs).max().unwrap_or(Verdict::Inconclusive);
    judgement
}

/// Writes `summary.json` into the folder, and into every run folder of a campaign.
///
/// # Errors
/// [`MeasureError::Io`].
pub fn write_summary(root: &Path, judgement: &Judgement) -> Result<(), MeasureError> {
    write_json(&root.join(folder::SUMMARY), judgement)?;
    if root.join(folder::CAMPAIGN).exists() {
        for run in &judgement.runs {
            let path = root.join(&run.name);
            if path.is_dir() {
                write_json(&RunFolder::open(&path).path(folder::SUMMARY), run)?;
            }
        }
    }
    Ok(())
}

fn judge_campaign(root: &Path, judgement: &mut Judgement) {
    let campaign: CampaignRecord = match read_json(&root.join(folder::CAMPAIGN), "campaign") {
        Ok(campaign) => campaign,
        Err(error) => {
            judgement.reasons.push(Reason {
                verdict: Verdict::InvalidHarness,
                text: error.to_string(),
            });
            return;
        }
    };
    for name in &campaign.runs {
        // Names come from a file: they must not lead out of the folder.
        let plain = !name.contains(['/', '\\']) && name != "..";
        if plain && root.join(name).is_dir() {
            let mut run = judge_run(&root.join(name));
            if run
                .point
                .as_ref()
                .is_some_and(|p| p.spec_hash != campaign.spec_hash)
            {
                add_reason(
                    &mut run,
                    Verdict::InvalidHarness,
                    "the run belongs to another spec than its campaign",
                );
            }
            judgement.runs.push(run);
        } else {
            judgement.reasons.push(Reason {
                verdict: Verdict::Inconclusive,
                text: format!("the planned run {name} is missing"),
            });
        }
    }
    judgement.experiment = Some(campaign.experiment);
    judgement.spec_hash = Some(campaign.spec_hash);
    judgement.command = Some(campaign.command);
}

fn add_reason(run: &mut RunJudgement, verdict: Verdict, text: &str) {
    run.reasons.push(Reason {
        verdict,
        text: text.to_owned(),
    });
    settle(run);
}

/// Worst reason first; without any the run passes.
fn settle(run: &mut RunJudgement) {
    run.reasons
        .sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    run.verdict = run
        .reasons
        .first()
        .map_or(Verdict::Pass, |reason| reason.verdict);
}

fn judge_run(root: &Path) -> RunJudgement {
    let mut reasons = Vec::new();
    let record = record::read(root, &mut reasons);
    let name = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let mut run = RunJudgement {
        name,
        verdict: Verdict::Inconclusive,
        reasons: Vec::new(),
        notes: Vec::new(),
        point: None,
        git: None,
        offered_tps: 0.0,
        achieved_tps: 0.0,
        goodput: None,
        outcomes: measure::Outcomes::default(),
        corrected: measure::Percentiles::default(),
        service: measure::Percentiles::default(),
        lag: measure::Percentiles::default(),
        seconds_p50_ns: None,
        receipts_checked: 0,
        receipts_bad: 0,
        reconnects: 0,
        failovers: 0,
        consistency: Consistency::default(),
        dissemination: None,
        wan_floor_p50_ms: None,
        fault_effect: None,
        drills: Vec::new(),
        transactions: None,
        replicas: Vec::new(),
    };
    if let Some(record) = record {
        fill(&mut run, &record);
        rules::apply(&record, &run, &mut reasons);
        run.point = Some(record.run);
    }
    run.reasons = reasons;
    settle(&mut run);
    run
}

/// Figures, without an opinion.
fn fill(run: &mut RunJudgement, record: &Record) {
    let duration_s = record.run.duration_s;
    run.outcomes = record.outcomes();
    run.offered_tps = run.outcomes.offered as f64 / duration_s;
    run.achieved_tps = run.outcomes.finished as f64 / duration_s;
    run.goodput = (run.outcomes.offered > 0)
        .then(|| run.outcomes.good() as f64 / run.outcomes.offered as f64);
    run.corrected = record.corrected;
    run.service = record.service;
    run.lag = record.lag;
    let start_ns = record.loads.iter().map(|l| l.measure_start_ns).min();
    let end_ns = record.loads.iter().map(|l| l.measure_end_ns).max();
    if let (Some(start_ns), Some(end_ns)) = (start_ns, end_ns) {
        run.seconds_p50_ns = drill::median_p50_ns(record, start_ns, end_ns);
    }
    run.receipts_checked = record.sum(|load| load.receipts_checked);
    run.receipts_bad = record.sum(|load| load.receipts_bad);
    run.reconnects = record.sum(|load| load.reconnects);
    run.failovers = record.sum(|load| load.failovers);
    run.consistency = compare(&record.ledgers);
    run.dissemination = record.bound_tps.map(|bound_tps| DisseminationShare {
        bound_tps,
        share: run.achieved_tps / bound_tps,
    });
    run.wan_floor_p50_ms = wan::floor_p50_ms(&record.run);
    run.fault_effect = fault_effect(record);
    run.drills = drill::reports(record);
    if !record.receipts.is_empty() {
        let (txs, sent) = (run.consistency.txs, record.sum(|load| load.total.sent));
        let chain = final_chain(record);
        let merged_ns = last_merge_ns(record);
        let receipts = record.receipts.iter();
        let receipts: Vec<_> = receipts
            .map(|(receipts, until_ns)| (receipts.clone(), *until_ns > merged_ns))
            .collect();
        run.transactions = Some(tx_check::check(&receipts, &chain, txs, sent));
    }
    run.notes = notes(record);
    if let Some(git) = record.fingerprint.as_ref().and_then(|f| f.git.as_ref()) {
        let dirty = if git.dirty { "-dirty" } else { "" };
        run.git = Some(format!("{}{dirty}", git.commit));
    }
    run.replicas = record
        .reports
        .iter()
        .enumerate()
        .map(|(index, report)| ReplicaSummary {
            replica: index as u32,
            height: record
                .ledgers
                .iter()
                .find(|(replica, _)| *replica == index as u32)
                .and_then(|(_, ledger)| ledger.records.iter().map(|r| r.height).max()),
            report: report.clone(),
        })
        .collect();
}

/// When the last correct replica merged for the last time; 0 if none did.
fn last_merge_ns(record: &Record) -> u64 {
    let lines = record.incidents.iter().flat_map(|(_, lines)| lines);
    let merges = lines.filter(|line| matches!(line.what, IncidentKind::Merged { .. }));
    merges.map(|line| line.at_ns).max().unwrap_or(0)
}

/// What stands in the end, told by all correct replicas together.
fn final_chain(record: &Record) -> BTreeMap<u64, LedgerRecord> {
    let mut chain = BTreeMap::new();
    for (_, ledger) in &record.ledgers {
        for (height, block) in ledger.chain() {
            chain.entry(height).or_insert(block);
        }
    }
    chain
}

fn notes(record: &Record) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note = |applies: bool, text: &str| {
        if applies {
            notes.push(text.to_owned());
        }
    };
    note(
        record.loads.iter().any(|load| load.options.trust_unchecked),
        "receipts were trusted unchecked",
    );
    note(
        record.run.durability == "memory",
        "memory durability: nothing is written to disk",
    );
    note(
        record.fingerprint.as_ref().is_some_and(|f| f.debug_build),
        "debug build: its timings mean nothing",
    );
    note(
        record
            .fingerprint
            .as_ref()
            .and_then(|f| f.git.as_ref())
            .is_some_and(|git| git.dirty),
        "the source tree had uncommitted changes",
    );
    notes
}

/// Throughput before and after the faults, from whole rows of the series.
fn fault_effect(record: &Record) -> Option<FaultEffect> {
    let applied: Vec<u64> = record
        .run
        .faults
        .iter()
        .filter_map(|fault| rules::applied_at(&record.events, fault))
        .collect();
    let (first_ns, last_ns) = (*applied.iter().min()?, *applied.iter().max()?);
    let start_ns = record.loads.iter().map(|l| l.measure_start_ns).min()?;
    let end_ns = record.loads.iter().map(|l| l.measure_end_ns).max()?;
    let settled_ns = last_ns + (SETTLED_AFTER_S * 1e9) as u64;
    let before_ns = if first_ns > start_ns + 1_000_000_000 {
        start_ns
    } else {
        record.loads.iter().map(|l| l.start.monotonic_ns).min()?
    };
    let mut outage_s: f64 = 0.0;
    let mut silent_s = 0.0;
    for row in &record.series {
        let judged = row.monotonic_ns > first_ns && row.monotonic_ns <= end_ns;
        if judged && row.counts.finished == 0 && row.counts.offered > 0 {
            // Generators report the same second side by side.
            silent_s += row.interval_s / f64::from(record.run.generators.max(1));
            outage_s = outage_s.max(silent_s);
        } else if judged {
            silent_s = 0.0;
        }
    }
    Some(FaultEffect {
        before_tps: mean_tps(record, before_ns, first_ns),
        after_tps: mean_tps(record, settled_ns, end_ns),
        outage_s,
    })
}

/// Finished per second in the rows that lie wholly between two moments; all generators.
pub(crate) fn mean_tps(record: &Record, from_ns: u64, until_ns: u64) -> Option<f64> {
    let mut finished = 0;
    let mut seconds = 0.0;
    for row in &record.series {
        let row_start_ns = row
            .monotonic_ns
            .saturating_sub((row.interval_s * 1e9) as u64);
        if row_start_ns >= from_ns && row.monotonic_ns <= until_ns {
            finished += row.counts.finished;
            seconds += row.interval_s;
        }
    }
    // Generators report the same seconds side by side.
    let seconds = seconds / f64::from(record.run.generators.max(1));
    (seconds > 0.0).then(|| finished as f64 / seconds)
}
