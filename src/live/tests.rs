use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Answers every question in the same way, and counts them.
fn serve(answer: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    (address, asked)
}

fn run_with_replica_at(address: &str) -> tempfile::TempDir {
    let run = tempfile::tempdir().unwrap();
    let replica = run.path().join("replica-0");
    std::fs::create_dir(&replica).unwrap();
    let config = format!("metrics_addr = \"{address}\"\n");
    std::fs::write(replica.join(folder::CONFIG), config).unwrap();
    run
}

#[test]
fn who_is_not_ready_has_a_mode_and_does_not_serve() {
    let (address, _) = serve("HTTP/1.0 503 no\r\n\r\n{\"mode\":\"DEGRADED_SAFE\"}");
    let run = run_with_replica_at(&address);
    let moment = look(run.path());
    let replica = &moment.replicas[0];
    assert_eq!(replica.mode.as_deref(), Some("DEGRADED_SAFE"));
    assert!(!replica.is_ready && replica.figures.is_empty());
    let metrics = text::metrics(&moment);
    assert!(metrics.contains("mode=\"DOWN\"} 1\n"), "{metrics}");
}

#[test]
fn nobody_of_a_sealed_run_is_asked() {
    let (address, asked) = serve("HTTP/1.0 200 OK\r\n\r\n{\"mode\":\"NOMINAL\"}");
    let run = run_with_replica_at(&address);
    assert_eq!(
        look(run.path()).replicas[0].mode.as_deref(),
        Some("NOMINAL")
    );
    let before = asked.load(Ordering::SeqCst);
    std::fs::write(run.path().join(folder::SUMS), "").unwrap();
    let moment = look(run.path());
    assert!(moment.is_sealed && moment.replicas[0].mode.is_none());
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

#[test]
fn the_end_of_a_series_that_is_no_whole_second_is_left_out() {
    let run = tempfile::tempdir().unwrap();
    let load = run.path().join("load-0");
    std::fs::create_dir(&load).unwrap();
    let mut lines = measure::files::JsonLines::open(&load.join(folder::SERIES)).unwrap();
    let mut row = crate::top::sample::second(1, 100);
    lines.append(&row).unwrap();
    row.interval_s = 0.01;
    lines.append(&row).unwrap();
    let moment = look(run.path());
    assert_eq!(moment.loads[0].row.interval_s, 1.0);
    assert_eq!(moment.loads[0].recent.len(), 1);
}
