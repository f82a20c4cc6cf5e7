//! Strangers, and a man in the middle.

use crate::harness::{CLUSTER, Case, Committee, Node, all_up, pattern, until};
use crate::proxy::{Attack, proxy};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use transport::{Body, Class, DownReason, Event, Frame, Peer, SendError};

/// Bytes of the dialler before its first frame: hello (96) and confirmation (24).
const FIRST_FRAME: usize = 96 + 24;

/// A hello with everything right that is public; the proof is nonsense.
fn fake_hello(port: u8, case: Case, from: u16, to: u16) -> Vec<u8> {
    let mut hello = b"rfrg-01".to_vec();
    hello.push(port);
    hello.extend([u8::from(case.encryption), 0]);
    hello.extend(from.to_le_bytes());
    hello.extend(to.to_le_bytes());
    hello.extend([0, 0]);
    hello.extend(CLUSTER);
    hello.extend([0x55; 48]);
    hello
}

fn dial(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("the port listens");
    stream.set_nonblocking(true).expect("a socket");
    stream
}

fn nothing_came_up(node: &Node) -> bool {
    !node.saw(|e| matches!(e, Event::Up { .. } | Event::Frame { .. }))
}

pub fn strangers_get_nothing(case: Case) {
    let committee = Committee::new(case, 2);
    let mut nodes = [committee.open(1)];
    let (peers, clients) = (committee.peer_addr(1), committee.client_addr(1));
    let attempts = [
        (
            peers,
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            DownReason::BadPreamble,
        ),
        (clients, vec![0; 4096], DownReason::BadPreamble),
        // Each port understands only its own handshake: a client cannot become a replica.
        (
            clients,
            fake_hello(b'P', case, 0, 1),
            DownReason::BadPreamble,
        ),
        (peers, fake_hello(b'C', case, 0, 0), DownReason::BadPreamble),
        (peers, fake_hello(b'P', case, 0, 1), DownReason::WrongKey),
        (clients, fake_hello(b'C', case, 0, 0), DownReason::WrongKey),
        (peers, fake_hello(b'P', case, 1, 1), DownReason::WrongIndex),
        (peers, fake_hello(b'P', case, 7, 1), DownReason::WrongIndex),
        (peers, fake_hello(b'P', case, 0, 0), DownReason::WrongIndex),
        (
            clients,
            [fake_hello(b'C', case, 0, 0), vec![0; 9]].concat(),
            DownReason::BadPreamble,
        ),
    ];
    for (i, (addr, bytes, reason)) in attempts.into_iter().enumerate() {
        let before = nodes[0].closed(reason);
        let mut stream = dial(addr);
        stream.write_all(&bytes).expect("a fresh socket takes this");
        until(&mut nodes, &format!("attempt {i}: {reason}"), |n| {
            n[0].closed(reason) > before
        });
        let mut answer = Vec::new();
        until(&mut nodes, "the socket is closed", |_| {
            let mut buffer = [0; 64];
            match stream.read(&mut buffer) {
                Ok(len) => answer.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => return true,
            }
            answer.len() > 2 || matches!(stream.peek(&mut buffer), Ok(0))
        });
        assert!(answer.len() <= 2, "attempt {i} got {answer:?}");
    }
    assert!(nothing_came_up(&nodes[0]));
}

pub fn half_open_by_the_thousand(case: Case) {
    let mut committee = Committee::new(case, 2);
    committee.limits.handshaking = 64;
    let mut nodes = committee.open_all();
    let mut streams = Vec::new();
    let (mut garbage, mut trips) = (0, 0);
    nodes[0].send(1, Class::Control, b"ping").expect("it is up");
    for i in 0..1000 {
        let mut stream = dial(if i % 2 == 0 {
            committee.peer_addr(1)
        } else {
            committee.client_addr(1)
        });
        match i % 4 {
            0 => {}
            1 => stream
                .write_all(&fake_hello(b'C', case, 0, 0)[..50])
                .expect("room"),
            2 => stream.write_all(b"rfrg-01P\0").expect("room"),
            _ => {
                stream.write_all(b"rubbish").expect("room");
                garbage += 1;
            }
        }
        streams.push(stream);
        for (i, node) in nodes.iter_mut().enumerate() {
            node.poll(Duration::ZERO);
            for _ in node.frames() {
                node.send(1 - i as u16, Class::Control, b"ping")
                    .expect("it is up");
                trips += 1;
            }
        }
        assert!(nodes[1].transport.stats().handshaking <= 64 + 1);
    }
    until(&mut nodes, "all are dealt with", |nodes| {
        let stats = nodes[1].transport.stats();
        let evicted = stats.closed_for(DownReason::HandshakeEvicted);
        let bad = stats.closed_for(DownReason::BadPreamble);
        assert!(bad <= garbage);
        stats.accepted >= 1001 && evicted + bad + stats.handshaking as u64 == 1000
    });
    assert!(trips > 100, "{trips} messages passed meanwhile");
    assert!(all_up(&mut nodes));
    // And a client still gets in.
    nodes.push(case.client());
    nodes[2]
        .transport
        .connect(&committee.server(1))
        .expect("a socket can be made");
    until(&mut nodes, "a client gets in", |nodes| {
        nodes[2].saw(|e| {
            matches!(
                e,
                Event::Up {
                    peer: Peer::Server,
                    ..
                }
            )
        })
    });
}

pub fn the_silent_run_out_of_time(case: Case) {
    let mut committee = Committee::new(case, 2);
    committee.limits.handshake_timeout = Duration::from_millis(30);
    let mut nodes = [committee.open(1)];
    let streams: Vec<TcpStream> = (0..10).map(|_| dial(committee.client_addr(1))).collect();
    until(&mut nodes, "they time out", |nodes| {
        nodes[0].closed(DownReason::HandshakeTimeout) == streams.len() as u64
    });
    assert_eq!(nodes[0].transport.stats().handshaking, 0);
}

pub fn oversized_frames_end_the_link(case: Case) {
    let committee = Committee::new(case, 2);
    let mut config = committee.config(0);
    config.limits.peer_frame_bytes = 16 << 20;
    let mut client = transport::TransportConfig::client(case.backend, CLUSTER, case.encryption);
    client.limits.client_frame_bytes = 16 << 20;
    let mut nodes = vec![case.open(config), committee.open(1), case.open(client)];
    let conn = nodes[2]
        .transport
        .connect(&committee.server(1))
        .expect("a socket can be made");
    until(&mut nodes, "all are up", |nodes| {
        nodes[0].transport.is_up(1) && nodes[2].conn_of(|peer| peer == Peer::Server).is_some()
    });
    let body = Body::new([vec![1; (4 << 20) + 1].into()]);
    let frame = Frame::with_body(vec![], body);
    nodes[0]
        .transport
        .send(1, Class::Bulk, frame.clone())
        .expect("its own limit is higher");
    nodes[2]
        .transport
        .reply(conn, frame)
        .expect("its own limit is higher");
    until(&mut nodes, "both are cut", |nodes| {
        nodes[1].closed(DownReason::Oversized) == 2
    });
    assert!(nodes[1].frames().is_empty());
    until(&mut nodes, "the replica redials", |nodes| {
        nodes[0].saw(|e| matches!(e, Event::Down { .. })) && nodes[0].transport.is_up(1)
    });
}

/// Replica 0 reaches replica 1 only through an attacker; `reason` is why replica 1 cuts the link.
fn in_the_middle(case: Case, attack: Attack, len: usize, reason: DownReason, whole: usize) {
    let mut committee = Committee::new(case, 2);
    let proxy_addr = proxy(committee.peer_addr(1), attack);
    let seat = committee.seats[1].as_mut().expect("it is filled");
    seat.addr = proxy_addr;
    let mut nodes = committee.open_all();
    let body: bytes::Bytes = pattern(len, 5).into();
    for i in 0..3u8 {
        let frame = Frame::with_body(vec![i], Body::new([body.clone()]));
        nodes[0]
            .transport
            .send(1, Class::Bulk, frame)
            .expect("the link is up");
    }
    until(&mut nodes, "the attack is noticed", |nodes| {
        nodes[1].closed(reason) == 1
    });
    let got = nodes[1].frames();
    assert_eq!(got.len(), whole, "frames before the attack");
    assert!(got.iter().all(|(_, _, frame)| frame.body() == body));
    // The attacker lets the second connection alone.
    until(&mut nodes, "the link comes up again", |nodes| {
        nodes[0].saw(|e| matches!(e, Event::Down { .. })) && all_up(nodes)
    });
    nodes[0]
        .send(1, Class::Control, b"again")
        .expect("it is up");
    let mut got = Vec::new();
    until(&mut nodes, "and works", |nodes| {
        got.extend(nodes[1].frames());
        !got.is_empty()
    });
    assert_eq!(&got[0].2.bytes[..], b"again");
}

/// A frame on the wire: header, head of one byte, body, tags.
fn wire_len(case: Case, len: usize) -> usize {
    let chunks = if case.encryption {
        (len + 1).div_ceil(64 << 10)
    } else {
        1
    };
    8 + 1 + len + 16 * chunks
}

pub fn a_changed_byte_is_noticed(case: Case) {
    // In a small body, in a large one, in a head, in a tag.
    let last = FIRST_FRAME + wire_len(case, 1000) - 1;
    let changes = [
        (1000, FIRST_FRAME + 500),
        (300_000, FIRST_FRAME + 200_000),
        (9, FIRST_FRAME + 8),
        (1000, last),
    ];
    for (len, at) in changes {
        in_the_middle(case, Attack::Change { at }, len, DownReason::BadMac, 0);
    }
    // Of the second frame.
    let at = FIRST_FRAME + wire_len(case, 70_000) + 100;
    in_the_middle(case, Attack::Change { at }, 70_000, DownReason::BadMac, 1);
}

pub fn a_replayed_frame_is_noticed(case: Case) {
    for len in [100, 200_000] {
        let frame = FIRST_FRAME..FIRST_FRAME + wire_len(case, len);
        in_the_middle(case, Attack::Repeat(frame), len, DownReason::BadMac, 1);
    }
}

pub fn a_dropped_frame_is_noticed(case: Case) {
    let frame = FIRST_FRAME..FIRST_FRAME + wire_len(case, 100);
    in_the_middle(case, Attack::Drop(frame), 100, DownReason::BadMac, 0);
}

pub fn a_cut_frame_is_noticed(case: Case) {
    let at = FIRST_FRAME + wire_len(case, 50_000) + 7;
    in_the_middle(case, Attack::Cut { at }, 50_000, DownReason::Truncated, 1);
    let at = FIRST_FRAME + 20_000;
    in_the_middle(case, Attack::Cut { at }, 50_000, DownReason::Truncated, 0);
}

pub fn a_replayed_connection_gets_nowhere(case: Case) {
    let mut committee = Committee::new(case, 2);
    let (seen, addr) = crate::proxy::recorder(committee.peer_addr(1));
    committee.seats[1].as_mut().expect("it is filled").addr = addr;
    let mut nodes = committee.open_all();
    nodes[0].send(1, Class::Control, b"once").expect("it is up");
    until(&mut nodes, "it arrives", |nodes| {
        !nodes[1].frames().is_empty()
    });
    let recorded = seen.lock().expect("the recorder lives").clone();
    assert!(recorded.len() > FIRST_FRAME);
    // The hello alone is answered, and then nothing happens.
    let mut hello = dial(committee.peer_addr(1));
    hello.write_all(&recorded[..96]).expect("room");
    // The whole of it fails at the confirmation.
    let mut all = dial(committee.peer_addr(1));
    all.write_all(&recorded[..96]).expect("room");
    let mut answered = false;
    until(&mut nodes, "the hello is answered", |_| {
        answered |= all.peek(&mut [0]).is_ok();
        answered
    });
    all.write_all(&recorded[96..]).expect("room");
    until(&mut nodes, "the replay is noticed", |n| {
        n[1].closed(DownReason::BadMac) == 1
    });
    assert!(nodes[1].frames().is_empty());
    let downs = |e: &Event| matches!(e, Event::Down { .. });
    assert!(
        all_up(&mut nodes) && !nodes[1].saw(downs),
        "the real link was never touched"
    );
}

pub fn a_client_that_does_not_read_is_cut(case: Case) {
    let mut committee = Committee::new(case, 1);
    committee.limits.client_stall = Duration::from_millis(30);
    committee.limits.client_queue_bytes = 1 << 20;
    let mut nodes = vec![committee.open(0), case.client(), case.client()];
    for client in [1, 2] {
        nodes[client]
            .transport
            .connect(&committee.server(0))
            .expect("a socket can be made");
    }
    until(&mut nodes, "both are up", |nodes| {
        nodes[0].transport.stats().clients_up == 2
            && nodes
                .iter()
                .skip(1)
                .all(|n| n.conn_of(|peer| peer == Peer::Server).is_some())
    });
    // Which of the server's connections is the one that will go on reading?
    let conn = nodes[2]
        .conn_of(|peer| peer == Peer::Server)
        .expect("it is up");
    nodes[2]
        .transport
        .reply(conn, Frame::new(&b"me"[..]))
        .expect("it is up");
    let mut reader = None;
    until(&mut nodes, "it has spoken", |nodes| {
        reader = nodes[0].frames().first().map(|(conn, _, _)| *conn);
        reader.is_some()
    });
    let reader = reader.expect("just set");
    let ups = nodes[0].events.iter().filter_map(|e| match e {
        Event::Up { conn, .. } if *conn != reader => Some(*conn),
        _ => None,
    });
    let lazy = ups.last().expect("two clients are up");
    let mut lazy_client = nodes.remove(1);
    let body = Body::new([pattern(64 << 10, 1).into()]);
    let (mut full, mut got, mut sent) = (false, 0, 0);
    until(&mut nodes, "the lazy one is cut", |nodes| {
        match nodes[0]
            .transport
            .reply(lazy, Frame::with_body(vec![], body.clone()))
        {
            Ok(()) | Err(SendError::Unknown) => {}
            Err(error) => {
                assert_eq!(error, SendError::Full);
                full = true;
            }
        }
        assert!(nodes[0].transport.queued_bytes_conn(lazy) <= 1 << 20);
        if nodes[0].transport.queued_bytes_conn(reader) == 0 {
            let frame = Frame::with_body(vec![], body.clone());
            nodes[0]
                .transport
                .reply(reader, frame)
                .expect("the other one reads");
            sent += 1;
        }
        got += nodes[1].frames().len();
        nodes[0].closed(DownReason::SlowReader) == 1
    });
    assert!(full);
    until(&mut nodes, "the reader got everything", |nodes| {
        got += nodes[1].frames().len();
        got == sent
    });
    lazy_client.events.clear();
}

pub fn a_silent_replica_delays_nobody(case: Case) {
    let mut committee = Committee::new(case, 3);
    committee.limits.bulk_queue_bytes = 4 << 20;
    let mut nodes = committee.open_all();
    let _silent = nodes.pop().expect("three are open");
    let body = Body::new([pattern(256 << 10, 1).into()]);
    let (mut full, mut sent, mut got) = (0, 0, 0);
    until(&mut nodes, "the other one gets everything", |nodes| {
        for peer in [1, 2] {
            if peer == 1 && sent == 200 {
                continue;
            }
            match nodes[0]
                .transport
                .send(peer, Class::Bulk, Frame::with_body(vec![], body.clone()))
            {
                Ok(()) if peer == 1 => sent += 1,
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error, SendError::Full);
                    full += usize::from(peer == 2);
                }
            }
            assert!(nodes[0].transport.queued_bytes(peer, Class::Bulk) <= 4 << 20);
        }
        got += nodes[1].frames().len();
        got == 200
    });
    until(&mut nodes, "the silent one's queue is full", |nodes| {
        full += usize::from(
            nodes[0]
                .transport
                .send(2, Class::Bulk, Frame::with_body(vec![], body.clone()))
                == Err(SendError::Full),
        );
        full > 0
    });
    assert!(nodes[0].transport.is_up(2));
}

pub fn more_clients_than_allowed_are_refused(case: Case) {
    let mut committee = Committee::new(case, 1);
    committee.limits.clients = 1;
    let mut nodes = vec![committee.open(0), case.client(), case.client()];
    nodes[1]
        .transport
        .connect(&committee.server(0))
        .expect("a socket can be made");
    until(&mut nodes, "one is up", |nodes| {
        nodes[0].transport.stats().clients_up == 1
    });
    nodes[2]
        .transport
        .connect(&committee.server(0))
        .expect("a socket can be made");
    until(&mut nodes, "the other is refused", |nodes| {
        nodes[2].saw_down(DownReason::TooManyClients)
            && nodes[0].closed(DownReason::TooManyClients) == 1
    });
}
