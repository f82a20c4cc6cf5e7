//! The least median latency that delays between regions allow, if nothing else takes time.
//!
//! A leader's view ends when the next leader holds a quorum of its votes, and that one proposes at once. A
//! transaction travels from the replica that took it to every leader; the first that has it when it proposes
//! orders it. Its block is final when the leader two (three) views later proposes with the certificate of the
//! next (next but one), and the client hears of it when that proposal reaches its replica.

use measure::RunRecord;

/// Moments of one round of leaders at which a transaction may come.
const MOMENTS: usize = 400;
/// Rounds before times are taken, so that every transaction finds a view to be part of.
const ROUNDS: usize = 4;

/// Median over replicas that take transactions and over moments; none without regions.
pub(crate) fn floor_p50_ms(run: &RunRecord) -> Option<f64> {
    let rtt_ms = run.wan_rtt_ms.as_ref()?;
    let delay = |from: usize, to: usize| match from == to {
        true => 0.0,
        false => rtt_ms[from % rtt_ms.len()][to % rtt_ms.len()] / 2.0,
    };
    let final_after = if run.rule == "three-chain" { 3 } else { 2 };
    Some(floor(run.replicas as usize, final_after, delay))
}

fn floor(n: usize, final_after: usize, delay: impl Fn(usize, usize) -> f64) -> f64 {
    let quorum = n - n.saturating_sub(1) / 3;
    let leader = |view: usize| view % n;
    let votes_at = |view: usize| {
        let (from, to) = (leader(view), leader(view + 1));
        let mut ways: Vec<f64> = (0..n)
            .map(|voter| delay(from, voter) + delay(voter, to))
            .collect();
        ways.sort_by(f64::total_cmp);
        ways[quorum - 1]
    };
    let mut proposed = vec![0.0];
    for view in 0..(ROUNDS + 2) * n {
        proposed.push(proposed[view] + votes_at(view));
    }
    let round = proposed[2 * n] - proposed[n];
    let mut times = Vec::with_capacity(n * MOMENTS);
    for owner in 0..n {
        for moment in 0..MOMENTS {
            let at = proposed[n] + round * (moment as f64 + 0.5) / MOMENTS as f64;
            let ordered = (n..).find(|view| at + delay(owner, leader(*view)) <= proposed[*view]);
            let last = ordered.unwrap_or(n) + final_after;
            times.push(proposed[last] + delay(leader(last), owner) - at);
        }
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_links_give_hops_and_half_a_view_of_waiting() {
        // A view is two hops. A transaction waits one view on average from when it reaches a leader's turn.
        let even = |from, to| if from == to { 0.0 } else { 10.0 };
        let two = floor(4, 2, even);
        let three = floor(4, 3, even);
        // Medians: whether the last hop is one or none depends on the owner.
        assert!(
            (15.0..25.0).contains(&(three - two)),
            "one view more: {two} {three}"
        );
        // One hop to the leader or none, half a view, two views, one hop back or none.
        assert!((55.0..75.0).contains(&two), "{two}");
    }

    #[test]
    fn a_far_replica_slows_nobody_but_its_own_turns() {
        let far = |from: usize, to: usize| match (from == to, from == 3 || to == 3) {
            (true, _) => 0.0,
            (false, true) => 100.0,
            (false, false) => 1.0,
        };
        let near = |from, to| if from == to { 0.0 } else { 1.0 };
        let all_far = |from, to| if from == to { 0.0 } else { 100.0 };
        let some = floor(4, 2, far);
        assert!(floor(4, 2, near) < some && some < floor(4, 2, all_far));
    }
}
