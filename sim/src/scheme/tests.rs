use super::*;

/// Single votes are evidence in the form of certificates, as in every real scheme.
#[test]
fn a_share_is_the_multi_signature_of_its_signer() {
    let keys: Vec<[u8; 32]> = (1..4u8).map(|i| FakeScheme::secret(&[i; 32])).collect();
    let share = FakeScheme::sign(&keys[1], b"statement");
    let alone = |seat: u16| Multisig::alone(ReplicaId(seat), share.clone()).expect("a seat");
    assert!(FakeScheme::verify(&keys, b"statement", &alone(1)));
    assert!(!FakeScheme::verify(&keys, b"statement", &alone(2)));
    assert!(!FakeScheme::verify(&keys, b"another", &alone(1)));
    assert!(!FakeScheme::verify(&keys, b"statement", &alone(3)));
}
