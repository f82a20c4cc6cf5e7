use super::*;
use crate::event::{EventKind, EventLog, read_events};
use crate::files::{read_json, write_json};

fn sample() -> (tempfile::TempDir, RunFolder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run")).unwrap();
    std::fs::create_dir_all(folder.replica(0)).unwrap();
    std::fs::write(folder.replica(0).join(STDERR), "started\n").unwrap();
    std::fs::write(folder.path(SPEC), "name = 'x'\n").unwrap();
    (dir, folder)
}

#[test]
fn the_seal_notices_change_loss_and_addition() {
    let (_dir, folder) = sample();
    assert_eq!(folder.seal_state().unwrap(), SealState::Unsealed);
    folder.seal().unwrap();
    assert_eq!(folder.seal_state().unwrap(), SealState::Intact);
    // The judgement is derived, so that writing it leaves the seal whole.
    std::fs::write(folder.path(SUMMARY), "{}").unwrap();
    assert_eq!(folder.seal_state().unwrap(), SealState::Intact);

    std::fs::write(folder.path(SPEC), "name = 'y'\n").unwrap();
    std::fs::remove_file(folder.replica(0).join(STDERR)).unwrap();
    std::fs::write(folder.replica(0).join(LEDGER), "new").unwrap();
    let SealState::Broken(mut broken) = folder.seal_state().unwrap() else {
        panic!("the changes went unnoticed");
    };
    broken.sort();
    assert_eq!(
        broken,
        ["replica-0/ledger.bin", "replica-0/stderr.log", "spec.toml"]
    );
}

#[test]
fn a_folder_with_a_run_is_not_taken_again() {
    let (dir, folder) = sample();
    std::fs::write(folder.path(RUN), "{}").unwrap();
    assert!(RunFolder::create(&dir.path().join("run")).is_err());
}

#[test]
fn events_survive_a_torn_last_line() {
    let (_dir, folder) = sample();
    let path = folder.path(EVENTS);
    let mut log = EventLog::open(&path).unwrap();
    log.record(EventKind::Ready).unwrap();
    log.record(EventKind::Interrupted).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 5]).unwrap();
    let events = read_events(&path).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].kind, EventKind::Ready);
    std::fs::write(&path, format!("broken\n{text}")).unwrap();
    let error = read_events(&path).unwrap_err().to_string();
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn a_newer_schema_is_refused_by_name() {
    let (_dir, folder) = sample();
    let path = folder.path("x.json");
    write_json(
        &path,
        &serde_json::json!({ "schema": crate::SCHEMA_VERSION + 1 }),
    )
    .unwrap();
    let error = read_json::<serde_json::Value>(&path, "thing").unwrap_err();
    assert!(matches!(error, MeasureError::NewerSchema { .. }), "{error}");
}

#[test]
fn whole_files_leave_no_temporary_behind() {
    let (_dir, folder) = sample();
    write_atomic(&folder.path(SPEC), b"new").unwrap();
    let names: Vec<_> = std::fs::read_dir(folder.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(std::fs::read(folder.path(SPEC)).unwrap(), b"new");
}
