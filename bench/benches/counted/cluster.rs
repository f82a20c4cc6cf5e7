//! The real driver of all replicas of a committee in memory: no socket, no disk, no clock. Signatures are
//! the simulator's hashes, because real ones are counted on their own and would drown the rest.

use std::sync::Arc;

use bytes::Bytes;
use consensus::{LanesConfig, Timing};
use crypto::{Addresses, Engine, Job, Secrets, committee_of};
use execution::AppKind;
use execution::kv::format;
use gungraun::{library_benchmark, library_benchmark_group};
use node::platform::{ClientId, NodeEvent, Platform};
use node::replica::{Replica, ReplicaConfig};
use sim::FakeScheme;
use storage::{Journal, MemoryJournal, Record, SyncToken};
use types::batch::GroupBuilder;
use types::client::{Request, Response};
use types::{CommitRule, Epoch, Message, ReplicaId, SignerSet, Wire};

const MS: u64 = 1_000_000;

/// What one replica asked for.
struct Leaf {
    journal: MemoryJournal,
    sent: Vec<(SignerSet, Bytes)>,
    jobs: Vec<(u64, Epoch, Job)>,
    syncs: Vec<SyncToken>,
    receipts: u64,
}

impl Platform for Leaf {
    fn send(&mut self, to: ReplicaId, message: &Message) {
        self.broadcast(SignerSet::from_iter([to]), message);
    }
    fn broadcast(&mut self, to: SignerSet, message: &Message) {
        self.sent.push((to, message.encode()));
    }
    fn reply(&mut self, _: ClientId, response: &Response) {
        if let Response::Receipts(receipts) = response {
            let entries = receipts.sessions.iter().map(|s| s.entries.len() as u64);
            self.receipts += entries.sum::<u64>();
        }
        std::hint::black_box(response.encode());
    }
    fn append(&mut self, record: Record) {
        self.journal.append(record);
    }
    fn sync(&mut self) -> SyncToken {
        let token = self.journal.sync();
        self.syncs.push(token);
        token
    }
    fn rotate(&mut self, base: Vec<Record>) {
        self.journal.rotate(base);
    }
    fn journal_bytes(&self) -> u64 {
        self.journal.usage().live_bytes
    }
    fn submit(&mut self, tag: u64, epoch: &Epoch, job: Job) {
        self.jobs.push((tag, *epoch, job));
    }
}

struct Cluster {
    engines: Vec<Arc<Engine<FakeScheme>>>,
    replicas: Vec<Replica<Leaf>>,
    events: Vec<(usize, NodeEvent)>,
    now_ns: u64,
    next_seq: u64,
}

fn config(me: usize, epoch: Epoch) -> ReplicaConfig {
    ReplicaConfig {
        me: ReplicaId(me as u16),
        epoch,
        app: AppKind::Kv,
        timing: Timing {
            view_timeout_ns: 250 * MS,
            view_timeout_max_ns: 4000 * MS,
            idle_view_ns: 20 * MS,
            pace_ns: 4 * MS,
            fetch_ns: 50 * MS,
        },
        lanes: LanesConfig {
            cars_in_flight: 4,
            car_interval_ns: MS,
            cars_ahead: 64,
        },
        checkpoint_interval: 1000,
        checkpoint_bytes: 64 << 20,
        durable: true,
        batch_bytes: 128 << 10,
        window_bytes: 16 << 20,
        retention_bytes: 64 << 20,
        journal_bytes: 256 << 20,
        signed_clients: false,
        admission_tx_per_s: None,
        recovery: Some(node::replica::RecoveryConfig::default()),
    }
}

impl Cluster {
    fn new(n: usize, rule: CommitRule) -> Cluster {
        let secrets: Vec<Secrets> = (1..=n as u8)
            .map(|seat| Secrets::from_seeds([seat; 32], [seat + 100; 32], [seat + 200; 32]))
            .collect();
        let nowhere = Addresses {
            peer: "memory".into(),
            client: "memory".into(),
        };
        let committee = committee_of::<FakeScheme>(&secrets, rule, &vec![nowhere; n])
            .expect("an address for each");
        let engines: Vec<Arc<Engine<FakeScheme>>> = (0..n)
            .map(|seat| (ReplicaId(seat as u16), secrets[seat].clone()))
            .map(|me| Arc::new(Engine::new(&committee, Some(me)).expect("valid keys")))
            .collect();
        let replica = |seat: usize| {
            let leaf = Leaf {
                journal: MemoryJournal::new(Box::new(|| {})),
                sent: Vec::new(),
                jobs: Vec::new(),
                syncs: Vec::new(),
                receipts: 0,
            };
            let config = config(seat, committee.genesis());
            let signer = engines[seat].clone();
            Replica::new(
                config,
                node::start::rules(rule),
                signer,
                Vec::new(),
                leaf,
                0,
            )
            .expect("a new replica")
        };
        let replicas = (0..n).map(replica).collect();
        let mut events = Vec::new();
        for seat in 0..n {
            let peers = (0..n).filter(|peer| *peer != seat);
            events.extend(peers.map(|peer| (seat, NodeEvent::PeerUp(ReplicaId(peer as u16)))));
            events.push((seat, NodeEvent::ClientUp(ClientId(seat as u64))));
        }
        let mut cluster = Cluster {
            engines,
            replicas,
            events,
            now_ns: 0,
            next_seq: 0,
        };
        (0..n).for_each(|seat| cluster.collect(seat));
        cluster
    }

    /// `txs` transactions of 512 bytes to every replica.
    fn submit(&mut self, txs: u64) {
        for seat in 0..self.replicas.len() {
            let mut group = GroupBuilder::new();
            for seq in self.next_seq..self.next_seq + txs {
                let mut payload = Vec::with_capacity(512);
                format::put(&(seq % 50).to_le_bytes(), &[], &mut payload);
                payload.resize(512, 7);
                group.push(seq, &payload);
            }
            let mut groups = Vec::new();
            group.finish(&[seat as u8; 16], &mut groups);
            let frame = Request::Submit(groups.into()).encode();
            let client = ClientId(seat as u64);
            self.events
                .push((seat, NodeEvent::Client { client, frame }));
        }
        self.next_seq += txs;
    }

    /// Goes on until every replica has given receipts for all that it was sent.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.turn();
            let wanted = self.next_seq;
            if self
                .replicas
                .iter_mut()
                .all(|r| r.platform().receipts >= wanted)
            {
                return;
            }
        }
        panic!("the replicas make no progress");
    }

    /// What is under way arrives; if nothing is, the earliest timer goes off.
    fn turn(&mut self) {
        let events = std::mem::take(&mut self.events);
        if events.is_empty() {
            let deadlines = self.replicas.iter().filter_map(Replica::deadline_ns);
            self.now_ns = deadlines.min().unwrap_or(0).max(self.now_ns + 1000);
        }
        for (seat, event) in events {
            self.replicas[seat].handle(self.now_ns, event);
        }
        for seat in 0..self.replicas.len() {
            self.replicas[seat].turn(self.now_ns);
            self.collect(seat);
        }
    }

    fn collect(&mut self, seat: usize) {
        let replica = &mut self.replicas[seat];
        assert_eq!(replica.fatal(), None);
        std::hint::black_box(replica.take_ledger());
        let leaf = replica.platform();
        for (tag, epoch, job) in leaf.jobs.drain(..) {
            let done = self.engines[seat].run(&epoch, job);
            self.events.push((seat, NodeEvent::Done { tag, done }));
        }
        for token in leaf.syncs.drain(..) {
            self.events.push((seat, NodeEvent::Synced(token)));
        }
        for (to, frame) in leaf.sent.drain(..) {
            for to in to.iter() {
                let event = NodeEvent::Peer {
                    from: ReplicaId(seat as u16),
                    frame: frame.clone(),
                    body_hash: None,
                };
                self.events.push((to.index(), event));
            }
        }
    }
}

/// One that has ordered something already.
fn warm(n: usize, rule: CommitRule) -> Cluster {
    let mut cluster = Cluster::new(n, rule);
    for _ in 0..3 {
        cluster.submit(20);
        cluster.settle();
    }
    cluster
}

// Five rounds of 200 transactions to every replica, until each gave all its receipts; the work of all of
// them together.
#[library_benchmark]
#[bench::n4_two_chain(warm(4, CommitRule::TwoChain))]
#[bench::n4_three_chain(warm(4, CommitRule::ThreeChain))]
#[bench::n7_two_chain(warm(7, CommitRule::TwoChain))]
fn ordered(mut cluster: Cluster) -> Cluster {
    for _ in 0..5 {
        cluster.submit(200);
        cluster.settle();
    }
    cluster
}

library_benchmark_group!(name = driver, benchmarks = ordered);
