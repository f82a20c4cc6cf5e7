//! What runs at a seat: one replica, honest or bent, or an attacker that is two at once.

use adversary::split::TwoFaced;
use adversary::{Acts, Byzantine};
use bytes::Bytes;
use measure::LedgerRecord;
use node::incident::Incident;
use node::platform::NodeEvent;
use node::replica::{Counters, Replica};

use crate::platform::SimPlatform;

/// The driver over the world's leaves.
pub type One = Replica<Byzantine<SimPlatform>>;

/// See the module.
pub enum Process {
    One(Box<One>),
    Two(Box<TwoFaced<SimPlatform>>),
}

impl Process {
    /// The replica, where there is exactly one.
    pub fn one(&self) -> Option<&One> {
        match self {
            Process::One(one) => Some(one),
            Process::Two(_) => None,
        }
    }

    pub fn two(&mut self) -> Option<&mut TwoFaced<SimPlatform>> {
        match self {
            Process::One(_) => None,
            Process::Two(two) => Some(two),
        }
    }

    pub fn platform(&mut self) -> &mut SimPlatform {
        match self {
            Process::One(one) => one.platform().inner(),
            Process::Two(two) => two.platform(),
        }
    }

    /// Shows an attacker a frame on its way in; two faces look for themselves.
    pub fn observe(&mut self, frame: &Bytes) {
        if let Process::One(one) = self {
            one.platform().observe(frame);
        }
    }

    pub fn handle(&mut self, now_ns: u64, event: NodeEvent) {
        match self {
            Process::One(one) => one.handle(now_ns, event),
            Process::Two(two) => two.handle(now_ns, event),
        }
    }

    pub fn turn(&mut self, now_ns: u64) {
        match self {
            Process::One(one) => one.turn(now_ns),
            Process::Two(two) => two.turn(now_ns),
        }
    }

    pub fn deadline_ns(&self) -> Option<u64> {
        match self {
            Process::One(one) => one.deadline_ns(),
            Process::Two(two) => two.deadline_ns(),
        }
    }

    /// Who waits for what, for a reader.
    pub fn describe(&self, now_ns: u64) -> String {
        let late = |at_ns: u64| now_ns.saturating_sub(at_ns) / 1000;
        match self {
            Process::One(one) => {
                let core = one.core();
                format!(
                    "{} in {:?}, {} us behind its core's deadline, {} us behind its car's, {} us behind its own",
                    one.mode().name(),
                    one.epoch().id,
                    late(core.deadline_ns()),
                    core.car_slot_ns().map_or(0, late),
                    one.deadline_ns().map_or(0, late),
                )
            }
            Process::Two(two) => {
                let face = |face: usize| {
                    two.face(face).map(|face| {
                        let core = face.core();
                        format!(
                            "{} in {:?}, {} us behind its core's deadline, {} us behind its car's, {} us behind its own",
                            face.mode().name(),
                            face.epoch().id,
                            late(core.deadline_ns()),
                            core.car_slot_ns().map_or(0, late),
                            face.deadline_ns().map_or(0, late),
                        )
                    })
                };
                format!("{two:?}: face A {:?}, face B {:?}", face(0), face(1))
            }
        }
    }

    pub fn fatal(&self) -> Option<&str> {
        match self {
            Process::One(one) => one.fatal(),
            Process::Two(two) => two.fatal(),
        }
    }

    pub fn counters(&self) -> Counters {
        match self {
            Process::One(one) => one.counters(),
            Process::Two(two) => two.counters(),
        }
    }

    pub fn take_ledger(&mut self) -> Vec<LedgerRecord> {
        match self {
            Process::One(one) => one.take_ledger(),
            Process::Two(two) => two.take_ledger(),
        }
    }

    pub fn take_incidents(&mut self) -> Vec<Incident> {
        match self {
            Process::One(one) => one.take_incidents(),
            Process::Two(two) => two.take_incidents(),
        }
    }

    pub fn take_acts(&mut self) -> Acts {
        match self {
            Process::One(one) => one.platform().take_acts(),
            Process::Two(two) => two.take_acts(),
        }
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process").finish_non_exhaustive()
    }
}
