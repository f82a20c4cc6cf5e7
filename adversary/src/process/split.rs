//! A two-faced attacker as a real process: two replicas over one set of sockets and helpers.

use std::time::Duration;

use bytes::Bytes;
use measure::LedgerRecord;
use node::incident::Incident;
use node::platform::NodeEvent;
use node::process::Process;
use node::replica::{Counters, Replica};
use node::start::{Parts, Setup, rules};
use node::{NodeError, RealPlatform};
use types::{Mode, ReplicaId, SignerSet};

use crate::acts::Plan;
use crate::byzantine::{Byzantine, RawLink};
use crate::split::{After, FacePlatform, Maker, SplitPlan, TwoFaced};

/// Frames whose weight is data, behind the byte that names a face.
const BULK_TAGS: [u8; 3] = [4, 13, 16];

/// What the attacker is told at its start.
#[derive(Debug, Clone, Copy)]
pub struct SplitOrder {
    /// Correct replicas; everybody else is an attacker.
    pub sides: [SignerSet; 2],
    /// From the start of the process.
    pub split_after: Duration,
    /// How long side B hears nothing after the split.
    pub late_b: Duration,
    /// The histories commit in different views.
    pub apart: bool,
    pub after: After,
}

/// Two replicas out of the parts of one. What the faces write stays in memory: an attacker keeps no
/// promise.
///
/// # Errors
/// [`NodeError`] if a face cannot be made.
pub fn two_faced(
    parts: Parts,
    setup: &Setup,
    order: &SplitOrder,
) -> Result<TwoFaced<RealPlatform>, NodeError> {
    let Parts {
        mut config,
        rule,
        signer,
        platform,
        ..
    } = parts;
    config.durable = true;
    let now_ns = measure::monotonic_ns();
    let ns = |span: Duration| span.as_nanos() as u64;
    let [a, b] = order.sides;
    let mut allies = SignerSet::all(setup.epoch.n).difference(a.union(b));
    allies.remove(setup.me);
    let plan = SplitPlan {
        sides: order.sides,
        allies,
        faces: [true; 2],
        split_ns: now_ns + ns(order.split_after),
        late_ns: ns(order.late_b),
        apart: order.apart,
        heal_ns: u64::MAX,
        after: order.after,
        during: Plan::honest(),
    };
    let make: Maker = Box::new(move |records, now_ns| {
        let platform = Byzantine::honest(FacePlatform::new(records.clone()));
        let (config, signer) = (config.clone(), signer.clone());
        Replica::new(config, rules(rule), signer, records, platform, now_ns)
    });
    TwoFaced::new(plan, platform, make, now_ns)
}

impl RawLink for RealPlatform {
    fn send_frame(&mut self, to: ReplicaId, frame: Bytes) {
        let is_bulk = frame.get(1).is_some_and(|tag| BULK_TAGS.contains(tag));
        self.send_raw(to, frame, is_bulk);
    }
}

impl Process for TwoFaced<RealPlatform> {
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
        self.platform()
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
