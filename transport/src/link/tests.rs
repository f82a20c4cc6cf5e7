//! The link without sockets: any bytes, any splits, any limits.

use super::*;
use crate::{Body, Class, Frame, SendError};
use bytes::Bytes;
use proptest::prelude::*;
use std::time::{Duration, Instant};

const KEYS: [[u8; 32]; 2] = [[0x11; 32], [0x22; 32]];

fn limits(frame_bytes: usize, grow: bool) -> LinkLimits {
    let queues = QueueLimits {
        control_bytes: 1 << 20,
        bulk_bytes: 1 << 20,
        frame_bytes: 1 << 20,
    };
    LinkLimits {
        frame_bytes,
        grow,
        queues,
    }
}

/// Moves all bytes of one wire into the other link, in pieces of `step`.
fn carry(from: &mut Link, to: &mut Link, step: usize) -> Result<Vec<LinkEvent>, DownReason> {
    let mut events = Vec::new();
    loop {
        let segments = from.wire().gather_owned(8);
        if segments.is_empty() {
            return Ok(events);
        }
        from.advance(segments.iter().map(Bytes::len).sum());
        for piece in segments
            .iter()
            .flat_map(|segment| segment.chunks(step.max(1)))
        {
            to.feed(piece, &mut events)?;
        }
    }
}

/// Two ends of a proven link between replicas (or a client and a replica).
fn pair(port: Port, encryption: bool, limits: LinkLimits, step: usize) -> (Link, Link) {
    let hello = Hello::new(port, encryption, 0, 1, [9; 32]);
    let publics = KEYS.map(|key| crate::public_key(&key));
    let peers = port == Port::Peers;
    let keys = DialKeys {
        private: peers.then_some(&KEYS[0]),
        remote: &publics[1],
    };
    let mut dialler = Link::dial(&hello, keys, limits).expect("keys are keys");
    let mut acceptor = Link::accept(port, encryption, limits);
    let events = carry(&mut dialler, &mut acceptor, step).expect("a right hello");
    assert!(matches!(events[..], [LinkEvent::HelloReady]));
    let expected = peers.then_some(&publics[0]);
    acceptor
        .answer(&KEYS[1], expected, limits)
        .expect("the right key");
    let events = carry(&mut acceptor, &mut dialler, step).expect("a right reply");
    assert!(matches!(events[..], [LinkEvent::Up]));
    let events = carry(&mut dialler, &mut acceptor, step).expect("a right confirmation");
    assert!(matches!(events[..], [LinkEvent::Up]));
    (dialler, acceptor)
}

fn push(link: &mut Link, class: Class, frame: Frame) -> Result<(), SendError> {
    link.outbox_mut()
        .expect("the link is up")
        .push(class, frame)
}

fn frames(events: Vec<LinkEvent>) -> Vec<crate::Received> {
    let frame = |event| match event {
        LinkEvent::Frame(frame) => frame,
        other => panic!("unexpected {other:?}"),
    };
    events.into_iter().map(frame).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_sent_arrives(
        lens in prop::collection::vec((0usize..300, 0usize..200_000), 1..6),
        step in 1usize..100_000,
        encryption: bool,
        grow: bool,
        clients: bool,
    ) {
        let port = if clients { Port::Clients } else { Port::Peers };
        let (mut a, mut b) = pair(port, encryption, limits(1 << 20, grow), step.min(7));
        let mut expected = Vec::new();
        for (i, (head, body)) in lens.into_iter().enumerate() {
            let body: Bytes = (0..body).map(|at| (at * 7 + i) as u8).collect();
            let (left, right) = (body.slice(..body.len() / 3), body.slice(body.len() / 3..));
            let frame = Frame::with_body(vec![i as u8; head + 1], Body::new([left, right]));
            if push(&mut a, Class::Bulk, frame.clone()).is_ok() {
                expected.push(crate::Received::from_frame(&frame));
            }
        }
        let got = frames(carry(&mut a, &mut b, step.max(64)).expect("nobody attacks"));
        prop_assert_eq!(got.len(), expected.len());
        for (got, expected) in got.into_iter().zip(expected) {
            prop_assert_eq!(&got.bytes, &expected.bytes);
            prop_assert_eq!(got.head_len, expected.head_len);
            prop_assert_eq!(got.body_hash, expected.body_hash.filter(|_| !encryption));
        }
    }

    #[test]
    fn any_bytes_as_a_hello(bytes in prop::collection::vec(any::<u8>(), 0..300), peers: bool) {
        let port = if peers { Port::Peers } else { Port::Clients };
        let mut link = Link::accept(port, false, limits(100, true));
        let _ = link.feed(&bytes, &mut Vec::new());
        prop_assert!(link.outbox().is_none() && link.wire().is_empty());
    }

    #[test]
    fn any_changed_hello_is_refused(at in 0usize..96, bit in 0u32..8, peers: bool) {
        let port = if peers { Port::Peers } else { Port::Clients };
        let hello = Hello::new(port, true, 0, 1, [9; 32]);
        let publics = KEYS.map(|key| crate::public_key(&key));
        let keys = DialKeys { private: peers.then_some(&KEYS[0]), remote: &publics[1] };
        let mut dialler = Link::dial(&hello, keys, limits(100, true)).expect("keys are keys");
        let mut bytes = dialler.wire().gather_owned(8).concat();
        bytes[at] ^= 1 << bit;
        // X25519 ignores the top bit of a public key's encoding, but Noise hashes all of it.
        let mut acceptor = Link::accept(port, true, limits(100, true));
        let expected = peers.then_some(&publics[0]);
        let result = acceptor.feed(&bytes, &mut Vec::new());
        let result = result.and_then(|()| acceptor.answer(&KEYS[1], expected, limits(100, true)));
        prop_assert!(result.is_err());
    }

    #[test]
    fn any_bytes_after_the_handshake(
        bytes in prop::collection::vec(any::<u8>(), 1..400),
        encryption: bool,
        grow: bool,
    ) {
        let (_, mut b) = pair(Port::Peers, encryption, limits(1000, grow), 1000);
        let mut events = Vec::new();
        let _ = b.feed(&bytes, &mut events);
        prop_assert!(events.is_empty(), "a forged frame came through");
    }

    #[test]
    fn any_changed_byte_ends_the_link(
        len in 1usize..150_000,
        at in any::<prop::sample::Index>(),
        bit in 0u32..8,
        encryption: bool,
    ) {
        let (mut a, mut b) = pair(Port::Peers, encryption, limits(1 << 20, false), 1000);
        let body = Body::new([vec![3; len].into()]);
        push(&mut a, Class::Bulk, Frame::with_body(&b"head"[..], body)).expect("room");
        let mut bytes = a.wire().gather_owned(64).concat();
        a.advance(bytes.len());
        bytes.extend(std::iter::repeat_n(0, 1 << 20));
        let at = at.index(bytes.len() - (1 << 20));
        bytes[at] ^= 1 << bit;
        let mut events = Vec::new();
        // A longer length makes it wait for more: then what follows is taken for the frame.
        prop_assert!(b.feed(&bytes, &mut events).is_err());
        prop_assert!(events.is_empty());
    }
}

#[test]
fn lengths_are_checked_before_memory_is_taken() {
    for encryption in [false, true] {
        let (_, mut b) = pair(Port::Peers, encryption, limits(1000, false), 1000);
        let header = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert_eq!(b.feed(&header, &mut Vec::new()), Err(DownReason::Oversized));
        let (_, mut b) = pair(Port::Peers, encryption, limits(1000, false), 1000);
        let header = [10, 0, 0, 0, 11, 0, 0, 0];
        assert_eq!(b.feed(&header, &mut Vec::new()), Err(DownReason::BadFrame));
    }
}

#[test]
fn unknown_senders_pay_for_memory_with_bytes() {
    let (_, mut b) = pair(Port::Clients, false, limits(1 << 20, true), 1000);
    let header = seal::Header {
        len: 1 << 20,
        head_len: 0,
    };
    b.feed(&header.encode(), &mut Vec::new())
        .expect("a legal length");
    b.feed(&[0; 1000], &mut Vec::new()).expect("a part of it");
    let room = b.direct().map_or(0, |room| room.len());
    assert!(room <= 128 << 10, "{room} bytes were reserved for 1000");
}

#[test]
fn the_two_directions_do_not_share_keys() {
    // A frame reflected to its sender must not be taken for one of the other side.
    for encryption in [false, true] {
        let (mut a, _) = pair(Port::Peers, encryption, limits(1000, false), 1000);
        push(&mut a, Class::Control, Frame::new(&b"vote"[..])).expect("room");
        let bytes = a.wire().gather_owned(8).concat();
        let mut events = Vec::new();
        assert_eq!(a.feed(&bytes, &mut events), Err(DownReason::BadMac));
        assert!(events.is_empty());
    }
}

#[test]
fn owned_reads_give_the_same_frames() {
    for encryption in [false, true] {
        let (mut a, mut b) = pair(Port::Peers, encryption, limits(1 << 20, false), 1000);
        let mut expected = Vec::new();
        for len in [300_000, 5, 100_000] {
            let body = Body::new([vec![len as u8; len].into()]);
            let frame = Frame::with_body(&b"head"[..], body);
            expected.push(crate::Received::from_frame(&frame).bytes);
            push(&mut a, Class::Bulk, frame).expect("room");
        }
        let mut bytes = Vec::new();
        while !a.wire().is_empty() {
            let segments = a.wire().gather_owned(64);
            a.advance(segments.iter().map(Bytes::len).sum());
            bytes.extend(segments.concat());
        }
        let (mut rest, mut events) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let len = rest.len().min(20_000);
            match b.take_buffer() {
                Some(mut buffer) => {
                    let len = len.min(buffer.capacity() - buffer.len());
                    buffer.extend_from_slice(&rest[..len]);
                    rest = &rest[len..];
                    b.put_buffer(buffer, &mut events).expect("nobody attacks");
                }
                None => {
                    b.feed(&rest[..len], &mut events).expect("nobody attacks");
                    rest = &rest[len..];
                }
            }
        }
        let got: Vec<Bytes> = frames(events)
            .into_iter()
            .map(|frame| frame.bytes)
            .collect();
        assert_eq!(got, expected);
    }
}

#[test]
fn the_shaper_keeps_time_by_the_callers_clock() {
    let now = Instant::now();
    let after = |ms: u64| now + Duration::from_millis(ms);
    let (mut a, _) = pair(Port::Peers, false, limits(1 << 20, false), 1000);
    let outbox = a.outbox_mut().expect("it is up");
    let shape = crate::Shape {
        delay: Duration::from_millis(10),
        bandwidth_bytes_per_s: Some(100_000),
        ..Default::default()
    };
    outbox.set_shape(shape, 1, now);
    for class in [Class::Bulk, Class::Bulk, Class::Control] {
        let body = Body::new([vec![0; 1000].into()]);
        outbox
            .push(class, Frame::with_body(vec![], body))
            .expect("room");
    }
    // Each frame takes 10 ms of the line (less the bucket of 2 ms), then 10 ms of the way.
    assert_eq!(
        outbox.tick(now),
        Some(after(10)),
        "the line is taken until then"
    );
    assert!(!outbox.has_ready());
    let mut ready = Vec::new();
    for ms in 0..60 {
        outbox.tick(after(ms));
        if outbox.has_ready() {
            ready.push(ms);
            let mut wire = Wire::default();
            outbox.fill(&mut wire);
        }
    }
    assert_eq!(ready, [20, 30, 40]);
    outbox.set_shape(crate::Shape::default(), 1, after(60));
    outbox.tick(after(60));
    assert!(!outbox.is_shaped(), "nothing is left to hold");
}
