//! `reforge compare`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Campaign, run or kept folder: the new one.
    a: PathBuf,
    /// The one that it is compared with.
    b: PathBuf,
    /// Shows figures of unlike machines, without a verdict.
    #[arg(long)]
    across_machines: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Exit codes are those of a verdict: 0 if A is not slower, 10 if it is, 12 if nobody knows.
pub fn main(args: &Args) -> Result<ExitCode> {
    let comparison = results::compare(&args.a, &args.b, args.across_machines)?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&comparison)?),
        false => print!("{}", results::compare::text(&comparison)),
    }
    Ok(ExitCode::from(comparison.verdict.exit_code()))
}
