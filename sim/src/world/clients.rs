//! The clients' side of the world: dialling, submitting, and believing only what is proven.

use node::platform::{ClientId, NodeEvent};
use types::client::Response;

use super::World;
use crate::event::{Event, Seat};
use crate::plan::MS;

/// After the healing clients go on for a while, then only wait.
const LAST_SUBMISSION_NS: u64 = 300 * MS;

impl World {
    pub(super) fn client_tick(&mut self, client: usize) {
        self.mix(6);
        let late = self.healed && self.now_ns > self.plan.heal_ns + LAST_SUBMISSION_NS;
        if late && self.clients_may_stop() {
            self.clients[client].stopped = true;
        }
        let (n, payload_max) = (self.plan.n, self.plan.payload_max);
        let frames = self.clients[client].tick(self.now_ns, n, payload_max, &mut self.rng);
        for (seat, frame) in frames {
            let Some((id, life)) = self.dial(client, seat) else {
                continue;
            };
            let at_ns = self.now_ns + self.rng.between(MS / 10, 2 * MS);
            self.queue.put(
                at_ns,
                Event::Request {
                    at: seat,
                    life,
                    client: id,
                    frame,
                },
            );
        }
        let gap = self
            .rng
            .skewed(self.plan.client_gap_ns / 2, 3 * self.plan.client_gap_ns);
        self.queue
            .put(self.now_ns + gap, Event::ClientTick { client });
    }

    /// The client's connection to `seat`: a new one if there is none to this life of it.
    fn dial(&mut self, client: usize, seat: Seat) -> Option<(ClientId, u32)> {
        self.hosts[seat].process.as_ref()?;
        let life = self.hosts[seat].life;
        if let Some(id) = self.dialled.get(&(client, seat)).copied() {
            if self.conns.get(&id).is_some_and(|(_, _, at)| *at == life) {
                return Some((id, life));
            }
            self.conns.remove(&id);
        }
        self.next_client += 1;
        let id = ClientId(self.next_client);
        self.conns.insert(id, (client, seat, life));
        self.dialled.insert((client, seat), id);
        self.feed(seat, NodeEvent::ClientUp(id));
        Some((id, life))
    }

    pub(super) fn reply(&mut self, id: ClientId, response: Response) {
        let Some((client, _, _)) = self.conns.get(&id).copied() else {
            return;
        };
        if self.oracle.split {
            return self.split_reply(client, response);
        }
        match response {
            Response::Receipts(receipts) => {
                let proven = receipts.epoch == self.epoch.id
                    && receipts
                        .proof
                        .check(self.plan.rule, &self.epoch, receipts.block)
                        .is_ok()
                    && receipts
                        .proof
                        .chain
                        .first()
                        .is_some_and(|core| core.height == receipts.height);
                if !proven {
                    return self.fail(
                        "receipt",
                        format!("a receipt for height {} without a proof", receipts.height),
                    );
                }
                let verdict = self
                    .oracle
                    .receipts
                    .block(receipts.height, receipts.block.0);
                self.oracle.note(verdict);
                for session in &receipts.sessions {
                    self.entries(client, session);
                }
            }
            Response::Settled(session) => self.entries(client, &session),
            Response::Refused { .. } => self.coverage.refused += 1,
            _ => {}
        }
    }

    fn entries(&mut self, client: usize, entries: &types::client::SessionEntries) {
        for entry in &entries.entries {
            self.mix(entry.seq ^ entry.height.0 << 32);
            let verdict = self.oracle.receipts.entry(entries.session, entry);
            self.oracle.note(verdict);
            if self.clients[client].session == entries.session {
                self.clients[client].settle(entry);
            }
        }
    }
}
