//! The page about a folder: what is in it, that it shows what its data says, that nothing gets out of its
//! place, and that the same folder gives the same bytes.

mod page;

use measure::files::write_json;
use measure::{FaultAction, RunFolder, folder};
use page::Page;
use results::{html_report, judge, write_report, write_summary};

use crate::drills;
use crate::sample::{RATE_TPS, SECOND_NS, START, Sample, write_campaign};

fn campaign(dir: &std::path::Path, samples: &mut [Sample]) {
    let mut runs = Vec::new();
    for (index, sample) in samples.iter_mut().enumerate() {
        sample.run.index = index as u32;
        sample.run.name = format!("{index:03}-{}", sample.run.name);
        sample.write_at(&dir.join(&sample.run.name));
        runs.push(sample.run.name.clone());
    }
    write_campaign(dir, "sample", "reforge run sample.toml", runs);
}

/// Baseline and ready in five pairs, at two rates, and a drill.
fn everything(dir: &std::path::Path) {
    let mut samples = Vec::new();
    for index in 0..10 {
        let mut sample = Sample::passing();
        sample.run.repetition = index / 2;
        sample.run.recovery = Some(index % 2 == 1);
        sample.run.name = format!("pair-{}-r{}", index % 2, index / 2);
        sample.latencies = vec![(1000, 5_000_000 + u64::from(index) * 10_000)];
        samples.push(sample);
    }
    let mut fast = Sample::passing();
    fast.run.name = "fast-r0".into();
    fast.load().measured.offered = 2_000;
    fast.load().measured.sent = 2_000;
    fast.load().measured.finished = 2_000;
    samples[3].bound_tps = Some(400.0);
    samples[4].fault(4, FaultAction::Crash, 3);
    let mut drill = drills::drill();
    drill.run.name = "drill-r0".into();
    samples.push(drill);
    samples.push(fast);
    campaign(dir, &mut samples);
    let run = RunFolder::open(&dir.join("003-pair-1-r1"));
    let picture = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    std::fs::write(run.replica(0).join("profile-0.svg"), picture).unwrap();
    run.seal().unwrap();
}

#[test]
fn a_page_has_all_parts_and_its_figures_are_those_of_the_data() {
    let dir = tempfile::tempdir().unwrap();
    everything(dir.path());
    let page = Page::of(html_report(dir.path()).unwrap());
    let anchors = [
        "results", "load", "spectrum", "timeline", "drills", "flames", "overhead",
    ];
    for anchor in anchors {
        assert!(
            page.html.contains(&format!("<section id=\"{anchor}\">")),
            "{anchor}"
        );
    }
    assert!(page.figures().len() > 250, "{}", page.figures().len());
    page.check_figures();
    let judged = serde_json::to_string(&judge(dir.path())).unwrap();
    let judged: serde_json::Value = serde_json::from_str(&judged).unwrap();
    assert!(
        page.data["summary"] == judged,
        "the embedded summary is another"
    );
    assert_eq!(page.shown("/summary/runs/3/dissemination/share"), "25.00");
    assert_eq!(
        page.shown("/summary/runs/10/drills/0/terms/converge_ns"),
        "100"
    );
    assert_eq!(page.shown("/timelines/4/marks/0/text"), "crash 3");
    assert!(page.html.contains("data:image/svg+xml;base64,"));
    assert!(
        !page.html.contains("alert(1)"),
        "a picture, not a part of the page"
    );
}

#[test]
fn what_a_folder_lacks_is_said_once_and_left_out() {
    let page = Page::of(html_report(&Sample::passing().write()).unwrap());
    page.check_figures();
    let line = page
        .html
        .split("not measured in this run: ")
        .nth(1)
        .unwrap();
    let line = line.split("</p>").next().unwrap();
    for what in [
        "dissemination bound",
        "latency against throughput",
        "overhead",
        "Eq. 5",
        "Eq. 7",
        "flamegraphs",
    ] {
        assert!(line.contains(what), "{what} in {line}");
    }
    assert!(
        !line.contains("timeline") && !line.contains("spectra"),
        "{line}"
    );
    for part in [
        "id=\"overhead\"",
        "id=\"drills\"",
        "id=\"flames\"",
        "id=\"load\"",
    ] {
        assert!(!page.html.contains(part), "{part}");
    }
}

#[test]
fn damaged_folders_still_make_a_page() {
    for name in ["fingerprint.json", "events.jsonl", "load-0", "replica-2"] {
        let sample = Sample::passing();
        let root = sample.write();
        let path = root.join(name);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).unwrap();
        } else {
            std::fs::write(&path, "{").unwrap();
        }
        let page = Page::of(html_report(&root).unwrap());
        page.check_figures();
        assert!(page.html.contains("v-Inconclusive") || page.html.contains("v-InvalidHarness"));
    }
    let empty = tempfile::tempdir().unwrap();
    let error = html_report(empty.path()).unwrap_err().to_string();
    assert!(
        error.contains("neither campaign.json nor run.json"),
        "{error}"
    );
}

#[test]
fn a_kept_judgement_alone_makes_a_page() {
    let dir = tempfile::tempdir().unwrap();
    everything(dir.path());
    write_summary(dir.path(), &judge(dir.path())).unwrap();
    let kept = tempfile::tempdir().unwrap();
    std::fs::copy(
        dir.path().join(folder::SUMMARY),
        kept.path().join(folder::SUMMARY),
    )
    .unwrap();
    let page = Page::of(html_report(kept.path()).unwrap());
    page.check_figures();
    assert!(page.html.contains("id=\"overhead\"") && page.html.contains("id=\"drills\""));
    let line = page
        .html
        .split("not measured in this run: ")
        .nth(1)
        .unwrap();
    assert!(line.contains("timeline") && line.contains("spectra") && line.contains("fingerprint"));
}

#[test]
fn nothing_from_a_file_becomes_markup() {
    let evil = "</script></title></style><script>alert('x')</script><img src=x onerror=\"y\">&amp;\"'\u{2028}";
    let mut sample = Sample::passing();
    sample.run.experiment = evil.into();
    sample.run.command = format!("reforge run {evil}");
    sample.run.rule = evil.into();
    sample.run.backend = evil.into();
    sample.run.scheme = evil.into();
    sample.load().saturated = true;
    sample.load().saturated_reason = Some(evil.into());
    let root = sample.write();
    let mut fingerprint: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join(folder::FINGERPRINT)).unwrap()).unwrap();
    fingerprint["cpu_model"] = evil.into();
    fingerprint["kernel"] = evil.into();
    write_json(&root.join(folder::FINGERPRINT), &fingerprint).unwrap();
    let page = Page::of(html_report(&root).unwrap());
    page.check_figures();
    assert_eq!(page.html.matches("<script").count(), 1, "the data alone");
    assert_eq!(page.html.matches("</script").count(), 1);
    assert_eq!(page.html.matches("</style").count(), 1);
    assert!(!page.html.contains("<img"));
    let (_, data) = page.html.split_once("<script").unwrap();
    assert!(!data.contains('\u{2028}') && !data.contains("<img") && !data.contains("&amp;"));
    assert_eq!(page.data["summary"]["experiment"], evil);
}

#[test]
fn a_page_fetches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    everything(dir.path());
    let html = html_report(dir.path()).unwrap();
    for part in ["http://", "https://", "<link", "@import", "url(", "<iframe"] {
        assert!(!html.contains(part), "{part}");
    }
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn the_same_folder_gives_the_same_bytes_wherever_it_lies_and_the_page_is_no_part_of_it() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    everything(one.path());
    everything(other.path());
    let html = html_report(one.path()).unwrap();
    assert_eq!(html, html_report(other.path()).unwrap());
    // Written into the folder of a run it breaks no seal and changes nothing.
    let sample = Sample::passing();
    let root = sample.write();
    let before = html_report(&root).unwrap();
    let path = write_report(&root, None).unwrap();
    assert_eq!(path, root.join("report.html"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), before);
    assert_eq!(html_report(&root).unwrap(), before);
}

#[test]
fn long_series_are_thinned_and_many_runs_are_bounded() {
    let mut sample = Sample::passing();
    let row = sample.series[0];
    sample.series = (0..20_000u32)
        .map(|second| {
            let mut row = row;
            row.t_s = f64::from(second + 1);
            row.monotonic_ns = START.monotonic_ns + u64::from(second + 1) * SECOND_NS;
            row.p99_ns = if second == 777 {
                99_000_000
            } else {
                row.p99_ns
            };
            row
        })
        .collect();
    let mut fraction = sample.series[19_999];
    fraction.interval_s = 0.01;
    fraction.monotonic_ns += 10_000_000;
    fraction.counts.finished = 1;
    sample.series.push(fraction);
    let page = Page::of(html_report(&sample.write()).unwrap());
    let timeline = &page.data["timelines"][0];
    let rows = timeline["rows"].as_array().unwrap();
    assert!(rows.len() <= 400, "{}", rows.len());
    assert_eq!(timeline["seconds_per_row"], 50);
    // Rates stay (a fraction of a second is part of its neighbour), and the worst second is not smoothed away.
    assert!(
        rows.iter()
            .all(|row| row["finished_tps"] == RATE_TPS as f64)
    );
    assert!(rows.iter().any(|row| row["p99_ns"] == 99_000_000));
    assert!(page.html.len() < 600_000, "{}", page.html.len());

    let dir = tempfile::tempdir().unwrap();
    let mut samples: Vec<Sample> = (0..60).map(|_| Sample::passing()).collect();
    for (index, sample) in samples.iter_mut().enumerate() {
        sample.run.name = format!("point{index}-r0");
    }
    campaign(dir.path(), &mut samples);
    let page = Page::of(html_report(dir.path()).unwrap());
    page.check_figures();
    assert_eq!(page.data["timelines"].as_array().unwrap().len(), 40);
    assert!(page.html.contains("timelines of 20 further runs"));
}

#[test]
fn flamegraphs_above_the_bound_are_named_not_embedded() {
    let sample = Sample::passing();
    let root = sample.write();
    let picture = format!("<svg>{}</svg>", "x".repeat(3 << 20));
    std::fs::write(root.join("replica-1/profile-0.svg"), picture).unwrap();
    let page = Page::of(html_report(&root).unwrap());
    assert!(page.html.contains("left out of this page for its size"));
    assert!(page.html.contains("replica-1/profile-0.svg"));
    assert!(page.html.len() < 1 << 20);
}
