//! What came out, as plain data.

use serde::Serialize;

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    pub cluster: String,
    pub replicas: usize,
    pub rule: &'static str,
    pub files: Vec<FileReport>,
    /// By replica, then offence.
    pub convictions: Vec<Conviction>,
    pub forks: Vec<Fork>,
    pub recoveries: Vec<Recovery>,
    /// What claims to prove something and does not.
    pub refusals: Vec<Refusal>,
}

/// One evidence file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    pub file: String,
    pub records: usize,
    /// Bytes of an append that was cut off.
    pub torn_bytes: u64,
    /// Something in it was changed after it was written.
    pub damaged: bool,
}

/// One offence of one replica, proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conviction {
    pub replica: u16,
    pub offence: &'static str,
    /// Epochs in which it happened.
    pub epochs: Vec<String>,
    /// Digests of the different proofs.
    pub proofs: Vec<String>,
    /// Where they were found.
    pub files: Vec<String>,
}

/// One epoch in which two conflicting blocks were final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fork {
    pub epoch: String,
    /// Lowest height at which both blocks are proven.
    pub height: u64,
    /// `2q - n`: fewest replicas that must have lied.
    pub needed: usize,
    /// Members convicted by proofs of this epoch.
    pub convicted: usize,
    pub files: Vec<String>,
}

impl Fork {
    /// As many as the theorem promises.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.convicted >= self.needed
    }
}

/// How a split epoch went on, proven final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Recovery {
    pub of: String,
    pub working_epoch: String,
    pub excluded: Vec<u16>,
    pub standbys: Vec<u16>,
    pub root_height: u64,
    pub files: Vec<String>,
}

/// A record that is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub file: String,
    /// Place in the file, from 0.
    pub record: usize,
    pub kind: &'static str,
    pub why: String,
}

impl Judgement {
    /// Whether all that was claimed is proven: every proof verifies, no file was changed, and every fork
    /// convicts as many as it must.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.refusals.is_empty()
            && self.forks.iter().all(Fork::is_explained)
            && !self.files.iter().any(|file| file.damaged)
    }

    /// Everybody convicted of anything, ascending.
    #[must_use]
    pub fn culprits(&self) -> Vec<u16> {
        let mut all: Vec<u16> = self.convictions.iter().map(|c| c.replica).collect();
        all.dedup();
        all
    }
}
