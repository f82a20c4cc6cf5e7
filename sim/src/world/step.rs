//! One event, and everything that the replica which it met asks for in return.

use crypto::Job;
use node::platform::NodeEvent;
use storage::Journal as _;
use types::{Message, ReplicaId, SignerSet, Wire};
use xxhash_rust::xxh3::xxh3_64;

use super::World;
use crate::event::{Event, Seat};
use crate::mutants::Mutant;
use crate::plan::MS;
use crate::platform::Sent;

/// Turns in a row at one deadline that lies in the past, before the driver counts as spinning.
const SPINS_MAX: u32 = 10_000;
const TAG_CAR: u8 = 5;

impl World {
    pub(super) fn step(&mut self, event: Event) {
        self.mix(self.now_ns);
        match event {
            Event::Frame { to, from, frame } => {
                self.mix(xxh3_64(&frame) ^ (to as u64) << 8 ^ from as u64);
                let Some(process) = &mut self.hosts[to].process else {
                    return;
                };
                process.observe(&frame);
                self.oracle.received(to, &frame);
                if self.mutant == Some(Mutant::AcknowledgeWithoutData) {
                    self.hasty_ack(to, from, &frame);
                }
                self.feed(
                    to,
                    NodeEvent::Peer {
                        from: ReplicaId(from as u16),
                        frame,
                        body_hash: None,
                    },
                );
            }
            Event::PeerUp { at, peer, life } if self.lives(at, life) => {
                self.mix(1);
                self.feed(at, NodeEvent::PeerUp(ReplicaId(peer as u16)));
            }
            Event::PeerDown { at, peer, life } if self.lives(at, life) => {
                self.mix(2);
                self.feed(at, NodeEvent::PeerDown(ReplicaId(peer as u16)));
            }
            Event::Job {
                at,
                life,
                tag,
                epoch,
                job,
            } if self.lives(at, life) => {
                self.mix(3 ^ tag << 8);
                let done = self.keys[at].run(&epoch, *job);
                self.oracle.done(at, &done);
                self.feed(at, NodeEvent::Done { tag, done });
            }
            Event::Synced { at, life, token } if self.lives(at, life) => {
                self.mix(4 ^ token.count() << 8);
                if self.mutant == Some(Mutant::EarlySync) && self.oracle.is_honest(at) {
                    self.queue
                        .put(self.now_ns + 60 * MS, Event::Flushed { at, life, token });
                } else {
                    self.hosts[at].disk.complete_up_to(token);
                }
                self.feed(at, NodeEvent::Synced(token));
            }
            Event::Flushed { at, life, token } if self.lives(at, life) => {
                self.hosts[at].disk.complete_up_to(token);
            }
            Event::Wake { at, life } if self.lives(at, life) => {
                let host = &mut self.hosts[at];
                if host.wake_ns != Some(self.now_ns) {
                    return;
                }
                host.wake_ns = None;
                let local = host.clock(self.now_ns);
                if let Some(process) = &mut host.process {
                    process.turn(local);
                }
                self.drain(at);
            }
            Event::Fault(fault) if !self.healed => {
                self.mix(5);
                self.fault(fault);
            }
            Event::Request {
                at,
                life,
                client,
                frame,
            } if self.lives(at, life) => {
                self.mix(xxh3_64(&frame));
                self.feed(at, NodeEvent::Client { client, frame });
            }
            Event::Reply { client, response } => self.reply(client, *response),
            Event::ClientTick { client } => self.client_tick(client),
            Event::Inspect => self.inspect(),
            _ => {}
        }
    }

    pub(super) fn lives(&self, seat: Seat, life: u32) -> bool {
        self.hosts[seat].life == life && self.hosts[seat].process.is_some()
    }

    pub(super) fn feed(&mut self, seat: Seat, event: NodeEvent) {
        let waits = self.plan.burst_permille > 0 && self.rng.chance(self.plan.burst_permille);
        let company_ns = self.now_ns + self.rng.skewed(1000, MS / 2);
        let host = &mut self.hosts[seat];
        let local = host.clock(self.now_ns);
        let Some(process) = &mut host.process else {
            return;
        };
        process.handle(local, event);
        if waits {
            // The turn ends when the burst does, or with the next event that does not wait.
            self.turn_at(seat, company_ns);
        } else {
            process.turn(local);
            self.drain(seat);
        }
    }

    /// Takes everything that the replica asked for since the last time.
    pub(super) fn drain(&mut self, seat: Seat) {
        let host = &mut self.hosts[seat];
        let life = host.life;
        let Some(process) = &mut host.process else {
            return;
        };
        let ledger = process.take_ledger();
        let incidents = process.take_incidents();
        if let Some(why) = process.fatal() {
            let what = format!("replica {seat} gave up: {why}");
            let diverged = self.mutant == Some(Mutant::ExecuteOtherwise);
            self.oracle.note(Err(crate::oracle::Violation {
                check: if diverged { "state" } else { "fatal" },
                what,
            }));
        }
        let platform = process.platform();
        let sent = std::mem::take(&mut platform.sent);
        let jobs = std::mem::take(&mut platform.jobs);
        let syncs = std::mem::take(&mut platform.syncs);
        let replies = std::mem::take(&mut platform.replies);
        if let Err(why) = platform.journal.synced() {
            self.oracle.note(Err(crate::oracle::Violation {
                check: "journal",
                what: why.to_string(),
            }));
        }
        self.oracle.executed(seat, &ledger);
        self.witness(seat, &ledger, &incidents);
        for (_, epoch, job) in &jobs {
            self.oracle.asked(seat, epoch, job);
            self.split_asked(seat, epoch, job);
        }
        sent.into_iter().for_each(|sent| self.send(seat, sent));
        for (tag, epoch, job) in jobs {
            let host = &mut self.hosts[seat];
            let cost = self
                .rng
                .skewed(self.plan.job_ns / 4, weight(&job) * self.plan.job_ns);
            host.busy_ns = host.busy_ns.max(self.now_ns) + cost;
            self.queue.put(
                host.busy_ns,
                Event::Job {
                    at: seat,
                    life,
                    tag,
                    epoch,
                    job: Box::new(job),
                },
            );
        }
        for token in syncs {
            let host = &mut self.hosts[seat];
            let early = self.mutant == Some(Mutant::EarlySync);
            let cost = if early {
                0
            } else {
                self.rng.skewed(host.disk_ns / 4, 2 * host.disk_ns)
            };
            host.disk_busy_ns = host.disk_busy_ns.max(self.now_ns) + cost;
            self.queue.put(
                host.disk_busy_ns,
                Event::Synced {
                    at: seat,
                    life,
                    token,
                },
            );
        }
        for (client, response) in replies {
            let at_ns = self.now_ns + self.rng.between(MS / 10, 2 * MS);
            self.queue.put(
                at_ns,
                Event::Reply {
                    client,
                    response: Box::new(response),
                },
            );
        }
        self.set_timer(seat);
    }

    fn send(&mut self, seat: Seat, sent: Sent) {
        if let Some(message) = &sent.message {
            self.oracle.sent(seat, message);
            self.split_sent(seat, message);
            let now_ns = self.now_ns;
            self.trace(|| describe(now_ns, seat, sent.to, message));
            if let Message::CheckpointShare(share) = message
                && self.oracle.is_honest(seat)
                && !self.oracle.split
            {
                let verdict = self.oracle.ledger.state(share);
                self.oracle.note(verdict);
            }
        }
        for to in sent.to.iter() {
            let to = to.index();
            for at_ns in self
                .net
                .arrivals(self.now_ns, seat, to, &mut self.rng)
                .into_iter()
                .flatten()
            {
                self.queue.put(
                    at_ns,
                    Event::Frame {
                        to,
                        from: seat,
                        frame: sent.frame.clone(),
                    },
                );
            }
        }
    }

    fn set_timer(&mut self, seat: Seat) {
        let host = &mut self.hosts[seat];
        let Some(deadline) = host
            .process
            .as_ref()
            .and_then(|process| process.deadline_ns())
        else {
            return;
        };
        let mut at_ns = match deadline {
            u64::MAX => return,
            local => host.true_time(local, self.now_ns),
        };
        if at_ns <= self.now_ns {
            // A driver that asks for the past is called again at once; it must not do so for ever.
            at_ns = self.now_ns + 1000;
            host.spins += 1;
            if !self.oracle.is_honest(seat) {
                // What an attacker does to its own machine is its own affair.
                at_ns = self.now_ns + MS;
            } else if host.spins > SPINS_MAX {
                let local = host.clock(self.now_ns);
                let process = host.process.as_ref();
                let state = process.map(|process| process.describe(local));
                let what = format!("replica {seat} asks for turns without end: {state:?}");
                return self.fail("spin", what);
            }
        } else {
            host.spins = 0;
        }
        self.turn_at(seat, at_ns);
    }

    /// Sets the timer, unless it goes off earlier anyway.
    fn turn_at(&mut self, seat: Seat, at_ns: u64) {
        let host = &mut self.hosts[seat];
        if host.wake_ns.is_none_or(|set| at_ns < set) {
            host.wake_ns = Some(at_ns);
            let life = host.life;
            self.queue.put(at_ns, Event::Wake { at: seat, life });
        }
    }

    /// The mutant that acknowledges what it never saw.
    fn hasty_ack(&mut self, seat: Seat, from: Seat, frame: &bytes::Bytes) {
        if frame.first() != Some(&TAG_CAR) || !self.oracle.is_honest(seat) {
            return;
        }
        let Ok(Message::Car(car)) = Message::decode(frame.clone()) else {
            return;
        };
        let ack = self.keys[seat].ack(&self.epoch, car.lane, car.index, car.id());
        let message = Message::Ack(ack);
        let sent = Sent {
            to: SignerSet::from_iter([ReplicaId(from as u16)]),
            frame: message.encode(),
            message: Some(message),
        };
        self.send(seat, sent);
    }
}

/// What a job costs beside a signature.
fn weight(job: &Job) -> u64 {
    match job {
        Job::Proposal(_) | Job::Chain(_) | Job::AggregateVotes { .. } => 3,
        Job::Timeout(_) | Job::NewView(_) => 2,
        _ => 1,
    }
}

/// One line for a reader.
fn describe(now_ns: u64, from: Seat, to: SignerSet, message: &Message) -> String {
    let to: Vec<String> = to.iter().map(|id| id.to_string()).collect();
    let what = match message {
        Message::Proposal(p) => {
            let h = &p.header;
            format!(
                "view {} height {} id {:?} over view {}, tc {}",
                h.view,
                h.height,
                h.id(),
                h.justify.view,
                h.tc.is_some()
            )
        }
        Message::Vote(v) => format!("view {} block {:?}", v.view, v.block),
        Message::Timeout(t) => format!("view {} claims {}", t.view, t.high_qc.view),
        Message::NewView(m) => {
            format!(
                "certificate {}, tc {:?}",
                m.high_qc.view,
                m.tc.as_ref().map(|tc| tc.view)
            )
        }
        Message::Car(c) => format!(
            "lane {} index {} id {:?} batches {} epoch {:?}",
            c.lane,
            c.index,
            c.id(),
            c.batches.len(),
            c.epoch
        ),
        Message::Ack(a) => format!(
            "lane {} index {} car {:?} epoch {:?}",
            a.lane, a.index, a.car, a.epoch
        ),
        Message::CarCert(c) => format!("lane {} index {}", c.lane, c.index),
        Message::ChainRequest(r) => format!("above {}", r.above),
        Message::ChainResponse(r) => {
            let pruned = r.pruned.as_ref().map(|cert| cert.height);
            format!(
                "{} headers, tip {}, pruned {pruned:?}",
                r.headers.len(),
                r.tip.is_some()
            )
        }
        Message::CarRequest(r) => format!("lane {} from {}", r.lane, r.from_index),
        Message::Cars(cars) => format!("{} cars", cars.len()),
        Message::BatchRequest(digests) => format!("{digests:?}"),
        Message::Batch(bytes) | Message::BatchResponse(bytes) => format!("{} bytes", bytes.len()),
        Message::CheckpointShare(s) => format!("height {}", s.height),
        Message::SnapshotRequest(r) => format!("height {} from {}", r.height, r.offset),
        Message::Notice(n) => format!("height {} block {:?} {}", n.height, n.block, n.mode.name()),
        Message::ProofRequest(r) => format!("height {}", r.height),
        Message::Proof(p) => format!("of {:?}", p.block().map(|core| core.height)),
        Message::Conflict(c) => format!("at {:?}", c.first.block().map(|core| core.height)),
        Message::BranchRequest(r) => format!("above {} to {:?}", r.above, r.tip),
        Message::Branch(b) => format!("{} headers", b.headers.len()),
        Message::Frauds(list) => format!("{} proofs of fraud", list.len()),
        Message::ForkReport(r) => format!("height {} tip {:?}", r.height, r.tip),
        Message::ValueRequest(_, digest) => format!("{digest:?}"),
        Message::Value(_, value) => format!(
            "{:?} excludes {:?}, {} reports",
            value.digest(),
            value.excluded,
            value.reports.len()
        ),
        Message::Resumption(r) => format!("root height {}", r.value.root_height),
        Message::SnapshotChunk(c) => {
            format!(
                "height {} from {}: {} of {}",
                c.cert.height,
                c.offset,
                c.bytes.len(),
                c.total_bytes
            )
        }
    };
    let (ms, us) = (now_ns / MS, now_ns % MS / 1000);
    format!(
        "{ms:>6}.{us:03} ms  {from} -> {}  {} {what}",
        to.join(","),
        message.name()
    )
}
