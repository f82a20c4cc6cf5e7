//! The article's equations as functions of what was measured. They say whether; who acts on it stands
//! elsewhere. Probabilities and confidences lie in `0..=1`; a number that is none closes every gate.

use types::{Epoch, Mode};

/// Eq. 1, recoverability: `n - |B| > 3 (F - |B|)`, with the envelope `F` in the place of the unknown
/// number of actual faults; `|B| > F` refutes the envelope. Replicas.
pub fn recoverable(epoch: &Epoch, convicted: usize) -> bool {
    let n = epoch.members.len();
    convicted <= n && types::committee::recoverable(n, convicted, epoch.envelope)
}

/// Eq. 2, misclassification risk: `P_err = P(FP) + P(FN) - P(FP and FN)`, the probability that a verdict
/// is wrong in either way. From drills, with the upper ends of their confidence intervals.
pub fn misclassification(false_positive: f64, false_negative: f64, both: f64) -> f64 {
    false_positive + false_negative - both
}

/// Eq. 2, its gate: no automated eviction above `tau_ops`.
pub fn tolerable(misclassification: f64, tau_ops: f64) -> bool {
    misclassification <= tau_ops
}

/// Eq. 3, adversarial leverage: `Lambda = dT_recovery * rho_false_evict / (1 + rho_proof_capture)`, in
/// the unit of `recovery_s` (seconds); the rates are shares of evictions and of offences.
pub fn leverage(recovery_s: f64, false_evict: f64, proof_capture: f64) -> f64 {
    recovery_s * false_evict / (1.0 + proof_capture)
}

/// Eq. 4, recovery intake cap: `lambda_in <= mu_verify - epsilon`. Transactions per second; the largest
/// intake that verification keeps up with.
pub fn intake_cap(verify_per_s: f64, epsilon_per_s: f64) -> f64 {
    (verify_per_s - epsilon_per_s).max(0.0)
}

/// Eq. 5, convergence: `T_safe_converge = T_detect + T_attribute + T_reconfigure + T_resync`. None if a
/// term is unmeasured: then the sum says nothing. Nanoseconds.
pub fn convergence_ns(
    detect_ns: Option<u64>,
    attribute_ns: Option<u64>,
    reconfigure_ns: Option<u64>,
    resync_ns: Option<u64>,
) -> Option<u64> {
    let terms = [detect_ns, attribute_ns, reconfigure_ns, resync_ns];
    terms.into_iter().sum()
}

/// Who may go on after a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intervention {
    /// The replicas themselves.
    Auto,
    /// Only with an operator's signed acknowledgement.
    Manual,
}

/// Eq. 6, intervention: AUTO iff `C_d >= theta_d` and `C_p >= theta_p`, detector confidence and
/// confidence in the integrity of proofs.
pub fn intervention(
    detector: f64,
    proofs: f64,
    theta_detector: f64,
    theta_proofs: f64,
) -> Intervention {
    match detector >= theta_detector && proofs >= theta_proofs {
        true => Intervention::Auto,
        false => Intervention::Manual,
    }
}

/// One axis of Eq. 7.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    pub name: &'static str,
    /// Share of all weights, which add up to 1.
    pub weight: f64,
    /// `0..=1`.
    pub score: f64,
}

/// Eq. 7, readiness: `R = sum w_i A_i` over detect, recover, forensics and governance, and the axis with
/// the lowest score, which counts in a crisis. None if the weights do not add up to 1.
pub fn readiness(axes: &[Axis]) -> Option<(f64, &'static str)> {
    let weights: f64 = axes.iter().map(|axis| axis.weight).sum();
    let weakest = axes.iter().min_by(|a, b| a.score.total_cmp(&b.score))?;
    let index = axes.iter().map(|axis| axis.weight * axis.score).sum();
    ((weights - 1.0).abs() < 1e-9).then_some((index, weakest.name))
}

/// Admission of client transactions (article, section 5): always in order; while it is not, only once
/// Eq. 1 holds, with a confident detector and a short verification backlog, and then at the rate of
/// [`intake_cap`].
pub fn admits(
    mode: Mode,
    recoverable: bool,
    detector: f64,
    backlog: u64,
    least_detector: f64,
    most_backlog: u64,
) -> bool {
    match mode {
        Mode::Nominal | Mode::SafeResumed => true,
        Mode::DegradedSafe | Mode::RecoveryInProgress => {
            recoverable && detector >= least_detector && backlog < most_backlog
        }
    }
}
