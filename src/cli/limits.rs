//! `reforge limits`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use bench::{disk, dissemination, hashing, hops, latency};
use crypto::{Bls, Ed25519Lists};
use crypto_bench::costs::{Costs, costs};
use measure::{BoundRecord, DisseminationBound, median};
use serde::Serialize;

/// How long each of the small ones is measured.
const SMALL: Duration = Duration::from_millis(500);
const APPENDS: usize = 200;
/// How long each signature operation is measured, and how many hops.
const SIGNATURES: Duration = Duration::from_millis(100);
const HOPS: usize = 1000;
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
    /// Dissemination only.
    #[arg(long)]
    dissemination_only: bool,
    /// Where synced appends are measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write JSON into this file and print nothing.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Limits {
    #[serde(flatten)]
    bound: BoundRecord,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    rest: Option<Rest>,
}

#[derive(Debug, Serialize)]
struct Rest {
    /// One-way, between two threads, over the chosen back end.
    hop_us: f64,
    signatures: Vec<Signatures>,
    hash_bytes_per_s: f64,
    append_4k_us: f64,
    append_512k_us: f64,
}

#[derive(Debug, Serialize)]
struct Signatures {
    replicas: u16,
    scheme: &'static str,
    #[serde(flatten)]
    costs: Costs,
    /// Least time from send to receipt, two-chain, all replicas on this machine's cores.
    latency_bound_us: f64,
    /// The same with a core for each.
    latency_bound_own_cores_us: f64,
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
        all.push(DisseminationBound {
            replicas: u32::from(replicas),
            tps: bound.tps(),
            windows_tps: bound.windows.iter().map(|window| window.tps).collect(),
        });
    }
    let rest = match args.dissemination_only {
        true => None,
        false => Some(rest(args, backend)?),
    };
    let limits = Limits {
        bound: BoundRecord { dissemination: all },
        rest,
    };
    match &args.out {
        Some(path) => measure::files::write_json(path, &limits)?,
        None if args.json => println!("{}", serde_json::to_string_pretty(&limits)?),
        None => print(&limits, args),
    }
    Ok(ExitCode::SUCCESS)
}

fn rest(args: &Args, backend: transport::Backend) -> Result<Rest> {
    let append = |len, count| -> Result<f64> {
        Ok(median(&disk::synced_appends_us(&args.dir, len, count)?))
    };
    let hop_us = hops::run(backend, 1, HOPS)?.hop_us();
    let sizes = args.replicas.iter();
    Ok(Rest {
        hop_us,
        signatures: sizes.flat_map(|n| signatures(*n, hop_us)).collect(),
        hash_bytes_per_s: hashing::bytes_per_s(SMALL),
        append_4k_us: append(BLOCK_LEN, APPENDS)?,
        append_512k_us: append(BATCH_LEN, APPENDS / 4)?,
    })
}

/// Cars and proposals are signed with Ed25519 under both schemes.
fn signatures(replicas: u16, hop_us: f64) -> [Signatures; 2] {
    let n = usize::from(replicas);
    let (bls, lists) = (
        costs::<Bls>(n, SIGNATURES),
        costs::<Ed25519Lists>(n, SIGNATURES),
    );
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let of = |scheme, costs: Costs| {
        let steps = latency::Steps {
            hop_us,
            link_sign_us: lists.sign_us,
            link_verify_us: lists.verify_share_us,
            vote_sign_us: costs.sign_us,
            aggregate_us: costs.aggregate_us,
            verify_certificate_us: costs.verify_certificate_us,
        };
        Signatures {
            replicas,
            scheme,
            costs,
            latency_bound_us: latency::bound_us(n, cores, &steps),
            latency_bound_own_cores_us: latency::bound_us(n, usize::MAX, &steps),
        }
    };
    [of("bls", bls), of("ed25519", lists)]
}

fn print(limits: &Limits, args: &Args) {
    println!(
        "dissemination alone, {} B transactions, {}, all replicas and the client here:",
        args.tx_bytes, args.backend
    );
    for one in &limits.bound.dissemination {
        let worst = one.windows_tps.iter().copied().fold(f64::MAX, f64::min);
        let best = one.windows_tps.iter().copied().fold(0.0, f64::max);
        println!(
            "  n = {:<3} {:>9.0} tx/s   (windows of one second: {worst:.0} to {best:.0})",
            one.replicas, one.tps
        );
    }
    let Some(rest) = &limits.rest else {
        return;
    };
    println!("a hop between two threads    {:.0} us", rest.hop_us);
    println!("signatures, one core, us; and the least latency of two-chain, ms:");
    println!(
        "                  sign  check share  add up a quorum  check a certificate  bound  with a core each"
    );
    for one in &rest.signatures {
        let costs = &one.costs;
        println!(
            "  n = {:<3} {:<8} {:>5.0}  {:>11.0}  {:>15.0}  {:>19.0}  {:>5.1}  {:>16.1}",
            one.replicas,
            one.scheme,
            costs.sign_us,
            costs.verify_share_us,
            costs.aggregate_us,
            costs.verify_certificate_us,
            one.latency_bound_us / 1e3,
            one.latency_bound_own_cores_us / 1e3,
        );
    }
    println!(
        "hashing (BLAKE3, one core)   {:.2} GB/s",
        rest.hash_bytes_per_s / 1e9
    );
    println!("synced append, 4 KiB         {:.0} us", rest.append_4k_us);
    println!("synced append, 512 KiB       {:.0} us", rest.append_512k_us);
}
