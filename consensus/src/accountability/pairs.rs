//! Statements of two branches that convict whoever made both.

use types::offence::culprits;
use types::{CommitRule, Fraud, SignerSet};

use super::segment::Side;

/// A block by its branch and its place in it.
pub(super) type At<'a> = (&'a Side, usize);

/// Most pairs that are looked at for further names: long branches hold more than anybody needs.
const PAIRS_MAX: usize = 2048;

pub(super) fn double_vote(a: At<'_>, b: At<'_>) -> Fraud {
    Fraud::DoubleVote {
        first: a.0.cert(a.1).clone(),
        second: b.0.cert(b.1).clone(),
    }
}

/// `child` is not the first of its branch.
pub(super) fn lock_break((ours, child): At<'_>, (theirs, broken): At<'_>) -> Fraud {
    Fraud::LockBreak {
        locking: ours.cert(child).clone(),
        child: ours.cores[child].clone(),
        parent: ours.cores[child - 1].clone(),
        breaking: theirs.cert(broken).clone(),
        broken: theirs.cores[broken].clone(),
    }
}

/// None if `skipping` carries no timeouts.
pub(super) fn stale_timeout((ours, voted): At<'_>, (theirs, skipping): At<'_>) -> Option<Fraud> {
    Some(Fraud::StaleTimeout {
        votes: ours.cert(voted).clone(),
        voted: ours.cores[voted].clone(),
        timeouts: theirs.header(skipping)?.tc.clone()?,
    })
}

/// Pairs of both branches that convict somebody, each with those.
pub(super) fn all(rule: CommitRule, sides: &[Side; 2]) -> Vec<(SignerSet, Fraud)> {
    let [a, b] = sides;
    let mut out = Vec::new();
    for (i, j) in same_views(a, b) {
        out.push(double_vote((a, i), (b, j)));
    }
    match rule {
        CommitRule::ThreeChain => {
            for (ours, theirs) in [(a, b), (b, a)] {
                locks_broken(ours, theirs, &mut out);
            }
        }
        CommitRule::TwoChain => {
            for (ours, theirs) in [(a, b), (b, a), (a, a), (b, b)] {
                claims_denied(ours, theirs, &mut out);
            }
        }
    }
    let named = |fraud: Fraud| Some((culprits(rule, &fraud).ok()?, fraud));
    out.into_iter().filter_map(named).collect()
}

/// Views only ascend along a branch whose headers are justified; of others a part is found.
fn same_views(a: &Side, b: &Side) -> Vec<(usize, usize)> {
    let (mut i, mut j) = (0, 0);
    let mut out = Vec::new();
    while i < a.len() && j < b.len() && out.len() < PAIRS_MAX {
        match a.cores[i].view.cmp(&b.cores[j].view) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                out.push((i, j));
                (i, j) = (i + 1, j + 1);
            }
        }
    }
    out
}

fn locks_broken(ours: &Side, theirs: &Side, out: &mut Vec<Fraud>) {
    for (c, broken) in theirs.cores.iter().enumerate() {
        let later = |child: &usize| ours.cores[*child].view < broken.view;
        let locks = |child: &usize| ours.cores[child - 1].justify_view > broken.justify_view;
        for child in (1..ours.len()).take_while(later).filter(locks) {
            if out.len() >= PAIRS_MAX {
                return;
            }
            out.push(lock_break((ours, child), (theirs, c)));
        }
    }
}

fn claims_denied(ours: &Side, theirs: &Side, out: &mut Vec<Fraud>) {
    for c in 0..theirs.len() {
        let Some(tc) = theirs.header(c).and_then(|header| header.tc.as_ref()) else {
            continue;
        };
        let lowest = tc.claims.iter().map(|claim| claim.high_qc_view).min();
        let before = |voted: &usize| ours.cores[*voted].view <= tc.view;
        let denied =
            |voted: &usize| lowest.is_some_and(|low| low < ours.cores[*voted].justify_view);
        for voted in (0..ours.len()).take_while(before).filter(denied) {
            if out.len() >= PAIRS_MAX {
                return;
            }
            out.extend(stale_timeout((ours, voted), (theirs, c)));
        }
    }
}
