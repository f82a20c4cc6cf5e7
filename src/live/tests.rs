use super::*;

#[test]
fn figures_are_metrics_without_a_label() {
    let text = "# TYPE reforge_view gauge\nreforge_view 146.0\nreforge_tx_executed_total 3\n\
                reforge_queue_depth{queue=\"a b\"} 1.0\n# EOF\n";
    let figures = text::figures(text);
    assert_eq!(figures.len(), 2);
    assert_eq!(figures["reforge_view"], 146.0);
    assert_eq!(figures["reforge_tx_executed_total"], 3.0);
}

#[test]
fn a_folder_without_a_run_is_a_moment_without_anything() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(run_of(dir.path()), None);
    for name in ["000-a", "001-b"] {
        let run = dir.path().join(name);
        std::fs::create_dir_all(run.join("replica-0")).unwrap();
        std::fs::write(run.join(folder::RUN), "{}").unwrap();
        // Nobody listens there.
        let config = "metrics_addr = \"127.0.0.1:1\"\n";
        std::fs::write(run.join("replica-0").join(folder::CONFIG), config).unwrap();
    }
    let run = run_of(dir.path()).unwrap();
    assert!(run.ends_with("001-b"), "the one that began last");
    assert_eq!(addresses(&run), [(0, "127.0.0.1:1".to_owned())]);
    let moment = look(&run);
    assert_eq!(moment.replicas[0].mode, None);
    let metrics = text::metrics(&moment);
    assert!(
        metrics.contains("reforge_mode{replica=\"0\",mode=\"DOWN\"} 1\n"),
        "{metrics}"
    );
    let convicted = "reforge_incidents{replica=\"0\",what=\"convicted\"} 0\n";
    assert!(metrics.contains(convicted), "{metrics}");
}
