//! `reforge limits` as a user runs it.

use std::process::Command;

#[test]
fn limits_are_measured_for_every_size_that_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("limits.json");
    let status = Command::new(env!("CARGO_BIN_EXE_reforge"))
        .args(["limits", "--replicas", "4,7", "--seconds", "1", "--out"])
        .arg(&out)
        .arg("--dir")
        .arg(dir.path())
        .status()
        .unwrap();
    assert!(status.success());
    let limits: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    let of = |value: &serde_json::Value, key: &str| value[key].as_f64().unwrap();
    for (at, n) in [(0, 4.0), (1, 7.0)] {
        let bound = &limits["dissemination"][at];
        assert_eq!(of(bound, "replicas"), n);
        assert!(of(bound, "tps") > 0.0);
    }
    let signatures = limits["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 4, "two schemes at each size");
    for one in signatures {
        // Sharing cores makes nothing faster.
        let (shared, own) = (
            of(one, "latency_bound_us"),
            of(one, "latency_bound_own_cores_us"),
        );
        assert!(shared >= own && own > 8.0 * of(&limits, "hop_us"));
    }
}

#[test]
fn sizes_that_make_no_committee_are_refused() {
    let output = Command::new(env!("CARGO_BIN_EXE_reforge"))
        .args(["limits", "--replicas", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(said.contains("expected sizes from 2 to 100"), "{said}");
}
