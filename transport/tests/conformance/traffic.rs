//! Frames arrive: whole, in order, both ways, bounded.

use crate::harness::{Case, Committee, Node, pattern, until};
use bytes::Bytes;
use transport::{Body, Class, Event, Frame, Peer, SendError};

pub fn both_directions(case: Case) {
    let committee = Committee::new(case, 4);
    let mut nodes = committee.open_all();
    for from in 0..4u16 {
        for to in (0..4).filter(|to| *to != from) {
            let bytes = [from as u8, to as u8];
            nodes[usize::from(from)]
                .send(to, Class::Control, &bytes)
                .expect("the link is up");
        }
    }
    let mut got = [[false; 4]; 4];
    until(&mut nodes, "every pair has talked", |nodes| {
        for (to, node) in nodes.iter_mut().enumerate() {
            for (_, peer, frame) in node.frames() {
                let Peer::Replica(from) = peer else {
                    panic!("only replicas talk here")
                };
                assert_eq!(&frame.bytes[..], [from as u8, to as u8]);
                assert!(
                    !std::mem::replace(&mut got[usize::from(from)][to], true),
                    "twice"
                );
            }
        }
        got.iter().flatten().filter(|got| **got).count() == 12
    });
    let stats = nodes[1].transport.stats();
    assert_eq!(
        (stats.replicas[0].frames_in, stats.replicas[0].bytes_in),
        (1, 2)
    );
    assert_eq!(
        (stats.replicas[2].frames_out, stats.replicas[2].bytes_out),
        (1, 2)
    );
}

pub fn big_frames_arrive_whole_and_in_order(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    let lens = [
        1,
        4095,
        65_535,
        65_536,
        65_537,
        131_072,
        500_001,
        4 << 20,
        3,
        1 << 20,
    ];
    let bodies: Vec<Bytes> = lens
        .iter()
        .enumerate()
        .map(|(i, len)| pattern(*len, i as u64).into())
        .collect();
    let mut next = 0;
    let mut got = Vec::new();
    until(&mut nodes, "all big frames are there", |nodes| {
        while next < bodies.len() {
            // A body in three pieces, behind a head.
            let (body, third) = (&bodies[next], bodies[next].len() / 3);
            let body = Body::new([
                body.slice(..third),
                body.slice(third..2 * third),
                body.slice(2 * third..),
            ]);
            let head = if lens[next] == 4 << 20 {
                vec![]
            } else {
                vec![next as u8; 40]
            };
            match nodes[0]
                .transport
                .send(1, Class::Bulk, Frame::with_body(head, body))
            {
                Ok(()) => next += 1,
                Err(error) => {
                    assert_eq!(error, SendError::Full);
                    break;
                }
            }
        }
        got.extend(nodes[1].frames());
        got.len() == lens.len()
    });
    for (i, (_, peer, frame)) in got.iter().enumerate() {
        assert_eq!(*peer, Peer::Replica(0));
        assert!(
            frame.head().iter().all(|byte| *byte == i as u8),
            "head of frame {i}"
        );
        assert_eq!(frame.body(), bodies[i], "body of frame {i}");
        let expected_hash = (!case.encryption).then(|| *blake3::hash(&bodies[i]).as_bytes());
        assert_eq!(frame.body_hash, expected_hash);
    }
}

pub fn many_small_frames_keep_their_order(case: Case) {
    const COUNT: u32 = 20_000;
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    let (mut next, mut seen) = ([0u32; 2], [0u32; 2]);
    until(&mut nodes, "all small frames are there", |nodes| {
        for i in 0..2 {
            let other = 1 - i as u16;
            for _ in 0..1000 {
                if next[i] == COUNT {
                    break;
                }
                let frame = Frame::new(pattern_of(next[i]));
                nodes[i]
                    .transport
                    .send(other, Class::Bulk, frame)
                    .expect("the queue has room");
                next[i] += 1;
            }
            for (_, _, frame) in nodes[i].frames() {
                assert_eq!(
                    frame.bytes,
                    pattern_of(seen[i]),
                    "frame {} in order",
                    seen[i]
                );
                seen[i] += 1;
            }
        }
        seen == [COUNT; 2]
    });
}

fn pattern_of(i: u32) -> Vec<u8> {
    let mut bytes = i.to_le_bytes().to_vec();
    bytes.resize(4 + (i % 251) as usize, i as u8);
    bytes
}

pub fn one_body_goes_to_all(case: Case) {
    let committee = Committee::new(case, 4);
    let mut nodes = committee.open_all();
    let bytes: Bytes = pattern(700_000, 1).into();
    let body = Body::new([bytes.clone()]);
    for peer in 1..4 {
        let frame = Frame::with_body(vec![9], body.clone());
        nodes[0]
            .transport
            .send(peer, Class::Bulk, frame)
            .expect("the link is up");
    }
    let mut got = 0;
    until(&mut nodes, "all have the body", |nodes| {
        for (_, _, frame) in nodes.iter_mut().flat_map(Node::frames) {
            assert_eq!((frame.head(), frame.body()), (&[9][..], bytes.clone()));
            got += 1;
        }
        got == 3
    });
}

pub fn clients_ask_and_are_answered(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = vec![
        committee.open(0),
        committee.open(1),
        case.client(),
        case.client(),
    ];
    let mut conns = Vec::new();
    for client in [2, 3] {
        for server in [0, 1] {
            let conn = nodes[client].transport.connect(&committee.server(server));
            conns.push((client, conn.expect("a socket can be made")));
        }
    }
    until(&mut nodes, "clients are up", |nodes| {
        conns.iter().all(|(client, conn)| {
            nodes[*client]
                .saw(|e| matches!(e, Event::Up { conn: c, peer: Peer::Server } if c == conn))
        })
    });
    for (i, (client, conn)) in conns.iter().enumerate() {
        let request = Frame::with_body(
            vec![i as u8],
            Body::new([pattern(300_000, i as u64).into()]),
        );
        nodes[*client]
            .transport
            .reply(*conn, request)
            .expect("the server is up");
    }
    let mut answered = 0;
    until(&mut nodes, "all requests are answered", |nodes| {
        for server in &mut nodes[..2] {
            for (conn, peer, frame) in server.frames() {
                assert_eq!(peer, Peer::Client(conn));
                assert_eq!(frame.body(), pattern(300_000, u64::from(frame.bytes[0])));
                let answer = Frame::new(vec![frame.bytes[0], 0xaa]);
                server
                    .transport
                    .reply(conn, answer)
                    .expect("the client is up");
            }
        }
        for client in [2, 3] {
            for (conn, peer, frame) in nodes[client].frames() {
                assert_eq!((peer, frame.bytes[1]), (Peer::Server, 0xaa));
                assert_eq!(conns[usize::from(frame.bytes[0])], (client, conn));
                answered += 1;
            }
        }
        answered == 4
    });
    assert_eq!(nodes[0].transport.stats().clients_up, 2);
}

pub fn control_overtakes_bulk(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = committee.open_all();
    // The receiver does not poll: sockets fill, bulk stays queued.
    let body = Body::new([pattern(1 << 20, 3).into()]);
    let mut sent = 0;
    let full = |node: &Node| node.transport.queued_bytes(1, Class::Bulk) >= 24 << 20;
    while !full(&nodes[0]) {
        let frame = Frame::with_body(vec![1], body.clone());
        nodes[0]
            .transport
            .send(1, Class::Bulk, frame)
            .expect("the queue has room");
        sent += 1;
        nodes[0].poll(std::time::Duration::ZERO);
    }
    nodes[0]
        .send(1, Class::Control, b"urgent")
        .expect("its queue is empty");
    let mut before = 0;
    let mut overtook = false;
    let mut after = 0;
    until(&mut nodes, "all is there", |nodes| {
        for (_, _, frame) in nodes[1].frames() {
            match &frame.bytes[..] {
                b"urgent" => overtook = true,
                _ if overtook => after += 1,
                _ => before += 1,
            }
        }
        before + after == sent && overtook
    });
    assert!(
        after >= 20,
        "{before} of {sent} bulk frames came before the control frame"
    );
}

pub fn a_full_queue_refuses_and_drains(case: Case) {
    let mut committee = Committee::new(case, 2);
    committee.limits.bulk_queue_bytes = 3 << 20;
    let mut nodes = committee.open_all();
    let body = Body::new([pattern(1 << 20, 3).into()]);
    let mut accepted = 0;
    let error = loop {
        let frame = Frame::with_body(vec![1], body.clone());
        match nodes[0].transport.send(1, Class::Bulk, frame) {
            Ok(()) => accepted += 1,
            Err(error) => break error,
        }
        assert!(nodes[0].transport.queued_bytes(1, Class::Bulk) <= 3 << 20);
        nodes[0].poll(std::time::Duration::ZERO);
        assert!(accepted < 1000, "the kernel does not buffer a gigabyte");
    };
    assert_eq!(error, SendError::Full);
    // The other class still has room, and a frame beyond all limits is not "full".
    nodes[0]
        .send(1, Class::Control, b"x")
        .expect("control has its own queue");
    let huge = Frame::with_body(vec![], Body::new([vec![0; (4 << 20) + 1].into()]));
    assert_eq!(
        nodes[0].transport.send(1, Class::Control, huge),
        Err(SendError::TooLarge)
    );
    assert_eq!(
        nodes[0].send(7, Class::Control, b"x"),
        Err(SendError::Unknown)
    );
    let mut got = 0;
    until(&mut nodes, "the queue drains", |nodes| {
        got += nodes[1].frames().len();
        got == accepted + 1 && nodes[0].saw(|e| matches!(e, Event::Drained { .. }))
    });
    assert_eq!(nodes[0].transport.stats().replicas[1].full, 1);
    assert_eq!(nodes[0].transport.queued_bytes(1, Class::Bulk), 0);
}

pub fn the_waker_wakes_once(case: Case) {
    let mut node = case.client();
    let waker = node.transport.waker();
    let woken = |node: &Node| {
        node.events
            .iter()
            .filter(|e| matches!(e, Event::Woken))
            .count()
    };
    // Awake: no descriptor is needed, and many wakes are one.
    (0..100).for_each(|_| waker.wake());
    node.transport
        .poll(None, &mut node.events)
        .expect("poll works");
    assert_eq!(woken(&node), 1);
    node.poll(std::time::Duration::ZERO);
    assert_eq!(woken(&node), 1);
    // Asleep without bound: only the other thread can end this.
    for round in 2..50 {
        let other = waker.clone();
        let thread = std::thread::spawn(move || other.wake());
        node.transport
            .poll(None, &mut node.events)
            .expect("poll works");
        thread.join().expect("waking does not panic");
        assert_eq!(woken(&node), round);
    }
}

pub fn zero_copy_ends_where_the_kernel_copies(case: Case) {
    let committee = Committee::new(case, 2);
    let mut config = committee.config(0);
    config.zero_copy = true;
    let mut nodes = vec![case.open(config), committee.open(1)];
    until(&mut nodes, "both are up", crate::harness::all_up);
    let bytes: Bytes = pattern(300_000, 1).into();
    for _ in 0..20 {
        let frame = Frame::with_body(vec![1], Body::new([bytes.clone()]));
        nodes[0]
            .transport
            .send(1, Class::Bulk, frame)
            .expect("the queue has room");
    }
    let mut got = 0;
    until(&mut nodes, "all arrive", |nodes| {
        for (_, _, frame) in nodes[1].frames() {
            assert_eq!(frame.body(), bytes);
            got += 1;
        }
        let stats = nodes[0].transport.stats();
        // Loopback always copies: the first report ends it. Other back ends never try.
        let reported = u64::from(nodes[0].transport.backend() == transport::Backend::IoUring);
        got == 20 && stats.zero_copy_copied >= reported
    });
    let stats = nodes[0].transport.stats();
    assert!(
        stats.zero_copy_sends <= 8,
        "{} tries",
        stats.zero_copy_sends
    );
}
