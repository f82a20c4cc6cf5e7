use curve25519_dalek::constants::EIGHT_TORSION;
use proptest::prelude::*;

use super::*;

fn key(i: u8) -> (SigningKey, Ed25519Key) {
    let secret = Ed25519::secret(&[i; 32]);
    let public = Ed25519::parse(&Ed25519::public_key(&secret)).unwrap();
    (secret, public)
}

/// A signature by `secret` whose `R` carries the point `torsion`: valid with the cofactor only.
fn torsion_signature(secret: &SigningKey, statement: &[u8], torsion: EdwardsPoint) -> [u8; 64] {
    let nonce = Scalar::from(1234567u64);
    let r = (EdwardsPoint::mul_base(&nonce) + torsion).compress();
    let public = secret.verifying_key().to_bytes();
    let hash = Sha512::new()
        .chain_update(r.0)
        .chain_update(public)
        .chain_update(statement)
        .finalize();
    let k = Scalar::from_bytes_mod_order_wide(&hash.into());
    let s = nonce + k * secret.to_scalar();
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r.0);
    signature[32..].copy_from_slice(s.as_bytes());
    signature
}

#[test]
fn agrees_with_the_reference_on_honest_signatures() {
    let (secret, public) = key(1);
    let signature = Ed25519::sign(&secret, b"x");
    let reference = ed25519_dalek::Signature::from_bytes(&signature);
    assert!(
        secret
            .verifying_key()
            .verify_strict(b"x", &reference)
            .is_ok()
    );
    assert!(Ed25519::verify(&public, b"x", &signature));
    assert!(!Ed25519::verify(&public, b"y", &signature));
    assert!(!Ed25519::verify(&key(2).1, b"x", &signature));
    for at in 0..64 {
        let mut spoiled = signature;
        spoiled[at] ^= 1;
        assert!(!Ed25519::verify(&public, b"x", &spoiled), "byte {at}");
    }
}

#[test]
fn scalars_must_be_reduced() {
    let (secret, public) = key(1);
    let mut signature = Ed25519::sign(&secret, b"x");
    // s + l, which fits into 32 bytes.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0u16;
    for (s, l) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(l) + carry;
        *s = sum as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!Ed25519::verify(&public, b"x", &signature));
    let item = Signed {
        key: &public,
        statement: b"x",
        signature: &signature,
    };
    assert_eq!(Ed25519::verify_batch(&[item, item]), [0, 1]);
}

#[test]
fn weak_and_unusual_keys_are_no_keys() {
    for point in EIGHT_TORSION {
        assert!(Ed25519Key::decode(&point.compress().0).is_none());
    }
    // Mixed order: clients may have one, members may not.
    let (_, public) = key(1);
    let mixed = (public.point + EIGHT_TORSION[1]).compress().0;
    assert!(Ed25519Key::decode(&mixed).is_some());
    assert!(Ed25519::parse(&mixed).is_none());
    // All 19 values of y from p to 2^255 - 1, with both signs: not one is a key, though some decode.
    let mut decoded = 0;
    for low in 0xed..=0xff {
        for high in [0x7f, 0xff] {
            let mut unreduced = [0xff; 32];
            (unreduced[0], unreduced[31]) = (low, high);
            let point = CompressedEdwardsY(unreduced).decompress();
            decoded += usize::from(point.is_some_and(|point| !point.is_small_order()));
            assert!(Ed25519Key::decode(&unreduced).is_none());
        }
    }
    assert!(decoded > 0, "the check would be idle");
}

#[test]
fn low_order_parts_are_judged_alike_alone_and_in_every_batch() {
    let (secret, public) = key(1);
    let (other_secret, other) = key(2);
    let honest = Ed25519::sign(&other_secret, b"honest");
    for torsion in EIGHT_TORSION {
        let odd = torsion_signature(&secret, b"odd", torsion);
        assert!(Ed25519::verify(&public, b"odd", &odd));
        // Strict verification and the batch without the cofactor disagree about these; ours may not.
        let odd = Signed {
            key: &public,
            statement: b"odd",
            signature: &odd,
        };
        let honest = Signed {
            key: &other,
            statement: b"honest",
            signature: &honest,
        };
        for batch in [&[odd, honest][..], &[honest, odd, odd], &[odd; 8]] {
            assert!(Ed25519::all_hold(batch));
            assert!(Ed25519::verify_batch(batch).is_empty());
        }
        let wrong = Signed {
            statement: b"even",
            ..odd
        };
        assert_eq!(Ed25519::verify_batch(&[odd, wrong, honest]), [1]);
    }
}

#[test]
fn errors_do_not_cancel_in_a_batch() {
    // s and s' moved by opposite amounts: the plain sum of the equations still holds.
    let (secret, public) = key(1);
    let mut first = Ed25519::sign(&secret, b"first");
    let mut second = Ed25519::sign(&secret, b"second");
    let shift = |signature: &mut [u8; 64], by: Scalar| {
        let mut s = [0; 32];
        s.copy_from_slice(&signature[32..]);
        let s = Scalar::from_canonical_bytes(s).unwrap() + by;
        signature[32..].copy_from_slice(s.as_bytes());
    };
    shift(&mut first, Scalar::ONE);
    shift(&mut second, -Scalar::ONE);
    let signed = |statement, signature| Signed {
        key: &public,
        statement,
        signature,
    };
    let items = [signed(b"first", &first), signed(b"second", &second)];
    assert_eq!(Ed25519::verify_batch(&items), [0, 1]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the batch looks like, it is accepted iff each of its signatures is.
    #[test]
    fn a_batch_names_exactly_the_bad(plan in prop::collection::vec((0u8..3, 0u8..8), 0..40)) {
        let keys: Vec<_> = (0..3).map(key).collect();
        let parts: Vec<_> = plan
            .iter()
            .zip(0u8..)
            .map(|(&(who, how), i)| {
                let (secret, public) = &keys[usize::from(who)];
                let statement = vec![i; usize::from(i)];
                let mut signature = match how {
                    0 | 1 => torsion_signature(secret, &statement, EIGHT_TORSION[usize::from(i % 8)]),
                    _ => Ed25519::sign(secret, &statement),
                };
                match how {
                    5 => signature[0] ^= 1,
                    6 => signature[40] ^= 1,
                    7 => signature = Ed25519::sign(secret, b"something else"),
                    _ => {}
                }
                (public, statement, signature)
            })
            .collect();
        let items: Vec<_> = parts
            .iter()
            .map(|(key, statement, signature)| Signed { key: *key, statement, signature })
            .collect();
        let expected: Vec<usize> = (0..plan.len()).filter(|&at| plan[at].1 >= 5).collect();
        prop_assert_eq!(Ed25519::all_hold(&items), expected.is_empty());
        prop_assert_eq!(Ed25519::verify_batch(&items), expected);
    }
}
