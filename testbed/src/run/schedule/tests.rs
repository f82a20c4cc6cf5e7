use measure::FaultAction;

use super::*;

#[test]
fn faults_count_from_the_measured_phase_and_phases_come_first() {
    let load = LoadSpec {
        warmup_s: 2.0,
        duration_s: 10.0,
        cooldown_s: 3.0,
        ..LoadSpec::default()
    };
    let fault = |at_s| PlannedFault::new(at_s, FaultAction::Crash, 0);
    let start_ns = 100_000_000_000;
    let faults = [fault(0.0), fault(-1.0), fault(5.5)];
    let mut schedule = Schedule::new(&load, &faults, start_ns);
    assert_eq!(schedule.end_ns(), 115_000_000_000);
    assert_eq!(schedule.due(start_ns - 1), None);

    let mut order = Vec::new();
    while let Some(at_ns) = schedule.next_ns() {
        let action = schedule.due(at_ns).unwrap();
        order.push(((at_ns - start_ns) / 1_000_000, action));
    }
    assert_eq!(
        order,
        [
            (0, Action::Phase(Phase::Warmup)),
            (1_000, Action::Fault(fault(-1.0))),
            (2_000, Action::Phase(Phase::Measure)),
            (2_000, Action::Fault(fault(0.0))),
            (7_500, Action::Fault(fault(5.5))),
            (12_000, Action::Phase(Phase::Cooldown)),
        ]
    );
}
