//! The judgement for readers.

use std::fmt::{self, Display, Formatter};

use crate::judgement::{Conviction, Fork, Judgement, Recovery};

impl Display for Judgement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "cluster {} · {} replicas · {}",
            short(&self.cluster),
            self.replicas,
            self.rule
        )?;
        for file in &self.files {
            write!(f, "{}: {} records", file.file, file.records)?;
            match (file.damaged, file.torn_bytes) {
                (true, bytes) => writeln!(f, ", CHANGED afterwards: {bytes} bytes do not follow")?,
                (false, 0) => writeln!(f)?,
                (false, bytes) => writeln!(f, ", the last append cut off after {bytes} bytes")?,
            }
        }
        self.forks.iter().try_for_each(|fork| write!(f, "{fork}"))?;
        self.convictions.iter().try_for_each(|c| write!(f, "{c}"))?;
        self.recoveries.iter().try_for_each(|r| write!(f, "{r}"))?;
        for refusal in &self.refusals {
            writeln!(
                f,
                "NOT PROVEN: {} record {} ({}): {}",
                refusal.file, refusal.record, refusal.kind, refusal.why
            )?;
        }
        let culprits = self.culprits();
        match (self.holds(), culprits.len()) {
            (true, 0) => write!(f, "nobody is convicted"),
            (true, _) => write!(f, "convicted: {}", list(&culprits)),
            (false, 0) => write!(f, "the evidence does not hold; nobody is convicted"),
            (false, _) => write!(
                f,
                "the evidence does not hold; convicted all the same: {}",
                list(&culprits)
            ),
        }
    }
}

impl Display for Fork {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verdict = match self.is_explained() {
            true => "enough",
            false => "NOT ENOUGH",
        };
        writeln!(
            f,
            "fork of epoch {} at height {}: {} convicted in it, {} needed: {verdict} ({})",
            short(&self.epoch),
            self.height,
            self.convicted,
            self.needed,
            self.files.join(", ")
        )
    }
}

impl Display for Conviction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "replica {}: {}, {} in epoch {} ({})",
            self.replica,
            self.offence,
            match self.proofs.len() {
                1 => "1 proof".to_owned(),
                many => format!("{many} proofs"),
            },
            self.epochs
                .iter()
                .map(|epoch| short(epoch))
                .collect::<Vec<_>>()
                .join(", "),
            self.files.join(", ")
        )
    }
}

impl Display for Recovery {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "epoch {} goes on as {} without {}",
            short(&self.of),
            short(&self.working_epoch),
            list(&self.excluded)
        )?;
        if !self.standbys.is_empty() {
            write!(f, ", with {} in their seats", list(&self.standbys))?;
        }
        writeln!(
            f,
            ", above height {} ({})",
            self.root_height,
            self.files.join(", ")
        )
    }
}

/// Enough of an id to tell it from the others of a run.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn list(replicas: &[u16]) -> String {
    let names: Vec<String> = replicas.iter().map(ToString::to_string).collect();
    names.join(", ")
}
