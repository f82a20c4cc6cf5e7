use std::collections::{BTreeMap, VecDeque};

use types::offence::culprits;
use types::{CommitRule, Fraud, Offence, ReplicaId, SignerSet};

use super::toy::Toy;
use crate::accountability::{Attribution, NoFork, Segment, attribute, convicted};

const RULES: [CommitRule; 2] = [CommitRule::ThreeChain, CommitRule::TwoChain];

/// What a driver does: verify what is offered, and ask on for what fails. Everybody convicted, and by
/// which offences.
fn judge(toy: &Toy, [a, b]: [Segment; 2]) -> (SignerSet, Vec<Offence>) {
    let most = 2 * (a.headers.len() + b.headers.len()) + types::limits::FRAUDS_MAX;
    let mut it = Attribution::new(toy.rule, &toy.epoch, a, b).expect("a fork");
    let main = it.main();
    let mut queue: VecDeque<Fraud> = it.candidates().into();
    if queue.iter().all(|fraud| fraud.offence() != Offence::E5) {
        let main = main.expect("no header refutes itself");
        let names = culprits(toy.rule, &main).expect("it convicts");
        assert!(names.len() >= toy.epoch.split(), "one proof is enough");
        assert_eq!(queue.front(), Some(&main), "and it comes first");
    }
    let (mut named, mut offences) = (SignerSet::EMPTY, Vec::new());
    let mut steps = 0;
    while let Some(fraud) = queue.pop_front() {
        steps += 1;
        assert!(steps <= most, "candidates never end");
        match toy.verifies(&fraud) {
            false => queue.extend(it.failed(&fraud)),
            true => {
                let names = culprits(toy.rule, &fraud).expect("only what convicts is offered");
                named = named.union(names);
                offences.push(fraud.offence());
            }
        }
    }
    (named, offences)
}

/// The same branch of which nobody has the headers above the committed block any more.
fn without_top(mut segment: Segment) -> Segment {
    let committed = segment.headers.len() + 1 - segment.certs.len();
    let tail = segment.headers.split_off(committed);
    segment.tail = tail.iter().map(|header| header.core()).collect();
    segment
}

/// The theorem: `2q - n` culprits at least, whatever happened, and nobody else.
#[test]
fn every_fork_convicts_enough_and_no_correct_replica() {
    let mut seen: BTreeMap<(&str, Offence), usize> = BTreeMap::new();
    for rule in RULES {
        for n in [4, 7, 10, 13] {
            let mut forks = 0;
            for seed in 0..150 {
                let toy = Toy::run(rule, n, seed);
                let forks_of = toy.conflicts().into_iter().take(8);
                for conflict in forks_of.flat_map(|fork| [fork.clone(), fork.map(without_top)]) {
                    forks += 1;
                    let (named, offences) = judge(&toy, conflict);
                    let context = format!("{rule:?} n {n} seed {seed}: {named:?} {offences:?}");
                    assert!(named.is_subset(toy.culprits), "a correct one: {context}");
                    assert!(named.len() >= toy.epoch.split(), "too few: {context}");
                    for offence in offences {
                        *seen.entry((rule.name(), offence)).or_default() += 1;
                    }
                }
            }
            assert!(forks > 200, "{rule:?} n {n}: only {forks} forks");
        }
    }
    let expected = [
        ("three-chain", Offence::E2),
        ("three-chain", Offence::E3),
        ("three-chain", Offence::E5),
        ("two-chain", Offence::E2),
        ("two-chain", Offence::E4),
        ("two-chain", Offence::E5),
    ];
    for kind in expected {
        let count = seen.get(&kind).copied().unwrap_or(0);
        assert!(count > 20, "{kind:?}: only {count}, of {seen:?}");
    }
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
}

/// Whoever signed at one view of both branches is named, and not only who signed what the theorem needs.
#[test]
fn every_double_voter_of_both_branches_is_named() {
    let mut beyond = 0;
    for seed in 0..150 {
        let toy = Toy::run(CommitRule::TwoChain, 10, seed);
        for [a, b] in toy.conflicts().into_iter().take(4) {
            let mut it =
                Attribution::new(toy.rule, &toy.epoch, a.clone(), b.clone()).expect("a fork");
            let main = it.main().and_then(|main| culprits(toy.rule, &main).ok());
            let list = it.candidates();
            assert!(list.len() < types::limits::FRAUDS_MAX);
            let named = convicted(toy.rule, &list);
            beyond += usize::from(main.is_some_and(|main| main.len() < named.len()));
            // The votes for each block but the last, by view.
            let votes = |segment: &Segment| -> BTreeMap<_, _> {
                let rest = segment.headers[1..].iter();
                rest.map(|h| (h.justify.view, h.justify.votes.signers))
                    .collect()
            };
            let theirs = votes(&b);
            for (view, ours) in votes(&a) {
                let twice = theirs.get(&view).map(|theirs| ours.intersection(*theirs));
                assert!(twice.unwrap_or_default().is_subset(named), "seed {seed}");
            }
        }
    }
    assert!(beyond > 20, "only {beyond}");
}

/// Nothing that one correct replica ever says convicts it, in whatever pairs it is held against it.
#[test]
fn nothing_that_a_correct_replica_says_convicts_it() {
    let (mut locks, mut denials) = (0, 0);
    for rule in RULES {
        for seed in 0..60 {
            let toy = Toy::run(rule, 7, 1000 + seed);
            for replica in toy.epoch.members.difference(toy.culprits).iter() {
                for fraud in accusations(&toy, replica) {
                    let verdict = culprits(rule, &fraud);
                    assert!(verdict.is_err(), "{rule:?} seed {seed}: {fraud:?}");
                    locks += usize::from(fraud.offence() == Offence::E3);
                    denials += usize::from(fraud.offence() == Offence::E4);
                }
            }
        }
    }
    assert!(locks > 1000 && denials > 1000, "{locks} {denials}");
}

/// The mutant of `E3` for which an equal view breaks a lock, as a rule that is one sign away: on the
/// same statements it convicts correct replicas, which vote over the very block that they locked.
#[test]
fn a_lock_that_an_equal_view_breaks_would_convict_correct_replicas() {
    let mut slandered = 0;
    for seed in 0..60 {
        let toy = Toy::run(CommitRule::ThreeChain, 7, 1000 + seed);
        for replica in toy.epoch.members.difference(toy.culprits).iter() {
            let all = accusations(&toy, replica);
            slandered += all.iter().filter(|fraud| breaks_equal_lock(fraud)).count();
        }
    }
    assert!(slandered > 20, "only {slandered}");
}

/// `E3` with `<=` in the place of `<`. Of headers that hang together.
fn breaks_equal_lock(fraud: &Fraud) -> bool {
    let Fraud::LockBreak {
        child,
        parent,
        broken,
        ..
    } = fraud
    else {
        return false;
    };
    let locks = child.view > parent.view && parent.view > parent.justify_view;
    locks && broken.view > child.view && broken.justify_view <= parent.justify_view
}

/// Every pair of statements of `replica` in the form of a proof.
fn accusations(toy: &Toy, replica: ReplicaId) -> Vec<Fraud> {
    let alone: SignerSet = [replica].into_iter().collect();
    let own = toy.votes.iter().filter(|(voter, ..)| *voter == replica);
    let votes: Vec<_> = own
        .map(|(_, view, block)| (toy.qc(*view, *block, alone), toy.headers[block].clone()))
        .collect();
    let mut out = Vec::new();
    for (first, header) in &votes {
        for (second, broken) in &votes {
            out.push(Fraud::DoubleVote {
                first: first.clone(),
                second: second.clone(),
            });
            if let Some(parent) = toy.headers.get(&header.parent()) {
                out.push(Fraud::LockBreak {
                    locking: first.clone(),
                    child: header.core(),
                    parent: parent.core(),
                    breaking: second.clone(),
                    broken: broken.core(),
                });
            }
        }
        for ((of, view), claim) in &toy.claims {
            if *of == replica {
                out.push(Fraud::StaleTimeout {
                    votes: first.clone(),
                    voted: header.core(),
                    timeouts: toy.of_claims(*view, [(replica, *claim)].into_iter().collect()),
                });
            }
        }
    }
    out
}

#[test]
fn branches_that_are_no_fork_accuse_nobody() {
    let (toy, [a, b]) = (0..)
        .map(|seed| Toy::run(CommitRule::TwoChain, 4, seed))
        .find_map(|toy| Some((toy.conflicts().pop()?, toy)).map(|(c, t)| (t, c)))
        .expect("a fork");
    let of =
        |a: &Segment, b: &Segment| attribute(toy.rule, &toy.epoch, a, b).map(|list| list.len());
    assert!(of(&a, &b).is_ok_and(|count| count > 0));
    assert_eq!(of(&a, &a), Err(NoFork::OneBranch));
    let mut short = a.clone();
    short.certs.pop();
    assert_eq!(of(&short, &b), Err(NoFork::Broken));
    let mut other = a.clone();
    other.certs.reverse();
    assert_eq!(of(&other, &b), Err(NoFork::Broken));
    let mut gap = a.clone();
    gap.headers.insert(1, b.headers[0].clone());
    assert_eq!(of(&gap, &b), Err(NoFork::Broken));
    let empty = Segment {
        headers: Vec::new(),
        tail: Vec::new(),
        certs: Vec::new(),
    };
    assert_eq!(of(&empty, &b), Err(NoFork::Broken));
}
