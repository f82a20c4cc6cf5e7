use measure::FaultAction;

use super::*;
use crate::plan::Plan;

const BASE: &str = "name = \"x\"\n";

fn read(text: &str) -> Result<Spec, String> {
    Spec::from_toml(text, "x.toml", &[]).map_err(|e| e.to_string())
}

fn with(overrides: &[&str]) -> Result<Spec, String> {
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Spec::from_toml(BASE, "x.toml", &overrides).map_err(|e| e.to_string())
}

/// The error must name every one of `parts`.
#[track_caller]
fn refused(result: Result<Spec, String>, parts: &[&str]) {
    let error = result.expect_err("the spec was accepted");
    for part in parts {
        assert!(error.contains(part), "{part:?} is missing in: {error}");
    }
}

#[test]
fn a_name_is_enough_and_every_default_is_written_out() {
    let spec = read(BASE).unwrap();
    let points = spec.points();
    assert_eq!(points.len(), 1);
    assert_eq!(points[0].replicas, 4);
    assert_eq!(points[0].durability, Durability::Strict);
    let resolved = spec.resolved_toml();
    for key in ["rate_tps", "view_timeout_ms", "arrival", "two-chain"] {
        assert!(resolved.contains(key), "{key} is missing in\n{resolved}");
    }
}

#[test]
fn the_resolved_spec_reads_back_with_the_same_hash() {
    let text = include_str!("../../../specs/strict-n4.toml");
    let spec = read(text).unwrap();
    let again = read(&spec.resolved_toml()).unwrap();
    assert_eq!(again, spec);
    assert_eq!(again.hash(), spec.hash());
    assert_ne!(
        with(&["seed=2"]).unwrap().hash(),
        read(BASE).unwrap().hash()
    );
}

#[test]
fn every_spec_file_is_valid() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let spec = Spec::load(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(path.file_stem().unwrap().to_str().unwrap(), spec.name);
        names.push(spec.name);
    }
    assert!(names.len() >= 6, "{names:?}");
}

#[test]
fn quick_holds_what_it_promises() {
    let points = quick_spec(&[]).unwrap().points();
    for rule in [Rule::TwoChain, Rule::ThreeChain] {
        let rates: Vec<f64> = points
            .iter()
            .filter(|p| p.rule == rule && p.faults.is_empty())
            .map(|p| p.rate_tps)
            .collect();
        assert_eq!(rates, [1000.0, 50_000.0]);
    }
    assert!(points.iter().all(|p| p.replicas == 4));
    assert!(points.iter().any(|p| {
        p.faults
            .iter()
            .any(|fault| fault.action == FaultAction::Crash)
    }));
}

#[test]
fn axes_multiply_and_every_second_round_runs_backwards() {
    let spec = read(
        "name = \"x\"\nrepetitions = 2\n\
         [axes]\nreplicas = [4, 7]\nrule = [\"two-chain\", \"three-chain\"]\n",
    )
    .unwrap();
    let order: Vec<_> = spec
        .points()
        .iter()
        .map(|p| (p.replicas, p.rule.name(), p.repetition))
        .collect();
    assert_eq!(
        order,
        [
            (4, "two-chain", 0),
            (4, "three-chain", 0),
            (7, "two-chain", 0),
            (7, "three-chain", 0),
            (7, "three-chain", 1),
            (7, "two-chain", 1),
            (4, "three-chain", 1),
            (4, "two-chain", 1),
        ]
    );
    let names: std::collections::BTreeSet<_> = spec.points().into_iter().map(|p| p.name).collect();
    assert_eq!(names.len(), 8);
}

#[test]
fn sweeps_replace_what_they_name_and_inherit_the_rest() {
    let spec = read(
        "name = \"x\"\nthresholds = { goodput_min = 0.9 }\n\
         [axes]\nrate_tps = 5\nscheme = \"ed25519\"\n\
         [[sweep]]\nname = \"a\"\n\
         [[sweep]]\nname = \"b\"\naxes = { rate_tps = [1, 2] }\nthresholds = {}\n\
         faults = [{ at_s = 2, action = \"crash\", replica = 0 }, \
                   { at_s = 1, action = \"crash\", replica = 1 }]\n",
    )
    .unwrap();
    let points = spec.points();
    let rates: Vec<_> = points.iter().map(|p| p.rate_tps).collect();
    assert_eq!(rates, [5.0, 1.0, 2.0]);
    assert!(points.iter().all(|p| p.scheme == Scheme::Ed25519));
    assert_eq!(points[0].thresholds.goodput_min, Some(0.9));
    assert_eq!(points[1].thresholds.goodput_min, None);
    let order: Vec<_> = points[1].faults.iter().map(|f| f.replica).collect();
    assert_eq!(order, [1, 0], "faults are in the order of their times");
}

#[test]
fn syntax_errors_carry_their_line() {
    refused(
        read("name = \"x\"\ntypo = 1\n"),
        &["x.toml", "line 2", "typo"],
    );
    refused(
        read("name = \"x\"\n[axes]\nrule = [\"two-chain\", \"four-chain\"]\n"),
        &["line 3", "four-chain", "three-chain"],
    );
    refused(read("name = \"x\"\n[load]\nkeys = -1\n"), &["line 3"]);
    refused(
        read("name = \"x\"\n[[faults]]\nat_s = 1\nwhat = 2\n"),
        &["what"],
    );
    refused(read("seed = 1\n"), &["name"]);
}

#[test]
fn contradictions_carry_their_line() {
    refused(
        read("name = \"x\"\n\n[axes]\nreplicas = [4, 4]\n"),
        &["x.toml:4:", "replicas", "twice"],
    );
    refused(
        read("name = \"x\"\n[axes]\nrate_tps = []\n"),
        &["x.toml:3:", "empty list"],
    );
    refused(
        read("name = \"x\"\n[load]\nsessions = 64\nduration_s = 0\n"),
        &["x.toml:4:", "load.duration_s"],
    );
    refused(
        read("name = \"x\"\n[thresholds]\np50_ms_max = 9\np99_ms_max = 3\n"),
        &["x.toml:2:", "p50_ms_max = 9"],
    );
    refused(
        read("name = \"x\"\n[thresholds]\ndissemination_share_min = 0.5\n"),
        &["x.toml:2:", "dissemination_s"],
    );
    refused(
        read("name = \"x\"\n[thresholds]\nready_p50_max = 1.1\n"),
        &["x.toml:2:", "axes.recovery = [false, true]"],
    );
    refused(
        read("name = \"x\"\n[[sweep]]\nname = \"a\"\n[[sweep]]\nname = \"a\"\n"),
        &["x.toml:5:", "\"a\" twice"],
    );
    refused(
        read("name = \"x\"\n[node]\ndurability = \"memory\"\n"),
        &["x.toml:3:", "axes"],
    );
    refused(read("name = \"../x\"\n"), &["x.toml:1:", "letters"]);
}

#[test]
fn fault_plans_must_be_possible() {
    let plan = |faults: &str| read(&format!("name = \"x\"\nfaults = [{faults}]\n"));
    let fault = |at_s: f64, action: &str, replica: u32| {
        format!("{{ at_s = {at_s:?}, action = \"{action}\", replica = {replica} }},")
    };
    refused(plan(&fault(1.0, "crash", 4)), &["x.toml:2:", "replica 4"]);
    refused(plan(&fault(1.0, "restart", 0)), &["Running"]);
    refused(plan(&fault(99.0, "crash", 0)), &["outside the load"]);
    refused(plan(&fault(-9.0, "crash", 0)), &["outside the load"]);
    refused(
        plan(&(fault(1.0, "crash", 0) + &fault(2.0, "pause", 0))),
        &["Down"],
    );
    let bounce = fault(1.0, "crash", 0) + &fault(2.0, "restart", 0) + &fault(3.0, "pause", 0);
    plan(&bounce).unwrap();
    // A replica that forgot its votes is not a correct one.
    refused(
        read(&format!(
            "name = \"x\"\nfaults = [{bounce}]\n[axes]\ndurability = \"memory\"\n"
        )),
        &["strict"],
    );
}

#[test]
fn adversaries_are_few_known_and_inherited() {
    let plan = |liars: &str| read(&format!("name = \"x\"\nadversaries = [{liars}]\n"));
    let liar = |replica: u32, act: &str| format!("{{ replica = {replica}, act = \"{act}\" }},");
    refused(plan(&liar(4, "silent-leader")), &["x.toml:2:", "replica 4"]);
    refused(plan(&liar(1, "honest")), &["honest", "proposal-to-two"]);
    let two = liar(1, "silent-leader") + &liar(2, "silent-leader");
    refused(plan(&two), &["at most 1", "found 2"]);
    let seven = "[axes]\nreplicas = 7\n";
    let twice = liar(1, "silent-leader").repeat(2);
    let twice = format!("name = \"x\"\nadversaries = [{twice}]\n{seven}");
    refused(read(&twice), &["replica 1 twice"]);

    let one = liar(3, "proposal-to-two");
    let spec = read(&format!(
        "name = \"x\"\nadversaries = [{one}]\n[[sweep]]\nname = \"a\"\n\
         [[sweep]]\nname = \"b\"\nadversaries = []\n"
    ))
    .unwrap();
    let counts: Vec<_> = spec.points().iter().map(|p| p.adversaries.len()).collect();
    assert_eq!(counts, [1, 0]);
    assert_eq!(read(&spec.resolved_toml()).unwrap(), spec);
    // Specs from before this key keep their hashes.
    let text = read(BASE).unwrap().resolved_toml();
    assert!(!text.contains("adversaries"), "{text}");
}

#[test]
fn overrides_reach_tables_lists_and_strings() {
    let spec = with(&[
        "load.duration_s=5",
        "axes.rate_tps=[10, 20]",
        "load.arrival=constant",
        "axes.encryption=true",
        "node.lanes.batch_bytes=4096",
    ])
    .unwrap();
    assert_eq!(spec.load.duration_s, 5.0);
    assert_eq!(spec.load.arrival, Arrival::Constant);
    assert_eq!(spec.points().len(), 2);
    assert!(spec.points()[0].encryption);
    assert_eq!(spec.node["lanes"]["batch_bytes"].as_integer(), Some(4096));

    let quick = quick_spec(&["sweep.1.axes.rate_tps=7".to_owned()]).unwrap();
    assert!(quick.points().iter().any(|p| p.rate_tps == 7.0));
}

#[test]
fn bad_overrides_are_named() {
    refused(
        with(&["load.duration_s"]),
        &["--set load.duration_s", "no `=`"],
    );
    refused(with(&["load.durations=5"]), &["--set", "durations"]);
    refused(with(&["sweep.7.name=a"]), &["sweep"]);
    refused(with(&["name.x=1"]), &["expected a table", "name"]);
    refused(with(&["a..b=1"]), &["empty part"]);
    // A contradiction that no line of the text holds has none.
    refused(with(&["load.sessions=0"]), &["x.toml: load.sessions"]);
}

#[test]
fn the_example_of_the_docs_is_valid_and_whole() {
    let text = include_str!("../../../docs/experiment-spec.md");
    let example = text
        .split("```toml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .unwrap();
    let spec = read(example).unwrap_or_else(|e| panic!("{e}"));
    // Every key of the resolved spec is explained there.
    let resolved: toml::Table = spec.resolved_toml().parse().unwrap();
    for section in ["axes", "load", "timing", "thresholds"] {
        for key in resolved[section].as_table().unwrap().keys() {
            assert!(example.contains(&format!("\n{key} = ")), "{section}.{key}");
        }
    }
}

#[test]
fn drills_must_be_able_to_split_and_to_recover() {
    let plan = |n: u32, drill: &str| {
        read(&format!(
            "name = \"x\"\n[axes]\nreplicas = {n}\n[drill]\nat_s = 5\n{drill}\n"
        ))
    };
    plan(4, "attackers = 2").unwrap();
    plan(7, "attackers = 4").unwrap();
    plan(30, "attackers = 17").unwrap();
    refused(
        plan(4, "attackers = 1"),
        &["x.toml:4:", "2 to 2", "found 1"],
    );
    refused(plan(7, "attackers = 2"), &["3 to 4 attackers to split 7"]);
    refused(plan(7, "attackers = 5"), &["3 to 4 attackers to split 7"]);
    refused(plan(7, "attackers = 3\nheal_s = 4"), &["heal_s"]);
    refused(plan(7, "attackers = 3\nheal_s = 99"), &["heal_s"]);
    refused(
        plan(7, "attackers = 3\nafter = \"sleep\""),
        &["sleep", "join"],
    );
    refused(plan(7, "attackers = 3\nwait_s = 0"), &["wait_s"]);

    plan(7, "attackers = 3\nsecond = { attackers = 2, at_s = 12 }").unwrap();
    refused(
        plan(7, "attackers = 3\nsecond = { attackers = 2, at_s = 4 }"),
        &["at_s from 5"],
    );
    refused(
        plan(7, "attackers = 4\nsecond = { attackers = 2, at_s = 12 }"),
        &["to split 3"],
    );

    plan(7, "kind = \"evict\"\nattackers = 2").unwrap();
    refused(plan(7, "kind = \"evict\"\nattackers = 3"), &["1 to 2"]);
    refused(
        read("name = \"x\"\naxes.recovery = false\ndrill = { attackers = 2, at_s = 5 }\n"),
        &["recovery = true"],
    );
    let crash = "faults = [{ at_s = 1, action = \"crash\", replica = 0 }]\n";
    refused(
        read(&format!(
            "name = \"x\"\n{crash}drill = {{ attackers = 2, at_s = 5 }}\n"
        )),
        &["no faults"],
    );
}

#[test]
fn only_a_correct_replica_with_a_memory_is_killed_in_a_drill() {
    let plan = |durability: &str, kill: &str| {
        read(&format!(
            "name = \"x\"\n[axes]\nreplicas = 7\ndurability = \"{durability}\"\n[drill]\nat_s = 5\n\
             attackers = 3\n{kill}\n"
        ))
    };
    let kill = |replica: u32, after_ms: u64| {
        format!("kill = {{ replica = {replica}, after_ms = {after_ms}, back_ms = 300 }}")
    };
    let spec = plan("strict", &kill(3, 100)).unwrap();
    assert_eq!(read(&spec.resolved_toml()).unwrap(), spec);
    refused(plan("strict", &kill(4, 100)), &["replica 4 of 7"]);
    refused(plan("memory", &kill(3, 100)), &["strict"]);
    refused(plan("strict", &kill(3, 90_000)), &["wait_s"]);
    let evict = format!("kind = \"evict\"\n{}", kill(3, 100)).replace("attackers = 3", "");
    refused(plan("strict", &evict), &["split"]);
}

#[test]
fn sweeps_inherit_replace_or_drop_a_drill_and_other_specs_keep_their_hash() {
    let spec = read(
        "name = \"x\"\ndrill = { attackers = 2, at_s = 5 }\n[[sweep]]\nname = \"a\"\n\
         [[sweep]]\nname = \"b\"\ndrill = { attackers = 2, at_s = 7 }\n\
         [[sweep]]\nname = \"c\"\nno_drill = true\n",
    )
    .unwrap();
    let at: Vec<_> = spec
        .points()
        .iter()
        .map(|p| p.drill.map(|d| d.at_s))
        .collect();
    assert_eq!(at, [Some(5.0), Some(7.0), None]);
    assert_eq!(read(&spec.resolved_toml()).unwrap(), spec);
    let text = read(BASE).unwrap().resolved_toml();
    for key in ["drill", "recovery", "delay_ms"] {
        assert!(!text.contains(key), "{key} in {text}");
    }
}

#[test]
fn a_sweep_may_last_longer_than_the_base() {
    let two = "name = \"x\"\nload = { duration_s = 5 }\n[[sweep]]\nname = \"a\"\n\
               [[sweep]]\nname = \"b\"\nduration_s = 9\n";
    let spec = read(&format!("{two}drill = {{ attackers = 2, at_s = 7 }}\n")).unwrap();
    let points = spec.points();
    let lasts: Vec<f64> = points.iter().map(|p| spec.load_of(p).duration_s).collect();
    assert_eq!(lasts, [5.0, 9.0]);
    assert_eq!(read(&spec.resolved_toml()).unwrap(), spec);
    let plan = Plan::of(&spec);
    assert!(plan.runs[1].time > plan.runs[0].time + std::time::Duration::from_secs(4));
    let late = format!("{two}drill = {{ attackers = 2, at_s = 9 }}\n");
    refused(read(&late), &["at_s", "duration_s = 9"]);
    let never = two.replace("duration_s = 9", "duration_s = 0");
    refused(read(&never), &["x.toml:7:", "sweep.1.duration_s"]);
}

#[test]
fn baseline_and_ready_run_side_by_side_in_pairs() {
    let spec = read(
        "name = \"x\"\nrepetitions = 2\n[axes]\nrecovery = [false, true]\ndelay_ms = [0, 25]\n",
    )
    .unwrap();
    let order: Vec<_> = spec
        .points()
        .iter()
        .map(|p| (p.delay_ms, p.recovery == Some(true), p.repetition))
        .collect();
    let a_b = [
        (0.0, false, 0),
        (0.0, true, 0),
        (25.0, false, 0),
        (25.0, true, 0),
    ];
    assert_eq!(order[..4], a_b);
    assert_eq!(order[4], (25.0, true, 1));
    assert_eq!(order[7], (0.0, false, 1));
    refused(with(&["axes.delay_ms=-1"]), &["0 to 10000 ms"]);
    refused(with(&["axes.recovery=[true, true]"]), &["twice"]);
    refused(with(&["node.recovery.enabled=false"]), &["axes"]);
}

#[test]
fn regions_need_a_symmetrical_table_and_no_other_delay() {
    let wan = |table: &str| read(&format!("name = \"x\"\n[wan]\nrtt_ms = {table}\n"));
    assert_eq!(
        wan("[[1, 60], [60, 2]]")
            .unwrap()
            .wan
            .unwrap()
            .delay_ms(0, 3),
        30.0
    );
    refused(
        wan("[[1, 60], [50, 2]]"),
        &["x.toml:3", "symmetrical", "60"],
    );
    refused(wan("[[1, 60]]"), &["expected 1 round trips", "found 2"]);
    refused(wan("[]"), &["1 to 32 regions"]);
    refused(
        read("name = \"x\"\n[axes]\ndelay_ms = 5\n[wan]\nrtt_ms = [[1]]\n"),
        &["either regions or axes.delay_ms"],
    );
    assert!(!read(BASE).unwrap().resolved_toml().contains("wan"));
}

#[test]
fn the_bound_is_measured_only_where_it_is_asked_for() {
    assert!(
        !read(BASE)
            .unwrap()
            .resolved_toml()
            .contains("dissemination")
    );
    assert_eq!(with(&["dissemination_s=3"]).unwrap().dissemination_s, 3);
    refused(with(&["dissemination_s=61"]), &["0 to 60"]);
    let large = ["dissemination_s=3", "axes.size_bytes=8192"];
    refused(with(&large), &["at most 4096 with dissemination_s", "8192"]);
    assert!(with(&large[1..]).is_ok());
}

#[test]
fn closed_loops_ramps_and_bursts_are_checked_and_named() {
    let spec =
        |load: &str| Spec::from_toml(&format!("name = \"x\"\n[load]\n{load}"), "x.toml", &[]);
    let closed = spec("arrival = \"closed\"\nin_flight = 64\n").unwrap();
    let point = &closed.points()[0];
    assert_eq!(point.rate_tps, 0.0);
    assert!(point.name.contains("-closed64-"), "{}", point.name);
    let shaped = spec(
        "ramp = { from = 0.1, over_s = 5 }\nburst = { every_s = 4, length_s = 0.5, factor = 5 }\n",
    );
    let shaped = shaped.unwrap();
    assert!(!shaped.load.shape().is_steady());
    let again = Spec::from_toml(&shaped.resolved_toml(), "x.toml", &[]).unwrap();
    assert_eq!(again.hash(), shaped.hash());
    for (load, part) in [
        ("arrival = \"closed\"\n", "expected a number with arrival"),
        ("in_flight = 3\n", "expected a number with arrival"),
        (
            "arrival = \"closed\"\nin_flight = 1\ngenerators = 2\n",
            "at least one per generator",
        ),
        (
            "arrival = \"closed\"\nin_flight = 9\nramp = { from = 0.5, over_s = 1 }\n",
            "no rate to ramp",
        ),
        ("ramp = { from = 0, over_s = 1 }\n", "expected from = 0.01"),
        (
            "burst = { every_s = 1, length_s = 1, factor = 2 }\n",
            "length_s below every_s",
        ),
    ] {
        let error = spec(load).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
