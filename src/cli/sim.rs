//! `reforge sim`

use std::process::ExitCode;

use anyhow::Result;

/// Runs seeds and tells; what failed, with the command that repeats it, decides the exit code.
pub fn main(args: &::sim::SimArgs) -> Result<ExitCode> {
    let report = ::sim::run_cli(args)?;
    println!("{}", report.text);
    Ok(match report.failures == 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
