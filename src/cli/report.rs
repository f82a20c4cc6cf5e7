//! `reforge report`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a campaign.
    folder: PathBuf,
    /// Where to write the page; default: report.html in the folder.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    super::is_folder(&args.folder)?;
    write(&args.folder, args.out.as_deref())?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the page; the last line of standard output is its path.
pub fn write(folder: &Path, out: Option<&Path>) -> Result<()> {
    println!("{}", results::write_report(folder, out)?.display());
    Ok(())
}
