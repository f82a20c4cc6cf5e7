//! `reforge adversary`

use std::path::PathBuf;
use std::process::ExitCode;

use adversary::process::{ACTS, ToTwo, act_from_name};
use anyhow::{Context, Result};
use node::NodeConfig;

use crate::cli;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration in TOML, as for `reforge node`.
    #[arg(long)]
    config: PathBuf,
    /// What the replica does wrong: `proposal-to-two` sends its own proposals to the two replicas
    /// that follow it by index, `silent-leader` sends none.
    #[arg(long)]
    act: String,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let act = act_from_name(&args.act).with_context(|| {
        let known = ACTS.map(|act| act.name()).join(" or ");
        format!("--act: expected {known}, found {:?}", args.act)
    })?;
    let config = NodeConfig::read(&args.config)?;
    cli::node::subscribe(&config.log)?;
    node::run_wrapped(&config, |platform, setup| {
        ToTwo::new(platform, setup.me, setup.epoch.n, act)
    })?;
    Ok(ExitCode::SUCCESS)
}
