//! `reforge adversary`

use std::path::PathBuf;
use std::process::ExitCode;

use adversary::process::{ACTS, DoubleVoter, ToTwo, act_from_name, two_faced};
use adversary::split::{After, SplitPlan};
use anyhow::{Context, Result, bail};
use node::NodeConfig;
use types::{ReplicaId, SignerSet};

use crate::cli;

/// The act that needs more than one attacker.
const SPLIT: &str = "split";
/// The act for which a replica is evicted in band.
const DOUBLE_VOTE: &str = "double-vote";
/// Votes for which a double voter is honest first: links come up, load begins.
const HONEST_VOTES: u64 = 64;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration in TOML, as for `reforge node`.
    #[arg(long)]
    config: PathBuf,
    /// What the replica does wrong: `proposal-to-two` sends its own proposals to the two replicas
    /// that follow it by index, `silent-leader` sends none, `double-vote` votes for a second block
    /// beside each of its votes, `split` is one of a coalition of replicas
    /// that are two at once, one for each side.
    #[arg(long)]
    act: String,
    /// `split`: the correct replicas that face A talks to; whoever is on no side is an attacker.
    #[arg(long, value_delimiter = ',', required_if_eq("act", SPLIT))]
    side_a: Vec<u16>,
    /// `split`: the correct replicas that face B talks to.
    #[arg(long, value_delimiter = ',', required_if_eq("act", SPLIT))]
    side_b: Vec<u16>,
    /// `split`: until so long after the start it is one honest replica; not given: it never is.
    #[arg(long, default_value_t = 0)]
    split_after_ms: u64,
    /// `split`: from then on side B hears nothing for this long.
    #[arg(long, default_value_t = 0)]
    late_b_ms: u64,
    /// `split`: the histories commit in different views, so that no double vote convicts.
    #[arg(long)]
    apart: bool,
    /// `split`: what it does once a correct replica shows a proof of the split, or after
    /// `--heal-after-ms`: `silent`, `run` both faces on, or `join` the rest with face A.
    #[arg(long, default_value = "silent", value_parser = after)]
    after: After,
    /// `split`: ends the attack so long after the start, proof or not.
    #[arg(long)]
    heal_after_ms: Option<u64>,
}

fn after(text: &str) -> Result<After, String> {
    match text {
        "silent" => Ok(After::Silent),
        "run" => Ok(After::Run),
        "join" => Ok(After::Join(adversary::Plan::honest())),
        _ => Err(format!("expected silent, run or join, found `{text}`")),
    }
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let config = NodeConfig::read(&args.config)?;
    if args.act == SPLIT {
        cli::node::subscribe(&config.log)?;
        split(args, &config)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.act == DOUBLE_VOTE {
        cli::node::subscribe(&config.log)?;
        node::run_process(&config, |parts, setup| {
            let (epoch, sign) = (setup.epoch, parts.sign_vote.clone());
            parts.replica(|platform| DoubleVoter::new(platform, epoch, sign, HONEST_VOTES))
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let act = act_from_name(&args.act).with_context(|| {
        let known = ACTS.map(|act| act.name()).join(", ");
        format!(
            "--act: expected {known}, {DOUBLE_VOTE} or {SPLIT}, found {:?}",
            args.act
        )
    })?;
    cli::node::subscribe(&config.log)?;
    node::run_wrapped(&config, |platform, setup| {
        ToTwo::new(platform, setup.me, setup.epoch.n, act)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn split(args: &Args, config: &NodeConfig) -> Result<()> {
    let n = crypto::load_committee(&config.committee)?.n();
    let [a, b] = [&args.side_a, &args.side_b]
        .map(|side| -> SignerSet { side.iter().map(|seat| ReplicaId(*seat)).collect() });
    let (all, correct) = (SignerSet::all(n), a.union(b));
    if !correct.is_subset(all) || !a.intersection(b).is_empty() {
        bail!("--side-a, --side-b: expected different replicas below {n}, found {a:?} and {b:?}");
    }
    let ns = |ms: u64| ms.saturating_mul(1_000_000);
    let plan = SplitPlan {
        sides: [a, b],
        allies: all.difference(correct),
        faces: [true; 2],
        split_ns: ns(args.split_after_ms),
        late_ns: ns(args.late_b_ms),
        apart: args.apart,
        heal_ns: args.heal_after_ms.map_or(u64::MAX, ns),
        after: args.after,
        during: adversary::Plan::honest(),
    };
    node::run_process(config, |parts, setup| two_faced(plan, parts, setup.me))?;
    Ok(())
}
