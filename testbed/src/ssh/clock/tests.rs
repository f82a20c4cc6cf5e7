use super::{Shift, of_round_trip};

#[test]
fn the_true_shift_is_within_the_error() {
    // Our clock shows 5000 more; 30 ns there, 70 back.
    let shift = of_round_trip(6_000, 1_030, 6_100);
    assert_eq!(
        shift,
        Shift {
            shift_ns: 5_020,
            error_ns: 50
        }
    );
    assert!(shift.shift_ns.abs_diff(5_000) <= shift.error_ns);
}

#[test]
fn the_other_clock_may_be_ahead() {
    assert_eq!(of_round_trip(100, 1_000, 100).shift_ns, -900);
}
