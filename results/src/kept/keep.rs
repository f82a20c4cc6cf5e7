//! Copying what is worth keeping.

use std::path::{Path, PathBuf};

use measure::files::{JsonLines, read_json, write_atomic, write_json};
use measure::{CampaignRecord, Fingerprint, MeasureError, RunFolder, folder, utc_date};

use super::{KEPT, KeptRecord, paths};
use crate::judge::judge;
use crate::judgement::Judgement;

/// All kept folders, one line each.
pub const INDEX: &str = "index.jsonl";

/// Text files of a run that are kept, if they are there.
const OF_RUN: [&str; 4] = [
    folder::RUN,
    folder::FINGERPRINT,
    folder::BOUND,
    folder::EVENTS,
];
/// Files of a generator.
const OF_LOAD: [&str; 2] = [folder::LOAD, folder::SERIES];
const HISTOGRAMS: [&str; 3] = [
    folder::CORRECTED_HLOG,
    folder::SERVICE_HLOG,
    folder::LAG_HLOG,
];

/// Why nothing was kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// A part cannot be read or written.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// No run in it.
    #[error(
        "{folder}: expected the folder of a campaign or of a run, found no run that can be read; name the folder that `reforge run` printed"
    )]
    NoRuns {
        /// As given.
        folder: PathBuf,
    },
    /// Something of this name is kept already.
    #[error("{folder} exists already: expected a new name; choose another --name")]
    Taken {
        /// Where it would go.
        folder: PathBuf,
    },
    /// A name that is no folder's.
    #[error("--name: expected 1 to 48 letters, digits, `-` or `_`, found {found:?}")]
    Name {
        /// The name.
        found: String,
    },
}

/// What is to be kept, and where.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// A campaign or a run.
    pub folder: &'a Path,
    /// Where the index and all kept folders are.
    pub into: &'a Path,
    /// Instead of the experiment's name.
    pub name: Option<&'a str>,
    /// What it shows.
    pub note: Option<&'a str>,
}

/// Judges a folder and keeps its figures in `<into>/<date>-<name>`, with a line in the index.
///
/// # Errors
/// [`NotKept`].
pub fn keep(request: &Request<'_>) -> Result<(PathBuf, KeptRecord), NotKept> {
    let from = request.folder;
    let judgement = judge(from);
    let first = judgement.runs.iter().find_map(|run| run.point.as_ref());
    let Some(first) = first else {
        return Err(NotKept::NoRuns {
            folder: from.to_path_buf(),
        });
    };
    let name = request.name.unwrap_or(&first.experiment);
    let fits = (1..=48).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !fits {
        return Err(NotKept::Name { found: name.into() });
    }
    let campaign: Option<CampaignRecord> = match from.join(folder::CAMPAIGN) {
        path if path.exists() => Some(read_json(&path, "campaign")?),
        _ => None,
    };
    let begun = campaign.as_ref().map_or(first.begun, |of| of.begun);
    let date = utc_date(begun.unix_ns);
    let place = format!("{date}-{name}");
    let to = request.into.join(&place);
    if to.exists() {
        return Err(NotKept::Taken { folder: to });
    }
    create_dir(&to)?;
    copy_parts(from, &to, &judgement, campaign.is_some())?;

    let summary = to.join(folder::SUMMARY);
    write_json(&summary, &judgement)?;
    let text = std::fs::read_to_string(&summary).map_err(io("read", &summary))?;
    write_atomic(&summary, paths::strip(&text).as_bytes())?;

    let run_root = match campaign {
        Some(_) => from.join(&first.name),
        None => from.to_path_buf(),
    };
    let fingerprint: Option<Fingerprint> =
        read_json(&run_root.join(folder::FINGERPRINT), "fingerprint").ok();
    let record = KeptRecord {
        schema: measure::SCHEMA_VERSION,
        folder: place,
        date,
        experiment: judgement.experiment.clone(),
        spec_hash: judgement.spec_hash.clone(),
        command: judgement.command.as_deref().map(paths::strip),
        commit: judgement.runs.iter().find_map(|run| run.git.clone()),
        binary_hash: fingerprint.as_ref().and_then(|of| of.binary_hash.clone()),
        machine: fingerprint.as_ref().map_or("unknown".into(), machine),
        verdict: judgement.verdict,
        runs: judgement.runs.len(),
        summary_hash: folder::hash_file(&summary)?,
        note: request.note.map(str::to_owned),
    };
    write_json(&to.join(KEPT), &record)?;
    RunFolder::open(&to).seal()?;
    JsonLines::open(&request.into.join(INDEX))?.append(&record)?;
    Ok((to, record))
}

fn machine(of: &Fingerprint) -> String {
    format!(
        "{}, {} CPUs, {} GiB, Linux {}{}",
        of.cpu_model.as_deref().unwrap_or("unknown CPU"),
        of.cpus,
        of.memory_bytes.unwrap_or(0).div_ceil(1 << 30),
        of.kernel.as_deref().unwrap_or("unknown"),
        if of.virtual_machine { ", virtual" } else { "" },
    )
}

fn copy_parts(
    from: &Path,
    to: &Path,
    judgement: &Judgement,
    is_campaign: bool,
) -> Result<(), NotKept> {
    copy_text(from, to, folder::SPEC)?;
    if !is_campaign {
        return copy_run(from, to);
    }
    copy_text(from, to, folder::CAMPAIGN)?;
    for run in &judgement.runs {
        copy_run(&from.join(&run.name), &to.join(&run.name))?;
    }
    Ok(())
}

fn copy_run(from: &Path, to: &Path) -> Result<(), NotKept> {
    create_dir(to)?;
    for name in OF_RUN {
        copy_text(from, to, name)?;
    }
    let (from, to) = (RunFolder::open(from), RunFolder::open(to));
    for generator in 0.. {
        let (part, kept) = (from.load(generator), to.load(generator));
        if !part.is_dir() {
            return Ok(());
        }
        create_dir(&kept)?;
        for name in OF_LOAD {
            copy_text(&part, &kept, name)?;
        }
        for name in HISTOGRAMS {
            let path = part.join(name);
            if path.exists() {
                std::fs::copy(&path, kept.join(name)).map_err(io("copy", &path))?;
            }
        }
    }
    Ok(())
}

/// Nothing where there is no such file.
fn copy_text(from: &Path, to: &Path, name: &str) -> Result<(), NotKept> {
    let path = from.join(name);
    if !path.exists() {
        return Ok(());
    }
    let text = std::fs::read_to_string(&path).map_err(io("read", &path))?;
    write_atomic(&to.join(name), paths::strip(&text).as_bytes())?;
    Ok(())
}

fn create_dir(path: &Path) -> Result<(), NotKept> {
    std::fs::create_dir_all(path).map_err(io("create", path))
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> NotKept {
    let path = path.to_path_buf();
    move |source| NotKept::Io {
        action,
        path,
        source,
    }
}
