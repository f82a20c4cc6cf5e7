//! Mutants that come back with less than they wrote.

use consensus::{Lock, Safety};
use storage::Record;
use types::{Car, Epoch, Reader, ReplicaId, View, Wire};

use super::Mutant;

// Kinds of records, as the driver writes them.
const SAFETY: u8 = 1;
const HEADER: u8 = 2;
const CAR: u8 = 3;
const CONFLICT: u8 = 7;
const FRAUD: u8 = 8;
const REPORT: u8 = 9;
const VALUE: u8 = 10;
const RESUMPTION: u8 = 11;
const EPOCH: u8 = 12;

/// Enough to make the last block that was final one that is not.
const LAST_HEADERS: usize = 4;

impl Mutant {
    /// What a restarted mutant believes that it found on its disk.
    pub(crate) fn recovered(
        self,
        me: ReplicaId,
        genesis: &Epoch,
        mut records: Vec<Record>,
    ) -> Vec<Record> {
        match self {
            Mutant::ForgetVotes => records.iter_mut().for_each(forget_votes),
            Mutant::ForgetProposal => records.iter_mut().for_each(forget_proposal),
            Mutant::LoseLaneTail => {
                let mine = |record: &Record| {
                    record.kind() == CAR
                        && Car::decode(record.bytes()).is_ok_and(|car| car.lane == me)
                };
                for _ in 0..2 {
                    if let Some(at) = records.iter().rposition(mine) {
                        records.remove(at);
                    }
                }
            }
            Mutant::ForgetMode => {
                let working = working(genesis, &records);
                records.retain(|record| match record.kind() {
                    CONFLICT | FRAUD | VALUE | RESUMPTION => false,
                    _ => !is_of_recovery(&working, record),
                });
            }
            Mutant::ForgetRecoveryVotes => {
                let working = working(genesis, &records);
                records.retain(|record| !is_of_recovery(&working, record));
            }
            Mutant::ForgetReport => forget_report(&mut records),
            _ => {}
        }
        records
    }
}

fn forget_votes(record: &mut Record) {
    edit_safety(record, |safety| {
        let nothing = Lock {
            view: View(0),
            block: safety.lock.block,
        };
        safety.last_votes = [nothing; 2];
        safety.timeout_view = View(0);
    });
}

fn forget_proposal(record: &mut Record) {
    edit_safety(record, |safety| safety.proposed_view = View(0));
}

fn edit_safety(record: &mut Record, edit: impl FnOnce(&mut Safety)) {
    if record.kind() == SAFETY
        && let Ok(mut safety) = Safety::decode(record.bytes())
    {
        edit(&mut safety);
        *record = Record::new(SAFETY, [0; 32], [safety.encode()])
            .expect("as long as the record that it was");
    }
}

/// With the report goes what it rested on, or the second one would be the same.
fn forget_report(records: &mut Vec<Record>) {
    let Some(at) = records.iter().position(|record| record.kind() == REPORT) else {
        return;
    };
    records.remove(at);
    for _ in 0..LAST_HEADERS {
        if let Some(at) = records.iter().rposition(|record| record.kind() == HEADER) {
            records.remove(at);
        }
    }
}

/// The working epoch of a journal.
fn working(genesis: &Epoch, records: &[Record]) -> Epoch {
    let bases = records.iter().filter(|record| record.kind() == EPOCH);
    let last = bases.last().map(|record| Reader::new(record.bytes()));
    last.and_then(|mut bytes| Epoch::take(&mut bytes).ok())
        .unwrap_or(*genesis)
}

/// Safety state of the recovery of `working`.
fn is_of_recovery(working: &Epoch, record: &Record) -> bool {
    record.kind() == SAFETY
        && Safety::decode(record.bytes()).is_ok_and(|it| it.epoch == working.recovery().id)
}
