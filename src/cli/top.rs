//! `reforge top`

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::top::{once, screen};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of a run or of a campaign that goes on; of a campaign the newest run is shown.
    folder: PathBuf,
    /// How often is looked, milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=60_000))]
    interval_ms: u64,
    /// Prints one snapshot as text and ends: for scripts. Rates are those of one interval.
    #[arg(long)]
    once: bool,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let (root, interval) = (&args.folder, Duration::from_millis(args.interval_ms));
    super::is_folder(root)?;
    let mut out = std::io::stdout();
    if args.once {
        let snapshot = once::snapshot(root, interval);
        let text = snapshot.with_context(|| {
            format!(
                "{}: expected a run, found no folder with a run.json; start one with `reforge run SPEC --out {0}`",
                root.display()
            )
        })?;
        out.write_all(text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    ensure!(
        out.is_terminal(),
        "expected a terminal to draw on, found that standard output is none; use `--once` for one snapshot as text"
    );
    screen::show(root, interval)?;
    Ok(ExitCode::SUCCESS)
}
