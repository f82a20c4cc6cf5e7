//! Searches for the highest rate, from synthetic probes.

#[allow(dead_code)]
mod sample;

use std::path::Path;

use measure::files::write_json;
use measure::{CampaignRecord, CapacityGoal, SCHEMA_VERSION, Thresholds, folder};
use results::{Judgement, Verdict, judge, keeps_up, table};

use sample::{START, Sample};

const GOAL: CapacityGoal = CapacityGoal {
    low_tps: 80.0,
    high_tps: 120.0,
    resolution: 0.3,
    goodput_min: 0.99,
    p99_ms_max: 50.0,
};

type Change = fn(&mut Sample);

/// Every probe offers the sample's rate; what it is called decides how it is filed.
fn campaign(dir: &Path, probes: &[(f64, Change)]) -> Judgement {
    let mut names = Vec::new();
    for (index, (rate_tps, change)) in probes.iter().enumerate() {
        let mut sample = Sample::passing();
        sample.run.rate_tps = *rate_tps;
        sample.run.duration_s = 10.0 * 100.0 / rate_tps;
        sample.run.load.capacity = Some(GOAL);
        sample.run.thresholds = Thresholds::default();
        sample.run.name = format!("{index:03}-base-n4-{rate_tps}tps-r0");
        change(&mut sample);
        sample.write_at(&dir.join(&sample.run.name));
        names.push(sample.run.name.clone());
    }
    let record = CampaignRecord {
        schema: SCHEMA_VERSION,
        experiment: "sample".into(),
        spec_hash: "0123456789abcdef".into(),
        runs: names,
        begun: START,
        command: "reforge run sample.toml".into(),
    };
    write_json(&dir.join(folder::CAMPAIGN), &record).unwrap();
    judge(dir)
}

fn good(_: &mut Sample) {}

fn slow(sample: &mut Sample) {
    sample.latencies = vec![(1_000, 70_000_000)];
}

fn saturated(sample: &mut Sample) {
    sample.load().saturated = true;
}

#[test]
fn the_highest_rate_that_is_kept_up_with_is_the_capacity() {
    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), &[(80.0, good), (120.0, slow), (98.0, good)]);
    let [search] = &judgement.capacity[..] else {
        panic!("{:?}", judgement.capacity)
    };
    assert_eq!(search.point, "base-n4");
    assert_eq!(
        (search.held_tps, search.missed_tps),
        (Some(98.0), Some(120.0))
    );
    // Histograms have three digits.
    let because = search.missed_because.as_deref().unwrap();
    assert!(because.starts_with("p99 70."), "{because}");
    assert!(search.is_complete);
    // To be too fast is what the second probe was for.
    assert_eq!(judgement.verdict, Verdict::Pass, "{:?}", judgement.reasons);
    let kept: Vec<bool> = judgement.runs.iter().map(keeps_up).collect();
    assert_eq!(kept, [true, false, true]);
    let text = table(&judgement);
    assert!(
        text.contains("capacity of base-n4, repetition 0: 98 tx/s"),
        "{text}"
    );
}

#[test]
fn a_search_that_ended_early_or_met_another_limit_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), &[(80.0, good), (120.0, slow)]);
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(judgement.reasons[0].text.contains("reforge resume"));

    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(
        dir.path(),
        &[(80.0, good), (120.0, saturated), (98.0, good)],
    );
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(
        judgement.reasons[0]
            .text
            .contains("says nothing of the system")
    );

    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), &[(80.0, slow)]);
    assert_eq!(judgement.verdict, Verdict::ThresholdFailed);
    assert!(judgement.reasons[0].text.contains("capacity.low_tps"));
}
