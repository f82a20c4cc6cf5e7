//! Links come up, break, are shaped, and come up again.

use crate::harness::{Case, Committee, Node, all_up, pattern, private_key, until};
use std::time::{Duration, Instant};
use transport::{
    Body, Class, DownReason, Event, Frame, Peer, PeerConfig, SendError, ServerConfig, Shape,
    public_key,
};

pub fn a_restarted_replica_comes_back(case: Case) {
    let committee = Committee::new(case, 3);
    let mut nodes = committee.open_all();
    // Replica 1 is dialled by 0 and dials 2.
    let old = nodes.remove(1);
    drop(old);
    until(&mut nodes, "the loss is noticed", |nodes| {
        !nodes[0].transport.is_up(1) && !nodes[1].transport.is_up(1)
    });
    assert_eq!(nodes[0].send(1, Class::Control, b"x"), Err(SendError::Down));
    assert!(nodes[0].transport.is_up(2), "other links do not care");
    nodes.insert(1, committee.open(1));
    until(&mut nodes, "it is back", all_up);
    for (node, what) in [(0, "dialler"), (2, "acceptor")] {
        let one = |e: &Event| match e {
            Event::Up {
                peer: Peer::Replica(1),
                ..
            } => Some(true),
            Event::Down {
                peer: Peer::Replica(1),
                ..
            } => Some(false),
            _ => None,
        };
        let seen: Vec<bool> = nodes[node].events.iter().filter_map(one).collect();
        assert_eq!(seen, [true, false, true], "{what}: up, down, up");
        assert_eq!(nodes[node].transport.stats().replicas[1].ups, 2);
    }
}

pub fn closing_a_replicas_link_redials(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    let conn = nodes[1]
        .conn_of(|peer| peer == Peer::Replica(0))
        .expect("it is up");
    nodes[1].transport.close(conn);
    until(&mut nodes, "it comes up again", |nodes| {
        nodes[1].saw_down(DownReason::Local) && all_up(nodes)
    });
    let new = nodes[1].conn_of(|peer| peer == Peer::Replica(0));
    assert_ne!(new, Some(conn), "ids are never reused");
}

pub fn a_wrong_replica_key_is_refused(case: Case) {
    let mut committee = Committee::new(case, 2);
    let honest = committee.open(1);
    // Replica 0 believes in another key of its own than replica 1 does.
    let mut config = committee.config(0);
    let replica = config.replica.as_mut().expect("it is a replica");
    replica.private_key = private_key(9);
    let addr = committee.peer_addr(0);
    replica.committee[0] = Some(PeerConfig {
        addr,
        public_key: public_key(&private_key(9)),
    });
    committee.seats.clear();
    let mut nodes = [case.open(config), honest];
    refused(&mut nodes, DownReason::WrongKey);
}

pub fn a_wrong_cluster_id_is_refused(case: Case) {
    let committee = Committee::new(case, 2);
    let mut config = committee.config(0);
    config.cluster_id = [8; 32];
    let mut nodes = [case.open(config), committee.open(1)];
    refused(&mut nodes, DownReason::WrongCluster);
}

pub fn another_encryption_setting_is_refused(case: Case) {
    let committee = Committee::new(case, 2);
    let mut config = committee.config(0);
    config.encryption = !case.encryption;
    let mut nodes = [case.open(config), committee.open(1)];
    refused(&mut nodes, DownReason::WrongSetting);
}

/// Replica 0 dials replica 1: both say why it fails, again and again, and nothing comes up.
fn refused(nodes: &mut [Node], reason: DownReason) {
    let said = |e: &Event| matches!(e, Event::Refused { peer: 1, reason: r } if *r == reason);
    until(nodes, "both know the reason", |nodes| {
        let times = nodes[0].events.iter().filter(|e| said(e)).count();
        times >= 2 && nodes[1].closed(reason) >= 2
    });
    let up = |node: &Node| node.saw(|e| matches!(e, Event::Up { .. } | Event::Frame { .. }));
    assert!(!nodes.iter().any(up));
}

pub fn a_client_insists_on_its_server(case: Case) {
    let committee = Committee::new(case, 1);
    let mut nodes = [case.client(), committee.open(0)];
    let addr = committee.client_addr(0);
    let wrong = ServerConfig {
        addr,
        public_key: public_key(&private_key(5)),
    };
    let conn = nodes[0]
        .transport
        .connect(&wrong)
        .expect("a socket can be made");
    assert!(
        nodes[0]
            .transport
            .reply(conn, Frame::new(&b"early"[..]))
            .is_err()
    );
    until(&mut nodes, "the wrong key is noticed", |nodes| {
        nodes[0].saw(|e| {
            matches!(e, Event::Down { conn: c, peer: Peer::Server, reason: DownReason::WrongKey } if *c == conn)
        })
    });
    // Nobody there at all.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = gone.local_addr().expect("it is bound");
    drop(gone);
    nodes[0]
        .transport
        .connect(&ServerConfig { addr, ..wrong })
        .expect("a socket can be made");
    until(&mut nodes, "nobody is there", |nodes| {
        nodes[0].saw_down(DownReason::ConnectFailed)
    });
    assert_eq!(nodes[1].transport.stats().clients_up, 0);
}

pub fn delay_holds_frames_back_in_order(case: Case) {
    const DELAY: Duration = Duration::from_millis(40);
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    let jitter = Duration::from_millis(20);
    nodes[0].transport.set_shape(
        1,
        Shape {
            delay: DELAY,
            jitter,
            ..Shape::default()
        },
    );
    let start = Instant::now();
    for i in 0..100u8 {
        nodes[0]
            .send(1, Class::Bulk, &[i])
            .expect("the queue has room");
    }
    let mut got = Vec::new();
    until(&mut nodes, "delayed frames arrive", |nodes| {
        got.extend(nodes[1].frames().iter().map(|(_, _, frame)| frame.bytes[0]));
        assert!(
            got.is_empty() || start.elapsed() >= DELAY,
            "not before the delay"
        );
        got.len() == 100
    });
    assert!(got.is_sorted(), "jitter keeps the order");
    // The other direction is not shaped, and the shape can be taken away again.
    nodes[0].transport.set_shape(1, Shape::default());
    nodes[0]
        .send(1, Class::Bulk, &[7])
        .expect("the queue has room");
    until(&mut nodes, "and without", |nodes| {
        nodes[1].frames().len() == 1
    });
}

pub fn bandwidth_is_a_limit(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    let bandwidth_bytes_per_s = Some(1_000_000);
    nodes[0].transport.set_shape(
        1,
        Shape {
            bandwidth_bytes_per_s,
            ..Shape::default()
        },
    );
    let start = Instant::now();
    let body = Body::new([pattern(10_000, 1).into()]);
    for _ in 0..10 {
        let frame = Frame::with_body(vec![], body.clone());
        nodes[0]
            .transport
            .send(1, Class::Bulk, frame)
            .expect("the queue has room");
    }
    nodes[0]
        .send(1, Class::Control, b"first")
        .expect("the queue has room");
    let mut got = Vec::new();
    until(&mut nodes, "all is there", |nodes| {
        got.extend(nodes[1].frames());
        got.len() == 11
    });
    // 100 000 bytes at 1 MB/s, less the depth of the bucket.
    assert!(
        start.elapsed() >= Duration::from_millis(95),
        "{:?}",
        start.elapsed()
    );
    let at = got
        .iter()
        .position(|(_, _, frame)| &frame.bytes[..] == b"first");
    assert!(
        at.is_some_and(|at| at <= 2),
        "control overtakes in front of a slow line: {at:?}"
    );
}

pub fn a_block_holds_both_directions_and_ends(case: Case) {
    let committee = Committee::new(case, 3);
    let mut nodes = committee.open_all();
    nodes[0].transport.set_shape(
        1,
        Shape {
            blocked: true,
            ..Shape::default()
        },
    );
    nodes[0]
        .send(1, Class::Control, b"0 to 1")
        .expect("it is queued");
    nodes[1]
        .send(0, Class::Control, b"1 to 0")
        .expect("it is queued");
    // A hundred round trips of another pair are the clock.
    let mut trips = 0;
    nodes[0]
        .send(2, Class::Control, b"ping")
        .expect("another link");
    until(&mut nodes, "other links go on", |nodes| {
        for i in [0u16, 2] {
            for (_, peer, frame) in nodes[usize::from(i)].frames() {
                assert_eq!(peer, Peer::Replica(2 - i), "{:?} came through", frame.bytes);
                nodes[usize::from(i)]
                    .send(2 - i, Class::Control, b"ping")
                    .expect("it is up");
                trips += 1;
            }
        }
        assert!(nodes[1].frames().is_empty());
        trips >= 100
    });
    nodes[0].transport.set_shape(1, Shape::default());
    let mut got = [false; 2];
    until(&mut nodes, "what was held arrives", |nodes| {
        for (i, from) in [(0, 1), (1, 0)] {
            got[i] |= nodes[i]
                .frames()
                .iter()
                .any(|(_, peer, _)| *peer == Peer::Replica(from));
        }
        got == [true; 2]
    });
    let down = |e: &Event| matches!(e, Event::Down { .. });
    assert!(
        !nodes[0].saw(down) && !nodes[1].saw(down),
        "the connection survived"
    );
}

pub fn a_blocked_pair_does_not_connect(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = vec![committee.open(0), committee.open(1)];
    nodes[1].transport.set_shape(
        0,
        Shape {
            blocked: true,
            ..Shape::default()
        },
    );
    until(&mut nodes, "it is refused", |nodes| {
        nodes[1].closed(DownReason::Blocked) >= 2
    });
    assert!(!nodes[0].transport.is_up(1));
    nodes[1].transport.set_shape(0, Shape::default());
    until(&mut nodes, "it connects", all_up);
}

pub fn loss_breaks_and_redials(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    let shape = Shape {
        break_per_million: 1_000_000,
        ..Shape::default()
    };
    nodes[1].transport.set_shape(0, shape);
    nodes[1]
        .send(0, Class::Control, b"lost")
        .expect("a loss is silent");
    nodes[1].transport.set_shape(0, Shape::default());
    until(&mut nodes, "it reconnects", |nodes| {
        nodes[1].saw_down(DownReason::ShapedLoss) && all_up(nodes)
    });
    nodes[1].send(0, Class::Control, b"kept").expect("it is up");
    let mut got = Vec::new();
    until(&mut nodes, "the next frame arrives", |nodes| {
        got.extend(nodes[0].frames());
        !got.is_empty()
    });
    assert_eq!(&got[0].2.bytes[..], b"kept");
}

pub fn a_seat_can_change_hands(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    nodes[1].transport.set_peer(0, None);
    until(&mut nodes, "the old holder is refused", |nodes| {
        nodes[1].saw_down(DownReason::SeatChanged) && nodes[1].closed(DownReason::WrongIndex) >= 1
    });
    assert_eq!(
        nodes[1].send(0, Class::Control, b"x"),
        Err(SendError::Unknown)
    );
    let mut config = committee.config(0);
    let replica = config.replica.as_mut().expect("it is a replica");
    replica.private_key = private_key(9);
    let seat = PeerConfig {
        addr: committee.peer_addr(0),
        public_key: public_key(&private_key(9)),
    };
    replica.committee[0] = Some(seat);
    nodes[0] = case.open(config);
    nodes[1].transport.set_peer(0, Some(seat));
    until(&mut nodes, "the new holder is up", all_up);
}
