//! `reforge audit` as its users see it: exit codes and output.

mod common;

use std::path::Path;
use std::process::Output;

use common::{Cluster, reforge, text};
use measure::{EvidenceKind, EvidenceRecord, EvidenceWriter};

fn audit(path: &Path, more: &[&str]) -> Output {
    let mut command = reforge();
    command.arg("audit").arg(path).args(more);
    command.output().expect("the binary starts")
}

fn write(path: &Path, kind: EvidenceKind, payload: &[u8]) {
    let mut writer = EvidenceWriter::open(path).expect("an evidence file");
    let record = EvidenceRecord {
        kind,
        at_ns: 1,
        payload: payload.to_vec(),
    };
    writer.append(&record).expect("room on the disk");
}

#[test]
fn exit_codes_tell_whether_the_evidence_holds() {
    let cluster = Cluster::new(4);
    let run = cluster.dir.path();
    let nothing = audit(run, &[]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(text(&nothing.stderr).contains("no evidence here"));

    let replica = run.join("replica-0");
    std::fs::create_dir_all(&replica).expect("a folder");
    let file = replica.join("evidence.bin");
    write(&file, EvidenceKind::Mode, &[1; 33]);
    let held = audit(run, &[]);
    assert_eq!(held.status.code(), Some(0), "{}", text(&held.stderr));
    assert!(
        text(&held.stdout)
            .trim_end()
            .ends_with("nobody is convicted")
    );
    let data = audit(&file, &["--json"]);
    assert_eq!(data.status.code(), Some(0), "{}", text(&data.stderr));
    let data: serde_json::Value = serde_json::from_slice(&data.stdout).expect("JSON");
    assert_eq!(data["replicas"], 4);
    assert_eq!(data["files"][0]["records"], 1);

    write(&file, EvidenceKind::Fraud, b"no proof at all");
    let refused = audit(&replica, &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stdout).contains("NOT PROVEN"));
}
