//! One of two folders: its judgement, its machine, its spec.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use measure::files::read_json;
use measure::{Fingerprint, RunRecord, folder};
use serde::{Deserialize, Serialize};

use super::Refused;
use crate::judge::judge;
use crate::judgement::{Judgement, RunJudgement};
use crate::kept;
use crate::verdict::Verdict;

/// What a folder is of, for the reader.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// As given.
    pub folder: String,
    /// Commit of its program.
    pub commit: Option<String>,
    /// blake3 of its program.
    pub binary_hash: Option<String>,
    /// Name of the experiment.
    pub experiment: Option<String>,
    /// blake3 of the resolved spec.
    pub spec_hash: Option<String>,
}

/// A point in one repetition.
pub(super) type Key = (String, u32);

pub(super) struct Read {
    pub(super) side: Side,
    pub(super) fingerprint: Fingerprint,
    spec: String,
    judgement: Judgement,
    planned: BTreeSet<Key>,
}

pub(super) enum Half<'a> {
    Usable(&'a RunJudgement),
    /// Its figures mean nothing.
    Useless(&'a RunJudgement),
    Missing,
}

impl Read {
    pub(super) fn folder(root: &Path) -> Result<Read, Refused> {
        let shown = root.display().to_string();
        let no_runs = |found: &str| Refused::NoRuns {
            folder: shown.clone(),
            found: found.into(),
        };
        if !root.is_dir() {
            return Err(no_runs("no folder"));
        }
        let judgement = match kept::read(root)? {
            Some(judgement) => judgement,
            None => judge(root),
        };
        let fingerprints = fingerprints(root, &judgement)?;
        let Some(fingerprint) = fingerprints.first().cloned() else {
            return Err(no_runs("no run with a fingerprint"));
        };
        for other in &fingerprints {
            let mut unlike = fingerprint.unlike_machine(other);
            if fingerprint.binary_hash != other.binary_hash {
                unlike.extend(fingerprint.unlike_program(other));
            }
            if !unlike.is_empty() {
                return Err(Refused::Mixed {
                    folder: shown,
                    found: unlike.join("; "),
                });
            }
        }
        let spec = std::fs::read_to_string(root.join(folder::SPEC)).unwrap_or_default();
        let first = judgement.runs.iter().find(|run| run.git.is_some());
        let side = Side {
            commit: first.and_then(|run| run.git.clone()),
            binary_hash: fingerprint.binary_hash.clone(),
            experiment: judgement.experiment.clone(),
            spec_hash: judgement.spec_hash.clone(),
            folder: shown,
        };
        let planned = planned(root, &judgement);
        Ok(Read {
            side,
            fingerprint,
            spec,
            judgement,
            planned,
        })
    }

    pub(super) fn keys(&self) -> BTreeSet<Key> {
        self.planned.clone()
    }

    pub(super) fn half(&self, key: &Key) -> Half<'_> {
        let mut runs = self.judgement.runs.iter();
        let Some(run) = runs.find(|run| key_of(&run.name) == *key) else {
            return Half::Missing;
        };
        match run.verdict {
            Verdict::Pass | Verdict::ThresholdFailed if run.point.is_some() => Half::Usable(run),
            _ => Half::Useless(run),
        }
    }

    /// Which keys of the specs differ, with both values; empty for the same spec.
    pub(super) fn unlike_specs(&self, other: &Read) -> Vec<String> {
        let (one, two) = (&self.side.spec_hash, &other.side.spec_hash);
        if one.is_some() && one == two {
            return Vec::new();
        }
        let mut found = lines_that_differ(&self.spec, &other.spec);
        if let (Some(a), Some(b)) = (self.point(), other.point()) {
            // First what a reader looks for first.
            let mut first = Vec::new();
            let mut differ = |what: &str, a: &str, b: &str| {
                if a != b {
                    first.push(format!("{what} (A {a}, B {b})"));
                }
            };
            differ("commit rule", &a.rule, &b.rule);
            differ("configuration", a.configuration(), b.configuration());
            first.append(&mut found);
            found = first;
        }
        if found.is_empty() {
            let word = |hash: &Option<String>| hash.clone().unwrap_or_else(|| "none".into());
            found.push(format!("spec hash (A {}, B {})", word(one), word(two)));
        }
        found
    }

    fn point(&self) -> Option<&RunRecord> {
        self.judgement
            .runs
            .iter()
            .find_map(|run| run.point.as_ref())
    }

    pub(super) fn notes(&self, b: &Read) -> Vec<String> {
        let mut notes = Vec::new();
        if self.fingerprint.binary_hash.is_some()
            && self.fingerprint.binary_hash == b.fingerprint.binary_hash
        {
            notes.push("A and B are the same program: a difference is one of the machine".into());
        }
        if self.fingerprint.debug_build {
            notes.push("debug builds: their timings mean nothing".into());
        }
        let begun = |read: &Read| -> Vec<u64> {
            let runs = read.judgement.runs.iter();
            runs.filter_map(|run| Some(run.point.as_ref()?.begun.unix_ns))
                .collect()
        };
        let (one, two) = (begun(self), begun(b));
        let before = |x: &[u64], y: &[u64]| x.iter().max() < y.iter().min();
        if before(&one, &two) || before(&two, &one) {
            notes.push(
                "one folder was made wholly after the other: what the machine did in between is in the ratios".into(),
            );
        }
        notes
    }
}

/// A campaign's own plan, or what is there.
fn planned(root: &Path, judgement: &Judgement) -> BTreeSet<Key> {
    let plan = read_json::<measure::CampaignRecord>(&root.join(folder::CAMPAIGN), "campaign");
    let names = plan.map(|plan| plan.runs).unwrap_or_default();
    let runs = judgement.runs.iter().map(|run| run.name.as_str());
    names
        .iter()
        .map(String::as_str)
        .chain(runs)
        .map(key_of)
        .collect()
}

/// `003-low-n4-…-r1` is point `low-n4-…` in repetition 1: the place in the order says nothing.
fn key_of(name: &str) -> Key {
    let rest = name.split_once('-').map_or(name, |(index, rest)| {
        match index.bytes().all(|b| b.is_ascii_digit()) {
            true => rest,
            false => name,
        }
    });
    match rest.rsplit_once("-r") {
        Some((point, repetition)) => match repetition.parse() {
            Ok(repetition) => (point.to_owned(), repetition),
            Err(_) => (rest.to_owned(), 0),
        },
        None => (rest.to_owned(), 0),
    }
}

fn fingerprints(root: &Path, judgement: &Judgement) -> Result<Vec<Fingerprint>, Refused> {
    let mut all = Vec::new();
    for run in &judgement.runs {
        let inside = root.join(&run.name).join(folder::FINGERPRINT);
        let path = match inside.exists() {
            true => inside,
            false => root.join(folder::FINGERPRINT),
        };
        if path.exists() {
            all.push(read_json(&path, "fingerprint")?);
        }
    }
    Ok(all)
}

/// `key (A x, B y)` of two resolved specs, which write every key on a line of its own.
fn lines_that_differ(a: &str, b: &str) -> Vec<String> {
    const SHOWN_MAX: usize = 5;
    let (a, b) = (keys(a), keys(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |of: &BTreeMap<String, String>, key: &String| {
        of.get(key).cloned().unwrap_or_else(|| "nothing".into())
    };
    let mut found: Vec<String> = names
        .into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| format!("{key} (A {}, B {})", value(&a, key), value(&b, key)))
        .collect();
    if found.len() > SHOWN_MAX {
        let more = found.len() - SHOWN_MAX;
        found.truncate(SHOWN_MAX);
        found.push(format!("{more} more"));
    }
    found
}

fn keys(text: &str) -> BTreeMap<String, String> {
    let mut table = String::new();
    let mut keys = BTreeMap::new();
    let mut sweeps = 0;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[') {
            sweeps += u32::from(name == "[sweep]]");
            let name = name.trim_matches(['[', ']']);
            table = match name.starts_with("sweep") {
                true => format!("sweep {sweeps}{}.", name.trim_start_matches("sweep")),
                false => format!("{name}."),
            };
        } else if let Some((key, value)) = line.split_once(" = ") {
            keys.insert(format!("{table}{key}"), value.to_owned());
        }
    }
    keys
}
