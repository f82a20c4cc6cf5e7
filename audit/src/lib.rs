//! Offline judgement of evidence from files and public keys alone: who is convicted of what, whether
//! each fork convicts as many as it must, and whether everything that claims to be a proof is one.
//! Nobody's word counts here, not even that of the replica which wrote the files.

mod claim;
mod find;
mod judge;
mod judgement;
mod text;

use std::path::{Path, PathBuf};

use crypto::{Bls, Ed25519Lists, Engine, KeyError, KeyFileError, load_committee};
use measure::MeasureError;
use thiserror::Error;
use types::SchemeName;

pub use judgement::{Conviction, FileReport, Fork, Judgement, Recovery, Refusal};

/// Why nothing was judged.
#[derive(Debug, Error)]
pub enum AuditError {
    #[error(
        "{path}: no evidence here; expected an evidence file, a folder with `evidence.bin`, or a run folder whose replicas left some"
    )]
    NoEvidence { path: PathBuf },
    #[error("{path}: no `committee.toml` beside it or above; name one with `--committee`")]
    NoCommittee { path: PathBuf },
    #[error("{path}: cannot list: {source}")]
    List {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    File(#[from] MeasureError),
    #[error(transparent)]
    Committee(#[from] KeyFileError),
    #[error("{path}: {source}")]
    Keys { path: PathBuf, source: KeyError },
    #[error("{path}: votes of scheme `{scheme}` exist in simulations alone", scheme = scheme.name())]
    Scheme { path: PathBuf, scheme: SchemeName },
}

/// Judges an evidence file, the folder of a replica, or a run folder with those of all. The committee
/// is the one named, or the nearest `committee.toml`.
///
/// # Errors
/// [`AuditError`] when there is nothing to judge, or nothing to judge it by. Bad evidence is no error:
/// see [`Judgement::holds`].
pub fn audit(path: &Path, committee: Option<&Path>) -> Result<Judgement, AuditError> {
    let files = find::evidence(path)?;
    let keys = match committee {
        Some(named) => named.to_path_buf(),
        None => find::committee(path)?,
    };
    let committee = load_committee(&keys)?;
    let files = find::read(path, &files)?;
    let bad_keys = |source| AuditError::Keys {
        path: keys.clone(),
        source,
    };
    match committee.scheme {
        SchemeName::Bls => {
            let engine = Engine::<Bls>::new(&committee, None).map_err(bad_keys)?;
            Ok(judge::judge(&committee, &engine, files))
        }
        SchemeName::Ed25519 => {
            let engine = Engine::<Ed25519Lists>::new(&committee, None).map_err(bad_keys)?;
            Ok(judge::judge(&committee, &engine, files))
        }
        scheme @ SchemeName::Simulated => Err(AuditError::Scheme { path: keys, scheme }),
    }
}

#[cfg(test)]
mod tests;
