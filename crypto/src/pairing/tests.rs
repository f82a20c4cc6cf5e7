use blst::min_sig::SecretKey;
use blst::{Pairing, blst_p2_affine};

use super::*;

const DOMAIN: &[u8] = b"REFORGE_TEST_XMD:SHA-256_SSWU_RO_";

fn secret(tag: u8) -> SecretKey {
    SecretKey::key_gen(&[tag; 32], &[]).unwrap()
}

/// What the library says about the same product, by its own loop.
fn by_library(pairs: [(&blst_p1_affine, &blst_p2_affine); 2]) -> bool {
    let mut pairing = Pairing::new(true, DOMAIN);
    for (p, q) in pairs {
        pairing.raw_aggregate(q, p);
    }
    pairing.commit();
    // Without a signature the other side of the equation is 1.
    pairing.finalverify(None)
}

#[test]
fn products_are_what_the_library_says() {
    let negative = unsafe { BLS12_381_NEG_G2 };
    let generator = Lines::of_negative_generator();
    for tag in 0..24 {
        let statement = [b'm', tag];
        let (signer, other) = (secret(tag), secret(tag ^ 1));
        let hash = hash(&statement, DOMAIN);
        for signing in [&signer, &other] {
            let signature = signing.sign(&statement, DOMAIN, &[]);
            let signature: &blst_p1_affine = (&signature).into();
            let key = signer.sk_to_pk();
            let key: &blst_p2_affine = (&key).into();
            let ours = product_is_one([(signature, &generator), (&hash, &Lines::of(key))]);
            assert_eq!(ours, by_library([(signature, &negative), (&hash, key)]));
            assert_eq!(ours, std::ptr::eq(signing, &signer), "{tag}");
        }
    }
}

#[test]
fn kept_sums_are_bounded_and_the_newest_stay() {
    let sums = Sums::default();
    let point = *<&blst_p2_affine>::from(&secret(1).sk_to_pk());
    for signers in 1..=3 * SUMS_MAX as u128 {
        assert!(sums.lines(SignerSet(signers), || Some(point)).is_some());
        assert!(sums.lines(SignerSet(signers), || None).is_some(), "kept");
    }
    assert!(sums.lines(SignerSet(1), || None).is_none());
    assert_eq!(sums.0.lock().unwrap().len(), SUMS_MAX);
}
