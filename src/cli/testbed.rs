//! `reforge testbed`

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Removes the network namespaces of runs whose orchestrator was killed.
    Clean,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    match args.command {
        Command::Clean => {
            let removed = ::testbed::clean_namespaces()?;
            for name in &removed {
                println!("removed {name}");
            }
            println!("{} namespaces of killed runs removed", removed.len());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What provider ssh starts on a host; it speaks by its standard input and output.
#[derive(Debug, clap::Args)]
pub struct AgentArgs {}

pub fn agent(_: &AgentArgs) -> Result<ExitCode> {
    ::testbed::serve_agent(std::io::stdin(), std::io::stdout())?;
    Ok(ExitCode::SUCCESS)
}
