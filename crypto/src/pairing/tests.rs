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
fn signatures_over_a_hash_are_what_the_library_makes() {
    for tag in 0..8 {
        let (secret, statement) = (secret(tag), [b's', tag]);
        let ours = sign(&hash(&statement, DOMAIN), &secret).compress();
        assert_eq!(ours, secret.sign(&statement, DOMAIN, &[]).compress());
    }
}

#[test]
fn what_is_kept_is_bounded_and_the_newest_stay() {
    let kept = Kept::new(4);
    for key in 0..20 {
        assert_eq!(kept.find(&key), None);
        kept.keep(key, key * 2);
        assert_eq!(kept.find(&key), Some(key * 2));
    }
    assert_eq!(kept.find(&16), Some(32));
    assert_eq!(kept.find(&15), None);
    assert_eq!(kept.lock().len(), 4);
}
