//! `reforge adversary`

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use adversary::process::{ACTS, DoubleVoter, SplitOrder, ToTwo, act_from_name, two_faced};
use adversary::split::After;
use anyhow::{Context, Result, bail};
use node::NodeConfig;
use types::{ReplicaId, SignerSet};

use crate::cli;

/// Votes for which a double voter is honest first: links come up, load begins.
const HONEST_VOTES: u64 = 64;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration in TOML, as for `reforge node`.
    #[arg(long)]
    config: PathBuf,
    /// What the replica does wrong: `proposal-to-two` sends its own proposals to the two replicas
    /// that follow it by index, `silent-leader` sends none, `double-vote` votes for a second block
    /// beside each of its votes, `split` is two replicas at once, one for each side.
    #[arg(long)]
    act: String,
    /// `split`: correct replicas of side A, by index, separated by commas. All who are on no side
    /// are attackers.
    #[arg(long, value_delimiter = ',')]
    side_a: Vec<u16>,
    #[arg(long, value_delimiter = ',')]
    side_b: Vec<u16>,
    /// `split`: honest for so long.
    #[arg(long, default_value_t = 0)]
    split_after_ms: u64,
    /// `split`: side B hears nothing for so long after that.
    #[arg(long, default_value_t = 0)]
    late_b_ms: u64,
    /// `split`: the histories commit in different views, so that no double vote convicts.
    #[arg(long)]
    apart: bool,
    /// `split`: what it does once a correct replica knows: `silent`, `run` (both faces go on) or
    /// `join` (one face takes part in the recovery).
    #[arg(long, default_value = "silent")]
    after: String,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    let config = NodeConfig::read(&args.config)?;
    let act = args.act.as_str();
    let order = (act == "split").then(|| args.order()).transpose()?;
    let bent = act_from_name(act);
    if order.is_none() && bent.is_none() && act != "double-vote" {
        let known = ACTS.map(|act| act.name()).join(", ");
        bail!("--act: expected {known}, double-vote or split, found {act:?}");
    }
    cli::node::subscribe(&config.log)?;
    match (order, bent) {
        (Some(order), _) => {
            node::run_process(&config, |parts, setup| two_faced(parts, setup, &order))?
        }
        (None, Some(act)) => node::run_wrapped(&config, |platform, setup| {
            ToTwo::new(platform, setup.me, setup.epoch.n, act)
        })?,
        (None, None) => node::run_process(&config, |parts, setup| {
            let (epoch, sign) = (setup.epoch, parts.sign_vote.clone());
            parts.replica(|platform| DoubleVoter::new(platform, epoch, sign, HONEST_VOTES))
        })?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn order(&self) -> Result<SplitOrder> {
        let side = |name: &str, list: &[u16]| -> Result<SignerSet> {
            if list.is_empty() {
                bail!("--{name}: expected the indices of at least one correct replica");
            }
            let bad = list
                .iter()
                .find(|id| usize::from(**id) >= types::limits::REPLICAS_MAX);
            if let Some(bad) = bad {
                bail!("--{name}: {bad} is no replica's index");
            }
            Ok(list.iter().map(|id| ReplicaId(*id)).collect())
        };
        let sides = [side("side-a", &self.side_a)?, side("side-b", &self.side_b)?];
        if !sides[0].intersection(sides[1]).is_empty() {
            bail!("--side-a, --side-b: a replica is on both sides");
        }
        let after = match self.after.as_str() {
            "silent" => Some(After::Silent),
            "run" => Some(After::Run),
            "join" => Some(After::Join(adversary::Plan::honest())),
            _ => None,
        };
        Ok(SplitOrder {
            sides,
            split_after: Duration::from_millis(self.split_after_ms),
            late_b: Duration::from_millis(self.late_b_ms),
            apart: self.apart,
            after: after.with_context(|| {
                format!(
                    "--after: expected silent, run or join, found {:?}",
                    self.after
                )
            })?,
        })
    }
}
