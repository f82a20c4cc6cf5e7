//! Campaigns of interleaved pairs with a planted effect, or none.

use std::path::Path;

use results::{Conclusion, Figure, Judgement, Overhead, Question, Verdict, judge, table};

use crate::drills::drill;
use crate::sample::{Sample, write_campaign};

/// A few percent up or down, the same every time: what a noisy machine does to both of a pair alike,
/// and a little that it does not.
fn noise(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    (mixed % 1000) as f64 / 1000.0 - 0.5
}

/// Writes `pairs` pairs, recovery-ready slower by `effect`, and judges the campaign.
fn campaign(dir: &Path, pairs: u32, effect: f64, change: impl Fn(u32, &mut Sample)) -> Judgement {
    let mut names = Vec::new();
    for index in 0..2 * pairs {
        let repetition = index / 2;
        // A B, B A, …
        let ready = (index % 2 == 1) != (repetition % 2 == 1);
        let mut sample = Sample::passing();
        let drift = 1.0 + 0.2 * noise(u64::from(repetition));
        let own = 1.0 + 0.02 * noise(1_000 + u64::from(index));
        let ns = 5e6 * drift * own * if ready { 1.0 + effect } else { 1.0 };
        sample.latencies = vec![(1_000, ns as u64)];
        sample.run.repetition = repetition;
        sample.run.recovery = Some(ready);
        sample.run.name = format!("{index:03}-pair-r{repetition}");
        change(index, &mut sample);
        sample.write_at(&dir.join(&sample.run.name));
        names.push(sample.run.name.clone());
    }
    write_campaign(dir, "sample", "reforge run sample.toml", names);
    judge(dir)
}

fn find(judgement: &Judgement, question: Question, figure: Figure) -> &Overhead {
    let mut all = judgement.overhead.iter();
    let found = all.find(|o| (o.question, o.figure) == (question, figure));
    found.unwrap_or_else(|| panic!("{:#?}", judgement.overhead))
}

#[test]
fn a_planted_effect_of_three_percent_is_found_and_a_planted_null_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), 10, 0.03, |_, _| {});
    assert_eq!(judgement.verdict, Verdict::Pass, "{:?}", judgement.reasons);
    let latency = find(&judgement, Question::Ready, Figure::LatencyP50);
    assert_eq!(latency.ratios.len(), 10);
    assert_eq!(latency.conclusion, Conclusion::Higher);
    let estimate = latency.estimate.unwrap();
    assert!(estimate.low > 1.0 && estimate.low < 1.03 && estimate.high > 1.03);
    assert!((estimate.median - 1.03).abs() < 0.01, "{estimate:?}");
    // The same requests finished in both.
    let throughput = find(&judgement, Question::Ready, Figure::Throughput);
    assert_eq!(throughput.conclusion, Conclusion::NoDifference);
    assert!(
        judgement.overhead.iter().all(|o| o.paper.is_none()),
        "n = 4"
    );

    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), 10, 0.0, |_, _| {});
    let latency = find(&judgement, Question::Ready, Figure::LatencyP50);
    assert_eq!(latency.conclusion, Conclusion::NoDifference);
    // Sure, but too small to matter: half a percent on a silent machine.
    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), 10, 0.0, |index, sample| {
        let ready = sample.run.recovery == Some(true);
        let ns = if ready { 5_025_000 } else { 5_000_000 };
        sample.latencies = vec![(1_000, ns + u64::from(index))];
    });
    let latency = find(&judgement, Question::Ready, Figure::LatencyP50);
    assert!(latency.estimate.unwrap().low > 1.0);
    assert_eq!(latency.conclusion, Conclusion::NoDifference);
}

#[test]
fn the_same_campaign_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let one = campaign(dir.path(), 5, 0.03, |_, _| {});
    let again = judge(dir.path());
    assert_eq!(table(&one), table(&again));
    let bytes = |judgement| serde_json::to_vec(judgement).unwrap();
    assert_eq!(bytes(&one), bytes(&again));
}

#[test]
fn fewer_than_five_usable_pairs_say_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), 4, 0.03, |_, _| {});
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert!(judgement.reasons[0].text.contains("at least 5 pairs"));
    let latency = find(&judgement, Question::Ready, Figure::LatencyP50);
    assert_eq!(latency.conclusion, Conclusion::Inconclusive);
    // Runs that mean nothing make no pair.
    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), 5, 0.03, |index, sample| {
        sample.load().saturated = index == 3;
    });
    let latency = find(&judgement, Question::Ready, Figure::LatencyP50);
    assert_eq!(latency.ratios.len(), 4);
    assert_eq!(latency.conclusion, Conclusion::Inconclusive);
    assert_eq!(judgement.verdict, Verdict::InvalidHarness);
}

#[test]
fn a_campaign_keeps_the_floors_under_its_ratios() {
    let judged = |pairs, throughput, latency| {
        let dir = tempfile::tempdir().unwrap();
        campaign(dir.path(), pairs, 0.03, |_, sample| {
            sample.run.thresholds.ready_throughput_min = throughput;
            sample.run.thresholds.ready_p50_max = latency;
        })
    };
    let kept = judged(10, Some(1.0), Some(1.04));
    assert_eq!(kept.verdict, Verdict::Pass, "{:?}", kept.reasons);
    let slow = judged(10, None, Some(1.02));
    assert_eq!(slow.verdict, Verdict::ThresholdFailed);
    let text = &slow.reasons[0].text;
    assert!(
        text.contains("median latency is 1.0") && text.contains("above 1.02"),
        "{text}"
    );
    let little = judged(10, Some(1.01), None);
    assert_eq!(little.verdict, Verdict::ThresholdFailed);
    assert!(little.reasons[0].text.contains("below 1.01"));
    // Too few pairs, or none at all, keep no floor.
    let few = judged(4, Some(0.5), None);
    assert_eq!(few.verdict, Verdict::Inconclusive);
    let dir = tempfile::tempdir().unwrap();
    let alone = campaign(dir.path(), 5, 0.0, |_, sample| {
        sample.run.recovery = Some(true);
        sample.run.thresholds.ready_p50_max = Some(2.0);
    });
    assert_eq!(alone.verdict, Verdict::Inconclusive);
}

#[test]
fn the_articles_figures_stand_beside_ours() {
    let dir = tempfile::tempdir().unwrap();
    let judgement = campaign(dir.path(), 5, 0.03, |_, sample| {
        sample.run.replicas = 7;
        for _ in 4..7 {
            sample.ledgers.push(sample.ledgers[0].clone());
            sample.reports.push(sample.reports[0].clone());
            sample.incidents.push(Vec::new());
        }
    });
    let latency = find(&judgement, Question::Ready, Figure::LatencyP50);
    let paper = latency.paper.as_ref().unwrap();
    assert_eq!(paper.ratio, 1.1287);
    assert!(paper.source.contains("USENIX Security 2025"));
    let text = table(&judgement);
    assert!(text.contains("+12.87 %"), "{text}");
    assert!(text.contains("higher"), "{text}");
}

#[test]
fn an_epoch_after_a_drill_is_measured_against_a_fresh_committee_of_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut names = Vec::new();
    for repetition in 0..5 {
        let mut post = drill();
        let mut fresh = Sample::passing();
        fresh.run.replicas = 2;
        fresh.run.recovery = Some(true);
        for (kind, sample) in [("post", &mut post), ("fresh", &mut fresh)] {
            sample.run.repetition = repetition;
            sample.run.name = format!("{:03}-{kind}-r{repetition}", names.len());
            sample.write_at(&dir.path().join(&sample.run.name));
            names.push(sample.run.name.clone());
        }
    }
    write_campaign(dir.path(), "sample", "reforge run sample.toml", names);
    let judgement = judge(dir.path());
    assert_eq!(judgement.verdict, Verdict::Pass, "{:?}", judgement.reasons);
    let throughput = find(&judgement, Question::Post, Figure::Throughput);
    assert_eq!((throughput.replicas, throughput.ratios.len()), (4, 5));
    assert_eq!(throughput.conclusion, Conclusion::NoDifference);
    // Five drills of one point in a row.
    let [stats] = &judgement.drills[..] else {
        panic!("{:?}", judgement.drills)
    };
    assert_eq!(
        (stats.point.as_str(), stats.runs, stats.passed),
        ("post", 5, 5)
    );
    assert_eq!(stats.terms["converge"].p99_ns, 100_000_000);
    assert_eq!(stats.terms["first-commit"].p50_ns, 120_000_000);
}
