//! Everything that can be wrong at the start is one clear line and a non-zero exit.

mod common;

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use common::{Cluster, fails, fails_as, reforge};

#[test]
fn bad_configs_name_file_and_line() {
    let cluster = Cluster::new(1);
    let error = fails(&cluster.config(0, "colour = 1\n"));
    assert!(error.contains("config.toml, line 7"), "{error}");
    assert!(error.contains("colour"), "{error}");
    let error = fails(&cluster.config(0, "[lanes]\nbatch_bytes = \"big\"\n"));
    assert!(error.contains("line 8"), "{error}");
    let error = fails(&cluster.config(0, "[timing]\nview_timeout_ms = 0\n"));
    assert!(error.contains("from 1 to 600000, found 0"), "{error}");
    let missing = cluster.dir.path().join("nowhere.toml");
    let error = fails(&missing);
    assert!(error.contains("nowhere.toml"), "{error}");
}

#[test]
fn the_rule_must_be_the_committees() {
    let cluster = Cluster::new(1);
    let error = fails(&cluster.config(0, "rule = \"three-chain\"\n"));
    assert!(
        error.contains("two-chain") && error.contains("three-chain"),
        "{error}"
    );
}

#[test]
fn missing_and_open_key_files_are_refused() {
    let cluster = Cluster::new(1);
    let config = cluster.config(0, "");
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(cluster.key(0), open).unwrap();
    let error = fails(&config);
    assert!(error.contains("chmod 600"), "{error}");
    std::fs::remove_file(cluster.key(0)).unwrap();
    let error = fails(&config);
    assert!(
        error.contains("replica-0.toml") && error.contains("keygen"),
        "{error}"
    );
}

#[test]
fn keys_of_another_cluster_are_refused() {
    let cluster = Cluster::new(1);
    let other = cluster.twin();
    std::fs::copy(other.key(0), cluster.key(0)).unwrap();
    let error = fails(&cluster.config(0, ""));
    assert!(error.contains("different clusters"), "{error}");
}

#[test]
fn taken_ports_are_named() {
    let cluster = Cluster::new(1);
    for port in [
        cluster.peer_port(0),
        cluster.client_port(0),
        cluster.metrics_port(0),
    ] {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let error = fails(&cluster.config(0, ""));
        assert!(error.contains(&format!("127.0.0.1:{port}")), "{error}");
        drop(taken);
    }
}

#[test]
fn a_data_folder_serves_one_process_and_one_replica() {
    let cluster = Cluster::new(1);
    let first = cluster.start(0, "");
    first.wait_ready();
    let elsewhere = "\"127.0.0.1:0\"";
    let second = cluster.folder(0).join("second.toml");
    let text = std::fs::read_to_string(cluster.config(0, "")).unwrap();
    let text = text.replace(
        &format!("\"127.0.0.1:{}\"", cluster.metrics_port(0)),
        elsewhere,
    );
    let listen = format!("[transport]\npeer_listen = {elsewhere}\nclient_listen = {elsewhere}\n");
    std::fs::write(&second, text + &listen).unwrap();
    let error = fails(&second);
    assert!(error.contains("locked by another process"), "{error}");
    assert!(first.stop().success());

    let other = cluster.twin();
    let config = other.config(0, "");
    std::fs::rename(cluster.folder(0).join("data"), other.folder(0).join("data")).unwrap();
    let error = fails(&config);
    assert!(error.contains("belongs to owner"), "{error}");
}

#[test]
fn a_full_disk_is_said_and_nothing_starts() {
    let cluster = Cluster::new(1);
    let config = cluster.config(0, "");
    // The limit stands for the end of the disk: writes beyond it fail in the same way.
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 64; exec \"$0\" node --config \"$1\""])
        .arg(env!("CARGO_BIN_EXE_reforge"))
        .arg(&config);
    let error = fails_as(&mut limited);
    assert!(error.contains("disk full"), "{error}");
    // With room, the same folder serves.
    let node = cluster.start(0, "");
    node.wait_ready();
    assert!(node.stop().success());
}

#[test]
fn another_cluster_is_refused_and_health_says_so() {
    let cluster = Cluster::new(4);
    let other = cluster.twin();
    let ours = cluster.start(0, "");
    let theirs = other.start(1, "");
    for node in [&ours, &theirs] {
        node.wait("refusing the link", |node| {
            node.get("/healthz").is_some_and(|(code, body)| {
                code == 503 && body.contains("\"refused_connections\":{\"wrong_cluster\":")
            })
        });
        let log = node.log();
        assert!(log.contains("wrong_cluster"), "{log}");
    }
    // The side that dials knows whom, and says what to do.
    let both = [&ours, &theirs].map(|node| (node.log(), node.get("/healthz").unwrap().1));
    assert!(both.iter().any(|(log, health)| {
        log.contains("link refused: compare committee files")
            && (health.contains("{\"0\":\"wrong_cluster\"}")
                || health.contains("{\"1\":\"wrong_cluster\"}"))
    }));
}

#[test]
fn keygen_overwrites_nothing_and_checks_its_addresses() {
    let cluster = Cluster::new(1);
    let mut again = reforge();
    again
        .args(["keygen", "--replicas", "1", "--out"])
        .arg(cluster.dir.path());
    let error = fails_as(&mut again);
    assert!(error.contains("never overwritten"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let mut few = reforge();
    few.args(["keygen", "--replicas", "4", "--addresses", "127.0.0.1:1"])
        .arg("--out")
        .arg(folder.path());
    let error = fails_as(&mut few);
    assert!(error.contains("expected 4 addresses, found 1"), "{error}");
}

#[test]
fn keys_of_a_replica_that_forgot_serve_no_second_one() {
    let cluster = Cluster::new(1);
    let nodes = cluster.start_all("durability = \"memory\"\n");
    drop(nodes);
    for durability in ["memory", "strict"] {
        let error = fails(&cluster.config(0, &format!("durability = \"{durability}\"\n")));
        assert!(error.contains("forgot what it signed"), "{error}");
    }
}
