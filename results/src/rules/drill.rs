//! Rules for drills: everything was done, the end was found, nobody is blamed without reason, and
//! nothing was lost or counts twice.

use super::{Reasons, say};
use crate::judgement::RunJudgement;
use crate::record::Record;
use crate::tx_check::TxCheck;
use crate::verdict::Verdict;

pub(super) fn apply(record: &Record, run: &RunJudgement, reasons: &mut Reasons) {
    rollbacks(record, reasons);
    if let Some(transactions) = &run.transactions {
        kept(transactions, reasons);
    }
    if record.run.drill.is_none() {
        return;
    }
    if run.transactions.is_none() {
        say(
            reasons,
            Verdict::Inconclusive,
            "no generator kept its receipts: whether anything was lost cannot be judged",
        );
    }
    for replica in record.run.correct() {
        if !record.incidents.iter().any(|(index, _)| *index == replica) {
            say(
                reasons,
                Verdict::Inconclusive,
                format!("replica {replica} left no timeline of the incident"),
            );
        }
    }
    for drill in &run.drills {
        let k = drill.attack;
        if !drill.convicted_falsely.is_empty() {
            say(
                reasons,
                Verdict::Diverged,
                format!(
                    "attack {k}: {:?} attacked, but {:?} is left out as well",
                    drill.attackers, drill.convicted_falsely
                ),
            );
        }
        for what in &drill.gave_up {
            say(
                reasons,
                Verdict::NoProgress,
                format!("attack {k}: {what} was waited for in vain"),
            );
        }
        for (name, term) in drill.terms.named() {
            if term.is_none() && drill.gave_up.is_empty() {
                say(
                    reasons,
                    Verdict::Inconclusive,
                    format!("attack {k}: the files do not tell T_{name}"),
                );
            }
        }
    }
}

/// Whoever undid blocks says why.
fn rollbacks(record: &Record, reasons: &mut Reasons) {
    for (replica, ledger) in &record.ledgers {
        let lines = record.incidents.iter().find(|(index, _)| index == replica);
        let merges = |height: u64| {
            lines
                .is_some_and(|(_, lines)| lines.iter().any(|line| line.what.kept() == Some(height)))
        };
        for marker in ledger.records.iter().filter(|r| r.is_rollback()) {
            if !merges(marker.height) {
                say(
                    reasons,
                    Verdict::Diverged,
                    format!(
                        "replica {replica} undid everything above height {} without a merge in its \
                         timeline",
                        marker.height
                    ),
                );
            }
        }
    }
}

fn kept(check: &TxCheck, reasons: &mut Reasons) {
    let mut is = |verdict, count: u64, text: &str| {
        if count > 0 {
            say(reasons, verdict, format!("{count} {text}"));
        }
    };
    is(
        Verdict::Diverged,
        check.lost,
        &format!(
            "transactions were lost after a receipt, unreported; the first: {}",
            check.example.as_deref().unwrap_or("?")
        ),
    );
    let place = "transactions have a place that another one has as well";
    is(Verdict::Diverged, check.same_place, place);
    let twice = "transactions more were executed than were ever sent";
    is(Verdict::Diverged, check.executed_twice(), twice);
    let unheard = "transactions were undone after their generator had ended: run the load longer";
    is(Verdict::Inconclusive, check.unheard, unheard);
    let beyond = "receipts name heights above the end of every ledger";
    is(Verdict::Inconclusive, check.beyond_end, beyond);
}
