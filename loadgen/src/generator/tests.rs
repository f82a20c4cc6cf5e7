use std::collections::HashMap;

use measure::{LoadRecorder, Outcomes, Phase, WallAnchor};
use transport::ServerConfig;
use types::Mode;
use types::client::{Entry, Outcome, Refusal, Response, SessionEntries};
use types::ids::*;

use super::fake_net::{FakeNet, Tx};
use super::*;
use crate::claims::Judge;
use crate::notes::{Note, Notes};
use crate::receipts_log::ReceiptsLog;
use crate::schedule::Arrival;
use crate::testkit::{Chain, FakeEngine, RULE, epoch};
use crate::workload::WorkloadKind;

pub(super) const MS: u64 = 1_000_000;
const START: u64 = 1_000_000 * MS;
pub(super) const N: usize = 4;

/// A core, four fake replicas and a clock that only tests move.
pub(super) struct World {
    dir: tempfile::TempDir,
    pub net: FakeNet,
    pub load: Generator,
    judge: Judge,
    pub chain: Chain,
    pub height: u64,
    pub now_ns: u64,
    /// All replicas stand still.
    pub frozen: bool,
    signature: &'static str,
}

impl World {
    /// `rate` constant for `duration_ms`, then 2 s of waiting.
    pub fn new(rate: f64, duration_ms: u64) -> World {
        let dir = tempfile::tempdir().unwrap();
        let (epoch, mut net) = (epoch(), FakeNet::new(N));
        let server = |at: usize| ServerConfig {
            addr: ([127, 0, 0, 1], at as u16).into(),
            public_key: [0; 32],
        };
        let servers = (0..N).map(|at| (at, server(at))).collect();
        let notes = Notes::create(&dir.path().join("notes")).unwrap();
        let mut fleet = Fleet::new(servers, epoch.cluster, notes);
        fleet.tend(&mut net, START);
        for event in std::mem::take(&mut net.events) {
            fleet.on_event(&mut net, event, START);
        }
        assert_eq!(fleet.ready(), N);
        let plan = Plan {
            start_ns: START,
            measure_start_ns: START,
            measure_end_ns: START + duration_ms * MS,
            end_ns: START + (duration_ms + 2_000) * MS,
            late_ns: 60_000 * MS,
            own_lag_ns_max: 20 * MS,
        };
        let anchor = WallAnchor {
            monotonic_ns: START,
            unix_ns: 0,
        };
        let recorder = LoadRecorder::create(dir.path(), anchor).unwrap();
        let parts = Parts {
            fleet,
            sessions: (0..32u8).map(|i| [i; 16]).collect(),
            keys: Vec::new(),
            epoch,
            schedule: Schedule::new(Arrival::Constant, rate, duration_ms * MS, 1),
            workload: Workload::new(WorkloadKind::Put, 100, 64, 1),
            account: Account::new(plan, recorder),
            proofs: ProofBook::new(epoch.id, false),
            receipts_log: Some(ReceiptsLog::create(&dir.path().join("receipts"), &[]).unwrap()),
            hand_in: true,
            coalesce_ns: 0,
            failover_ns: 1_000 * MS,
            verify_every_ns: 0,
        };
        World {
            dir,
            net,
            load: Generator::new(parts, START),
            judge: Judge::new(RULE, epoch),
            chain: Chain::new(2_000, 2_000, 0),
            height: 0,
            now_ns: START,
            frozen: false,
            signature: "good",
        }
    }

    /// One step of 10 ms: a turn, a block with receipts for all that is waiting, verdicts.
    pub fn step(&mut self) {
        self.now_ns += 10 * MS;
        self.load.turn(&mut self.net, self.now_ns).unwrap();
        if !self.frozen {
            self.height += 1;
            for at in 0..N {
                if !self.net.replicas[at].silent {
                    let (chain, height) = (&self.chain, self.height);
                    self.net.receipts(at, chain, height, self.signature);
                }
            }
        }
        self.deliver();
    }

    pub fn deliver(&mut self) {
        for event in std::mem::take(&mut self.net.events) {
            self.load.on_event(&mut self.net, event, self.now_ns);
        }
        while let Some(change) = self.load.take_change() {
            let result = self.judge.learn_epoch(&FakeEngine::default(), &change);
            self.load.on_change_judged(&change, result, self.now_ns);
        }
        while let Some(claims) = self.load.take_claims(self.now_ns, true) {
            let verdicts = self.judge.judge(&FakeEngine::default(), &claims);
            let judged = claims.into_iter().zip(verdicts).collect();
            self.load.on_verdicts(judged, self.now_ns);
        }
    }

    pub fn steps(&mut self, ms: u64) {
        (0..ms / 10).for_each(|_| self.step());
    }

    /// To the end; the fates of all measured requests.
    pub fn finish(&mut self) -> Outcomes {
        while !self.load.is_done() {
            self.step();
        }
        self.load.finish(self.now_ns).unwrap();
        let (measured, _) = self.load.account.outcomes();
        assert!(measured.is_balanced(), "{measured:?}");
        measured
    }

    pub fn notes(&self) -> HashMap<NoteKind, usize> {
        let notes: Vec<Note> =
            measure::files::read_json_lines(&self.dir.path().join("notes"), "notes").unwrap();
        notes.into_iter().fold(HashMap::new(), |mut counts, note| {
            *counts.entry(note.kind).or_default() += 1;
            counts
        })
    }

    pub fn receipts(&mut self) -> Vec<measure::ReceiptRecord> {
        self.load.receipts_log.as_mut().unwrap().flush().unwrap();
        let log = measure::Receipts::read(&self.dir.path().join("receipts"));
        log.unwrap().records
    }

    pub fn series(&self) -> Vec<SeriesRow> {
        let path = self.dir.path().join(measure::folder::SERIES);
        measure::files::read_json_lines(&path, "series").unwrap()
    }

    fn entry(&self, seq: u64, outcome: Outcome) -> Entry {
        Entry {
            seq,
            height: Height(self.height + 500),
            position: 0,
            outcome,
        }
    }
}

#[test]
fn a_quiet_run_finishes_everything_evenly_and_ends_early() {
    let mut world = World::new(1_000.0, 2_000);
    let measured = world.finish();
    assert_eq!((measured.offered, measured.finished), (2_000, 2_000));
    for replica in &world.net.replicas {
        assert_eq!(replica.seen.len(), 500);
    }
    assert!(world.now_ns < START + 2_100 * MS);
    assert_eq!(world.load.counters.receipts_checked, 2_000);
    assert_eq!(world.load.counters.duplicates, 0);
    assert_eq!(world.load.account.saturated(), None);
    assert_eq!(world.notes(), HashMap::from([(NoteKind::Connected, 4)]));
}

#[test]
fn replicas_that_freeze_for_1400_ms_show_in_the_corrected_p99() {
    let mut world = World::new(1_000.0, 10_000);
    world.steps(5_000);
    world.frozen = true;
    world.steps(1_400);
    world.frozen = false;
    let measured = world.finish();
    assert_eq!((measured.offered, measured.finished), (10_000, 10_000));
    let (corrected, _, _) = world.load.account.recorder().percentiles(Phase::Measure);
    assert!(corrected.p99_ns > 1_200 * MS, "{}", corrected.p99_ns);
    assert!(corrected.p50_ns < 25 * MS);
    // The whole cluster stood still: nobody to fail over to.
    assert_eq!(world.load.counters.failovers, 0);
    assert_eq!(world.load.account.saturated(), None);
}

#[test]
fn after_a_stall_of_all_whoever_is_first_makes_nobody_silent() {
    let mut world = World::new(1_000.0, 3_000);
    world.steps(500);
    world.frozen = true;
    world.steps(1_400);
    world.frozen = false;
    (1..N).for_each(|at| world.net.replicas[at].silent = true);
    world.steps(200);
    (1..N).for_each(|at| world.net.replicas[at].silent = false);
    let measured = world.finish();
    assert_eq!(measured.finished, 3_000);
    assert_eq!(world.load.counters.failovers, 0);
    assert_eq!(world.notes(), HashMap::from([(NoteKind::Connected, 4)]));
}

#[test]
fn a_blocked_connection_is_lag_and_not_hidden() {
    let mut world = World::new(1_000.0, 10_000);
    world.steps(5_000);
    world.net.full = true;
    world.steps(1_400);
    world.net.full = false;
    let measured = world.finish();
    assert_eq!(measured.finished, 10_000);
    let (corrected, service, lag) = world.load.account.recorder().percentiles(Phase::Measure);
    assert!(corrected.p99_ns > 1_200 * MS);
    assert!(lag.p99_ns > 1_100 * MS);
    assert!(service.p50_ns < 25 * MS);
    assert_eq!(world.load.account.saturated(), None);
}

#[test]
fn a_crash_moves_sessions_and_sends_the_same_bytes_again() {
    let mut world = World::new(1_000.0, 4_000);
    world.steps(1_000);
    world.frozen = true;
    world.steps(200);
    let lost: Vec<Tx> = world.net.replicas[1].inbox.clone();
    assert_eq!(lost.len(), 50);
    let before: usize = world.net.replicas[1].seen.len();
    world.net.crash(1);
    world.deliver();
    world.step();
    world.frozen = false;
    let again: Vec<Tx> = [0, 2, 3]
        .iter()
        .flat_map(|&at| world.net.replicas[at].seen.clone())
        .filter(|tx| lost.contains(tx))
        .collect();
    assert_eq!(again.len(), lost.len());
    // Down for half a second, then back: its own sessions come home.
    world.steps(500);
    assert_eq!(world.net.replicas[1].seen.len(), before);
    world.net.replicas[1].down = false;
    let measured = world.finish();
    assert!(world.net.replicas[1].seen.len() > before + 300);
    assert_eq!((measured.offered, measured.finished), (4_000, 4_000));
    assert_eq!(world.load.counters.resent, 50);
    assert_eq!(world.load.counters.failovers, 8);
    assert_eq!(world.load.fleet.reconnects, 1);
    let notes = world.notes();
    assert_eq!(notes[&NoteKind::Failover], 1);
    assert_eq!(notes[&NoteKind::Reconnected], 1);
}

#[test]
fn without_any_replica_requests_wait_and_are_sent_again() {
    let mut world = World::new(1_000.0, 3_000);
    world.steps(500);
    world.frozen = true;
    world.steps(100);
    (0..N).for_each(|at| world.net.crash(at));
    world.deliver();
    world.steps(500);
    world.net.replicas.iter_mut().for_each(|r| r.down = false);
    world.frozen = false;
    let measured = world.finish();
    assert_eq!((measured.offered, measured.finished), (3_000, 3_000));
    assert_eq!(world.load.counters.resent, 100);
    assert_eq!(world.load.fleet.reconnects, 4);
}

#[test]
fn a_silent_replica_loses_its_sessions_until_it_speaks() {
    let mut world = World::new(1_000.0, 5_000);
    world.steps(500);
    world.net.replicas[2].silent = true;
    world.steps(1_500);
    let frozen_at = world.net.replicas[2].seen.len();
    assert_eq!(world.notes()[&NoteKind::Silent], 1);
    world.steps(500);
    assert_eq!(world.net.replicas[2].seen.len(), frozen_at);
    world.net.replicas[2].silent = false;
    let measured = world.finish();
    assert_eq!((measured.offered, measured.finished), (5_000, 5_000));
    assert!(world.net.replicas[2].seen.len() > frozen_at + 400);
    // Its late receipts are for requests that others had answered.
    assert_eq!(world.load.counters.duplicates, world.load.counters.resent);
    assert!(world.load.counters.resent >= 240);
    assert_eq!(world.notes()[&NoteKind::Resumed], 1);
    let (corrected, ..) = world.load.account.recorder().percentiles(Phase::Measure);
    assert!(corrected.max_ns > 1_000 * MS);
}

#[test]
fn bad_proofs_fail_their_requests() {
    let mut world = World::new(1_000.0, 1_000);
    world.steps(500);
    world.signature = "bad";
    world.steps(100);
    world.signature = "good";
    let measured = world.finish();
    assert_eq!((measured.failed, measured.finished), (100, 900));
    assert_eq!(world.load.counters.receipts_bad, 100);
    assert_eq!(world.load.account.errors()["bad-receipt"], 100);
}

#[test]
fn two_final_blocks_of_one_height_are_a_conflict() {
    let mut world = World::new(1_000.0, 500);
    world.steps(200);
    // The fork begins at the height that the next block gets, for replica 3 alone.
    let other = Chain::new(100, world.height + 1, 9);
    world.now_ns += 10 * MS;
    world.load.turn(&mut world.net, world.now_ns).unwrap();
    world.height += 1;
    for at in 0..N {
        let chain = if at == 3 { &other } else { &world.chain };
        world.net.receipts(at, chain, world.height, "good");
    }
    world.deliver();
    let conflicts = world.load.take_conflicts();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].height, world.height);
    assert_eq!(world.load.account.counted("conflict"), 1);
    assert_eq!(world.notes()[&NoteKind::Conflict], 1);
}

#[test]
fn refusals_are_counted_by_reason_and_never_retried() {
    let mut world = World::new(1_000.0, 1_000);
    world.steps(500);
    world.frozen = true;
    world.step();
    let mut refused = 0;
    for (at, reason) in [(0, Refusal::Overloaded), (1, Refusal::Unavailable)] {
        for (session, seq, _) in std::mem::take(&mut world.net.replicas[at].inbox) {
            refused += 1;
            world.net.say(
                at,
                &Response::Refused {
                    reason,
                    mode: Mode::Nominal,
                    retry_after_ms: 100,
                    session,
                    seqs: vec![seq],
                },
            );
        }
    }
    world.deliver();
    world.frozen = false;
    // New load avoids the replica that is unavailable, for as long as it said.
    let before = world.net.replicas[1].seen.len();
    world.steps(100);
    assert_eq!(world.net.replicas[1].seen.len(), before);
    let measured = world.finish();
    assert!(world.net.replicas[1].seen.len() > before);
    assert_eq!(measured.refused_total(), refused);
    assert!(measured.refused["overloaded"] > 0 && measured.refused["unavailable"] > 0);
    assert_eq!(measured.finished, 1_000 - refused);
    assert_eq!(world.load.counters.resent, 0);
}

#[test]
fn every_other_fate_has_its_count() {
    let mut world = World::new(1_000.0, 100);
    world.frozen = true;
    world.steps(100);
    let txs: Vec<Tx> = world.net.replicas[0].inbox.drain(..).collect();
    let outcomes = [
        Outcome::Duplicate,
        Outcome::BelowWindow,
        Outcome::SequenceReused,
        Outcome::Rejected(2),
    ];
    for ((session, seq, _), outcome) in txs.into_iter().zip(outcomes) {
        let entries = vec![world.entry(seq, outcome)];
        world
            .net
            .say(0, &Response::Settled(SessionEntries { session, entries }));
    }
    world.deliver();
    let measured = world.finish();
    assert_eq!(measured.offered, 100);
    assert_eq!((measured.finished, measured.failed), (2, 2));
    assert_eq!(measured.unfinished, 96);
    let errors = world.load.account.errors();
    assert_eq!(errors["settled-unproven"], 2);
    assert_eq!(errors["below-window"], 1);
    assert_eq!(errors["sequence-reused"], 1);
    assert_eq!(errors["rejected-by-application"], 1);
    // Unfinished requests stay in the distribution at their age when the run ended.
    let (corrected, service, _) = world.load.account.recorder().percentiles(Phase::Measure);
    assert_eq!((corrected.count, service.count), (100, 2));
    assert!(corrected.p50_ns > 2_000 * MS);
}

#[test]
fn garbage_from_a_replica_is_counted_and_survived() {
    let mut world = World::new(1_000.0, 300);
    world.steps(100);
    let conn = world.net.replicas[0].conn.unwrap();
    for bytes in [&[1u8, 2, 3][..], &[99], &[]] {
        world.net.events.push_back(transport::Event::Frame {
            conn,
            peer: transport::Peer::Server,
            frame: transport::Received {
                bytes: bytes.to_vec().into(),
                head_len: bytes.len(),
                body_hash: None,
            },
        });
    }
    let measured = world.finish();
    assert_eq!(measured.finished, 300);
    assert_eq!(world.load.account.counted("malformed-response"), 3);
}

#[test]
fn a_replica_of_another_cluster_or_seat_is_not_used() {
    let mut world = World::new(1_000.0, 2_000);
    world.steps(200);
    world.net.crash(3);
    world.net.replicas[3].down = false;
    world.net.lies = Some(3);
    let before = world.net.replicas[3].seen.len();
    world.steps(500);
    assert_eq!(world.net.replicas[3].seen.len(), before);
    assert_eq!(world.notes()[&NoteKind::WrongHello], 1);
    world.net.lies = None;
    let measured = world.finish();
    assert_eq!(measured.finished, 2_000);
    assert!(world.net.replicas[3].seen.len() > before);
}
