use super::*;

#[test]
fn stamps_are_utc() {
    let stamp = |seconds: u64| utc_stamp(seconds * 1_000_000_000);
    assert_eq!(stamp(0), "19700101T000000Z");
    assert_eq!(stamp(951_782_400), "20000229T000000Z");
    assert_eq!(stamp(1_709_251_199), "20240229T235959Z");
    assert_eq!(stamp(1_795_389_351), "20261122T231551Z");
}
