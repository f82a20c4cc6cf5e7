//! `reforge node`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use node::NodeConfig;
use node::config::{LogFormat, LogSection};
use tracing_subscriber::EnvFilter;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration in TOML; every key is described in docs/config.md.
    #[arg(long)]
    config: PathBuf,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let config = NodeConfig::read(&args.config)?;
    subscribe(&config.log)?;
    node::run(&config)?;
    Ok(ExitCode::SUCCESS)
}

/// Logs go to standard error, so that nothing else shares standard output.
pub fn subscribe(log: &LogSection) -> Result<()> {
    let filter = std::env::var("REFORGE_LOG").unwrap_or_else(|_| log.filter.clone());
    let filter = EnvFilter::try_new(&filter).with_context(|| {
        format!("log filter {filter:?}: expected one like \"info,transport=debug\"")
    })?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    match log.format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
