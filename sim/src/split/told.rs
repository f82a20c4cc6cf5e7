//! What a replica may not say once it told others that its epoch is split.

use std::collections::{BTreeMap, BTreeSet};

use types::{EpochId, Message, View};

use crate::event::Seat;
use crate::oracle::{Verdict, violation};

/// Words of correct replicas, in whatever life.
#[derive(Debug, Default)]
pub struct Told {
    splits: BTreeSet<(Seat, EpochId)>,
    reports: BTreeMap<(Seat, EpochId), Vec<u8>>,
}

impl Told {
    /// A message which left correct replica `from`.
    pub fn said(&mut self, from: Seat, message: &Message) -> Verdict {
        match message {
            Message::Conflict(conflict) => {
                self.splits.insert((from, conflict.epoch));
                Ok(())
            }
            Message::ForkReport(report) if report.replica.index() == from => {
                use types::Wire;
                let bytes = report.encode().to_vec();
                let first = self.reports.entry((from, report.epoch));
                match *first.or_insert_with(|| bytes.clone()) == bytes {
                    true => Ok(()),
                    false => violation(
                        "second-report",
                        format!(
                            "replica {from} signed a second report of one split: height {}, tip {:?}",
                            report.height, report.tip
                        ),
                    ),
                }
            }
            Message::Proposal(p) => self.is_silent(from, p.header.epoch, "proposes", p.header.view),
            Message::Timeout(t) => self.is_silent(from, t.epoch, "gives up", t.view),
            _ => Ok(()),
        }
    }

    /// Correct replica `from` decided to say something about `view`. A vote itself may leave later than
    /// what was found out while it was signed.
    pub fn is_silent(&self, from: Seat, epoch: EpochId, does: &str, view: View) -> Verdict {
        match self.splits.contains(&(from, epoch)) {
            false => Ok(()),
            true => violation(
                "speaks-while-degraded",
                format!("replica {from} {does} view {view} of an epoch that it called split"),
            ),
        }
    }
}
