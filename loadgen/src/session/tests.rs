use super::*;

fn session() -> Session {
    Session::new([7; 16], 0)
}

#[test]
fn requests_keep_their_times_through_growth_and_wrap() {
    let mut s = session();
    let mut next_close = 1;
    for i in 1..=20_000u64 {
        assert_eq!(s.open(10 * i, 10 * i + 1), Some(i));
        if i > 1_000 {
            let expected = InFlight {
                intended_ns: 10 * next_close,
                sent_ns: 10 * next_close + 1,
            };
            assert_eq!(s.close(next_close), Some(expected));
            next_close += 1;
        }
    }
    assert_eq!(s.live(), 1_000);
}

#[test]
fn the_window_fits_into_the_replicated_one() {
    const { assert!(WINDOW_MAX < execution::seen::WINDOW) };
}

#[test]
fn a_request_ends_once() {
    let mut s = session();
    s.open(5, 6);
    assert!(s.close(1).is_some());
    assert_eq!(s.close(1), None);
    assert_eq!(s.close(0), None);
    assert_eq!(s.close(2), None);
    assert!(s.knows(1) && !s.knows(2) && !s.knows(0));
}

#[test]
fn one_unanswered_request_closes_the_window_and_its_answer_opens_it() {
    let mut s = session();
    for i in 1..=WINDOW_MAX {
        assert_eq!(s.open(i, i), Some(i));
    }
    (2..=WINDOW_MAX).for_each(|seq| assert!(s.close(seq).is_some()));
    assert_eq!((s.live(), s.room()), (1, 0));
    assert_eq!(s.open(1, 1), None);
    assert!(s.close(1).is_some());
    assert_eq!(s.room(), WINDOW_MAX);
}

#[test]
fn a_fail_over_sends_again_what_is_unanswered_and_nothing_else() {
    let mut s = session();
    for i in 1..=6 {
        s.open(i, i);
    }
    s.close(2);
    s.reroute(3, 100, true);
    // New requests are not sent twice; answers in between take requests out.
    s.open(7, 7);
    assert_eq!(s.next_resend(), Some(1));
    s.close(4);
    s.close(6);
    let rest: Vec<u64> = std::iter::from_fn(|| s.next_resend()).collect();
    assert_eq!(rest, [3, 5]);
    assert!(!s.resends());
    assert_eq!((s.route, s.routed_ns), (3, 100));
}

#[test]
fn draining_gives_every_open_request() {
    let mut s = session();
    for i in 1..=5 {
        s.open(i * 100, i);
    }
    s.close(3);
    let left: Vec<u64> = s.drain().map(|r| r.intended_ns).collect();
    assert_eq!(left, [100, 200, 400, 500]);
    assert_eq!(s.live(), 0);
}
