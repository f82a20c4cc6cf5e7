use measure::metrics as m;
use transport::DownReason;

use super::*;

pub(crate) fn stats(up: &[bool]) -> PlatformStats {
    let mut closed = vec![0; DownReason::ALL.len()];
    closed[DownReason::BadMac as usize] = 4;
    PlatformStats {
        transport: transport::Stats {
            replicas: vec![
                transport::LinkStats {
                    bytes_in: 10,
                    bytes_out: 20,
                    ..Default::default()
                };
                up.len()
            ],
            closed,
            ..Default::default()
        },
        journal: storage::Stats::default(),
        journal_staged_bytes: 0,
        pool: Default::default(),
        unsent: Default::default(),
        peers_up: up.to_vec(),
        peers_refused: up
            .iter()
            .map(|up| (!up).then_some(DownReason::WrongCluster))
            .collect(),
    }
}

fn snapshot(up: &[bool]) -> Snapshot {
    let mut snapshot = Snapshot {
        replica: 0,
        peers_needed: 3,
        ..Snapshot::default()
    };
    snapshot.add_platform(&stats(up));
    snapshot
}

#[test]
fn ready_means_links_to_a_quorum_with_oneself() {
    assert!(snapshot(&[false, true, true, false]).is_ready());
    assert!(!snapshot(&[false, true, false, false]).is_ready());
    let mut stopping = snapshot(&[true; 4]);
    stopping.stopping = true;
    assert!(!stopping.is_ready());
}

#[test]
fn traffic_is_summed_and_closings_are_named() {
    let snapshot = snapshot(&[false, true, true, true]);
    assert_eq!(snapshot.figure(m::PEER_BYTES_IN), 40);
    assert_eq!(snapshot.figure(m::PEER_BYTES_OUT), 80);
    assert_eq!(snapshot.labelled[m::REFUSED]["bad_mac"], 4);
    assert_eq!(snapshot.peers_refused[&0], "wrong_cluster");
}

#[test]
fn readers_see_the_newest() {
    let board = Board::default();
    let other = board.clone();
    board.publish(Snapshot {
        view: 7,
        ..Snapshot::default()
    });
    assert_eq!(other.read().view, 7);
}
