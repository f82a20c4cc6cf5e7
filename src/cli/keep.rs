//! `reforge keep`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use results::kept::{Request, keep};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a campaign or of a run.
    run: PathBuf,
    /// Name of the kept folder behind its date; default: the experiment's.
    #[arg(long)]
    name: Option<String>,
    /// What it shows, for the index.
    #[arg(long)]
    note: Option<String>,
    /// Where kept folders and their index are.
    #[arg(long, default_value = "results/kept")]
    into: PathBuf,
}

/// The last line of standard output is the kept folder.
pub fn main(args: &Args) -> Result<ExitCode> {
    let (folder, record) = keep(&Request {
        folder: &args.run,
        into: &args.into,
        name: args.name.as_deref(),
        note: args.note.as_deref(),
    })?;
    println!(
        "kept {} runs, verdict {}",
        record.runs,
        record.verdict.name()
    );
    println!("{}", folder.display());
    Ok(ExitCode::SUCCESS)
}
