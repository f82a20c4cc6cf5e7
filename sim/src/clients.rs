//! Honest clients: several sessions that submit, hold receipts, and try elsewhere when none comes.

use std::collections::BTreeMap;

use bytes::Bytes;
use execution::kv::format;
use types::Wire;
use types::batch::{GroupBuilder, SessionId};
use types::client::{Entry, Outcome, Request};

use crate::event::Seat;
use crate::plan::MS;
use crate::rng::Rng;

/// Sent and not yet settled at most, per session.
const OPEN_MAX: usize = 24;
const PATIENCE_NS: u64 = 300 * MS;

#[derive(Debug, Clone)]
struct Open {
    payload: Bytes,
    sent_ns: u64,
}

/// One session.
#[derive(Debug)]
pub struct Client {
    pub session: SessionId,
    pub home: Seat,
    seq: u64,
    open: BTreeMap<u64, Open>,
    pub settled: u64,
    pub applied: Vec<u64>,
    /// Sequence numbers of transfers.
    pub payments: Vec<u64>,
    pub resent: u64,
    pub stopped: bool,
}

impl Client {
    pub fn new(index: usize, home: Seat) -> Client {
        let mut session = [0xc1; 16];
        session[0] = index as u8;
        Client {
            session,
            home,
            seq: 0,
            open: BTreeMap::new(),
            settled: 0,
            applied: Vec::new(),
            payments: Vec::new(),
            resent: 0,
            stopped: false,
        }
    }

    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// The account that transaction `seq` pays into: nobody else's.
    pub fn account(&self, seq: u64) -> u64 {
        Client::account_of(&self.session, seq)
    }

    pub fn account_of(session: &SessionId, seq: u64) -> u64 {
        (u64::from(session[0]) + 1) << 32 | seq
    }

    /// What to submit now, and where.
    pub fn tick(
        &mut self,
        now_ns: u64,
        n: usize,
        payload_max: u64,
        rng: &mut Rng,
    ) -> Vec<(Seat, Bytes)> {
        let mut out = Vec::new();
        if !self.stopped && self.open.len() < OPEN_MAX {
            let many = rng.between(1, 6);
            let fresh: Vec<u64> = (0..many)
                .map(|_| self.make(now_ns, payload_max, rng))
                .collect();
            let frame = self.frame(&fresh);
            // Some clients do not trust one replica.
            if rng.chance(60) {
                out.push((rng.below(n as u64) as Seat, frame.clone()));
            }
            out.push((self.home, frame));
        }
        let late: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, tx)| now_ns >= tx.sent_ns + PATIENCE_NS)
            .map(|(seq, _)| *seq)
            .collect();
        if !late.is_empty() {
            self.home = rng.below(n as u64) as Seat;
            self.resent += late.len() as u64;
            for seq in &late {
                if let Some(tx) = self.open.get_mut(seq) {
                    tx.sent_ns = now_ns;
                }
            }
            out.push((self.home, self.frame(&late)));
        }
        out
    }

    fn make(&mut self, now_ns: u64, payload_max: u64, rng: &mut Rng) -> u64 {
        self.seq += 1;
        let seq = self.seq;
        let mut payload = Vec::new();
        if rng.chance(600) {
            self.payments.push(seq);
            // One unit to an account of its own: twice executed would be seen there.
            format::transfer(
                u64::from(self.session[0]),
                self.account(seq),
                1,
                &mut payload,
            );
        } else {
            let key = rng.below(50).to_le_bytes();
            let value = vec![seq as u8; rng.below(payload_max) as usize];
            format::put(&key, &value, &mut payload);
        }
        let payload = Bytes::from(payload);
        self.open.insert(
            seq,
            Open {
                payload,
                sent_ns: now_ns,
            },
        );
        seq
    }

    fn frame(&self, seqs: &[u64]) -> Bytes {
        let mut group = GroupBuilder::new();
        for seq in seqs {
            if let Some(tx) = self.open.get(seq) {
                group.push(*seq, &tx.payload);
            }
        }
        let mut groups = Vec::new();
        group.finish(&self.session, &mut groups);
        Request::Submit(groups.into()).encode()
    }

    /// A receipt came: true if it settles something.
    pub fn settle(&mut self, entry: &Entry) -> bool {
        let Some(tx) = self.open.remove(&entry.seq) else {
            return false;
        };
        self.settled += 1;
        let transfer = tx.payload.len() == 25 && tx.payload[0] == 3;
        if transfer && matches!(entry.outcome, Outcome::Applied | Outcome::Duplicate) {
            self.applied.push(entry.seq);
        }
        true
    }

    /// A refusal came: the transactions wait until they are late.
    pub fn seqs(&self) -> u64 {
        self.seq
    }
}
