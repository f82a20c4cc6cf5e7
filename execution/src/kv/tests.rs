use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NOBODY: SessionId = [0; 16];

fn put(key: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    format::put(key, value, &mut out);
    out
}

fn transfer(from: u64, to: u64, amount: u64) -> Vec<u8> {
    let mut out = Vec::new();
    format::transfer(from, to, amount, &mut out);
    out
}

fn get_query(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    format::get(key, &mut out);
    out
}

fn balance_query(account: u64) -> Vec<u8> {
    let mut out = Vec::new();
    format::balance(account, &mut out);
    out
}

fn run(kv: &mut Kv, payload: &[u8]) -> Outcome {
    let op = kv.read(payload);
    kv.execute(&NOBODY, &op)
}

#[test]
fn payload_bytes_are_pinned() {
    assert_eq!(put(b"ab", b"xyz"), b"\x01\x02abxyz");
    assert_eq!(get_query(b"ab"), b"\x02\x02ab");
    assert_eq!(
        transfer(1, 0x0203, 0xff),
        [
            3, 1, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0
        ]
    );
    assert_eq!(balance_query(7), [4, 7, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn values_are_kept_overwritten_and_answered() {
    let mut kv = Kv::new();
    assert_eq!(kv.query(&get_query(b"k")), &[0][..]);
    assert_eq!(run(&mut kv, &put(b"k", b"one")), Outcome::Applied);
    assert_eq!(kv.query(&get_query(b"k")), &b"\x01one"[..]);
    assert_eq!(run(&mut kv, &put(b"k", b"two")), Outcome::Applied);
    assert_eq!(kv.get(b"k"), Some(&b"two"[..]));
    assert_eq!(run(&mut kv, &put(b"k", b"")), Outcome::Applied);
    assert_eq!(kv.query(&get_query(b"k")), &[1][..]);
    assert_eq!(kv.get(b"kk"), None);
    assert_eq!(run(&mut kv, &get_query(b"absent")), Outcome::Applied);
}

#[test]
fn malformed_operations_are_rejected_and_change_nothing() {
    let long = put(&[7; 65], b"v");
    let cases: [&[u8]; 9] = [
        b"",
        b"\x00",
        b"\x05abc",
        b"\x01",
        b"\x01\x00value without key",
        b"\x01\x05abc",
        b"\x02\x01ab",
        &transfer(1, 2, 3)[..24],
        &long,
    ];
    let mut kv = Kv::new();
    for case in cases {
        let expected = Outcome::Rejected(code::MALFORMED);
        assert_eq!(run(&mut kv, case), expected, "{case:?}");
    }
    let mut padded = transfer(1, 2, 3);
    padded.push(0);
    assert_eq!(run(&mut kv, &padded), Outcome::Rejected(code::MALFORMED));
    assert_eq!(kv.len_bytes(), 0);
    assert_eq!(kv.query(b"\x04short"), &[0xff][..]);
    assert_eq!(run(&mut kv, &put(&[7; 64], b"v")), Outcome::Applied);
}

#[test]
fn transfers_move_money_or_nothing() {
    let mut kv = Kv::new();
    assert_eq!(run(&mut kv, &transfer(1, 2, 400_000)), Outcome::Applied);
    assert_eq!((kv.balance(1), kv.balance(2)), (600_000, 1_400_000));
    let poor = Outcome::Rejected(code::INSUFFICIENT_FUNDS);
    assert_eq!(run(&mut kv, &transfer(1, 3, 600_001)), poor);
    assert_eq!(run(&mut kv, &transfer(1, 1, 600_001)), poor);
    assert_eq!((kv.balance(1), kv.balance(3)), (600_000, BALANCE_INITIAL));
    let before = kv.len_bytes();
    assert_eq!(run(&mut kv, &transfer(1, 1, 600_000)), Outcome::Applied);
    assert_eq!((kv.balance(1), kv.len_bytes()), (600_000, before));
    assert_eq!(
        kv.query(&balance_query(2)),
        &[&[1][..], &1_400_000u64.to_le_bytes()].concat()[..]
    );
}

#[test]
fn a_balance_that_would_overflow_is_rejected() {
    let mut kv = Kv::new();
    kv.set_balance(&Side::of(1), u64::MAX);
    assert_eq!(
        run(&mut kv, &transfer(2, 1, 1)),
        Outcome::Rejected(code::OVERFLOW)
    );
    assert_eq!(kv.balance(2), BALANCE_INITIAL);
}

#[test]
fn a_full_state_refuses_growth_and_nothing_else() {
    // One record of 2 + 10 bytes and one pair of accounts, and not a byte more.
    let limit = 12 + ITEM_OVERHEAD_BYTES + 2 * (16 + ITEM_OVERHEAD_BYTES);
    let mut kv = Kv::with_limit(limit);
    let full = Outcome::Rejected(code::STATE_FULL);
    assert_eq!(run(&mut kv, &put(b"a", &[1; 10])), Outcome::Applied);
    assert_eq!(run(&mut kv, &transfer(1, 2, 5)), Outcome::Applied);
    assert_eq!(kv.len_bytes(), limit);
    assert_eq!(run(&mut kv, &put(b"b", b"")), full);
    assert_eq!(run(&mut kv, &put(b"a", &[2; 11])), full);
    assert_eq!(run(&mut kv, &transfer(1, 3, 5)), full);
    assert_eq!(kv.balance(1), BALANCE_INITIAL - 5);
    assert_eq!(kv.get(b"a"), Some(&[1; 10][..]));
    assert_eq!(run(&mut kv, &put(b"a", &[3; 10])), Outcome::Applied);
    assert_eq!(run(&mut kv, &put(b"a", &[3; 9])), Outcome::Applied);
    assert_eq!(kv.len_bytes(), limit - 1);
}

/// Keys that all fall into part 0 and must share its table.
fn keys_of_one_part(count: usize) -> Vec<Vec<u8>> {
    let keys = (0u64..).map(|i| i.to_le_bytes().to_vec());
    keys.filter(|key| Home::of_key(key).part == 0)
        .take(count)
        .collect()
}

#[test]
fn keys_aimed_at_one_part_are_all_kept() {
    let keys = keys_of_one_part(300);
    let mut kv = Kv::new();
    for key in &keys {
        assert_eq!(run(&mut kv, &put(key, key)), Outcome::Applied);
    }
    assert!(keys.iter().all(|key| kv.get(key) == Some(&key[..])));
    let touched = (0..kv.stripes()).filter(|stripe| kv.stripe_digest(*stripe) != Digest::ZERO);
    assert_eq!(touched.count(), 1);
}

#[derive(Debug, Clone)]
enum Act {
    Put(u8, Vec<u8>),
    Transfer(u64, u64, u64),
    Noise(Vec<u8>),
    /// Share all buckets with a copy, as a snapshot does.
    Share,
}

fn act() -> impl Strategy<Value = Act> {
    let value = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        (0u8..20, value()).prop_map(|(key, value)| Act::Put(key, value)),
        (0u64..6, 0u64..6, 0u64..700_000).prop_map(|(a, b, c)| Act::Transfer(a, b, c)),
        value().prop_map(Act::Noise),
        Just(Act::Share),
    ]
}

proptest! {
    /// Against a model of two sorted maps; the supply is conserved; the counted size is that of the
    /// content; a copy taken on the way stays as it was.
    #[test]
    fn agrees_with_a_naive_model(acts in proptest::collection::vec(act(), 1..120)) {
        let mut kv = Kv::new();
        let (mut values, mut accounts) = (BTreeMap::new(), BTreeMap::new());
        let mut shared = None;
        for act in acts {
            match act {
                Act::Put(key, value) => {
                    prop_assert_eq!(run(&mut kv, &put(&[key], &value)), Outcome::Applied);
                    values.insert(key, value);
                }
                Act::Transfer(from, to, amount) => {
                    let has = accounts.get(&from).copied().unwrap_or(BALANCE_INITIAL);
                    let outcome = run(&mut kv, &transfer(from, to, amount));
                    if has < amount {
                        prop_assert_eq!(outcome, Outcome::Rejected(code::INSUFFICIENT_FUNDS));
                    } else {
                        prop_assert_eq!(outcome, Outcome::Applied);
                        if from != to {
                            *accounts.entry(from).or_insert(BALANCE_INITIAL) -= amount;
                            *accounts.entry(to).or_insert(BALANCE_INITIAL) += amount;
                        }
                    }
                }
                // First byte 9: no operation.
                Act::Noise(mut bytes) => {
                    bytes.insert(0, 9);
                    prop_assert_eq!(run(&mut kv, &bytes), Outcome::Rejected(code::MALFORMED));
                }
                Act::Share => {
                    shared = Some((kv.clone(), values.clone()));
                }
            }
        }
        for key in 0u8..20 {
            prop_assert_eq!(kv.get(&[key]), values.get(&key).map(|v| &v[..]));
        }
        for account in 0u64..6 {
            let expected = accounts.get(&account).copied().unwrap_or(BALANCE_INITIAL);
            prop_assert_eq!(kv.balance(account), expected);
        }
        let supply: u64 = accounts.values().sum();
        prop_assert_eq!(supply, BALANCE_INITIAL * accounts.len() as u64);
        let records: u64 = values.values().map(|v| 2 + v.len() as u64 + ITEM_OVERHEAD_BYTES).sum();
        let size = records + accounts.len() as u64 * (16 + ITEM_OVERHEAD_BYTES);
        prop_assert_eq!(kv.len_bytes(), size);
        if let Some((copy, values)) = shared {
            for key in 0u8..20 {
                prop_assert_eq!(copy.get(&[key]), values.get(&key).map(|v| &v[..]));
            }
        }
    }

    #[test]
    fn no_payload_and_no_query_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut kv = Kv::new();
        let tx = TxRef { seq: 0, payload: &bytes };
        let op = kv.read(&bytes);
        kv.warm(&[(tx, op); WARM_TXS + 1]);
        run(&mut kv, &bytes);
        kv.warm(&[(tx, op)]);
        kv.query(&bytes);
    }

    /// The digest does not depend on the order in which the content came about.
    #[test]
    fn parts_restore_to_the_same_digest(
        values in proptest::collection::btree_map(any::<u8>(), any::<u8>(), 0..50),
        accounts in proptest::collection::btree_set(any::<u8>(), 0..20),
    ) {
        let (mut kv, mut reversed) = (Kv::new(), Kv::new());
        for (key, value) in &values {
            run(&mut kv, &put(&[*key], &[*value]));
        }
        for account in &accounts {
            run(&mut kv, &transfer(u64::from(*account), 1000, 1));
        }
        for account in accounts.iter().rev() {
            run(&mut reversed, &transfer(u64::from(*account), 1000, 1));
        }
        for (key, value) in values.iter().rev() {
            run(&mut reversed, &put(&[*key], b"something else first"));
            run(&mut reversed, &put(&[*key], &[*value]));
        }
        let mut restored = Kv::new();
        for part in 0..BUCKETS {
            let mut bytes = Vec::new();
            kv.encode_part(part, &mut bytes);
            prop_assert_eq!(bytes.len(), kv.part_len_bytes(part));
            let mut input = Input::new(&bytes);
            restored.restore_part(part, &mut input).unwrap();
            prop_assert_eq!(input.left(), 0);
        }
        for stripe in 0..kv.stripes() {
            prop_assert_eq!(restored.stripe_digest(stripe), kv.stripe_digest(stripe));
            prop_assert_eq!(reversed.stripe_digest(stripe), kv.stripe_digest(stripe));
        }
        prop_assert_eq!(restored.len_bytes(), kv.len_bytes());
        prop_assert_eq!(reversed.len_bytes(), kv.len_bytes());
    }
}

#[test]
fn a_part_that_could_not_have_been_encoded_is_refused() {
    let key = keys_of_one_part(1).remove(0);
    let record = &put(&key, b"v")[1..];
    let part = |accounts: u32, records: &[&[u8]]| {
        let mut bytes = Vec::new();
        for record in records {
            bytes.extend_from_slice(&(record.len() as u32).to_le_bytes());
            bytes.extend_from_slice(record);
        }
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&accounts.to_le_bytes());
        bytes
    };
    let restore = |part: usize, bytes: &[u8]| Kv::new().restore_part(part, &mut Input::new(bytes));
    assert_eq!(restore(0, &part(0, &[record])), Ok(()));
    assert!(restore(1, &part(0, &[record])).is_err(), "wrong bucket");
    assert!(restore(0, &part(0, &[record, record])).is_err(), "twice");
    assert!(restore(0, &part(u32::MAX, &[record])).is_err(), "count");
    assert!(restore(0, &part(0, &[b"\x00v"])).is_err(), "no key");
    let endless = &part(0, &[record])[..4 + record.len()];
    assert!(restore(0, endless).is_err(), "no end");
    let small = Kv::with_limit(10).restore_part(0, &mut Input::new(&part(0, &[record])));
    assert!(small.is_err(), "limit");
}
