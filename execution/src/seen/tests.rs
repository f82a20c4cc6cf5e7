use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const ANNE: SessionId = [1; 16];
const BERT: SessionId = [2; 16];

fn place(height: u64, position: u32) -> Place {
    Place {
        height: Height(height),
        position,
    }
}

/// One transaction as the whole content of a block.
fn one(seen: &mut Seen, id: SessionId, height: u64, seq: u64, payload: &[u8]) -> Verdict {
    one_at(seen, id, place(height, 0), seq, payload)
}

fn one_at(seen: &mut Seen, id: SessionId, at: Place, seq: u64, payload: &[u8]) -> Verdict {
    let mut got = None;
    let txs = [(TxRef { seq, payload }, ())];
    seen.admit(&id, &txs, at, |_, _, _, v| got = Some(v));
    seen.end_block();
    got.expect("one verdict per transaction")
}

fn parts(state: &State) -> Vec<(Digest, Vec<u8>)> {
    let part = |part| {
        let mut bytes = Vec::new();
        state.encode_part(part, &mut bytes);
        assert_eq!(bytes.len(), state.part_len_bytes(part));
        (state.stripe_digest(part), bytes)
    };
    (0..state.parts()).map(part).collect()
}

fn restored(parts: &[(Digest, Vec<u8>)]) -> State {
    let mut state = State::new();
    for (part, (digest, bytes)) in parts.iter().enumerate() {
        let mut input = Input::new(bytes);
        state.restore_part(part, &mut input).unwrap();
        assert_eq!(input.left(), 0);
        assert_eq!(state.stripe_digest(part), *digest);
    }
    state
}

#[test]
fn duplicates_name_the_first_place_and_reuse_is_told_apart() {
    let mut seen = Seen::new();
    let txs = [(5, b"a"), (6, b"b"), (5, b"a"), (5, b"x"), (6, b"b")];
    let txs = txs.map(|(seq, payload)| (TxRef { seq, payload }, ()));
    let mut got = Vec::new();
    let end = seen.admit(&ANNE, &txs, place(3, 10), |_, at, _, verdict| {
        got.push((at.position, verdict));
    });
    assert_eq!(end, place(3, 15));
    assert_eq!(
        got,
        [
            (10, Verdict::Fresh),
            (11, Verdict::Fresh),
            (12, Verdict::Duplicate(place(3, 10))),
            (13, Verdict::Reused),
            (14, Verdict::Duplicate(place(3, 11))),
        ]
    );
    assert_eq!(
        one(&mut seen, ANNE, 9, 6, b"b"),
        Verdict::Duplicate(place(3, 11))
    );
    assert_eq!(one(&mut seen, BERT, 9, 6, b"b"), Verdict::Fresh);
}

#[test]
fn numbers_may_come_in_any_order_inside_of_the_window() {
    let mut seen = Seen::new();
    assert_eq!(one(&mut seen, ANNE, 1, 8191, b"a"), Verdict::Fresh);
    assert_eq!(one(&mut seen, ANNE, 2, 0, b"b"), Verdict::Fresh);
    assert_eq!(one(&mut seen, ANNE, 3, 4000, b"c"), Verdict::Fresh);
    // 8192 moves the floor to 1.
    assert_eq!(one(&mut seen, ANNE, 4, 8192, b"d"), Verdict::Fresh);
    assert_eq!(one(&mut seen, ANNE, 5, 0, b"b"), Verdict::Below);
    assert_eq!(one(&mut seen, ANNE, 6, 1, b"e"), Verdict::Fresh);
}

#[test]
fn a_jump_costs_a_step() {
    let mut seen = Seen::new();
    assert_eq!(one(&mut seen, ANNE, 1, 0, b"a"), Verdict::Fresh);
    assert_eq!(one(&mut seen, ANNE, 2, u64::MAX - 1, b"b"), Verdict::Fresh);
    assert_eq!(seen.chunks(), 1);
    assert_eq!(one(&mut seen, ANNE, 3, 0, b"a"), Verdict::Below);
    let floor = u64::MAX - WINDOW;
    assert_eq!(one(&mut seen, ANNE, 4, floor - 1, b"c"), Verdict::Below);
    assert_eq!(one(&mut seen, ANNE, 5, floor, b"c"), Verdict::Fresh);
}

#[test]
fn the_last_number_is_reserved() {
    // Nothing lies above it that a floor could be raised to.
    let mut seen = Seen::new();
    assert_eq!(one(&mut seen, ANNE, 1, u64::MAX, b"a"), Verdict::Below);
    assert_eq!(one(&mut seen, ANNE, 1, u64::MAX - 1, b"a"), Verdict::Fresh);
    assert_eq!(one(&mut seen, ANNE, 1, u64::MAX, b"a"), Verdict::Below);
    assert_eq!(seen.chunks(), 1);
}

#[test]
fn a_refused_number_leaves_no_trace() {
    let mut seen = Seen::new();
    one(&mut seen, ANNE, 1, 100_000, b"a");
    let before = parts(seen.state());
    assert_eq!(one(&mut seen, ANNE, 2, 5, b"b"), Verdict::Below);
    assert_eq!(one(&mut seen, BERT, 2, u64::MAX, b"b"), Verdict::Below);
    assert_eq!(parts(seen.state()), before);
}

#[test]
fn the_least_recently_used_chunk_goes_and_its_session_stays_closed() {
    let mut seen = Seen::with_limit(3);
    assert_eq!(one(&mut seen, ANNE, 1, 10, b"a"), Verdict::Fresh);
    assert_eq!(one(&mut seen, BERT, 2, 10, b"b"), Verdict::Fresh);
    assert_eq!(one(&mut seen, BERT, 3, 200, b"c"), Verdict::Fresh);
    // A duplicate is a use: now Bert's first chunk is the oldest.
    assert_eq!(
        one(&mut seen, ANNE, 4, 10, b"a"),
        Verdict::Duplicate(place(1, 0))
    );
    assert_eq!(one(&mut seen, [3; 16], 5, 0, b"d"), Verdict::Fresh);
    assert_eq!(seen.chunks(), 3);
    assert_eq!(one(&mut seen, BERT, 6, 10, b"b"), Verdict::Below);
    assert_eq!(one(&mut seen, BERT, 6, 127, b"e"), Verdict::Below);
    assert_eq!(
        one(&mut seen, BERT, 6, 200, b"c"),
        Verdict::Duplicate(place(3, 0))
    );
    assert_eq!(one(&mut seen, ANNE, 7, 11, b"f"), Verdict::Fresh);
}

#[test]
fn a_forgotten_session_goes_on_above_its_highest_number() {
    let mut seen = Seen::with_limit(1);
    assert_eq!(one(&mut seen, ANNE, 1, 10, b"a"), Verdict::Fresh);
    assert_eq!(one(&mut seen, BERT, 2, 0, b"b"), Verdict::Fresh);
    assert!(seen.state.find(&ANNE).is_none());
    assert_eq!(one(&mut seen, ANNE, 3, 10, b"a"), Verdict::Below);
    assert_eq!(one(&mut seen, ANNE, 3, 9, b"c"), Verdict::Below);
    assert_eq!(one(&mut seen, ANNE, 3, 11, b"d"), Verdict::Fresh);
    assert_eq!(one(&mut seen, BERT, 4, 0, b"b"), Verdict::Below);
    // The same after a transfer of the state.
    let mut seen = Seen::rebuild(restored(&parts(seen.state())));
    assert_eq!(one(&mut seen, BERT, 5, 0, b"b"), Verdict::Below);
    assert_eq!(one(&mut seen, BERT, 5, 1, b"b"), Verdict::Fresh);
}

#[test]
fn an_eviction_that_hits_the_own_session_refuses_what_it_closed() {
    let mut seen = Seen::with_limit(1);
    assert_eq!(one(&mut seen, ANNE, 1, 5000, b"a"), Verdict::Fresh);
    // The chunk of 10 needs room; making it closes everything up to 5000.
    assert_eq!(one(&mut seen, ANNE, 2, 10, b"b"), Verdict::Below);
    assert_eq!(one(&mut seen, ANNE, 3, 5000, b"a"), Verdict::Below);
    assert_eq!(one(&mut seen, ANNE, 4, 5001, b"c"), Verdict::Fresh);
}

#[test]
fn a_flood_of_sessions_stays_within_the_bounds() {
    let mut seen = Seen::with_limit(64);
    for height in 1..=2000u64 {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&height.to_le_bytes());
        assert_eq!(one(&mut seen, id, height, height % 7, b"x"), Verdict::Fresh);
        one(&mut seen, ANNE, height, height, b"y");
        assert!(seen.chunks() <= 64);
        assert!(seen.recency.queue.len() <= 2 * seen.chunks() + 1024);
    }
    // Anne was there all the time and kept her newest chunks.
    assert_eq!(
        one(&mut seen, ANNE, 3000, 2000, b"y"),
        Verdict::Duplicate(place(2000, 0))
    );
}

/// One session, no eviction: exactly a set over a window.
#[derive(Default)]
struct Model {
    floor: u64,
    used: BTreeMap<u64, (Vec<u8>, Place)>,
}

impl Model {
    fn step(&mut self, seq: u64, payload: &[u8], at: Place) -> Verdict {
        if seq < self.floor || seq == u64::MAX {
            return Verdict::Below;
        }
        if let Some((first, place)) = self.used.get(&seq) {
            return match first == payload {
                true => Verdict::Duplicate(*place),
                false => Verdict::Reused,
            };
        }
        self.used.insert(seq, (payload.to_vec(), at));
        self.floor = self.floor.max((seq + 1).saturating_sub(WINDOW));
        Verdict::Fresh
    }
}

fn seq() -> impl Strategy<Value = u64> {
    prop_oneof![
        5 => 0u64..300,
        3 => 8000u64..8500,
        1 => 0u64..40_000,
        1 => (u64::MAX - 9000)..=u64::MAX,
    ]
}

proptest! {
    #[test]
    fn agrees_with_a_set_over_a_window(
        txs in proptest::collection::vec((seq(), 0u8..3), 1..200),
        per_block in 1usize..20,
    ) {
        let (mut seen, mut model) = (Seen::new(), Model::default());
        for (height, block) in txs.chunks(per_block).enumerate() {
            let txs: Vec<_> = block.iter().map(|(seq, payload)| {
                (TxRef { seq: *seq, payload: std::slice::from_ref(payload) }, ())
            }).collect();
            let mut got = Vec::new();
            let from = place(height as u64 + 1, 0);
            seen.admit(&ANNE, &txs, from, |(tx, ()), at, _, verdict| {
                got.push((tx.seq, at, verdict));
            });
            seen.end_block();
            prop_assert_eq!(got.len(), txs.len());
            for (tx, (seq, at, verdict)) in txs.iter().zip(got) {
                prop_assert_eq!(tx.0.seq, seq);
                prop_assert_eq!(verdict, model.step(seq, tx.0.payload, at));
            }
        }
    }

    /// Under constant eviction nothing executes twice, a duplicate is a true one, a copy that was
    /// restored from bytes on the way judges like the original, and both end with the same bytes.
    #[test]
    fn eviction_never_opens_what_was_closed(
        txs in proptest::collection::vec((0u8..6, seq(), 0u8..2), 1..150),
        limit in 1usize..6,
        moved_at in 0usize..150,
    ) {
        let mut seen = Seen::with_limit(limit);
        let mut copy: Option<Seen> = None;
        let mut executed = BTreeSet::new();
        for (height, (who, seq, payload)) in txs.iter().enumerate() {
            if height == moved_at {
                let mut other = Seen::rebuild(restored(&parts(seen.state())));
                other.chunks_max = limit;
                copy = Some(other);
            }
            // Two transactions share each height.
            let at = place(1 + height as u64 / 2, height as u32 % 2);
            let verdict = one_at(&mut seen, [*who; 16], at, *seq, &[*payload]);
            match verdict {
                Verdict::Fresh => prop_assert!(executed.insert((*who, *seq))),
                Verdict::Duplicate(_) | Verdict::Reused => {
                    prop_assert!(executed.contains(&(*who, *seq)));
                }
                Verdict::Below => {}
            }
            prop_assert!(seen.chunks() <= limit);
            if let Some(copy) = &mut copy {
                prop_assert_eq!(one_at(copy, [*who; 16], at, *seq, &[*payload]), verdict);
            }
        }
        if let Some(copy) = &copy {
            prop_assert_eq!(parts(copy.state()), parts(seen.state()));
        }
    }

    #[test]
    fn restoring_noise_fails_or_works_but_never_panics(
        part in 0usize..2048,
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = State::new().restore_part(part, &mut Input::new(&bytes));
    }
}

#[test]
fn a_session_that_could_not_have_been_encoded_is_refused() {
    let mut seen = Seen::new();
    one(&mut seen, ANNE, 1, 300, b"a");
    let part = part_of(&ANNE, BUCKETS);
    let mut good = Vec::new();
    seen.state().encode_part(part, &mut good);
    let restore = |bytes: &[u8]| State::new().restore_part(part, &mut Input::new(bytes));
    assert_eq!(restore(&good), Ok(()));
    for cut in 0..good.len() {
        assert!(restore(&good[..cut]).is_err(), "cut at {cut}");
    }
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        restore(&bad)
    };
    // count, id[16], floor, high, chunks, index, last use, used
    assert!(with(0, &2u32.to_le_bytes()).is_err(), "more sessions");
    assert!(with(4, &[9; 16]).is_err(), "another bucket's session");
    assert!(with(20, &1000u64.to_le_bytes()).is_err(), "floor above");
    assert!(with(28, &299u64.to_le_bytes()).is_err(), "highest number");
    assert!(with(36, &0u32.to_le_bytes()).is_err(), "no chunk");
    assert!(with(36, &u32::MAX.to_le_bytes()).is_err(), "too many");
    assert!(with(40, &u64::MAX.to_le_bytes()).is_err(), "chunk index");
    assert!(with(60, &[0; 16]).is_err(), "empty chunk");
    let mut state = State::new();
    state.restorable = 0;
    assert!(state.restore_part(part, &mut Input::new(&good)).is_err());
}
