//! What a merge must keep, and what it must not make up: judged at the moment at which a replica has
//! executed it, before anybody hands in again what it lost.

use std::collections::BTreeSet;

use crypto::Job;
use execution::kv::BALANCE_INITIAL;
use measure::LedgerRecord;
use node::incident::{Incident, What};
use types::{BlockId, Digest, Epoch, Height, Message, Resumption};

use super::World;
use super::split::balance;
use crate::clients::Client;
use crate::event::Seat;
use crate::process::Process;
use crate::split::base::{Stand, base};
use crate::split::oracle::TxName;

impl World {
    /// A message that left `seat`.
    pub(super) fn split_sent(&mut self, seat: Seat, message: &Message) {
        let Some(split) = &mut self.split else {
            return;
        };
        if !split.oracle.is_correct(seat) {
            return;
        }
        let verdict = split.oracle.told.said(seat, message);
        self.oracle.note(verdict);
        match message {
            Message::ForkReport(report)
                if report.replica.index() == seat && report.epoch == self.epoch.recovery().id =>
            {
                self.note_reported(seat, report.height);
            }
            _ => {}
        }
    }

    /// A replica decides to vote.
    pub(super) fn split_asked(&mut self, seat: Seat, epoch: &Epoch, job: &Job) {
        if let (Job::SignVote { view, .. }, Some(split)) = (job, &self.split)
            && split.oracle.is_correct(seat)
        {
            let told = &split.oracle.told;
            let verdict = told.is_silent(seat, epoch.id, "votes in", *view);
            self.oracle.note(verdict);
        }
    }

    /// What a replica had executed when it said where it stands. It may execute more after a restart,
    /// of what it had not when it stopped.
    fn note_reported(&mut self, seat: Seat, height: Height) {
        let Some(split) = &mut self.split else {
            return;
        };
        let Some(one) = self.hosts[seat].process.as_ref().and_then(Process::one) else {
            return;
        };
        let stands = one.executor().height() == height;
        if stands && split.oracle.witnesses[seat].reported.is_none() {
            let all = self.clients.iter();
            let all = all.flat_map(|c| c.payments.iter().map(|seq| (c.session, *seq)));
            let done = |(session, seq): &TxName| {
                balance(one, Client::account_of(session, *seq)) == Some(BALANCE_INITIAL + 1)
            };
            let done: BTreeSet<TxName> = all.filter(done).collect();
            split.oracle.witnesses[seat].reported = Some(done);
        }
    }

    /// What correct replica `seat` executed and announced just now.
    pub(super) fn judge_merge(
        &mut self,
        seat: Seat,
        ledger: &[LedgerRecord],
        incidents: &[Incident],
    ) {
        if self.oracle.split {
            self.check_final(seat, ledger);
        }
        for incident in incidents {
            match &incident.what {
                What::Committed(resumption) => self.check_base(seat, resumption),
                What::Merged { .. } => self.check_merged(seat),
                _ => {}
            }
        }
    }

    /// Nothing is executed but what certificates of real votes make final, and the roots of epochs.
    fn check_final(&mut self, seat: Seat, ledger: &[LedgerRecord]) {
        let Some(split) = &self.split else {
            return;
        };
        let wrong = ledger.iter().find(|record| {
            let block = BlockId(Digest(record.block));
            let is_root = || {
                split
                    .oracle
                    .epochs
                    .values()
                    .any(|epoch| epoch.root() == block)
            };
            !record.is_rollback() && !self.oracle.finality.is_final(block) && !is_root()
        });
        if let Some(record) = wrong {
            let what = format!(
                "replica {seat} executed a block at height {} which no chain of certificates makes final",
                record.height
            );
            self.fail("executed-not-final", what);
        }
    }

    /// The agreed base is the one that the reports amount to, as far as their blocks are known here.
    fn check_base(&mut self, seat: Seat, resumption: &Resumption) {
        let split = self.split.as_ref().expect("a split world");
        let Some(of) = split.oracle.epochs.get(&resumption.of) else {
            return;
        };
        let stands: Option<Vec<Stand>> = resumption
            .value
            .reports
            .iter()
            .map(|report| {
                let path = self.oracle.path(of, report.tip)?;
                Some(Stand {
                    height: report.height,
                    path,
                })
            })
            .collect();
        let Some(stands) = stands else { return };
        let expected = base(&stands).unwrap_or_else(|| of.root());
        let found = resumption.value.base;
        if !stands.is_empty() && found != expected {
            let what = format!("replica {seat} merges onto {found:?}, expected {expected:?}");
            self.fail("base", what);
        }
    }

    /// Whatever a reporting correct replica had executed has its effect in the merged state.
    fn check_merged(&mut self, seat: Seat) {
        let split = self.split.as_mut().expect("a split world");
        let Some(agreed) = split.oracle.witnesses[seat].agreed.take() else {
            return;
        };
        let Some(one) = self.hosts[seat].process.as_ref().and_then(Process::one) else {
            return;
        };
        if agreed.of != self.epoch.id {
            return;
        }
        let reporters = agreed.value.reports.iter().map(|r| r.replica.index());
        let wrong = reporters.into_iter().find_map(|by| {
            let payments = split.oracle.witnesses[by].reported.iter().flatten();
            let mut payments = payments.map(|(session, seq)| (*seq, session));
            payments.find_map(|(seq, session)| {
                let balance = balance(one, Client::account_of(session, seq));
                (balance != Some(BALANCE_INITIAL + 1)).then_some((seq, by, balance))
            })
        });
        if let Some((seq, by, balance)) = wrong {
            let what = format!(
                "replica {seat} merged without payment {seq}, which replica {by} had executed and reported: its account holds {balance:?}, expected {}",
                BALANCE_INITIAL + 1
            );
            self.fail("branch-lost", what);
        }
    }
}
