use super::*;
use crate::files::JsonLines;

fn every_kind() -> Vec<(IncidentKind, &'static str)> {
    let text = |s: &str| s.to_owned();
    vec![
        (
            IncidentKind::Mode {
                mode: text(mode::DEGRADED_SAFE),
                epoch: text("aa"),
            },
            r#"{"at_ns":7,"what":"mode","mode":"DEGRADED_SAFE","epoch":"aa"}"#,
        ),
        (
            IncidentKind::Conflict {
                epoch: text("aa"),
                height: 9,
                one: text("01"),
                other: text("02"),
            },
            r#"{"at_ns":7,"what":"conflict","epoch":"aa","height":9,"one":"01","other":"02"}"#,
        ),
        (
            IncidentKind::Convicted {
                culprits: vec![2],
                excluded: vec![2, 3],
                offence: text("E2 double vote"),
                digest: text("dd"),
            },
            r#"{"at_ns":7,"what":"convicted","culprits":[2],"excluded":[2,3],"offence":"E2 double vote","digest":"dd"}"#,
        ),
        (
            IncidentKind::Gate {
                open: true,
                why: text("2 of 4"),
            },
            r#"{"at_ns":7,"what":"gate","open":true,"why":"2 of 4"}"#,
        ),
        (
            IncidentKind::Committed {
                of: text("aa"),
                excluded: vec![2, 3],
                base: text("01"),
                root_height: 12,
                reports: 2,
            },
            r#"{"at_ns":7,"what":"committed","of":"aa","excluded":[2,3],"base":"01","root_height":12,"reports":2}"#,
        ),
        (
            IncidentKind::Merged {
                epoch: text("bb"),
                members: vec![0, 1],
                rolled_back_to: 8,
                root_height: 12,
                moved: 5,
                invalidated: 1,
                orphans: 0,
            },
            r#"{"at_ns":7,"what":"merged","epoch":"bb","members":[0,1],"rolled_back_to":8,"root_height":12,"moved":5,"invalidated":1,"orphans":0}"#,
        ),
        (
            IncidentKind::Crossed {
                epoch: text("bb"),
                members: vec![0, 1],
                kept: 3,
                height: 40,
                orphans: 2,
            },
            r#"{"at_ns":7,"what":"crossed","epoch":"bb","members":[0,1],"kept":3,"height":40,"orphans":2}"#,
        ),
        (
            IncidentKind::FirstBlock {
                epoch: text("bb"),
                height: 13,
            },
            r#"{"at_ns":7,"what":"first-block","epoch":"bb","height":13}"#,
        ),
        (
            IncidentKind::FalseAlarm {
                from: 3,
                why: text("no such proof"),
            },
            r#"{"at_ns":7,"what":"false-alarm","from":3,"why":"no such proof"}"#,
        ),
    ]
}

#[test]
fn the_lines_are_pinned() {
    for (what, json) in every_kind() {
        let line = IncidentLine { at_ns: 7, what };
        assert_eq!(serde_json::to_string(&line).unwrap(), json);
        assert_eq!(serde_json::from_str::<IncidentLine>(json).unwrap(), line);
    }
}

#[test]
fn a_torn_last_line_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(crate::folder::INCIDENTS);
    let mut lines = JsonLines::open(&path).unwrap();
    for (what, _) in every_kind() {
        lines.append(&IncidentLine { at_ns: 7, what }).unwrap();
    }
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
    assert_eq!(read_incidents(&path).unwrap().len(), every_kind().len() - 1);
}
