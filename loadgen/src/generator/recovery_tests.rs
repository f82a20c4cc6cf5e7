//! A whole split and recovery, as a client sees it.

use measure::{ModeName, ReceiptKind};
use types::client::{Entry, Outcome, Refusal, Response, SessionEntries};
use types::ids::*;
use types::recovery::{ValueCore, frauds_digest};
use types::{Epoch, EpochChange, Mode, SignerSet};

use super::fake_net::Tx;
use super::tests::{MS, N, World};
use crate::notes::NoteKind;
use crate::testkit::{Chain, epoch};

/// How the epoch goes on without replica 3, and the working epoch; `signature` as in [`Chain`].
fn change(of: &Epoch, root_height: u64, signature: &'static str) -> (EpochChange, Epoch) {
    let excluded = SignerSet::from_iter([ReplicaId(3)]);
    let core = ValueCore {
        excluded,
        standbys: SignerSet::EMPTY,
        base: of.root(),
        root_height: Height(root_height),
        frauds: frauds_digest(&[]),
        reports: Digest::ZERO,
    };
    let recovery = of.recovery();
    let change = EpochChange {
        of: of.id,
        core,
        frauds: Vec::new(),
        proof: Chain::of(recovery, 2, 9, 0).proof(1, signature),
    };
    let working = recovery.resumed(
        core.digest(),
        excluded,
        SignerSet::EMPTY,
        Height(root_height),
    );
    (change, working)
}

fn say_all(world: &mut World, response: &Response) {
    (0..N).for_each(|at| world.net.say(at, response));
    world.deliver();
}

fn mode(world: &mut World, mode: Mode) {
    let epoch = epoch().id;
    say_all(world, &Response::Mode { epoch, mode });
}

fn moved(world: &mut World, at: usize, epoch: EpochId, tx: &Tx, place: (u64, Outcome)) {
    let entry = Entry {
        seq: tx.1,
        height: Height(place.0),
        position: 0,
        outcome: place.1,
    };
    let sessions = vec![SessionEntries {
        session: tx.0,
        entries: vec![entry],
    }];
    let height = Height(place.0);
    world.net.say(
        at,
        &Response::Moved {
            epoch,
            height,
            sessions,
        },
    );
    world.deliver();
}

#[test]
fn a_client_goes_through_a_whole_recovery() {
    let mut world = World::new(1_000.0, 6_000);
    world.steps(1_000);
    let answered = world.net.replicas[0].seen.clone();

    // Replica 3 gives receipts of another branch: the proof goes to everybody.
    let other = Chain::new(200, world.height + 1, 9);
    world.now_ns += 10 * MS;
    world.load.turn(&mut world.net, world.now_ns).unwrap();
    world.height += 1;
    for at in 0..N {
        let chain = if at == 3 { &other } else { &world.chain };
        world.net.receipts(at, chain, world.height, "good");
    }
    world.deliver();
    world.frozen = true;
    world.step();
    for replica in &world.net.replicas {
        let [conflict] = &replica.conflicts[..] else {
            panic!("{:?}", replica.conflicts)
        };
        assert_ne!(conflict.first.block(), conflict.second.block());
        assert_eq!(conflict.epoch, epoch().id);
    }
    let judged = Response::Judged {
        id: 1,
        conflict: true,
    };
    say_all(&mut world, &judged);

    // Everybody is degraded: what was taken stays open, what comes is refused.
    mode(&mut world, Mode::DegradedSafe);
    world.steps(500);
    let mut refused = 0;
    for at in 0..2 {
        let inbox = std::mem::take(&mut world.net.replicas[at].inbox);
        for (session, seq, _) in inbox.into_iter().skip(50) {
            refused += 1;
            let refusal = Response::Refused {
                reason: Refusal::Mode,
                mode: Mode::DegradedSafe,
                retry_after_ms: 100,
                session,
                seqs: vec![seq],
            };
            world.net.say(at, &refusal);
        }
    }
    world.deliver();
    assert_eq!(world.load.counters.resent, 0, "no hidden retries");

    // A liar's epoch change first, then the good one, with receipts of its epoch right behind it.
    let (bad, _) = change(&epoch(), world.height, "bad");
    say_all(&mut world, &Response::EpochChange(Box::new(bad)));
    let (good, working) = change(&epoch(), world.height, "good");
    (0..3).for_each(|at| {
        let good = Box::new(good.clone());
        world.net.say(at, &Response::EpochChange(good));
    });
    let chain = Chain::of(working, 2_000, 1_999, 0);
    // Heights that the old epoch has used as well.
    world.net.mode = Some(Mode::SafeResumed);
    world.net.receipts(2, &chain, world.height, "good");
    world.deliver();
    let at_ns = world.now_ns;

    // Two receipts moved, one lost its effect; told by more than one replica, counted once.
    for at in [0, 1] {
        moved(
            &mut world,
            at,
            working.id,
            &answered[0],
            (700, Outcome::Applied),
        );
        moved(
            &mut world,
            at,
            working.id,
            &answered[1],
            (700, Outcome::Applied),
        );
        moved(
            &mut world,
            at,
            working.id,
            &answered[2],
            (700, Outcome::Rejected(1)),
        );
    }
    mode(&mut world, Mode::SafeResumed);
    world.chain = chain;
    world.frozen = false;
    world.steps(1_500);
    assert!(world.load.recovery().may_move_left > 0);
    mode(&mut world, Mode::Nominal);
    world.net.mode = None;
    let measured = world.finish();

    let seen = world.load.recovery();
    assert_eq!(
        (seen.moved, seen.invalidated, seen.moved_unknown),
        (2, 1, 0)
    );
    assert_eq!((seen.conflicts, seen.conflicts_handed_in), (1, 4));
    assert_eq!(seen.conflicts_confirmed, 4);
    assert_eq!(seen.epoch_changes_bad, 1);
    let [epoch_seen] = &seen.epochs[..] else {
        panic!("{:?}", seen.epochs)
    };
    assert_eq!(epoch_seen.members, [0, 1, 2]);
    assert_eq!(epoch_seen.excluded, [3]);
    assert_eq!(epoch_seen.first_commit_ns, Some(at_ns));
    assert!(seen.may_move >= 1_000 && seen.may_move_left == 0);
    assert_eq!(seen.modes.len(), 3 * N);
    assert_eq!(measured.refused["mode"], refused);
    assert_eq!(
        measured.offered,
        measured.finished + refused + measured.unfinished
    );
    // The first 50 of replicas 0 and 1 were taken from their inboxes and never answered.
    assert_eq!(measured.unfinished, 100);
    assert_eq!(world.load.counters.receipts_bad, 0);

    let modes: Vec<ModeName> = world.series().iter().map(|row| row.mode).collect();
    assert_eq!(modes[0], ModeName::Nominal);
    assert_eq!(modes[1], ModeName::DegradedSafe);
    assert!(modes.contains(&ModeName::SafeResumed));
    assert_eq!(modes[modes.len() - 1], ModeName::Nominal);
    let log = world.receipts();
    let kind = |kind| log.iter().filter(|r| r.kind == kind).count() as u64;
    assert_eq!(kind(ReceiptKind::Moved), 3);
    assert_eq!(kind(ReceiptKind::Proven), measured.finished);
    assert!(world.notes()[&NoteKind::Epoch] >= 2);
}

#[test]
fn receipts_of_an_epoch_that_does_not_hold_are_bad() {
    let mut world = World::new(1_000.0, 500);
    world.steps(200);
    world.frozen = true;
    world.step();
    let (bad, claimed) = change(&epoch(), world.height, "bad");
    world.net.say(0, &Response::EpochChange(Box::new(bad)));
    let chain = Chain::of(claimed, 100, 99, 0);
    let waiting = world.net.replicas[0].inbox.len() as u64;
    assert!(waiting > 0);
    world.net.receipts(0, &chain, world.height, "good");
    world.deliver();
    assert_eq!(world.load.counters.receipts_bad, waiting);
    assert!(world.load.recovery().epochs.is_empty());
    // Receipts of an epoch that nobody spoke of are bad at once, and a change out of order is none.
    let (later, unknown) = change(&claimed.recovery(), 5, "good");
    world.net.say(1, &Response::EpochChange(Box::new(later)));
    let chain = Chain::of(unknown, 100, 99, 0);
    world.net.receipts(1, &chain, world.height, "good");
    world.deliver();
    assert!(world.load.counters.receipts_bad > waiting);
    assert_eq!(world.load.account.counted("epoch-change-out-of-order"), 1);
}

#[test]
fn a_replica_of_a_later_epoch_says_how_it_began_before_its_receipts() {
    let mut world = World::new(1_000.0, 1_000);
    world.steps(200);
    let (good, working) = change(&epoch(), 3, "good");
    let (second, last) = change(&working, 5, "good");
    // Both in one go, the later one given for checking behind the earlier one.
    world.net.say(0, &Response::EpochChange(Box::new(good)));
    world.net.say(0, &Response::EpochChange(Box::new(second)));
    world.chain = Chain::of(last, 500, 499, 0);
    let measured = world.finish();
    assert_eq!(measured.finished, 1_000);
    let epochs = world.load.recovery().epochs;
    assert_eq!(epochs.len(), 2);
    assert_eq!(epochs[0].first_commit_ns, None);
    assert!(epochs[1].first_commit_ns.is_some());
}

#[test]
fn what_a_killed_replica_had_answered_is_asked_for_again() {
    let mut world = World::new(1_000.0, 4_000);
    world.steps(500);
    let answered = world.net.replicas[0].seen.len() as u64;
    assert!(answered > 50);
    world.net.crash(0);
    world.deliver();
    world.steps(100);
    let (good, working) = change(&epoch(), world.height, "good");
    for at in 1..N {
        let good = Box::new(good.clone());
        world.net.say(at, &Response::EpochChange(good));
    }
    world.deliver();
    world.chain = Chain::of(working, 4_000, 3_999, 0);
    world.steps(100);
    assert_eq!(world.load.counters.asked_again, 0, "nobody is there");
    world.net.replicas[0].down = false;
    world.steps(2_000);
    let asked = world.load.counters.asked_again;
    assert!(asked >= answered, "{asked} of {answered}");
    assert!(world.load.recovery().moved >= answered);
    world.steps(500);
    assert_eq!(world.load.counters.asked_again, asked, "once");
}

#[test]
fn an_eviction_opens_an_epoch_without_a_split() {
    let mut world = World::new(1_000.0, 1_000);
    world.steps(200);
    let (mut evicts, _) = change(&epoch(), 0, "good");
    evicts.proof = world.chain.proof(world.height, "good");
    let excluded = evicts.core.excluded;
    let (block, root) = (world.chain.id(world.height), Height(world.height + 1));
    let next = epoch().evicted(block, excluded, SignerSet::EMPTY, root);
    say_all(&mut world, &Response::EpochChange(Box::new(evicts)));
    world.chain = Chain::of(next, 500, 499, 0);
    let measured = world.finish();
    assert_eq!(measured.finished, 1_000);
    let seen = world.load.recovery();
    assert_eq!(seen.epochs[0].members, [0, 1, 2]);
    assert_eq!((seen.moved, seen.may_move), (0, 0));
}

#[test]
fn what_moved_before_it_was_answered_is_an_answer() {
    let mut world = World::new(1_000.0, 100);
    world.frozen = true;
    world.steps(100);
    let txs: Vec<Tx> = world.net.replicas[0].inbox.drain(..).collect();
    moved(&mut world, 0, epoch().id, &txs[0], (9, Outcome::Applied));
    moved(&mut world, 0, epoch().id, &txs[0], (9, Outcome::Applied));
    let measured = world.finish();
    assert_eq!((measured.finished, measured.unfinished), (1, 99));
    assert_eq!(world.load.recovery().moved, 0);
}

#[test]
fn the_log_names_no_block_for_a_duplicate() {
    let mut world = World::new(1_000.0, 100);
    world.steps(50);
    world.net.outcome = Some(Outcome::Duplicate);
    world.finish();
    let log = world.receipts();
    let (duplicates, others): (Vec<_>, Vec<_>) = log.into_iter().partition(|r| r.outcome[0] == 2);
    assert!(duplicates.len() > 10 && others.len() > 10);
    assert!(
        duplicates
            .iter()
            .all(|r: &measure::ReceiptRecord| r.block == [0; 8])
    );
    assert!(
        others
            .iter()
            .all(|r: &measure::ReceiptRecord| r.block != [0; 8])
    );
}

#[test]
fn what_is_ordered_again_in_a_later_epoch_moves_and_late_receipts_do_not() {
    let mut world = World::new(1_000.0, 400);
    world.steps(200);
    let tx = world.net.replicas[0].seen[0].clone();
    let (good, working) = change(&epoch(), world.height, "good");
    world.net.say(0, &Response::EpochChange(Box::new(good)));
    world.deliver();
    let old = std::mem::replace(&mut world.chain, Chain::of(working, 500, 499, 0));
    world.frozen = true;
    world.step();
    // The same transaction once more, in the new epoch, then a late receipt of the old one.
    for (chain, height) in [(&world.chain, world.height + 1), (&old, world.height)] {
        world.net.replicas[0].inbox = vec![tx.clone()];
        world.net.receipts(0, chain, height, "good");
        for event in std::mem::take(&mut world.net.events) {
            world.load.on_event(&mut world.net, event, world.now_ns);
        }
    }
    world.deliver();
    assert_eq!(world.load.recovery().moved, 1);
    assert_eq!(world.load.counters.duplicates, 1);
    let log = world.receipts();
    let moved: Vec<_> = log
        .iter()
        .filter(|r| r.kind == ReceiptKind::Moved)
        .collect();
    assert_eq!(moved.len(), 1);
    assert_ne!(moved[0].block, [0; 8], "it came with a proof");
}
