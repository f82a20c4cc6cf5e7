use super::*;

fn plan(text: &str) -> Plan {
    Plan::of(&Spec::from_toml(text, "x.toml", &[]).unwrap())
}

#[test]
fn a_plan_names_every_run_in_its_order_and_adds_up() {
    let plan = plan("name = \"x\"\nrepetitions = 2\n[axes]\nrecovery = [false, true]\n");
    let names: Vec<&str> = plan.runs.iter().map(|run| run.name.as_str()).collect();
    // A B, B A.
    let is_ready: Vec<bool> = names.iter().map(|name| name.contains("-ready-")).collect();
    assert_eq!(is_ready, [false, true, true, false], "{names:?}");
    let each = plan.runs[0].time;
    assert!(each >= Duration::from_secs(24), "{each:?}");
    assert_eq!(plan.time(), each * 4);
    assert_eq!(plan.kept_bytes(), 4 * plan.runs[0].kept_bytes);
}

#[test]
fn journals_count_once_and_only_where_they_are_written() {
    let strict = plan("name = \"x\"\nrepetitions = 3\n");
    assert_eq!(strict.scratch_bytes(), strict.runs[0].scratch_bytes);
    assert!(strict.scratch_bytes() > 1000 * 512 * 20 * 4);
    let memory = plan("name = \"x\"\n[axes]\ndurability = \"memory\"\n");
    assert_eq!(memory.scratch_bytes(), 0);
}
