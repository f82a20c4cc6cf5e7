use super::*;

#[test]
fn linear_ticks_are_round_and_reach_above_the_largest_value() {
    let range = Range::from_zero(1012.0);
    assert_eq!(range.ticks(4.0), [0.0, 500.0, 1000.0, 1500.0]);
    assert!(range.place(1012.0) < 1.0);
    assert_eq!(Range::from_zero(0.0).min, 0.0);
    assert_eq!(Range::from_zero(f64::NAN).place(0.0), 0.0);
}

#[test]
fn logarithmic_ranges_hold_all_values_between_round_ends() {
    let range = Range::log([3.2, 0.0, 47.0].into_iter());
    assert_eq!((range.min, range.max), (2.0, 50.0));
    assert_eq!(range.ticks(4.0), [2.0, 5.0, 10.0, 20.0, 50.0]);
    assert_eq!((range.place(2.0), range.place(50.0)), (0.0, 1.0));
    // One value alone has room around it, none at all does no harm.
    let one = Range::log([10.0].into_iter());
    assert!(one.min < 10.0 && one.max > 10.0 && one.ticks(4.0).len() >= 2);
    assert!(!Range::log([].into_iter()).ticks(4.0).is_empty());
}

#[test]
fn ticks_have_no_more_digits_than_they_need() {
    let texts = [0.0, 0.1, 0.5, 2.5, 200.0, 5000.0, 50_000.0, 1e6].map(tick_text);
    assert_eq!(
        texts,
        ["0", "0.1", "0.5", "2.5", "200", "5000", "50k", "1000k"]
    );
}
