use std::fs;

use crypto::{Addresses, Secrets, committee_of, write_keygen};
use measure::{EvidenceKind, EvidenceRecord, EvidenceWriter};
use tempfile::TempDir;
use types::{
    Checkpoint, CommitProof, CommitRule, Committee, Conflict, Digest, Epoch, EpochId, ForkReport,
    Fraud, Header, Height, Mode, Multisig, Qc, RecoveryValue, ReplicaId, Resumption, SignerSet,
    View, Wire,
};

use super::*;

/// Four replicas of which 1 and 2 voted on both sides of a fork, as a run folder with three replicas'
/// evidence.
struct Case {
    folder: TempDir,
    engines: Vec<Engine<Ed25519Lists>>,
    epoch: Epoch,
}

fn signers(seats: &[usize]) -> SignerSet {
    seats.iter().map(|seat| ReplicaId(*seat as u16)).collect()
}

impl Case {
    fn new() -> Case {
        let seed = |seat: usize, key: u8| {
            let mut seed = [3; 32];
            (seed[4], seed[5]) = (seat as u8, key);
            seed
        };
        let secrets: Vec<Secrets> = (0..4)
            .map(|seat| Secrets::from_seeds(seed(seat, 1), seed(seat, 2), seed(seat, 3)))
            .collect();
        let addresses: Vec<Addresses> = (0..4)
            .map(|seat| Addresses {
                peer: format!("127.0.0.1:{}", 7000 + seat),
                client: format!("127.0.0.1:{}", 8000 + seat),
            })
            .collect();
        let committee: Committee =
            committee_of::<Ed25519Lists>(&secrets, CommitRule::TwoChain, &addresses).unwrap();
        let folder = tempfile::tempdir().unwrap();
        write_keygen(folder.path(), &committee, &secrets).unwrap();
        let engine = |(seat, secrets): (u16, Secrets)| {
            Engine::new(&committee, Some((ReplicaId(seat), secrets))).unwrap()
        };
        Case {
            folder,
            epoch: committee.genesis(),
            engines: (0..).zip(secrets).map(engine).collect(),
        }
    }

    fn votes(&self, epoch: &Epoch, seats: &[usize], header: &Header) -> Qc {
        let excluded = header.excluded_set();
        let share = |seat: &usize| {
            self.engines[*seat]
                .sign_vote(epoch, header.view, header.id(), excluded)
                .share
        };
        Qc {
            epoch: epoch.id,
            view: header.view,
            block: header.id(),
            excluded,
            votes: Multisig {
                signers: signers(seats),
                bytes: seats.iter().flat_map(share).collect::<Vec<u8>>().into(),
            },
        }
    }

    fn header(&self, epoch: &Epoch, view: u64, justify: Qc) -> Header {
        Header {
            epoch: epoch.id,
            view: View(view),
            height: Height(view),
            justify,
            tc: None,
            cut: Vec::new(),
            payload: Digest::ZERO,
            proposer: ReplicaId(0),
            checkpoint: Checkpoint::default(),
            excluded: None,
        }
    }

    /// Two blocks over the root, certified by `seats`; `change` makes the first what it is.
    fn proof(&self, epoch: &Epoch, seats: &[usize], change: impl Fn(&mut Header)) -> CommitProof {
        let mut first = self.header(epoch, 1, Qc::root(epoch));
        change(&mut first);
        let mut second = self.header(epoch, 2, self.votes(epoch, seats, &first));
        second.excluded = first.excluded;
        CommitProof {
            chain: vec![first.core(), second.core()],
            certs: vec![
                self.votes(epoch, seats, &first),
                self.votes(epoch, seats, &second),
            ],
        }
    }

    fn conflict(&self) -> Conflict {
        Conflict {
            epoch: self.epoch.id,
            first: self.proof(&self.epoch, &[0, 1, 2], |h| h.payload = Digest([1; 32])),
            second: self.proof(&self.epoch, &[1, 2, 3], |h| h.payload = Digest([2; 32])),
        }
    }

    fn fraud(&self) -> Fraud {
        let conflict = self.conflict();
        Fraud::DoubleVote {
            first: conflict.first.certs[0].clone(),
            second: conflict.second.certs[0].clone(),
        }
    }

    fn report(&self, seat: usize, proof: CommitProof) -> ForkReport {
        let (height, tip) = (proof.chain[0].height, proof.chain[0].id());
        self.engines[seat].sign_report(&self.epoch.recovery(), height, tip, Some(proof))
    }

    fn resumption(&self) -> Resumption {
        let conflict = self.conflict();
        let value = RecoveryValue {
            excluded: signers(&[1, 2]),
            standbys: SignerSet::EMPTY,
            base: conflict.first.chain[0].id(),
            root_height: Height(2),
            frauds: vec![self.fraud()],
            reports: vec![
                self.report(0, conflict.first),
                self.report(3, conflict.second),
            ],
        };
        let proof = self.proof(&self.epoch.recovery(), &[0, 3], |header| {
            header.payload = value.digest();
            header.excluded = Some(value.excluded);
        });
        Resumption {
            of: self.epoch.id,
            value,
            proof,
        }
    }

    fn write(&self, replica: usize, records: &[(EvidenceKind, Vec<u8>)]) {
        let folder = self.folder.path().join(format!("replica-{replica}"));
        fs::create_dir_all(&folder).unwrap();
        let mut writer = EvidenceWriter::open(&folder.join("evidence.bin")).unwrap();
        for (kind, payload) in records {
            let record = EvidenceRecord {
                kind: *kind,
                at_ns: 1,
                payload: payload.clone(),
            };
            writer.append(&record).unwrap();
        }
    }

    fn judge(&self) -> Judgement {
        audit(self.folder.path(), None).unwrap()
    }
}

fn record(kind: EvidenceKind, value: &impl Wire) -> (EvidenceKind, Vec<u8>) {
    (kind, value.encode().to_vec())
}

fn mode(epoch: EpochId) -> (EvidenceKind, Vec<u8>) {
    let payload = [&Mode::DegradedSafe.encode()[..], &epoch.encode()].concat();
    (EvidenceKind::Mode, payload)
}

#[test]
fn a_run_is_judged_by_all_its_replicas() {
    let case = Case::new();
    let conflict = record(EvidenceKind::Conflict, &case.conflict());
    let fraud = record(EvidenceKind::Fraud, &case.fraud());
    case.write(0, &[conflict.clone(), mode(case.epoch.id), fraud]);
    case.write(
        3,
        &[
            conflict,
            record(EvidenceKind::Resumption, &case.resumption()),
        ],
    );
    let judgement = case.judge();
    assert!(judgement.holds(), "{judgement}");
    assert_eq!(judgement.culprits(), [1, 2]);
    let files = ["replica-0/evidence.bin", "replica-3/evidence.bin"].map(String::from);
    for conviction in &judgement.convictions {
        assert_eq!(conviction.offence, "E2 double vote");
        // The value holds the same proof again.
        assert_eq!(conviction.proofs, [case.fraud().digest().to_string()]);
        assert_eq!(conviction.files, files);
    }
    let fork = &judgement.forks[..];
    assert_eq!(fork.len(), 1);
    assert_eq!(
        (fork[0].height, fork[0].needed, fork[0].convicted),
        (1, 2, 2)
    );
    assert_eq!(fork[0].files, files);
    assert_eq!(judgement.recoveries[0].excluded, [1, 2]);
    assert_eq!(judgement.recoveries[0].files, files[1..]);
    let text = judgement.to_string();
    assert!(text.ends_with("convicted: 1, 2"), "{text}");
    assert!(
        text.contains("2 convicted in it, 2 needed: enough"),
        "{text}"
    );
    let json = serde_json::to_value(&judgement).unwrap();
    assert_eq!(json["convictions"][0]["replica"], 1);
    assert_eq!(json["forks"][0]["needed"], 2);

    // A replica's folder and a file are judged alike, by the committee file above them.
    let folder = case.folder.path().join("replica-0");
    for path in [folder.clone(), folder.join("evidence.bin")] {
        let judgement = audit(&path, None).unwrap();
        assert!(judgement.holds());
        assert_eq!(judgement.files[0].records, 3);
    }
}

/// The working epoch is known only through the resumption, wherever that stands.
#[test]
fn later_epochs_are_reached_through_resumptions() {
    let case = Case::new();
    let resumption = case.resumption();
    let value = &resumption.value;
    let working = case.epoch.recovery().resumed(
        value.digest(),
        value.excluded,
        value.standbys,
        value.root_height,
    );
    let vote = |block: u8| {
        case.engines[3]
            .sign_vote(
                &working,
                View(5),
                types::BlockId(Digest([block; 32])),
                SignerSet::EMPTY,
            )
            .alone()
            .unwrap()
    };
    let later = Fraud::DoubleVote {
        first: vote(1),
        second: vote(2),
    };
    case.write(0, &[record(EvidenceKind::Fraud, &later)]);
    let judgement = case.judge();
    assert!(!judgement.holds());
    assert!(judgement.refusals[0].why.contains("nothing here leads"));
    case.write(3, &[record(EvidenceKind::Resumption, &resumption)]);
    let judgement = case.judge();
    assert!(judgement.holds(), "{judgement}");
    assert_eq!(judgement.culprits(), [1, 2, 3]);
}

fn refusal_of(case: &Case) -> String {
    let judgement = case.judge();
    assert!(!judgement.holds());
    let refusals = judgement.refusals;
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    refusals[0].why.clone()
}

#[test]
fn claims_that_prove_nothing_are_refused() {
    let case = Case::new();
    let mut conflict = case.conflict();
    conflict.second.certs[1].votes.bytes = case.conflict().second.certs[0].votes.bytes.clone();
    case.write(0, &[record(EvidenceKind::Conflict, &conflict)]);
    assert!(refusal_of(&case).contains("bad signature"));

    let case = Case::new();
    let Fraud::DoubleVote { first, .. } = case.fraud() else {
        panic!("a double vote")
    };
    let harmless = Fraud::DoubleVote {
        second: first.clone(),
        first,
    };
    case.write(0, &[record(EvidenceKind::Fraud, &harmless)]);
    assert!(refusal_of(&case).contains("say the same"));
    assert!(case.judge().culprits().is_empty());

    let case = Case::new();
    case.write(0, &[(EvidenceKind::Fraud, vec![2, 0, 0])]);
    assert_eq!(case.judge().refusals[0].kind, "fraud");
    refusal_of(&case);

    let case = Case::new();
    let mut report = case.report(0, case.conflict().first);
    report.height = Height(9);
    case.write(0, &[record(EvidenceKind::Report, &report)]);
    assert!(refusal_of(&case).contains("another height"));

    let case = Case::new();
    let mut resumption = case.resumption();
    resumption.value.excluded = signers(&[0, 3]);
    case.write(0, &[record(EvidenceKind::Resumption, &resumption)]);
    refusal_of(&case);
    assert!(case.judge().recoveries.is_empty());
}

/// A fork that nobody is convicted for contradicts the theorem, so something is missing here.
#[test]
fn a_fork_must_convict_enough() {
    let case = Case::new();
    case.write(0, &[record(EvidenceKind::Conflict, &case.conflict())]);
    let judgement = case.judge();
    assert!(!judgement.holds());
    assert_eq!(judgement.forks[0].convicted, 0);
    assert!(judgement.to_string().contains("NOT ENOUGH"));
}

#[test]
fn changed_files_are_told_and_torn_ones_forgiven() {
    let case = Case::new();
    let fraud = record(EvidenceKind::Fraud, &case.fraud());
    case.write(0, &[fraud.clone(), fraud]);
    let path = case.folder.path().join("replica-0/evidence.bin");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let judgement = case.judge();
    assert!(judgement.holds());
    assert_eq!(judgement.files[0].records, 1);
    assert!(judgement.to_string().contains("cut off"));
    let mut changed = whole;
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&path, &changed).unwrap();
    let judgement = case.judge();
    assert!(judgement.files[0].damaged && !judgement.holds());
    assert!(judgement.to_string().contains("CHANGED"));
}

#[test]
fn without_evidence_or_keys_there_is_no_judgement() {
    let case = Case::new();
    let why = audit(case.folder.path(), None).unwrap_err().to_string();
    assert!(why.contains("no evidence here"), "{why}");
    let missing = case.folder.path().join("missing");
    assert!(matches!(
        audit(&missing, None),
        Err(AuditError::NoEvidence { .. })
    ));
    case.write(0, &[mode(case.epoch.id)]);
    let keys = case.folder.path().join("committee.toml");
    let moved = case.folder.path().join("elsewhere.toml");
    fs::rename(&keys, &moved).unwrap();
    assert!(matches!(
        audit(case.folder.path(), None),
        Err(AuditError::NoCommittee { .. })
    ));
    let judgement = audit(case.folder.path(), Some(&moved)).unwrap();
    assert!(judgement.holds());
    assert!(judgement.to_string().ends_with("nobody is convicted"));
}

/// Under the keys of another cluster nothing verifies.
#[test]
fn evidence_is_of_one_cluster() {
    let case = Case::new();
    case.write(0, &[record(EvidenceKind::Fraud, &case.fraud())]);
    let other = tempfile::tempdir().unwrap();
    let secrets: Vec<Secrets> = (1..5u8)
        .map(|seat| Secrets::from_seeds([seat; 32], [seat + 10; 32], [seat + 20; 32]))
        .collect();
    let addresses: Vec<Addresses> = (0..4)
        .map(|_| Addresses {
            peer: "127.0.0.1:1".into(),
            client: "127.0.0.1:2".into(),
        })
        .collect();
    let committee =
        committee_of::<Ed25519Lists>(&secrets, CommitRule::TwoChain, &addresses).unwrap();
    write_keygen(other.path(), &committee, &secrets).unwrap();
    let keys = other.path().join("committee.toml");
    let judgement = audit(case.folder.path(), Some(&keys)).unwrap();
    assert!(!judgement.holds());
    assert!(judgement.culprits().is_empty());
}
