use types::Mode;

use crate::accountability::gate::*;
use crate::tests::fixture::epoch;

/// The figures of the protocol document for the default envelope.
#[test]
fn eq1_opens_with_the_smallest_conviction_and_closes_beyond_the_envelope() {
    for (n, envelope) in [(4, 2), (7, 4), (10, 5), (13, 7), (16, 9), (30, 17)] {
        let epoch = epoch(n);
        assert_eq!(epoch.envelope, envelope);
        let open: Vec<usize> = (0..=n + 1).filter(|b| recoverable(&epoch, *b)).collect();
        let expected: Vec<usize> = (epoch.split()..=envelope).collect();
        assert!(open.ends_with(&expected), "n {n}: {open:?}");
        assert!(!open.contains(&0), "n {n}");
    }
    // f < |B| < 2q - n without Eq. 1.
    assert!(!recoverable(&epoch(5), 2));
}

#[test]
fn eq2_adds_both_errors_and_counts_their_overlap_once() {
    assert_eq!(misclassification(0.25, 0.5, 0.125), 0.625);
    assert!(tolerable(0.05, 0.05) && !tolerable(0.051, 0.05));
    assert!(
        !tolerable(f64::NAN, 0.05),
        "an unknown risk is not tolerable"
    );
}

#[test]
fn eq3_grows_with_delay_and_false_evictions_and_shrinks_with_captured_proofs() {
    assert_eq!(leverage(2.0, 0.5, 1.0), 0.5);
    assert_eq!(leverage(2.0, 0.0, 1.0), 0.0);
}

#[test]
fn eq4_leaves_a_margin_and_is_never_negative() {
    assert_eq!(intake_cap(1000.0, 100.0), 900.0);
    assert_eq!(intake_cap(50.0, 100.0), 0.0);
    assert_eq!(intake_cap(f64::NAN, 100.0), 0.0);
}

#[test]
fn eq5_is_no_sum_without_all_four_terms() {
    let sum = convergence_ns(Some(1), Some(20), Some(300), Some(4000));
    assert_eq!(sum, Some(4321));
    assert_eq!(convergence_ns(Some(1), Some(20), None, Some(4000)), None);
}

#[test]
fn eq6_needs_both_confidences() {
    let of = |detector, proofs| intervention(detector, proofs, 0.92, 0.99);
    assert_eq!(of(0.92, 0.99), Intervention::Auto);
    assert_eq!(of(0.91, 1.0), Intervention::Manual);
    assert_eq!(of(1.0, 0.98), Intervention::Manual);
    assert_eq!(of(f64::NAN, 1.0), Intervention::Manual);
}

#[test]
fn eq7_names_the_weakest_axis() {
    let axis = |name, weight, score| Axis {
        name,
        weight,
        score,
    };
    let mut axes = [
        axis("detect", 0.25, 1.0),
        axis("recover", 0.25, 0.5),
        axis("forensics", 0.25, 1.0),
        axis("governance", 0.25, 0.75),
    ];
    assert_eq!(readiness(&axes), Some((0.8125, "recover")));
    axes[0].weight = 0.5;
    assert_eq!(readiness(&axes), None, "weights that do not add up to 1");
    assert_eq!(readiness(&[]), None);
}

#[test]
fn admission_follows_the_mode() {
    let of = |mode, recoverable, detector, backlog| {
        admits(mode, recoverable, detector, backlog, 0.92, 10_000)
    };
    assert!(of(Mode::Nominal, false, 0.0, u64::MAX));
    assert!(of(Mode::SafeResumed, false, 0.0, u64::MAX));
    for mode in [Mode::DegradedSafe, Mode::RecoveryInProgress] {
        assert!(of(mode, true, 0.92, 9_999));
        assert!(!of(mode, false, 1.0, 0), "before Eq. 1 holds");
        assert!(!of(mode, true, 0.91, 0));
        assert!(!of(mode, true, 1.0, 10_000));
    }
}
