//! From the files of a folder to the data of a page. What cannot be read is absent here: why, the
//! judgement says already.

use std::path::{Path, PathBuf};

use measure::files::{read_json, read_json_lines};
use measure::hdr::{merge_phase, new_histogram};
use measure::incident::read_incidents;
use measure::{
    Fingerprint, IncidentKind, LoadResult, MeasureError, Percentiles, Phase, ReplicaReport,
    RunFolder, folder,
};

use super::data::{Data, Point, Quantile, Recovery, ReplicaModes, Resources, SCHEMA, Spectrum};
use super::{flames, missing, timeline};
use crate::drill_stats::label;
use crate::judge::judge;
use crate::judgement::{Judgement, RunJudgement};

/// Timelines, points and recoveries that are drawn, each.
const DRAWN_MAX: usize = 40;
/// Rows of modes in one recovery.
const REPLICAS_MAX: usize = 16;
/// Above this the replicas' own reports are left out of the embedded summary.
const SUMMARY_BYTES_MAX: usize = 4 << 20;
/// Steps of a spectrum per factor of ten.
const STEPS: i32 = 12;

/// # Errors
/// [`MeasureError`] when there is no run in the folder at all.
pub(super) fn collect(root: &Path) -> Result<Data, MeasureError> {
    let summary = summary(root)?;
    let folders: Vec<PathBuf> = summary.runs.iter().map(|run| home(root, run)).collect();
    let mut data = Data {
        schema: SCHEMA,
        machine: None,
        machines_differ: 0,
        resources: Vec::new(),
        points: Vec::new(),
        timelines: Vec::new(),
        recoveries: Vec::new(),
        flames: Vec::new(),
        missing: Vec::new(),
        left_out: Vec::new(),
        summary,
    };
    machine(&mut data, &folders);
    for (index, home) in folders.iter().enumerate() {
        let run = &data.summary.runs[index];
        let loads = loads(home, run);
        data.resources.push(resources(run, &loads));
        if data.timelines.len() < DRAWN_MAX {
            data.timelines
                .extend(timeline::timeline(index, home, run, &loads));
        }
        for attack in 0..run.drills.len() {
            if data.recoveries.len() < DRAWN_MAX {
                let recovery = recovery(index, attack, home, run);
                data.recoveries.extend(recovery);
            }
        }
    }
    data.points = points(&data.summary, &folders);
    data.flames = flames::find(&data.summary, &folders, &mut data.left_out);
    let undrawn = data.summary.runs.len().saturating_sub(DRAWN_MAX);
    if undrawn > 0 && !data.timelines.is_empty() {
        data.left_out
            .push(format!("timelines of {undrawn} further runs"));
    }
    shrink(&mut data);
    data.missing = missing::list(&data);
    Ok(data)
}

/// Judged from the files; where only the judgement was kept, that.
fn summary(root: &Path) -> Result<Judgement, MeasureError> {
    let has = |name: &str| root.join(name).exists();
    if has(folder::CAMPAIGN) || has(folder::RUN) {
        return Ok(judge(root));
    }
    if has(folder::SUMMARY) {
        return read_json(&root.join(folder::SUMMARY), "judgement");
    }
    Err(MeasureError::Malformed {
        path: root.to_path_buf(),
        expected: "folder of a run or a campaign",
        found: "neither campaign.json nor run.json nor summary.json in it".into(),
    })
}

/// Where a run's files lie. The name comes from a file: it must not lead out of the folder.
fn home(root: &Path, run: &RunJudgement) -> PathBuf {
    if root.join(folder::CAMPAIGN).exists() && !run.name.contains(['/', '\\']) && run.name != ".." {
        root.join(&run.name)
    } else {
        root.to_path_buf()
    }
}

fn machine(data: &mut Data, folders: &[PathBuf]) {
    for home in folders {
        let Ok(mut found) =
            read_json::<Fingerprint>(&home.join(folder::FINGERPRINT), "fingerprint")
        else {
            continue;
        };
        match &data.machine {
            None => data.machine = Some(found),
            Some(first) => {
                // How busy it was is no part of which it was.
                found.load_average_hundredths = first.load_average_hundredths;
                data.machines_differ += usize::from(found != *first);
            }
        }
    }
}

fn loads(home: &Path, run: &RunJudgement) -> Vec<LoadResult> {
    let generators = run.point.as_ref().map_or(0, |point| point.generators);
    let part = |index| RunFolder::open(home).load(index).join(folder::LOAD);
    let read = |index| read_json(&part(index), "load result").ok();
    (0..generators).filter_map(read).collect()
}

fn resources(run: &RunJudgement, loads: &[LoadResult]) -> Resources {
    let reports = || run.replicas.iter().filter_map(|r| r.report.as_ref());
    let cores = |report: &ReplicaReport| {
        let ran_ns = report.stopped.monotonic_ns
            - report.started.monotonic_ns.min(report.stopped.monotonic_ns);
        (ran_ns > 0).then(|| report.usage.cpu_s() / (ran_ns as f64 * 1e-9))
    };
    let cores: Vec<f64> = reports().filter_map(cores).collect();
    Resources {
        replica_cores: (!cores.is_empty()).then(|| cores.iter().sum()),
        load_cpu_s: (!loads.is_empty()).then(|| loads.iter().map(|l| l.usage.cpu_s()).sum()),
        rss_bytes_max: reports()
            .map(|r| r.usage.rss_bytes_max)
            .max()
            .filter(|b| *b > 0),
    }
}

fn points(summary: &Judgement, folders: &[PathBuf]) -> Vec<Point> {
    let mut points: Vec<(String, &str, Vec<usize>)> = Vec::new();
    for (index, run) in summary.runs.iter().enumerate() {
        let configuration = run.point.as_ref().map_or("", |point| point.configuration());
        let name = label(&run.name).to_owned();
        match points
            .iter_mut()
            .find(|(l, c, _)| (l, *c) == (&name, configuration))
        {
            Some((_, _, runs)) => runs.push(index),
            None => points.push((name, configuration, vec![index])),
        }
    }
    let mut points: Vec<Point> = points
        .into_iter()
        .map(|(label, _, runs)| point(label, runs, summary, folders))
        .collect();
    // Spectra are what is large: those of the first points only.
    for point in points.iter_mut().skip(DRAWN_MAX) {
        point.spectrum = Spectrum::default();
    }
    points
}

fn point(label: String, runs: Vec<usize>, summary: &Judgement, folders: &[PathBuf]) -> Point {
    let merged = |file: &str| {
        let mut merged = new_histogram();
        for &index in &runs {
            let generators = summary.runs[index]
                .point
                .as_ref()
                .map_or(0, |p| p.generators);
            let home = RunFolder::open(&folders[index]);
            let paths: Vec<_> = (0..generators).map(|g| home.load(g).join(file)).collect();
            if let Ok(histogram) = merge_phase(&paths, Phase::Measure) {
                // Both have the bounds of `new_histogram`.
                let _ = merged.add(&histogram);
            }
        }
        let mut quantiles = Vec::new();
        let count = merged.len();
        for step in 0.. {
            let one_in = 10f64.powf(f64::from(step) / f64::from(STEPS));
            if one_in >= count as f64 {
                break;
            }
            let ns = merged.value_at_quantile(1.0 - 1.0 / one_in);
            quantiles.push(Quantile { one_in, ns });
        }
        if count > 0 {
            let (one_in, ns) = (count as f64, merged.max());
            quantiles.push(Quantile { one_in, ns });
        }
        (Percentiles::of(&merged), quantiles)
    };
    let (mut corrected, corrected_quantiles) = merged(folder::CORRECTED_HLOG);
    let (mut service, service_quantiles) = merged(folder::SERVICE_HLOG);
    // Without the histograms the percentiles of a single run are still known.
    if let ([only], 0) = (&runs[..], corrected.count) {
        corrected = summary.runs[*only].corrected;
        service = summary.runs[*only].service;
    }
    let median = |of: fn(&RunJudgement) -> f64| {
        let values: Vec<f64> = runs.iter().map(|r| of(&summary.runs[*r])).collect();
        measure::median(&values)
    };
    Point {
        label,
        series: series(&summary.runs[runs[0]]),
        offered_tps: median(|run| run.offered_tps),
        achieved_tps: median(|run| run.achieved_tps),
        runs,
        corrected,
        service,
        spectrum: Spectrum {
            corrected: corrected_quantiles,
            service: service_quantiles,
        },
    }
}

/// Everything that a point's line in a plot has in common.
fn series(run: &RunJudgement) -> String {
    let Some(point) = &run.point else {
        return String::new();
    };
    let mut text = format!(
        "n = {}, {}, {}, {}, {}{}",
        point.replicas,
        point.rule,
        point.scheme,
        point.durability,
        point.backend,
        if point.encryption { "+enc" } else { "" },
    );
    let mut add = |applies: bool, part: String| {
        if applies {
            text.push_str(", ");
            text.push_str(&part);
        }
    };
    add(point.auth != "none", format!("{} clients", point.auth));
    add(point.app != "kv", format!("{} application", point.app));
    add(point.size_bytes != 512, format!("{} B", point.size_bytes));
    add(point.delay_ms > 0.0, format!("{} ms links", point.delay_ms));
    add(point.wan_rtt_ms.is_some(), "regions".into());
    add(point.recovery.is_some(), point.configuration().into());
    let faults = point.fault_summary();
    add(faults != "-", faults);
    text
}

fn recovery(index: usize, attack: usize, home: &Path, run: &RunJudgement) -> Option<Recovery> {
    let (point, report) = (run.point.as_ref()?, &run.drills[attack]);
    let (t0_ns, converge_ns) = (report.terms.t0_ns?, report.terms.converge_ns?);
    let ms = |at_ns: u64| (at_ns as f64 - t0_ns as f64) * 1e-6;
    let until_ns = t0_ns + converge_ns + converge_ns / 2;
    let modes = |replica: u32| {
        let path = RunFolder::open(home)
            .replica(replica)
            .join(folder::INCIDENTS);
        let lines = read_incidents(&path).ok()?;
        let modes = lines.iter().filter_map(|line| match &line.what {
            IncidentKind::Mode { mode, .. } if line.at_ns < until_ns => {
                Some((ms(line.at_ns), mode.clone()))
            }
            _ => None,
        });
        let modes: Vec<_> = modes.take(64).collect();
        (!modes.is_empty()).then_some(ReplicaModes { replica, modes })
    };
    let correct = point.correct();
    let replicas: Vec<_> = correct
        .into_iter()
        .filter_map(modes)
        .take(REPLICAS_MAX)
        .collect();
    (!replicas.is_empty()).then_some(Recovery {
        run: index,
        attack,
        replicas,
    })
}

fn shrink(data: &mut Data) {
    let bytes = serde_json::to_vec(&data.summary).map_or(0, |bytes| bytes.len());
    if bytes > SUMMARY_BYTES_MAX {
        for run in &mut data.summary.runs {
            run.replicas.iter_mut().for_each(|r| r.report = None);
        }
        data.left_out
            .push("the replicas' own reports in the embedded data".into());
    }
}

/// Rows of all generators, by generator.
pub(super) fn series_rows(home: &Path, generators: u32) -> Vec<Vec<measure::SeriesRow>> {
    let part = |index| RunFolder::open(home).load(index).join(folder::SERIES);
    let read = |index| read_json_lines(&part(index), "series").ok();
    (0..generators).filter_map(read).collect()
}
