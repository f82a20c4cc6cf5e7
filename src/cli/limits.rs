//! `reforge limits`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use bench::{disk, dissemination, hashing, median};
use serde::Serialize;

/// How long each of the small ones is measured.
const SMALL: Duration = Duration::from_millis(500);
const APPENDS: usize = 200;
const BLOCK_LEN: usize = 4096;
const BATCH_LEN: usize = 512 << 10;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Sizes of committees, all of whose replicas run here.
    #[arg(long, value_delimiter = ',', default_value = "4,7")]
    replicas: Vec<u16>,
    /// Windows of one second that each size is measured for.
    #[arg(long, default_value_t = 5)]
    seconds: usize,
    /// epoll, tokio-uring or io-uring.
    #[arg(long, default_value = "epoll")]
    backend: String,
    /// Encrypt links.
    #[arg(long)]
    encryption: bool,
    /// Bytes of a transaction.
    #[arg(long, default_value_t = 512)]
    tx_bytes: usize,
    /// Where synced appends are measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Limits {
    dissemination: Vec<Dissemination>,
    hash_bytes_per_s: f64,
    append_4k_us: f64,
    append_512k_us: f64,
}

#[derive(Debug, Serialize)]
struct Dissemination {
    replicas: u16,
    tps: f64,
    windows_tps: Vec<f64>,
}

/// Measures and prints.
pub fn main(args: &Args) -> Result<ExitCode> {
    let sizes = args.replicas.iter().all(|n| (2..=100).contains(n));
    ensure!(
        sizes,
        "--replicas: expected sizes from 2 to 100, found {:?}",
        args.replicas
    );
    ensure!(args.seconds > 0, "--seconds: expected at least 1, found 0");
    let tx = (16..=4096).contains(&args.tx_bytes);
    ensure!(
        tx,
        "--tx-bytes: expected 16 to 4096, found {}",
        args.tx_bytes
    );
    let backend = args.backend.parse().map_err(anyhow::Error::msg)?;
    let mut all = Vec::new();
    for &replicas in &args.replicas {
        let plan = dissemination::Plan {
            replicas,
            backend,
            encryption: args.encryption,
            tx_bytes: args.tx_bytes,
            windows: args.seconds,
            ..dissemination::Plan::default()
        };
        let bound = dissemination::run(&plan)?;
        all.push(Dissemination {
            replicas,
            tps: bound.tps(),
            windows_tps: bound.windows_tps,
        });
    }
    let append = |len, count| -> Result<f64> {
        Ok(median(&disk::synced_appends_us(&args.dir, len, count)?))
    };
    let limits = Limits {
        dissemination: all,
        hash_bytes_per_s: hashing::bytes_per_s(SMALL),
        append_4k_us: append(BLOCK_LEN, APPENDS)?,
        append_512k_us: append(BATCH_LEN, APPENDS / 4)?,
    };
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&limits)?),
        false => print(&limits, args),
    }
    Ok(ExitCode::SUCCESS)
}

fn print(limits: &Limits, args: &Args) {
    println!(
        "dissemination alone, {} B transactions, {}, all replicas and the client here:",
        args.tx_bytes, args.backend
    );
    for one in &limits.dissemination {
        let worst = one.windows_tps.iter().copied().fold(f64::MAX, f64::min);
        let best = one.windows_tps.iter().copied().fold(0.0, f64::max);
        println!(
            "  n = {:<3} {:>9.0} tx/s   (windows of one second: {worst:.0} to {best:.0})",
            one.replicas, one.tps
        );
    }
    println!(
        "hashing (BLAKE3, one core)   {:.2} GB/s",
        limits.hash_bytes_per_s / 1e9
    );
    println!("synced append, 4 KiB         {:.0} us", limits.append_4k_us);
    println!(
        "synced append, 512 KiB       {:.0} us",
        limits.append_512k_us
    );
}
