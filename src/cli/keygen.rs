//! `reforge keygen`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};
use clap::builder::PossibleValuesParser;
use crypto::Addresses;
use types::{CommitRule, SchemeName};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Size of the committee.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=128))]
    replicas: u16,
    /// Folder for `committee.toml` and `keys/replica-<i>.toml` (mode 0600); nothing is overwritten.
    #[arg(long)]
    out: PathBuf,
    /// Scheme of the votes.
    #[arg(long, default_value = "bls", value_parser = PossibleValuesParser::new(["bls", "ed25519"]))]
    scheme: String,
    /// When a block is final.
    #[arg(long, default_value = "two-chain", value_parser = PossibleValuesParser::new(["two-chain", "three-chain"]))]
    rule: String,
    /// `host:port` of every replica for the others, in order; default: 127.0.0.1, from 7000 on.
    #[arg(long, value_delimiter = ',')]
    addresses: Vec<String>,
    /// `host:port` of every replica for clients, in order; default: 127.0.0.1, from 8000 on.
    #[arg(long, value_delimiter = ',')]
    client_addresses: Vec<String>,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let (Some(scheme), Some(rule)) = (
        SchemeName::from_name(&args.scheme),
        CommitRule::from_name(&args.rule),
    ) else {
        bail!("unknown scheme {:?} or rule {:?}", args.scheme, args.rule);
    };
    let n = usize::from(args.replicas);
    let peers = addresses("--addresses", &args.addresses, n, 7000)?;
    let clients = addresses("--client-addresses", &args.client_addresses, n, 8000)?;
    let addresses: Vec<Addresses> = peers
        .into_iter()
        .zip(clients)
        .map(|(peer, client)| Addresses { peer, client })
        .collect();
    let (committee, secrets) = crypto::keygen(scheme, rule, &addresses)?;
    crypto::write_keygen(&args.out, &committee, &secrets)?;
    println!("cluster {}", committee.cluster());
    println!("{}", args.out.join("committee.toml").display());
    Ok(ExitCode::SUCCESS)
}

fn addresses(flag: &str, given: &[String], n: usize, port: u16) -> Result<Vec<String>> {
    if given.is_empty() {
        return Ok((port..)
            .take(n)
            .map(|port| format!("127.0.0.1:{port}"))
            .collect());
    }
    ensure!(
        given.len() == n,
        "{flag}: expected {n} addresses, found {}; give one per replica",
        given.len()
    );
    for address in given {
        let port = address
            .rsplit_once(':')
            .map(|(host, port)| (host.is_empty(), port.parse::<u16>()));
        ensure!(
            matches!(port, Some((false, Ok(_)))),
            "{flag}: expected host:port, found {address:?}"
        );
    }
    Ok(given.to_vec())
}
