use bytes::Bytes;
use measure::{Evidence, incident::read_incidents};
use types::{
    BlockId, Conflict, Digest, EpochId, Fraud, Height, Mode, Multisig, Qc, RecoveryValue,
    ReplicaId, Resumption, View,
};

use super::*;

fn epoch() -> EpochId {
    EpochId(Digest([7; 32]))
}

fn proof() -> types::CommitProof {
    types::CommitProof {
        chain: Vec::new(),
        certs: Vec::new(),
    }
}

fn fraud() -> Fraud {
    let votes = |block: u8| Qc {
        epoch: epoch(),
        view: View(5),
        block: BlockId(Digest([block; 32])),
        excluded: SignerSet::EMPTY,
        votes: Multisig::alone(ReplicaId(2), Bytes::from_static(b"share")).expect("a seat"),
    };
    Fraud::DoubleVote {
        first: votes(1),
        second: votes(2),
    }
}

fn resumption() -> Resumption {
    Resumption {
        of: epoch(),
        value: RecoveryValue {
            excluded: SignerSet::all(2),
            standbys: SignerSet::EMPTY,
            base: BlockId::ZERO,
            root_height: Height(9),
            frauds: vec![fraud()],
            reports: Vec::new(),
        },
        proof: proof(),
    }
}

fn timeline() -> Vec<Incident> {
    let conflict = Conflict {
        epoch: epoch(),
        first: proof(),
        second: proof(),
    };
    let whats = vec![
        What::Conflict(Box::new(conflict)),
        What::Mode {
            mode: Mode::DegradedSafe,
            epoch: epoch(),
        },
        What::Convicted {
            fraud: Box::new(fraud()),
            culprits: SignerSet::all(1),
            excluded: SignerSet::all(2),
        },
        What::Gate {
            open: true,
            why: "Eq. 1 holds".into(),
        },
        What::Committed(Box::new(resumption())),
        What::Merged {
            epoch: epoch(),
            members: SignerSet::all(2),
            rolled_back_to: Height(4),
            root_height: Height(9),
            moved: 3,
            invalidated: 1,
            orphans: 0,
        },
        What::FirstBlock {
            epoch: epoch(),
            height: Height(10),
        },
        What::FalseAlarm {
            from: ReplicaId(1),
            why: "no such proof".into(),
        },
    ];
    let numbered = (100..).zip(whats);
    numbered
        .map(|(at_ns, what)| Incident { at_ns, what })
        .collect()
}

/// Every entry has a line; those that prove something, and modes, are evidence. Both survive a restart.
#[test]
fn the_timeline_is_written_as_proofs_and_as_lines() {
    let folder = tempfile::tempdir().unwrap();
    let timeline = timeline();
    for half in [&timeline[..3], &timeline[3..]] {
        let mut writer = IncidentWriter::open(folder.path()).unwrap();
        half.iter().for_each(|one| writer.append(one).unwrap());
    }
    let lines = read_incidents(&folder.path().join("incidents.jsonl")).unwrap();
    let times: Vec<u64> = lines.iter().map(|line| line.at_ns).collect();
    assert_eq!(times, (100..108).collect::<Vec<_>>());
    let name = |line: &IncidentLine| serde_json::to_value(line).unwrap()["what"].clone();
    let expected = [
        "conflict",
        "mode",
        "convicted",
        "gate",
        "committed",
        "merged",
        "first-block",
        "false-alarm",
    ];
    assert_eq!(lines.iter().map(name).collect::<Vec<_>>(), expected);
    let convicted = IncidentKind::Convicted {
        culprits: vec![0],
        excluded: vec![0, 1],
        offence: "E2 double vote".into(),
        digest: fraud().digest().to_string(),
    };
    assert_eq!(lines[2].what, convicted);

    let evidence = Evidence::read(&folder.path().join("evidence.bin")).unwrap();
    let records = evidence.records;
    let kinds: Vec<_> = records.iter().map(|r| (r.at_ns, r.kind)).collect();
    assert_eq!(
        kinds,
        [
            (100, EvidenceKind::Conflict),
            (101, EvidenceKind::Mode),
            (102, EvidenceKind::Fraud),
            (104, EvidenceKind::Resumption),
        ]
    );
    let payload = |at: usize| Bytes::from(records[at].payload.clone());
    assert_eq!(Fraud::decode(payload(2)), Ok(fraud()));
    assert_eq!(Resumption::decode(payload(3)), Ok(resumption()));
    assert_eq!(Mode::decode(payload(1).slice(..1)), Ok(Mode::DegradedSafe));
    assert_eq!(EpochId::decode(payload(1).slice(1..)), Ok(epoch()));
}
