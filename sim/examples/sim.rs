//! `cargo run -p sim --example sim -- --seeds 0..100`: the simulator without the rest of the binary.

use std::process::ExitCode;

use clap::Parser;

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    args: sim::SimArgs,
}

fn main() -> ExitCode {
    match sim::run_cli(&Cli::parse().args) {
        Ok(report) => {
            println!("{}", report.text);
            ExitCode::from(u8::from(report.failures > 0))
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}
