//! When a world is done, why it is not, and what must hold in the end.

use bytes::Bytes;
use execution::kv::{BALANCE_INITIAL, format};

use super::{BLOCKS_MIN, World};
use crate::event::Event;
use crate::plan::MS;
use crate::process::Process;

impl World {
    /// Every lasting replica executed up to `goal`, and every client has its receipts.
    pub(super) fn is_done(&self, goal: u64) -> bool {
        let settled = self
            .clients
            .iter()
            .all(|client| client.stopped && client.open() == 0);
        let goal = goal.max(self.oracle.receipts.height_max());
        settled
            && self.plan.lasting().iter().all(|seat| {
                let process = self.hosts[*seat].process.as_ref();
                process.is_some_and(|process| process.counters().height_executed >= goal)
            })
    }

    /// Says who waits for what.
    pub(super) fn stuck(&mut self, goal: u64) {
        let open: Vec<String> = self
            .clients
            .iter()
            .enumerate()
            .filter(|(_, client)| client.open() > 0)
            .map(|(at, client)| {
                format!(
                    "client {at} waits for {} of {}",
                    client.open(),
                    client.seqs()
                )
            })
            .collect();
        let seats = (0..self.plan.n).map(|seat| {
            let kind = if self.plan.is_evil(seat) { " (byzantine)" } else { "" };
            let Some(process) = &self.hosts[seat].process else { return format!("replica {seat}{kind}: down") };
            let c = process.counters();
            let Some(one) = process.one() else { return format!("replica {seat}{kind}: two faces") };
            let safety = one.core().safety();
            format!(
                "replica {seat}{kind}: view {} led by {}, committed {}, executed {}, undelivered {}, catching up {}, horizon {}, backlog {} B, cars {}, newest certificate {}, gave up {}, voted {}, lock {}",
                c.view, c.leader, c.height_committed, c.height_executed, one.core().undelivered(),
                one.core().is_catching_up(), c.height_horizon, c.own_backlog_bytes, one.core().own_backlog_cars(),
                safety.high_qc.view, safety.timeout_view, safety.last_votes[0].view, safety.lock.view,
            )
        });
        let seats: Vec<String> = seats.collect();
        let what = format!(
            "no progress to height {goal} within {} ms after the healing; {}\n  {}",
            (self.now_ns - self.plan.heal_ns) / MS,
            open.join(", "),
            seats.join("\n  "),
        );
        self.fail("liveness", what);
    }

    /// The last checks.
    pub(super) fn judge(&mut self) {
        if self.oracle.first.is_some() {
            return;
        }
        let verdict = self.oracle.receipts.settle(&self.oracle.ledger);
        self.oracle.note(verdict);
        for seat in self.plan.lasting() {
            self.check_accounts(seat);
        }
        let blocks = self.blocks();
        if blocks < BLOCKS_MIN || self.oracle.receipts.count == 0 {
            let what = format!(
                "{blocks} blocks and {} receipts prove nothing",
                self.oracle.receipts.count
            );
            self.fail("empty-world", what);
        }
    }

    /// Every acknowledged payment is there once, at every replica: counted in the state itself.
    fn check_accounts(&mut self, seat: usize) {
        let one = self.hosts[seat].process.as_ref().and_then(Process::one);
        let Some(executor) = one.map(|one| one.executor()) else {
            return;
        };
        let mut wrong = None;
        for client in &self.clients {
            for seq in &client.applied {
                let mut query = Vec::new();
                format::balance(client.account(*seq), &mut query);
                let answer: Bytes = executor.query(&query);
                let balance = answer
                    .get(1..9)
                    .and_then(|b| b.try_into().ok())
                    .map(u64::from_le_bytes);
                if balance != Some(BALANCE_INITIAL + 1) {
                    wrong.get_or_insert((*seq, balance));
                }
            }
        }
        if let Some((seq, balance)) = wrong {
            let what = format!(
                "replica {seat}: the account of payment {seq} holds {balance:?}, expected {}",
                BALANCE_INITIAL + 1
            );
            self.fail("payment", what);
        }
    }

    /// Samples what must stay bounded.
    pub(super) fn inspect(&mut self) {
        self.queue.put(self.now_ns + 100 * MS, Event::Inspect);
        let plan = &self.plan;
        // Per lane its quota, twice: once unexecuted, once fetched; and what is retained.
        let bound = plan.retention_bytes + 4 * plan.n as u64 * plan.window_bytes + (1 << 20);
        let over = (0..plan.n)
            .filter(|seat| !plan.is_evil(*seat))
            .find_map(|seat| {
                let bytes = self.hosts[seat].process.as_ref()?.counters().store_bytes;
                (bytes > bound).then_some((seat, bytes))
            });
        if let Some((seat, bytes)) = over {
            self.fail(
                "memory",
                format!("replica {seat} holds {bytes} bytes of batches, bound is {bound}"),
            );
        }
    }
}
