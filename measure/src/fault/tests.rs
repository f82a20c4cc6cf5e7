use super::{Direction, FaultAction, PlannedFault};

#[test]
fn what_is_not_said_is_not_written() {
    let fault = PlannedFault::new(5.0, FaultAction::Crash, 3);
    let text = serde_json::to_string(&fault).unwrap();
    assert_eq!(text, r#"{"at_s":5.0,"action":"crash","replica":3}"#);
    assert_eq!(fault.summary(), "crash 3 @5s");
    assert_eq!(fault.others(4), [0, 1, 2]);
}

#[test]
fn faults_of_links_say_whom_and_how() {
    let text = r#"{"at_s":5.5,"action":"partition","replica":3,"peers":[0,1],"direction":"out"}"#;
    let fault: PlannedFault = serde_json::from_str(text).unwrap();
    assert_eq!(fault.direction, Direction::Out);
    assert_eq!(fault.others(4), [0, 1]);
    assert_eq!(fault.summary(), "partition 3 out to 0,1 @5.5s");
    assert_eq!(serde_json::to_string(&fault).unwrap(), text);
}
