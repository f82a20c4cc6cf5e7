//! `reforge repro`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use measure::files::read_json;
use measure::{CampaignRecord, Fingerprint, RunRecord, folder};
use testbed::{Options, Spec};

use super::run::{options, tell};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a campaign, kept or not: what it says is all that is used.
    run: PathBuf,
    /// Folder of the new campaign; default: runs/<name>-<UTC time>.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Keeps keys and journals of every run.
    #[arg(long)]
    keep_scratch: bool,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let original = Original::read(&args.run)?;
    let here = Fingerprint::collect();
    for line in original.differences(&here) {
        eprintln!("{line}");
    }
    let options = Options {
        out: args.out.clone(),
        ..options(args.keep_scratch)?
    };
    let finished = match &original.run {
        Some(name) => testbed::run_again(&original.spec, name, &options),
        None => testbed::run(&original.spec, &options),
    };
    tell(finished, false)
}

struct Original {
    spec: Spec,
    /// The only run, or all of them.
    run: Option<String>,
    fingerprint: Option<Fingerprint>,
}

impl Original {
    fn read(root: &Path) -> Result<Self> {
        let (run, hash, some_run) = if root.join(folder::CAMPAIGN).exists() {
            let record: CampaignRecord = read_json(&root.join(folder::CAMPAIGN), "campaign")?;
            let some_run = record.runs.first().map(|name| root.join(name));
            // A campaign of one run is that run again, with its place in the order.
            let only = match &record.runs[..] {
                [only] => Some(only.clone()),
                _ => None,
            };
            (only, record.spec_hash, some_run)
        } else if root.join(folder::RUN).exists() {
            let record: RunRecord = read_json(&root.join(folder::RUN), "run record")?;
            (
                Some(record.name),
                record.spec_hash,
                Some(root.to_path_buf()),
            )
        } else {
            bail!(
                "{}: expected {} or {} in it, found neither; name the folder that `reforge run` printed, or a run in it",
                root.display(),
                folder::CAMPAIGN,
                folder::RUN
            );
        };
        let spec = Spec::load(&root.join(folder::SPEC), &[])?;
        if spec.hash() != hash {
            bail!(
                "{}: expected the spec of the run ({hash}), found another one ({}); it was changed since, or \
                 this program reads it differently: build the commit in {}",
                root.join(folder::SPEC).display(),
                spec.hash(),
                folder::FINGERPRINT
            );
        }
        let fingerprint =
            some_run.and_then(|run| read_json(&run.join(folder::FINGERPRINT), "fingerprint").ok());
        Ok(Self {
            spec,
            run,
            fingerprint,
        })
    }

    /// What is not as it was then.
    fn differences(&self, here: &Fingerprint) -> Vec<String> {
        let Some(then) = &self.fingerprint else {
            return vec!["the folder does not tell which program made it".into()];
        };
        let note =
            |kind: &'static str| move |what: String| format!("another {kind} than then: {what}");
        let program = then.unlike_program(here).into_iter().map(note("program"));
        let machine = then.unlike_machine(here).into_iter().map(note("machine"));
        program.chain(machine).collect()
    }
}
