use super::*;

#[test]
fn figures_keep_what_matters() {
    let texts = [0.0, 9999.0, 12_345.0, 4_800_000.0, 1.5e9, 2e12].map(short);
    assert_eq!(texts, ["0", "9999", "12.3k", "4.8M", "1.5G", "2.0T"]);
    let texts = [0, 812_000, 15_200_000, 2_340_000_000, 12_300_000_000].map(latency);
    assert_eq!(texts, ["-", "0.81ms", "15ms", "2340ms", "12.3s"]);
    let texts = [0.9, 61.0, 10_925.0].map(duration);
    assert_eq!(texts, ["0:00", "1:01", "3:02:05"]);
}
