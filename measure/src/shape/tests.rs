use super::*;

const SHAPE: RateShape = RateShape {
    ramp: Some(Ramp {
        from: 0.2,
        over_s: 4.0,
    }),
    burst: Some(Burst {
        every_s: 3.0,
        length_s: 0.5,
        factor: 4.0,
    }),
};

fn near(a: f64, b: f64) {
    assert!((a - b).abs() < 1e-6, "{a} {b}");
}

#[test]
fn a_steady_rate_is_its_own_time() {
    let steady = RateShape::default();
    assert!(steady.is_steady() && !SHAPE.is_steady());
    near(steady.work_s(-2.0, 10.0), 12.0);
    near(steady.advance(-2.0, 3.5, 100.0), 1.5);
}

#[test]
fn ramps_and_bursts_add_up() {
    let ramp = RateShape {
        burst: None,
        ..SHAPE
    };
    near(ramp.work_s(-1.0, 0.0), 0.2);
    near(ramp.work_s(0.0, 4.0), 2.4);
    near(ramp.work_s(4.0, 6.0), 2.0);
    let bursts = RateShape {
        ramp: None,
        ..SHAPE
    };
    // None at the start; two in ten seconds from 3 and 6 on, a third from 9 on.
    near(bursts.work_s(-1.0, 3.0), 4.0);
    near(bursts.work_s(0.0, 10.0), 10.0 + 3.0 * 0.5 * 3.0);
}

#[test]
fn advancing_is_the_inverse_of_adding_up() {
    let mut t_s = -1.0;
    for step in 1..400 {
        let work_s = 0.001 * f64::from(step % 71 + 1);
        let next_s = SHAPE.advance(t_s, work_s, 1e9);
        near(SHAPE.work_s(t_s, next_s), work_s);
        t_s = next_s;
    }
    assert!(t_s > 10.0);
    near(SHAPE.advance(0.0, 1e9, 20.0), 20.0);
    // Borders that are no round numbers in binary.
    let odd = RateShape {
        ramp: None,
        burst: Some(Burst {
            every_s: 0.1,
            length_s: 0.03,
            factor: 10.0,
        }),
    };
    near(odd.work_s(0.0, 10.0), 10.0 + 99.0 * 0.03 * 9.0);
}
