//! The load generator's side: a frame of receipts is read, its block judged, its entries taken.

use std::hint::black_box;

use bytes::Bytes;
use crypto::{Ed25519Lists, VoteScheme};
use crypto_bench::World;
use gungraun::{library_benchmark, library_benchmark_group};
use loadgen::checker::engine_of;
use loadgen::claims::{Judge, ProofEngine};
use loadgen::proofs::{ProofBook, ReceiptsFrame, Ruling};
use types::client::{Entry, Outcome, Receipts, Response, SessionEntries};
use types::{
    BlockId, Checkpoint, CommitProof, Digest, HeaderCore, Height, Mode, Qc, Reader, ReplicaId,
    SignerSet, View, Wire, statement,
};

struct Case {
    engine: Box<dyn ProofEngine>,
    judge: Judge,
    book: ProofBook,
    frame: Bytes,
    entries: u64,
}

fn core(world: &World<Ed25519Lists>, height: u64, parent: BlockId) -> HeaderCore {
    HeaderCore {
        epoch: world.epoch.id,
        view: View(height),
        height: Height(height),
        justify_view: View(height - 1),
        parent,
        certificates: Digest::ZERO,
        cut: Digest::ZERO,
        payload: Digest::ZERO,
        proposer: ReplicaId(0),
        checkpoint: Checkpoint::default(),
        excluded: None,
    }
}

fn certificate(world: &World<Ed25519Lists>, core: &HeaderCore) -> Qc {
    let (view, block, nobody) = (core.view, core.id(), SignerSet::EMPTY);
    let voters = world.engines[..world.epoch.quorum()].iter();
    let shares: Vec<_> = voters
        .map(|engine| engine.sign_vote(&world.epoch, view, block, nobody))
        .map(|vote| (vote.voter, vote.share))
        .collect();
    let statement = statement::vote(&world.epoch, view, block, nobody);
    Qc {
        epoch: world.epoch.id,
        view,
        block,
        excluded: nobody,
        votes: Ed25519Lists::aggregate(&world.ring, &statement, &shares).multisig,
    }
}

/// 1000 receipts of ten sessions in one block.
fn case() -> Case {
    let world = World::<Ed25519Lists>::new(4, 3);
    let first = core(&world, 1, world.epoch.root());
    let second = core(&world, 2, first.id());
    let session = |session: u8| SessionEntries {
        session: [session; 16],
        entries: (0..100)
            .map(|seq| Entry {
                seq,
                height: Height(1),
                position: u32::from(session) * 100 + seq as u32,
                outcome: Outcome::Applied,
            })
            .collect(),
    };
    let receipts = Receipts {
        epoch: world.epoch.id,
        block: first.id(),
        height: Height(1),
        mode: Mode::Nominal,
        proof: CommitProof {
            certs: vec![certificate(&world, &first), certificate(&world, &second)],
            chain: vec![first, second],
        },
        sessions: (0..10).map(session).collect(),
    };
    Case {
        engine: engine_of(&world.committee).expect("valid keys"),
        judge: Judge::new(world.committee.rule, world.epoch),
        book: ProofBook::new(world.epoch.id, false),
        frame: Response::Receipts(receipts).encode(),
        entries: 0,
    }
}

impl Case {
    fn take(&mut self) -> ReceiptsFrame {
        ReceiptsFrame::take(Reader::new(self.frame.slice(1..)), 0, 5).expect("a receipts frame")
    }

    fn use_up(&mut self, ruling: Ruling) {
        let Ruling::Good(frame) = ruling else {
            panic!("{ruling:?}")
        };
        let mut entries = 0;
        frame
            .entries(|_, entry| entries += u64::from(black_box(entry).seq < 100))
            .expect("entries");
        self.entries += entries;
    }

    fn prove(&mut self) {
        let frame = self.take();
        assert!(self.book.admit(frame).is_none());
        let claims = self.book.take_claims();
        let verdicts = self.judge.judge(self.engine.as_ref(), &claims);
        let mut rulings = Vec::new();
        for (claim, verdict) in claims.into_iter().zip(verdicts) {
            self.book.settle(claim, verdict, &mut rulings);
        }
        rulings.into_iter().for_each(|ruling| self.use_up(ruling));
        assert_eq!(self.entries % 1000, 0);
    }
}

fn proven() -> Case {
    let mut case = case();
    case.prove();
    case
}

// With the proof's signatures (Ed25519).
#[library_benchmark]
#[bench::of_a_new_block(case())]
fn receipts_proven(mut case: Case) -> Case {
    case.prove();
    case
}

// Most frames are of a block that is known.
#[library_benchmark]
#[bench::of_a_known_block(proven())]
fn receipts_read(mut case: Case) -> Case {
    let frame = case.take();
    let ruling = case.book.admit(frame).expect("its block is known");
    case.use_up(ruling);
    case
}

library_benchmark_group!(name = load, benchmarks = [receipts_proven, receipts_read]);
