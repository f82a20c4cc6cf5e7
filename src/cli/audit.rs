//! `reforge audit`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// An evidence file, the folder of a replica, or a run folder.
    path: PathBuf,
    /// Public keys to judge by; default: the nearest `committee.toml` in the folder or above.
    #[arg(long)]
    committee: Option<PathBuf>,
    /// Print the judgement as JSON.
    #[arg(long)]
    json: bool,
}

/// Tells who is convicted of what; fails unless everything claimed is proven.
pub fn main(args: &Args) -> Result<ExitCode> {
    let judgement = ::audit::audit(&args.path, args.committee.as_deref())?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&judgement)?),
        false => println!("{judgement}"),
    }
    Ok(match judgement.holds() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
