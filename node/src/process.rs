//! What the loop runs: one replica, or something in its place that answers to the same sockets.

use measure::LedgerRecord;
use types::Mode;

use crate::incident::Incident;
use crate::platform::NodeEvent;
use crate::real::{Real, RealPlatform};
use crate::replica::{Counters, Replica};

/// The calls of [`Replica`] that the loop and its reports need; they mean the same here.
pub trait Process {
    fn handle(&mut self, now_ns: u64, event: NodeEvent);
    fn turn(&mut self, now_ns: u64);
    fn deadline_ns(&self) -> Option<u64>;
    fn fatal(&self) -> Option<&str>;
    fn begin_stop(&mut self);
    fn real(&mut self) -> &mut RealPlatform;
    fn mode(&self) -> Mode;
    fn counters(&self) -> Counters;
    fn take_ledger(&mut self) -> Vec<LedgerRecord>;
    fn take_incidents(&mut self) -> Vec<Incident>;
}

impl<W: Real> Process for Replica<W> {
    fn handle(&mut self, now_ns: u64, event: NodeEvent) {
        self.handle(now_ns, event);
    }
    fn turn(&mut self, now_ns: u64) {
        self.turn(now_ns);
    }
    fn deadline_ns(&self) -> Option<u64> {
        self.deadline_ns()
    }
    fn fatal(&self) -> Option<&str> {
        self.fatal()
    }
    fn begin_stop(&mut self) {
        self.begin_stop();
    }
    fn real(&mut self) -> &mut RealPlatform {
        self.platform().real()
    }
    fn mode(&self) -> Mode {
        self.mode()
    }
    fn counters(&self) -> Counters {
        self.counters()
    }
    fn take_ledger(&mut self) -> Vec<LedgerRecord> {
        self.take_ledger()
    }
    fn take_incidents(&mut self) -> Vec<Incident> {
        self.take_incidents()
    }
}
