//! Four replicas without consensus, on real sockets: whatever is submitted is "ordered" in the next
//! block, with receipts and commit proofs under real keys. One thread drives all of them.

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crypto::{Addresses, Done, Ed25519Lists, Engine, Job, Secrets, committee_of, write_keygen};
use transport::*;
use types::batch::{self, SessionId};
use types::client::{Entry, Outcome, Receipts, Request, Response, SessionEntries};
use types::ids::*;
use types::{Checkpoint, CommitProof, CommitRule, Epoch, HeaderCore, Mode, Qc, Wire};

pub const N: usize = 4;
/// Time between blocks.
const BLOCK_EVERY: Duration = Duration::from_millis(2);

/// The running replicas; they stop when dropped.
pub struct FakeCluster {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeCluster {
    /// Starts them and writes `committee.toml` into `dir`.
    pub fn start(dir: &Path) -> FakeCluster {
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners: Vec<_> = (0..N).map(|_| (bind(), bind())).collect();
        let addresses: Vec<Addresses> = listeners
            .iter()
            .map(|(peer, client)| Addresses {
                peer: peer.local_addr().unwrap().to_string(),
                client: client.local_addr().unwrap().to_string(),
            })
            .collect();
        let secrets: Vec<Secrets> = (0..N).map(|_| Secrets::generate().unwrap()).collect();
        let rule = CommitRule::TwoChain;
        let committee = committee_of::<Ed25519Lists>(&secrets, rule, &addresses).unwrap();
        write_keygen(dir, &committee, &secrets).unwrap();
        let engines = secrets.iter().enumerate().map(|(at, secrets)| {
            let me = (ReplicaId(at as u16), secrets.clone());
            Engine::<Ed25519Lists>::new(&committee, Some(me)).unwrap()
        });
        let chain = Chain {
            epoch: committee.genesis(),
            engines: engines.collect(),
            links: Vec::new(),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let body = move || {
            let open = |(at, (peer, client)): (usize, (TcpListener, TcpListener))| {
                let own = PeerConfig {
                    addr: peer.local_addr().unwrap(),
                    public_key: secrets[at].link_public(),
                };
                let replica = ReplicaConfig {
                    index: at as u16,
                    private_key: *secrets[at].link_secret(),
                    committee: (0..N).map(|seat| (seat == at).then_some(own)).collect(),
                    peer_listen: Listen::Bound(peer),
                    client_listen: Some(Listen::Bound(client)),
                };
                let cluster = chain.epoch.cluster.0.0;
                let config = TransportConfig::replica(Backend::Epoll, cluster, false, replica);
                transport::open(config).unwrap().0
            };
            let nets: Vec<Box<dyn Transport>> =
                listeners.into_iter().enumerate().map(open).collect();
            serve(nets, chain, &stopped);
        };
        FakeCluster {
            stop,
            thread: Some(std::thread::spawn(body)),
        }
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

struct Chain {
    epoch: Epoch,
    engines: Vec<Engine<Ed25519Lists>>,
    /// Blocks with their certificates, heights from 1.
    links: Vec<(HeaderCore, Qc)>,
}

impl Chain {
    fn proof(&mut self, height: u64) -> (BlockId, CommitProof) {
        while self.links.len() < height as usize + 1 {
            self.grow();
        }
        let pair = &self.links[height as usize - 1..][..2];
        let proof = CommitProof {
            chain: pair.iter().map(|(core, _)| core.clone()).collect(),
            certs: pair.iter().map(|(_, qc)| qc.clone()).collect(),
        };
        (proof.chain[0].id(), proof)
    }

    fn grow(&mut self) {
        let at = self.links.len() as u64 + 1;
        let parent = self.links.last().map(|(core, _)| core.id());
        let core = HeaderCore {
            epoch: self.epoch.id,
            view: View(at),
            height: Height(at),
            justify_view: View(at - 1),
            parent: parent.unwrap_or(self.epoch.root()),
            certificates: Digest::ZERO,
            cut: Digest::ZERO,
            payload: Digest::ZERO,
            proposer: ReplicaId(0),
            checkpoint: Checkpoint::default(),
            excluded: None,
        };
        let (view, block) = (core.view, core.id());
        let vote = |engine: &Engine<_>| {
            engine.sign_vote(&self.epoch, view, block, types::SignerSet::EMPTY)
        };
        let votes = self.engines[..3].iter().map(vote);
        let job = Job::AggregateVotes {
            view,
            block,
            excluded: types::SignerSet::EMPTY,
            shares: votes.map(|vote| (vote.voter, vote.share)).collect(),
        };
        let Done::Votes { qc: Some(qc), .. } = self.engines[0].run(&self.epoch, job) else {
            panic!("three good votes are a quorum");
        };
        self.links.push((core, qc.into_inner()));
    }
}

/// What waits for the next block: per connection, per group.
type Waiting = Vec<(ConnId, SessionId, Vec<u64>)>;

fn serve(mut nets: Vec<Box<dyn Transport>>, mut chain: Chain, stop: &AtomicBool) {
    let mut waiting: Vec<Waiting> = (0..N).map(|_| Waiting::new()).collect();
    let (mut height, mut next) = (0, Instant::now());
    let mut events = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for at in 0..N {
            // The last one sleeps for all.
            let timeout = match at + 1 == N {
                true => next.saturating_duration_since(Instant::now()),
                false => Duration::ZERO,
            };
            nets[at].poll(Some(timeout), &mut events).unwrap();
            for event in events.drain(..) {
                handle(nets[at].as_mut(), &chain.epoch, at, event, &mut waiting[at]);
            }
        }
        if Instant::now() < next {
            continue;
        }
        next = Instant::now() + BLOCK_EVERY;
        if waiting.iter().all(Vec::is_empty) {
            continue;
        }
        height += 1;
        let (block, proof) = chain.proof(height);
        let mut position = 0;
        for (net, waiting) in nets.iter_mut().zip(&mut waiting) {
            for (conn, session, seqs) in waiting.drain(..) {
                let entry = |seq| {
                    position += 1;
                    Entry {
                        seq,
                        height: Height(height),
                        position: position - 1,
                        outcome: Outcome::Applied,
                    }
                };
                let entries = seqs.into_iter().map(entry).collect();
                let receipts = Response::Receipts(Receipts {
                    epoch: chain.epoch.id,
                    block,
                    height: Height(height),
                    mode: Mode::Nominal,
                    proof: proof.clone(),
                    sessions: vec![SessionEntries { session, entries }],
                });
                let _ = net.reply(conn, Frame::new(receipts.encode()));
            }
        }
    }
}

fn handle(net: &mut dyn Transport, epoch: &Epoch, at: usize, event: Event, waiting: &mut Waiting) {
    match event {
        Event::Up { conn, .. } => {
            let hello = Response::Hello {
                cluster: epoch.cluster,
                epoch: epoch.id,
                replica: ReplicaId(at as u16),
                mode: Mode::Nominal,
            };
            net.reply(conn, Frame::new(hello.encode())).unwrap();
        }
        Event::Frame { conn, frame, .. } => {
            let Ok(Request::Submit(groups)) = Request::decode(frame.bytes) else {
                panic!("expected a submission");
            };
            for group in batch::groups(&groups) {
                let seqs = group.txs().map(|tx| tx.seq).collect();
                waiting.push((conn, group.session, seqs));
            }
        }
        _ => {}
    }
}
