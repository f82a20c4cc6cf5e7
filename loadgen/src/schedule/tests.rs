use super::*;

const SECOND_NS: u64 = 1_000_000_000;

fn all(mut schedule: Schedule) -> Vec<u64> {
    std::iter::from_fn(|| schedule.take_due(u64::MAX)).collect()
}

#[test]
fn the_same_seed_gives_the_same_times() {
    let of = |seed| {
        all(Schedule::new(
            Arrival::Poisson,
            5_000.0,
            2 * SECOND_NS,
            seed,
        ))
    };
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn poisson_has_the_mean_and_the_spread_of_exponential_gaps() {
    let times = all(Schedule::new(Arrival::Poisson, 20_000.0, 10 * SECOND_NS, 3));
    // 200 000 expected, standard deviation 447.
    assert!((198_000..202_000).contains(&times.len()), "{}", times.len());
    assert!(times.is_sorted());
    let gaps: Vec<f64> = times.windows(2).map(|w| (w[1] - w[0]) as f64).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    // An exponential's standard deviation equals its mean.
    assert!((variance.sqrt() / mean - 1.0).abs() < 0.02);
    let longer = gaps.iter().filter(|&&g| g > 2.0 * mean).count() as f64 / gaps.len() as f64;
    assert!((longer - (-2.0f64).exp()).abs() < 0.01, "{longer}");
}

#[test]
fn constant_rates_are_offered_exactly_whatever_they_divide_into() {
    for (rate, seconds, expected) in [
        (1_000.0, 3, 3_000),
        (3_333.0, 3, 9_999),
        (700_001.0, 1, 700_001),
        (7.5, 2, 15),
        (0.4, 10, 4),
    ] {
        let schedule = Schedule::new(Arrival::Constant, rate, seconds * SECOND_NS, 1);
        assert_eq!(all(schedule).len(), expected, "rate {rate}");
    }
}

#[test]
fn a_time_is_due_only_once_and_not_early() {
    let mut schedule = Schedule::new(Arrival::Constant, 1_000.0, SECOND_NS, 1);
    assert_eq!(schedule.take_due(0), Some(0));
    assert_eq!(schedule.take_due(999_999), None);
    assert_eq!(schedule.peek(), Some(1_000_000));
    assert_eq!(schedule.take_due(2_000_000), Some(1_000_000));
    assert_eq!(schedule.take_due(2_000_000), Some(2_000_000));
    assert_eq!(schedule.take_due(2_000_000), None);
}

#[test]
fn bursts_and_ramps_offer_what_their_shape_adds_up_to() {
    let shape = RateShape {
        ramp: Some(measure::Ramp {
            from: 0.1,
            over_s: 2.0,
        }),
        burst: Some(measure::Burst {
            every_s: 2.0,
            length_s: 0.5,
            factor: 3.0,
        }),
    };
    // One second of warm-up, five measured.
    let asked = 10_000.0 * shape.work_s(-1.0, 5.0);
    for arrival in [Arrival::Constant, Arrival::Poisson] {
        let times = all(Schedule::new(arrival, 10_000.0, 6 * SECOND_NS, 3).shaped(shape, 1.0));
        assert!(times.is_sorted());
        let off = times.len() as f64 - asked;
        assert!(
            off.abs() < 5.0 * asked.sqrt(),
            "{arrival:?}: {off} of {asked}"
        );
        let within = |from_s: f64, to_s: f64| {
            let of = |at_ns: &&u64| (from_s..to_s).contains(&(**at_ns as f64 * 1e-9));
            times.iter().filter(of).count() as f64
        };
        assert!(
            (within(0.0, 1.0) / 1_000.0 - 1.0).abs() < 0.2,
            "the warm-up"
        );
        // The first burst is from second 3 on.
        assert!((within(3.0, 3.5) / 15_000.0 - 1.0).abs() < 0.1, "a burst");
        assert!((within(3.5, 4.0) / 5_000.0 - 1.0).abs() < 0.1, "after it");
    }
    let steady = Schedule::new(Arrival::Poisson, 100.0, SECOND_NS, 3);
    let same = steady.clone().shaped(RateShape::default(), 1.0);
    assert_eq!(all(steady), all(same));
}

#[test]
fn a_closed_loop_sends_when_something_has_ended() {
    let mut loop_of_two = Schedule::closed(2, 1_000);
    assert_eq!(loop_of_two.take_due(5), Some(0));
    assert_eq!(loop_of_two.take_due(5), Some(0));
    // Nothing is free: what comes next is the end, and that has not come.
    assert_eq!(loop_of_two.take_due(5), None);
    assert_eq!(loop_of_two.peek(), Some(1_000));
    loop_of_two.release(40);
    loop_of_two.release(30);
    assert_eq!(loop_of_two.peek(), Some(30));
    assert_eq!(loop_of_two.take_due(35), Some(30));
    assert_eq!(loop_of_two.take_due(35), None);
    assert_eq!(loop_of_two.take_due(1_000), None);
    // The end was seen: nothing is sent any more, whatever ends.
    loop_of_two.release(1_001);
    assert_eq!(loop_of_two.peek(), None);
}
