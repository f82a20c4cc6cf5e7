//! `reforge judge`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a campaign.
    folder: PathBuf,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    super::is_folder(&args.folder)?;
    tell(&args.folder)
}

/// Judges, keeps the judgement in the folder, prints the table and gives the verdict's exit code.
pub fn tell(folder: &Path) -> Result<ExitCode> {
    let judgement = results::judge(folder);
    results::write_summary(folder, &judgement)?;
    println!("{}", results::table(&judgement));
    Ok(ExitCode::from(judgement.verdict.exit_code()))
}
