use std::sync::Mutex;
use std::sync::mpsc;

use bytes::Bytes;
use types::{BatchDigest, BlockId, SchemeName, View};

use super::*;

/// Bulk: its answer repeats the number.
fn bulk(number: u8) -> Job {
    Job::Groups {
        digest: BatchDigest(types::Digest([number; 32])),
        batch: Bytes::new(),
    }
}

/// Urgent and dear under BLS.
fn urgent() -> Job {
    Job::AggregateVotes {
        view: View(1),
        block: BlockId::ZERO,
        excluded: types::SignerSet::EMPTY,
        shares: Vec::new(),
    }
}

fn cheap() -> Job {
    Job::AggregateAcks {
        lane: types::ReplicaId(0),
        index: 1,
        car: types::CarId::ZERO,
        shares: vec![(types::ReplicaId(1), [0; 64])],
    }
}

fn answer(job: Job) -> Done {
    match job {
        Job::Groups { digest, .. } => Done::Groups { digest, ok: Ok(1) },
        Job::AggregateAcks {
            lane, index, car, ..
        } => Done::Acks {
            lane,
            index,
            car,
            cert: None,
            good: Vec::new(),
            bad: Vec::new(),
        },
        Job::AggregateVotes { view, block, .. } => Done::Votes {
            view,
            block,
            qc: None,
            good: Vec::new(),
            bad: Vec::new(),
        },
        other => panic!("no such job in these tests: {other:?}"),
    }
}

struct Rig {
    pool: CryptoPool,
    woken: mpsc::Receiver<()>,
}

fn epoch() -> types::Epoch {
    types::Epoch {
        cluster: types::ClusterId::ZERO,
        id: types::EpochId::ZERO,
        n: 4,
        members: types::SignerSet::all(4),
        standbys: types::SignerSet::EMPTY,
        kind: types::EpochKind::Ordinary,
        envelope: 2,
        root_height: types::Height(0),
    }
}

fn rig(threads: usize, work: impl Fn(Job) -> Done + Send + Sync + 'static) -> Rig {
    let (wake, woken) = mpsc::channel();
    let wake = Mutex::new(wake);
    let waker = Waker::from_fn(move || {
        let _ = wake.lock().expect("never poisoned").send(());
    });
    let cost = CostModel::new(SchemeName::Bls);
    let pool = CryptoPool::new(
        threads,
        cost,
        Arc::new(move |_: &types::Epoch, job| work(job)),
        waker,
    )
    .unwrap();
    Rig { pool, woken }
}

#[test]
fn without_helpers_everything_runs_here() {
    let mut rig = rig(0, answer);
    rig.pool.submit(7, epoch(), bulk(1));
    rig.pool.submit(8, epoch(), urgent());
    let tags = [rig.pool.take(), rig.pool.take()].map(|done| done.map(|(tag, _)| tag));
    assert_eq!(tags, [Some(7), Some(8)]);
    assert_eq!(rig.pool.stats().inline, 2);
}

#[test]
fn cheap_jobs_stay_and_dear_ones_go() {
    let here = std::thread::current().id();
    let mut rig = rig(1, move |job| {
        let is_here = std::thread::current().id() == here;
        assert_eq!(is_here, matches!(job, Job::AggregateAcks { .. }));
        answer(job)
    });
    rig.pool.submit(1, epoch(), cheap());
    assert!(rig.pool.has_done());
    assert_eq!(rig.pool.take().unwrap().0, 1);
    rig.pool.submit(2, epoch(), urgent());
    rig.woken.recv().unwrap();
    assert_eq!(rig.pool.take().unwrap().0, 2);
    assert!(!rig.pool.has_done());
    let stats = rig.pool.stats();
    assert_eq!((stats.inline, stats.handed_off), (1, 1));
}

#[test]
fn urgent_jobs_overtake_bulk_ones() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let (entered, inside) = mpsc::channel();
    let entered = Mutex::new(entered);
    let mut rig = rig(1, move |job| {
        let _ = entered.lock().unwrap().send(());
        let _ = gate.lock().unwrap().recv();
        answer(job)
    });
    rig.pool.submit(1, epoch(), bulk(1));
    inside.recv().unwrap();
    rig.pool.submit(2, epoch(), bulk(2));
    rig.pool.submit(3, epoch(), urgent());
    for _ in 0..3 {
        open.send(()).unwrap();
        rig.woken.recv().unwrap();
    }
    let order: Vec<u64> = std::iter::from_fn(|| rig.pool.take())
        .map(|d| d.0)
        .collect();
    assert_eq!(order, [1, 3, 2]);
}

#[test]
fn a_full_queue_slows_its_asker_down() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let here = std::thread::current().id();
    let mut rig = rig(1, move |job| {
        if std::thread::current().id() != here {
            let _ = gate.lock().unwrap().recv();
        }
        answer(job)
    });
    let count = BULK_JOBS_MAX as u64 + 8;
    (0..count).for_each(|tag| rig.pool.submit(tag, epoch(), bulk(0)));
    assert!(rig.pool.stats().overflowed >= 7);
    assert!(rig.pool.stats().bulk_depth <= BULK_JOBS_MAX);
    drop(open);
    let mut tags = Vec::new();
    while tags.len() < count as usize {
        match rig.pool.take() {
            Some((tag, _)) => tags.push(tag),
            None => rig.woken.recv().unwrap(),
        }
    }
    tags.sort_unstable();
    assert_eq!(tags, (0..count).collect::<Vec<_>>());
}

#[test]
fn a_panic_of_a_helper_is_noticed() {
    let mut rig = rig(1, |_| panic!("on purpose"));
    rig.pool.check().unwrap();
    rig.pool.submit(1, epoch(), urgent());
    rig.woken.recv().unwrap();
    let error = rig.pool.check().unwrap_err().to_string();
    assert!(error.contains("crypto panicked"), "{error}");
}
