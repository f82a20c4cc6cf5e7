//! `reforge load`

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Result;
use loadgen::{Hooks, LoadConfig};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration in TOML.
    #[arg(long)]
    config: PathBuf,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let config = LoadConfig::load(&args.config)?;
    let hooks = Hooks {
        notice: Some(Box::new(|line| eprintln!("{line}"))),
        stop: stop_on_signals()?,
        ..Hooks::default()
    };
    let report = loadgen::run_with(config, hooks)?;
    let (measured, detail) = (&report.result.measured, &report.detail);
    println!(
        "offered {:.0}/s, achieved {:.0}/s, goodput {:.4}; refused {}, failed {}, unfinished {}",
        detail.offered_tps,
        detail.achieved_tps,
        detail.goodput,
        measured.refused_total(),
        measured.failed,
        measured.unfinished
    );
    let seen = &report.result.recovery;
    if !seen.modes.is_empty() || !seen.epochs.is_empty() || seen.conflicts > 0 {
        println!(
            "recovery: {} epochs, {} conflicts ({} handed in); {} receipts moved, {} without effect \
             now, {} may still move",
            seen.epochs.len(),
            seen.conflicts,
            seen.conflicts_handed_in,
            seen.moved,
            seen.invalidated,
            seen.may_move_left
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The first signal ends the run with a record, the second one ends the process.
fn stop_on_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::<AtomicBool>::default();
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_shutdown(signal, 128 + signal, stop.clone())?;
        flag::register(signal, stop.clone())?;
    }
    Ok(stop)
}
