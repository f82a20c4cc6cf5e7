//! `reforge run` and `reforge quick`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use testbed::{Bar, Interrupt, Options, Spec};

use super::judge;

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Experiment spec in TOML.
    spec: PathBuf,
    #[command(flatten)]
    common: QuickArgs,
}

#[derive(Debug, clap::Args)]
pub struct QuickArgs {
    /// Folder of the campaign; default: runs/<name>-<UTC time>.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Replaces one key of the spec; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Where processes run: local, netns or ssh; as `--set provider=NAME`.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The hosts of provider ssh, in TOML (docs/providers.md).
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Keeps keys and journals of every run.
    #[arg(long)]
    keep_scratch: bool,
}

impl QuickArgs {
    fn overrides(&self) -> Vec<String> {
        let provider = self.provider.iter().map(|name| format!("provider={name}"));
        self.set.iter().cloned().chain(provider).collect()
    }
}

pub fn run(args: &RunArgs) -> Result<ExitCode> {
    carry_out(
        &Spec::load(&args.spec, &args.common.overrides())?,
        &args.common,
    )
}

pub fn quick(args: &QuickArgs) -> Result<ExitCode> {
    carry_out(&testbed::quick_spec(&args.overrides())?, args)
}

/// Runs, judges, tells. The last line of standard output is the folder, whatever the verdict.
fn carry_out(spec: &Spec, args: &QuickArgs) -> Result<ExitCode> {
    let options = Options {
        out: args.out.clone(),
        progress: Box::new(Bar::default()),
        interrupt: Interrupt::on_signals()?,
        keep_scratch: args.keep_scratch,
        inventory: args.inventory.clone(),
        ..Options::of_this_program(command_line())?
    };
    let finished = testbed::run(spec, &options)?;
    let code = judge::tell(&finished.folder)?;
    println!("{}", finished.folder.display());
    Ok(code)
}

/// The command as it was given, quoted where a shell needs it.
fn command_line() -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    let quote = |argument: String| match !argument.is_empty() && argument.chars().all(plain) {
        true => argument,
        false => format!("'{}'", argument.replace('\'', r"'\''")),
    };
    let arguments = std::env::args().skip(1).map(quote);
    std::iter::once("reforge".to_owned())
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}
