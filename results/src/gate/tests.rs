use super::*;

fn counts(list: &[(&str, u64)]) -> BTreeMap<String, u64> {
    list.iter().map(|(name, n)| ((*name).into(), *n)).collect()
}

fn key() -> Key {
    Key {
        rustc: "rustc 1.95.0".into(),
        valgrind: "valgrind-3.19.0".into(),
        arch: "x86_64".into(),
        cpu: vec!["avx2".into()],
    }
}

fn baseline(list: &[(&str, u64)]) -> Baseline {
    Baseline::bless(key(), BTreeMap::new(), &counts(list), None)
}

fn verdict(now: &[(&str, u64)], before: &[(&str, u64)]) -> Verdict {
    gate(&counts(now), &baseline(before)).verdict
}

#[test]
fn more_than_the_tolerance_fails_and_less_does_not() {
    let before = [("a", 100_000), ("b", 50)];
    assert_eq!(verdict(&before, &before), Verdict::Pass);
    assert_eq!(
        verdict(&[("a", 102_900), ("b", 51)], &before),
        Verdict::Pass
    );
    let slower = [("a", 103_100), ("b", 50)];
    let report = gate(&counts(&slower), &baseline(&before));
    assert_eq!(report.verdict, Verdict::ThresholdFailed);
    let [reason] = &report.reasons[..] else {
        panic!("{:?}", report.reasons)
    };
    assert!(reason.text.contains("a takes +3.10 %"), "{}", reason.text);
}

#[test]
fn a_gain_passes_and_asks_to_be_kept() {
    let report = gate(&counts(&[("a", 90)]), &baseline(&[("a", 100)]));
    assert_eq!(report.verdict, Verdict::Pass);
    assert!(report.notes[0].contains("just bless"), "{:?}", report.notes);
}

#[test]
fn what_only_one_side_knows_is_no_pass() {
    assert_eq!(
        verdict(&[("a", 1), ("b", 1)], &[("a", 1)]),
        Verdict::Inconclusive
    );
    assert_eq!(
        verdict(&[("a", 1)], &[("a", 1), ("b", 1)]),
        Verdict::Inconclusive
    );
    assert_eq!(verdict(&[], &[]), Verdict::Inconclusive);
    assert_eq!(verdict(&[("a", 1)], &[("a", 0)]), Verdict::Inconclusive);
}

#[test]
fn against_another_revision_new_paths_are_told_and_lost_ones_are_no_pass() {
    let report = gate_against(&counts(&[("a", 1), ("b", 1)]), &counts(&[("a", 1)]));
    assert_eq!(report.verdict, Verdict::Pass);
    assert_eq!(report.notes, ["b is new"]);
    let report = gate_against(&counts(&[("a", 1)]), &counts(&[("a", 1), ("b", 1)]));
    assert_eq!(report.verdict, Verdict::Inconclusive);
}

#[test]
fn blessing_keeps_the_tolerances() {
    let mut before = baseline(&[("a", 100), ("b", 100)]);
    before.counts.get_mut("a").unwrap().tolerance = Some(0.1);
    assert_eq!(
        gate(&counts(&[("a", 109), ("b", 100)]), &before).verdict,
        Verdict::Pass
    );
    let after = Baseline::bless(
        key(),
        BTreeMap::new(),
        &counts(&[("a", 109)]),
        Some(&before),
    );
    assert_eq!(after.counts["a"].tolerance, Some(0.1));
    assert_eq!(after.counts["a"].instructions, 109);
    assert!(!after.counts.contains_key("b"));
    let text = serde_json::to_string(&after).unwrap();
    assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), after);
}

#[test]
fn the_lines_of_gungraun_are_read() {
    let line = |id: &str, ir: &str| {
        format!(
            r#"{{"module_path":"counted::codec::decode","id":"{id}","profiles":[{{"tool":"Callgrind",
            "data":{{"parts":[],"total":{{"metrics":{{"Ir":{{"values":{{"new":{ir}}}}}}},
            "regressions":[]}}}}}}]}}"#
        )
        .replace('\n', "")
    };
    let text = format!("{}\n{}\n", line("car", "17"), line("vote", "4"));
    let expected = counts(&[
        ("counted::codec::decode/car", 17),
        ("counted::codec::decode/vote", 4),
    ]);
    assert_eq!(read_counts(&text).unwrap(), expected);
    let twice = format!("{}\n{}\n", line("car", "17"), line("car", "17"));
    assert!(
        read_counts(&twice)
            .unwrap_err()
            .to_string()
            .contains("line 2")
    );
    assert!(read_counts(&line("car", "null")).is_err());
    assert!(read_counts("warning: something").is_err());
}
