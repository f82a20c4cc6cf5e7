//! `reforge transports`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use bench::dissemination;
use bench::transports::{Compared, Comparison, Figure, compare};
use transport::Backend;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rounds, each with all three back ends.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Replicas of the bulk case.
    #[arg(long, default_value_t = 4)]
    replicas: u16,
    /// Connections of the case with many clients.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// Answers per round of the small cases.
    #[arg(long, default_value_t = 40_000)]
    messages: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
pub fn main(args: &Args) -> Result<ExitCode> {
    ensure!(args.rounds > 0, "--rounds: expected at least 1, found 0");
    ensure!(
        (2..=100).contains(&args.replicas),
        "--replicas: expected 2 to 100, found {}",
        args.replicas
    );
    ensure!(
        (1..=4000).contains(&args.clients),
        "--clients: expected 1 to 4000, found {}",
        args.clients
    );
    ensure!(
        args.messages >= args.clients,
        "--messages: expected at least one per client, found {}",
        args.messages
    );
    let plan = Comparison {
        rounds: args.rounds,
        bulk: dissemination::Plan {
            replicas: args.replicas,
            windows: 2,
            window: Duration::from_secs(1),
            ..dissemination::Plan::default()
        },
        clients: args.clients,
        messages: args.messages,
    };
    let all = compare(&plan, |step| eprintln!("{step}"))?;
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&all)?),
        false => all.iter().for_each(print),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(compared: &Compared) {
    println!("{}:", compared.case.name());
    for (at, backend) in Backend::ALL.iter().enumerate() {
        let (rate, cpu) = (|f: &Figure| f.per_s, |f: &Figure| f.cpu_us);
        println!(
            "  {:<12} {:>9.0} /s  ({:.2} of epoll)   CPU {:>6.2} us each  ({:.2} of epoll)",
            backend.name(),
            compared.median(at, rate),
            compared.ratio(at, rate),
            compared.median(at, cpu),
            compared.ratio(at, cpu),
        );
    }
}
