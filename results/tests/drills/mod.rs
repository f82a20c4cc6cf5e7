//! A synthetic drill with known times, and what is said when one thing of it is wrong.

use measure::{
    AfterSplit, DrillKind, DrillStep, EpochSeen, EventKind, IncidentKind, IncidentLine,
    LedgerRecord, ModeName, PlannedDrill, ReceiptKind, ReceiptRecord, Receipts, incident::mode,
};
use results::{Verdict, judge, table};

use crate::sample::{SECOND_NS, START, Sample, history};

const MS: u64 = 1_000_000;
/// The halves can talk again from here on.
const T0: u64 = START.monotonic_ns + 8 * SECOND_NS;

fn line(after_t0_ms: u64, what: IncidentKind) -> IncidentLine {
    IncidentLine {
        at_ns: T0 + after_t0_ms * MS,
        what,
    }
}

fn convicted(after_t0_ms: u64, culprits: &[u32], excluded: &[u32]) -> IncidentLine {
    line(
        after_t0_ms,
        IncidentKind::Convicted {
            culprits: culprits.to_vec(),
            excluded: excluded.to_vec(),
            offence: "E2 double vote".into(),
            digest: "dd".into(),
        },
    )
}

/// Detects after `ms[0]`, holds all proofs after `ms[1]`, and so on.
fn timeline(ms: [u64; 4], keep: u64) -> Vec<IncidentLine> {
    let text = |s: &str| s.to_owned();
    vec![
        line(
            ms[0],
            IncidentKind::Conflict {
                epoch: text("aa"),
                height: 31,
                one: text("01"),
                other: text("02"),
            },
        ),
        convicted(ms[1] - 1, &[2], &[2]),
        convicted(ms[1], &[2, 3], &[2, 3]),
        line(
            ms[1],
            IncidentKind::Gate {
                open: true,
                why: text("Eq. 1 holds"),
            },
        ),
        line(
            ms[2],
            IncidentKind::Committed {
                of: text("aa"),
                excluded: vec![2, 3],
                base: text("01"),
                root_height: 35,
                reports: 2,
            },
        ),
        line(
            ms[2] + 1,
            IncidentKind::Merged {
                epoch: text("bb"),
                members: vec![0, 1],
                rolled_back_to: keep,
                root_height: 35,
                moved: 6,
                invalidated: 1,
                orphans: 0,
            },
        ),
        line(
            ms[3],
            IncidentKind::FirstBlock {
                epoch: text("bb"),
                height: 36,
            },
        ),
    ]
}

fn receipt(kind: ReceiptKind, seq: u64, block: [u8; 8], height: u64) -> ReceiptRecord {
    ReceiptRecord {
        kind,
        session: 0,
        seq,
        at_ns: T0,
        epoch: [7; 8],
        block,
        height,
        position: seq as u32,
        outcome: [0, 0],
    }
}

/// Replicas 2 and 3 of four attack; replica 1 was on the losing side from height 31 on.
pub fn drill() -> Sample {
    let mut sample = Sample::passing();
    sample.load().total.sent = 2_000;
    sample.run.drill = Some(PlannedDrill {
        attackers: 2,
        kind: DrillKind::Split,
        at_s: 4.0,
        heal_s: None,
        margin_ms: 500,
        late_b_ms: 0,
        after: AfterSplit::Silent,
        clients_tell: false,
        wait_s: 30.0,
        kill: None,
        second: None,
    });
    let attack_ns = START.monotonic_ns + 6 * SECOND_NS;
    for (at_ns, step) in [
        (attack_ns - 300 * MS, DrillStep::Cut),
        (attack_ns, DrillStep::Attack),
        (T0 - 500 * MS, DrillStep::SplitSeen { height: 31 }),
        (T0, DrillStep::Healed),
        (T0 + 200 * MS, DrillStep::Resumed),
    ] {
        sample
            .events
            .push((at_ns, EventKind::Drill { attack: 0, step }));
    }
    sample.incidents[0] = timeline([10, 30, 60, 80], 34);
    sample.incidents[1] = timeline([12, 25, 70, 100], 30);
    // Attackers leave nothing that counts, and end as they like.
    for liar in [2, 3] {
        sample.reports[liar] = None;
        sample.ledgers[liar] = Some(history(2));
        sample.ledgers[liar].as_mut().unwrap()[1].block[0] ^= 1;
        sample.events.push((
            T0,
            EventKind::ProcessExited {
                name: format!("replica-{liar}"),
                pid: 1,
                code: None,
                signal: Some(6),
                expected: false,
            },
        ));
    }
    let losing = sample.ledgers[1].as_mut().unwrap();
    losing.truncate(33);
    losing[30..].iter_mut().for_each(|r| r.block[0] = 0x55);
    losing.push(LedgerRecord::rollback(30, [7; 8]));
    losing.extend(history(40).split_off(30));
    sample.receipts = Some(Receipts {
        sessions: vec![[1; 16]],
        records: vec![
            receipt(ReceiptKind::Proven, 1, [20; 8], 20),
            receipt(
                ReceiptKind::Proven,
                2,
                [0x55, 31, 31, 31, 31, 31, 31, 31],
                31,
            ),
            receipt(ReceiptKind::Moved, 2, [0; 8], 35),
        ],
    });
    let load = sample.load();
    load.recovery.moved = 1;
    load.recovery.epochs.push(EpochSeen {
        of: "aa".into(),
        epoch: "bb".into(),
        members: vec![0, 1],
        excluded: vec![2, 3],
        root_height: 35,
        learnt_ns: T0 + 90 * MS,
        first_commit_ns: Some(T0 + 120 * MS),
    });
    // Seconds 6 and 7 of the load, between the attack and the heal.
    for row in &mut sample.series[6..8] {
        row.counts.finished = 0;
        row.mode = ModeName::DegradedSafe;
    }
    sample
}

/// Changes a good drill and expects a verdict with a reason that holds `text`.
#[track_caller]
fn expect(verdict: Verdict, text: &str, change: impl FnOnce(&mut Sample)) {
    let mut sample = drill();
    change(&mut sample);
    crate::expect_folder(verdict, text, &sample.write());
}

#[test]
fn the_terms_are_those_of_the_timelines() {
    let judgement = judge(&drill().write());
    let run = &judgement.runs[0];
    assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", run.reasons);
    let [report] = &run.drills[..] else {
        panic!("{:?}", run.drills)
    };
    let ms: Vec<_> = report
        .terms
        .named()
        .map(|(name, ns)| (name, ns.unwrap() / MS))
        .into();
    assert_eq!(
        ms,
        [
            ("detect", 10),
            ("attribute", 20),
            ("reconfigure", 40),
            ("resync", 30),
            ("converge", 100),
        ]
    );
    assert_eq!(report.attackers, [2, 3]);
    assert_eq!(report.convicted, [2, 3]);
    assert_eq!(report.offences["E2 double vote"], 2);
    assert_eq!(report.lambda, Some(0.0));
    assert_eq!((report.moved_max, report.invalidated_max), (6, 1));
    assert_eq!(report.blocks_undone_max, 3);
    assert_eq!(report.clients.first_commit_ns, Some(120 * MS));
    assert_eq!(report.clients.outage_s, 2.0);
    assert_eq!(report.clients.seconds[mode::DEGRADED_SAFE], 2);
    assert_eq!(report.clients.after_tps, Some(100.0));
    let transactions = run.transactions.as_ref().unwrap();
    assert_eq!((transactions.standing, transactions.moved), (1, 1));
    let text = table(&judgement);
    for part in ["T_detect", "10.0", "100", "split", "[2, 3]"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(text.contains("0 lost"), "{text}");
}

#[test]
fn a_milestone_before_the_one_it_builds_on_counts_nothing() {
    let mut sample = drill();
    // A client's pair of receipts told replica 0 before the halves could talk, and replica 1 took
    // the finished agreement over before it had all proofs.
    sample.incidents[0][0].at_ns = T0 - 100 * MS;
    sample.incidents[1][2].at_ns = T0 + 90 * MS;
    let run = judge(&sample.write()).runs.remove(0);
    let terms = run.drills[0].terms;
    assert_eq!(terms.detect_ns, Some(0));
    assert_eq!(terms.attribute_ns, Some(90 * MS));
    assert_eq!(terms.reconfigure_ns, Some(0));
    assert_eq!(terms.resync_ns, Some(10 * MS));
    assert_eq!(terms.converge_ns, Some(100 * MS));
}

#[test]
fn what_goes_wrong_in_a_drill_has_its_verdict() {
    expect(Verdict::Diverged, "[1] is left out", |s| {
        if let IncidentKind::Committed { excluded, .. } = &mut s.incidents[0][4].what {
            *excluded = vec![1, 2, 3];
        }
    });
    expect(Verdict::Diverged, "1 transactions were lost", |s| {
        s.receipts.as_mut().unwrap().records.pop();
    });
    expect(Verdict::Diverged, "without a merge", |s| {
        s.incidents[1].remove(5);
    });
    // A state taken over from a later epoch is a reason as well.
    let mut crossed = drill();
    crossed.incidents[1][5].what = IncidentKind::Crossed {
        epoch: "bb".into(),
        members: vec![0, 1],
        kept: 30,
        height: 36,
        orphans: 0,
    };
    assert_eq!(judge(&crossed.write()).verdict, Verdict::Pass);
    expect(Verdict::Diverged, "height 31", |s| {
        s.ledgers[1].as_mut().unwrap().truncate(33);
    });
    expect(Verdict::Diverged, "more were executed than", |s| {
        s.load().total.sent = 1_999;
    });
    expect(Verdict::NoProgress, "the end of the recovery", |s| {
        s.events.retain(|(_, kind)| {
            !matches!(kind, EventKind::Drill { step, .. } if *step == DrillStep::Resumed)
        });
        let what = "the end of the recovery".to_owned();
        let step = DrillStep::GaveUp { what };
        s.events
            .push((T0 + SECOND_NS, EventKind::Drill { attack: 0, step }));
        s.incidents[1].pop();
    });
    expect(Verdict::Inconclusive, "T_resync", |s| {
        s.incidents[1].pop();
    });
    expect(Verdict::Inconclusive, "T_detect", |s| {
        s.events.retain(|(_, kind)| {
            !matches!(
                kind,
                EventKind::Drill {
                    step: DrillStep::SplitSeen { .. },
                    ..
                }
            )
        });
    });
    expect(Verdict::Inconclusive, "no timeline", |s| {
        s.incidents[0].clear()
    });
    expect(Verdict::Inconclusive, "kept its receipts", |s| {
        s.receipts = None
    });
    expect(Verdict::Inconclusive, "replica-1 ended unasked", |s| {
        if let Some((_, EventKind::ProcessExited { name, .. })) = s.events.last_mut() {
            *name = "replica-1".into();
        }
    });
}

#[test]
fn readiness_names_the_axis_that_is_weakest() {
    let readiness = |sample: &Sample| {
        let judgement = judge(&sample.write());
        judgement.runs[0].drills[0].readiness.clone().unwrap()
    };
    let all = readiness(&drill());
    assert_eq!((all.index, all.governance), (1.0, 1.0));

    // One of two correct replicas does not say why it went on.
    let mut silent = drill();
    silent.incidents[1].retain(|line| !matches!(line.what, IncidentKind::Gate { .. }));
    let found = readiness(&silent);
    assert_eq!(
        (found.governance, found.weakest.as_str()),
        (0.5, "governance")
    );
    assert_eq!(found.index, 0.875);

    // One of them never held the conflict itself, and neither got to work again.
    let mut stuck = drill();
    stuck.incidents[1].retain(|line| !matches!(line.what, IncidentKind::Conflict { .. }));
    for lines in &mut stuck.incidents {
        lines.retain(|line| !matches!(line.what, IncidentKind::FirstBlock { .. }));
    }
    let found = readiness(&stuck);
    assert_eq!((found.detect, found.recover), (0.5, 0.0));
    assert_eq!(found.weakest, "recover");
}

#[test]
fn an_eviction_ends_with_an_epoch_without_the_liars() {
    let mut sample = Sample::passing();
    sample.load().total.sent = 2_000;
    sample.run.drill = drill().run.drill;
    let plan = sample.run.drill.as_mut().unwrap();
    (plan.kind, plan.attackers) = (DrillKind::Evict, 1);
    let step = DrillStep::Attack;
    sample
        .events
        .push((T0, EventKind::Drill { attack: 0, step }));
    sample.receipts = Some(Receipts::default());
    let merged = |members: &[u32], epoch: &str| IncidentKind::Merged {
        epoch: epoch.into(),
        members: members.to_vec(),
        rolled_back_to: 20,
        root_height: 21,
        moved: 0,
        invalidated: 0,
        orphans: 0,
    };
    let first = |epoch: &str| IncidentKind::FirstBlock {
        epoch: epoch.into(),
        height: 22,
    };
    for index in 0..3 {
        sample.incidents[index] = vec![
            convicted(10 + index as u64, &[3], &[3]),
            line(40 + index as u64, merged(&[0, 1, 2], "bb")),
            line(50, first("bb")),
        ];
    }
    let judgement = judge(&sample.write());
    let run = &judgement.runs[0];
    assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", run.reasons);
    let report = &run.drills[0];
    assert_eq!(
        (&report.attackers[..], &report.convicted[..]),
        (&[3][..], &[3][..])
    );
    let terms = report.terms;
    let ms = [
        terms.detect_ns,
        terms.attribute_ns,
        terms.reconfigure_ns,
        terms.resync_ns,
    ];
    assert_eq!(ms.map(|ns| ns.unwrap() / MS), [0, 2, 30, 8]);
}
