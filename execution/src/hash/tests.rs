use proptest::prelude::*;

use super::*;

const LENS: [usize; 9] = [
    0,
    1,
    1023,
    STEP_LEN_BYTES - 1,
    STEP_LEN_BYTES,
    STEP_LEN_BYTES + 1,
    2 * STEP_LEN_BYTES,
    3 * STEP_LEN_BYTES - 7,
    100,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn pieces_are_hashed_as_if_they_were_one(
        cuts in proptest::collection::vec(proptest::sample::select(LENS.to_vec()), 0..8),
    ) {
        let (mut digester, mut whole) = (Digester::new("test"), Vec::new());
        for (at, len) in cuts.into_iter().enumerate() {
            let piece: Vec<u8> = (0..len).map(|i| (i + at) as u8).collect();
            digester.put(&piece);
            whole.put(&piece);
        }
        prop_assert_eq!(digester.finish(), Digest::of("test", &whole));
    }
}

/// Replicas of all versions and CPUs must agree on these.
#[test]
fn shared_hashes_are_pinned() {
    let bytes: Vec<u8> = (0..=255).cycle().take(600).collect();
    let found = [0, 8, 25, 200, 512, 600].map(|len| fingerprint(&bytes[..len]));
    let expected: [u64; 6] = [
        0x2d06_8005_38d3_94c2,
        0x3a1c_2d7c_85af_88f8,
        0xdb40_d95e_77fd_686a,
        0xf42a_8864_feaf_0703,
        0x1059_105a_d19b_fa09,
        0x87fc_6859_5c45_0fb1,
    ];
    assert_eq!(found, expected);
    assert_eq!(part_of(&bytes[..8], 1 << 20) as u64, found[1] & 0xf_ffff);
}
