//! The judge: every record is checked against the epoch that it belongs to. Epochs are known from the
//! committee file on: a proven resumption opens the next one.

use std::collections::{BTreeMap, BTreeSet};

use consensus::accountability::culprits;
use crypto::{Engine, VoteScheme};
use measure::{Evidence, EvidenceKind};
use types::{
    Committee, Conflict, Digest, Epoch, EpochId, ForkReport, Fraud, Offence, ReplicaId, Resumption,
    SignerSet, Verified, Wire,
};

use crate::claim::Claim;
use crate::judgement::{Conviction, FileReport, Fork, Judgement, Recovery, Refusal};

/// Where a record stands: file and place.
type At = (usize, usize);

struct Bench<'a, S: VoteScheme> {
    committee: &'a Committee,
    engine: &'a Engine<S>,
    /// Ordinary epochs that are known; each stands for its recovery epoch too.
    epochs: BTreeMap<EpochId, Epoch>,
    convictions: BTreeMap<(ReplicaId, Offence), Proven>,
    forks: BTreeMap<EpochId, (u64, Files)>,
    recoveries: BTreeMap<EpochId, (Epoch, SignerSet, SignerSet, Files)>,
    refusals: BTreeMap<At, (EvidenceKind, String)>,
    /// Verdicts by digest: replicas hold the same proofs.
    known: BTreeMap<Digest, Result<(), String>>,
}

type Files = BTreeSet<usize>;

/// How an offence of a replica is proven.
#[derive(Default)]
struct Proven {
    proofs: BTreeSet<Digest>,
    epochs: BTreeSet<EpochId>,
    files: Files,
}

pub fn judge<S: VoteScheme>(
    committee: &Committee,
    engine: &Engine<S>,
    files: Vec<(String, Evidence)>,
) -> Judgement {
    let genesis = committee.genesis();
    let mut bench = Bench {
        committee,
        engine,
        epochs: BTreeMap::from([(genesis.id, genesis)]),
        convictions: BTreeMap::new(),
        forks: BTreeMap::new(),
        recoveries: BTreeMap::new(),
        refusals: BTreeMap::new(),
        known: BTreeMap::new(),
    };
    let mut open = bench.open(&files);
    // Whatever belongs to a known epoch is judged; a resumption may make more of them known.
    loop {
        let before = open.len();
        open.retain(|(at, claim)| !bench.hear(*at, claim));
        if open.len() == before {
            break;
        }
    }
    for (at, claim) in open {
        let why = "of an epoch to which nothing here leads".to_owned();
        bench.refusals.insert(at, (claim.kind(), why));
    }
    bench.close(&files)
}

impl<S: VoteScheme> Bench<'_, S> {
    /// All claims, but for those that cannot even be read.
    fn open(&mut self, files: &[(String, Evidence)]) -> Vec<(At, Claim)> {
        let mut out = Vec::new();
        for (file, (_, evidence)) in files.iter().enumerate() {
            for (place, record) in evidence.records.iter().enumerate() {
                match Claim::decode(record.kind, &record.payload) {
                    Ok(claim) => out.push(((file, place), claim)),
                    Err(why) => drop(self.refusals.insert((file, place), (record.kind, why))),
                }
            }
        }
        out
    }

    /// False if its epoch is not known (yet).
    fn hear(&mut self, at: At, claim: &Claim) -> bool {
        let id = match claim {
            Claim::Conflict(conflict) => conflict.epoch,
            Claim::Fraud(fraud) => fraud.epoch(),
            Claim::Report(report) => report.epoch,
            Claim::Resumption(resumption) => resumption.of,
            Claim::Mode => return true,
        };
        let of = |epoch: &&Epoch| epoch.id == id || epoch.recovery().id == id;
        let Some(epoch) = self.epochs.values().find(of).copied() else {
            return false;
        };
        let verdict = match claim {
            Claim::Conflict(conflict) => self.conflict(&epoch, at.0, conflict),
            Claim::Fraud(fraud) => self.fraud(&epoch, at.0, fraud),
            Claim::Report(report) => self.report(&epoch, report),
            Claim::Resumption(resumption) => self.resumption(&epoch, at.0, resumption),
            Claim::Mode => Ok(()),
        };
        if let Err(why) = verdict {
            self.refusals.insert(at, (claim.kind(), why));
        }
        true
    }

    fn conflict(&mut self, epoch: &Epoch, file: usize, conflict: &Conflict) -> Result<(), String> {
        let engine = self.engine;
        self.once("conflict", conflict, |conflict| {
            engine.check_conflict(epoch, conflict)
        })?;
        let height = conflict.first.block().map_or(0, |core| core.height.0);
        let (lowest, files) = self
            .forks
            .entry(conflict.epoch)
            .or_insert_with(|| (height, Files::new()));
        *lowest = height.min(*lowest);
        files.insert(file);
        Ok(())
    }

    fn fraud(&mut self, epoch: &Epoch, file: usize, fraud: &Fraud) -> Result<(), String> {
        let engine = self.engine;
        self.once("fraud", fraud, |fraud| {
            let mut verdicts = engine.check_frauds(epoch, vec![fraud]);
            verdicts.pop().expect("one verdict per proof")
        })?;
        let names = culprits(self.committee.rule, fraud).map_err(|why| why.to_string())?;
        for replica in names.iter() {
            let proven = self.convictions.entry((replica, fraud.offence()));
            let proven = proven.or_default();
            proven.proofs.insert(fraud.digest());
            proven.epochs.insert(fraud.epoch());
            proven.files.insert(file);
        }
        Ok(())
    }

    fn report(&mut self, epoch: &Epoch, report: &ForkReport) -> Result<(), String> {
        let engine = self.engine;
        self.once("report", report, |report| {
            engine.check_report(epoch, report)
        })
    }

    /// Opens the working epoch, and takes the proofs in the value for what they are.
    fn resumption(
        &mut self,
        epoch: &Epoch,
        file: usize,
        resumption: &Resumption,
    ) -> Result<(), String> {
        let engine = self.engine;
        self.once("resumption", resumption, |resumption| {
            engine.check_resumption(epoch, resumption)
        })?;
        let value = &resumption.value;
        let working = consensus::Recovery::working_epoch(epoch, resumption);
        self.epochs.insert(working.id, working);
        let found = (working, value.excluded, value.standbys, Files::new());
        let recovery = self.recoveries.entry(epoch.id).or_insert(found);
        if recovery.0.id != working.id {
            return Err("a second end of an epoch that goes on otherwise".into());
        }
        recovery.3.insert(file);
        for fraud in &value.frauds {
            self.fraud(epoch, file, fraud)?;
        }
        Ok(())
    }

    /// Checks each value once, however many files hold it.
    fn once<T: Wire + Clone>(
        &mut self,
        domain: &str,
        value: &T,
        check: impl FnOnce(T) -> Result<Verified<T>, crypto::Reject>,
    ) -> Result<(), String> {
        let verdict = || {
            check(value.clone())
                .map(drop)
                .map_err(|why| why.to_string())
        };
        let digest = Digest::of(&format!("reforge audit {domain}"), &value.encode());
        self.known.entry(digest).or_insert_with(verdict).clone()
    }

    fn close(self, files: &[(String, Evidence)]) -> Judgement {
        let names = |of: &Files| of.iter().map(|at| files[*at].0.clone()).collect::<Vec<_>>();
        let convicted_in = |epoch: &EpochId| {
            let in_it = self
                .convictions
                .iter()
                .filter(|(_, proven)| proven.epochs.contains(epoch));
            in_it
                .map(|((replica, _), _)| *replica)
                .collect::<SignerSet>()
                .len()
        };
        let members = |id: &EpochId| {
            let of = |epoch: &&Epoch| epoch.id == *id || epoch.recovery().id == *id;
            self.epochs.values().find(of).map_or(0, Epoch::split)
        };
        Judgement {
            cluster: self.committee.cluster().to_string(),
            replicas: self.committee.n(),
            rule: self.committee.rule.name(),
            files: files
                .iter()
                .map(|(file, evidence)| FileReport {
                    file: file.clone(),
                    records: evidence.records.len(),
                    torn_bytes: evidence.torn_bytes,
                    damaged: evidence.damaged,
                })
                .collect(),
            convictions: self
                .convictions
                .iter()
                .map(|((replica, offence), proven)| Conviction {
                    replica: replica.0,
                    offence: offence.name(),
                    epochs: proven.epochs.iter().map(ToString::to_string).collect(),
                    proofs: proven.proofs.iter().map(ToString::to_string).collect(),
                    files: names(&proven.files),
                })
                .collect(),
            forks: self
                .forks
                .iter()
                .map(|(epoch, (height, files))| Fork {
                    epoch: epoch.to_string(),
                    height: *height,
                    needed: members(epoch),
                    convicted: convicted_in(epoch),
                    files: names(files),
                })
                .collect(),
            recoveries: self
                .recoveries
                .iter()
                .map(|(of, (working, excluded, standbys, files))| Recovery {
                    of: of.to_string(),
                    working_epoch: working.id.to_string(),
                    excluded: excluded.iter().map(|replica| replica.0).collect(),
                    standbys: standbys.iter().map(|replica| replica.0).collect(),
                    root_height: working.root_height.0,
                    files: names(files),
                })
                .collect(),
            refusals: self
                .refusals
                .iter()
                .map(|((file, record), (kind, why))| Refusal {
                    file: files[*file].0.clone(),
                    record: *record,
                    kind: kind.name(),
                    why: why.clone(),
                })
                .collect(),
        }
    }
}
