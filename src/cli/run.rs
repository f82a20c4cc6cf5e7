//! `reforge run` and `reforge quick`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::Result;
use testbed::{Bar, Finished, Interrupt, Options, Spec, TestbedError};

use super::{judge, plan, report};

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// Experiment spec in TOML.
    spec: PathBuf,
    #[command(flatten)]
    common: QuickArgs,
    /// Another build of reforge: it makes every run as well, in changing order, into the folder given
    /// with --out, followed by `-against`; at the end the two are compared.
    #[arg(long, value_name = "PROGRAM", requires = "out")]
    against: Option<PathBuf>,
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
    /// Writes the page of `reforge report` into the folder as well.
    #[arg(long)]
    report: bool,
    /// Prints the plan (runs in their order, time, disk) and starts nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, clap::Args)]
pub struct ResumeArgs {
    /// Folder of a campaign that ended early: by Ctrl-C, a crash, `kill -9`.
    folder: PathBuf,
    /// Keeps keys and journals of every run.
    #[arg(long)]
    keep_scratch: bool,
    /// Goes on although the program or the machine is another one than the one that began.
    #[arg(long)]
    mix: bool,
}

impl QuickArgs {
    fn overrides(&self) -> Vec<String> {
        let provider = self.provider.iter().map(|name| format!("provider={name}"));
        self.set.iter().cloned().chain(provider).collect()
    }
}

pub fn run(args: &RunArgs) -> Result<ExitCode> {
    let spec = Spec::load(&args.spec, &args.common.overrides())?;
    carry_out(&spec, &args.common, args.against.clone())
}

pub fn quick(args: &QuickArgs) -> Result<ExitCode> {
    carry_out(&testbed::quick_spec(&args.overrides())?, args, None)
}

/// Goes on with what the folder says; no spec is given that could be another one.
pub fn resume(args: &ResumeArgs) -> Result<ExitCode> {
    let options = Options {
        mix: args.mix,
        ..options(args.keep_scratch)?
    };
    tell(testbed::resume(&args.folder, &options), false)
}

fn carry_out(spec: &Spec, args: &QuickArgs, against: Option<PathBuf>) -> Result<ExitCode> {
    if args.dry_run {
        print!("{}", plan::text(spec));
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options {
        out: args.out.clone(),
        inventory: args.inventory.clone(),
        against,
        ..options(args.keep_scratch)?
    };
    tell(testbed::run(spec, &options), args.report)
}

/// Whether a probe keeps up is what `results` say of its folder.
#[derive(Debug)]
struct FromResults;

impl testbed::Judge for FromResults {
    fn keeps_up(&self, run_root: &Path) -> bool {
        results::judge(run_root)
            .runs
            .first()
            .is_some_and(results::keeps_up)
    }
}

/// Options of a campaign that a user watches.
pub fn options(keep_scratch: bool) -> Result<Options> {
    Ok(Options {
        progress: Rc::new(Bar::default()),
        interrupt: Interrupt::on_signals()?,
        keep_scratch,
        judge: Some(Rc::new(FromResults)),
        ..Options::of_this_program(command_line())?
    })
}

/// Judges and tells, with a `page` for a browser if asked. The last line of standard output is the folder, whatever the verdict.
pub fn tell(finished: Result<Finished, TestbedError>, page: bool) -> Result<ExitCode> {
    let finished = finished?;
    let mut code = judge::tell(&finished.folder)?;
    if let Some(against) = &finished.against {
        judge::tell(against)?;
        let comparison = results::compare(&finished.folder, against, false)?;
        print!("{}", results::compare::text(&comparison));
        code = ExitCode::from(comparison.verdict.exit_code());
        println!("{}", against.display());
    }
    if page {
        report::write(&finished.folder, None)?;
    }
    if finished.interrupted {
        eprintln!("to go on: reforge resume {}", finished.folder.display());
    }
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
