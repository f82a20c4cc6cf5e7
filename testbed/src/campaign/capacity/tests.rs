use super::*;

const GOAL: CapacityGoal = CapacityGoal {
    low_tps: 1_000.0,
    high_tps: 200_000.0,
    resolution: 0.05,
    goodput_min: 0.99,
    p99_ms_max: 100.0,
};

/// All rates that a search tries, if the system keeps up below `capacity_tps`.
fn tried(capacity_tps: f64) -> Vec<f64> {
    let mut bisection = Bisection::new(GOAL);
    let mut tried = Vec::new();
    while let Some(rate) = bisection.next() {
        tried.push(rate);
        bisection.tell(rate, rate <= capacity_tps);
        assert!(tried.len() <= probes_max(&GOAL) as usize, "{tried:?}");
    }
    tried
}

#[test]
fn the_capacity_is_found_within_the_resolution() {
    for capacity in [1_000.0, 1_234.0, 50_000.0, 83_210.0, 199_000.0] {
        let tried = tried(capacity);
        let held = tried.iter().copied().filter(|rate| *rate <= capacity);
        let missed = tried.iter().copied().filter(|rate| *rate > capacity);
        let (held, missed) = (
            held.fold(0.0, f64::max),
            missed.fold(f64::INFINITY, f64::min),
        );
        assert!(missed / held <= 1.06, "{capacity}: {held} {missed}");
    }
}

#[test]
fn the_ends_come_first_and_may_be_all() {
    assert_eq!(tried(10.0), [1_000.0]);
    assert_eq!(tried(1e9), [1_000.0, 200_000.0]);
    assert_eq!(tried(50_000.0)[2], 14_100.0);
}

#[test]
fn probes_have_names_of_their_own_and_are_found_again() {
    let text = "name = \"x\"\nrepetitions = 2\n[axes]\nrule = [\"two-chain\", \"three-chain\"]\n\
                [capacity]\nlow_tps = 1000\nhigh_tps = 9000\np99_ms_max = 50\n";
    let spec = Spec::from_toml(text, "x.toml", &[]).unwrap();
    #[derive(Debug)]
    struct Below(f64);
    impl Judge for Below {
        fn keeps_up(&self, run_root: &Path) -> bool {
            let name = run_root.file_name().unwrap().to_str().unwrap();
            let before = name.split("tps").next().unwrap();
            before.rsplit('-').next().unwrap().parse::<f64>().unwrap() <= self.0
        }
    }
    let mut names = Vec::new();
    let goal = spec.capacity.unwrap();
    search(&spec, goal, &Below(4_000.0), Path::new("/x"), |probe| {
        assert_eq!(probe.index as usize, names.len());
        names.push(probe.name.clone());
        Ok(true)
    })
    .unwrap();
    let different: std::collections::BTreeSet<&String> = names.iter().collect();
    assert_eq!(different.len(), names.len());
    // Two rules, two repetitions, each with both ends and some between.
    assert!(names.len() > 4 * 4 && names.len() <= 4 * probes_max(&goal) as usize);
    for name in &names {
        let again = crate::spec::find_probe(&spec, name).unwrap();
        assert_eq!(&again.name, name);
    }
    assert!(crate::spec::find_probe(&spec, "000-other-r0").is_none());
}
