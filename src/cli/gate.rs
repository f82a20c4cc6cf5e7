//! `reforge gate`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use measure::files::{read_json, write_json};
use results::gate::{Baseline, GateReport, Key, gate, gate_against, read_counts};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Counts as gungraun prints them (`just count`).
    #[arg(required_unless_present_any = ["find", "cpu"])]
    counts: Option<PathBuf>,
    /// Folder of the accepted counts.
    #[arg(long, default_value = "results/baselines")]
    baselines: PathBuf,
    /// Accepts the counts: writes them as the baseline of this toolchain and machine.
    #[arg(long)]
    bless: bool,
    /// Compares with these counts of another revision in place of a baseline.
    #[arg(long, conflicts_with = "bless", value_name = "COUNTS")]
    against: Option<PathBuf>,
    /// Prints the baseline that fits here; exit code 12 if there is none.
    #[arg(long)]
    find: bool,
    /// Prints the features of the CPU by which code dispatches; for use under valgrind.
    #[arg(long, hide = true)]
    cpu: bool,
}

pub fn main(args: &Args) -> Result<ExitCode> {
    if args.cpu {
        println!("{}", cpu().join(" "));
        return Ok(ExitCode::SUCCESS);
    }
    let Some(counts) = &args.counts else {
        let key = key()?;
        return Ok(match find(&args.baselines, &key)? {
            Some((path, _)) => {
                println!("{}", path.display());
                ExitCode::SUCCESS
            }
            None => no_baseline(&key),
        });
    };
    let counts = read(counts)?;
    if let Some(base) = &args.against {
        return Ok(tell(&gate_against(&counts, &read(base)?)));
    }
    let key = key()?;
    let found = find(&args.baselines, &key)?;
    if args.bless {
        ensure!(
            !counts.is_empty(),
            "there is not one count to accept: `just count` first"
        );
        let path = match &found {
            Some((path, _)) => path.clone(),
            None => free_name(&args.baselines, &key),
        };
        let before = found.as_ref().map(|(_, baseline)| baseline);
        write_json(&path, &Baseline::bless(key, beside(), &counts, before))?;
        println!(
            "{} counts accepted in {}: commit it",
            counts.len(),
            path.display()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let Some((path, baseline)) = found else {
        return Ok(no_baseline(&key));
    };
    println!("beside {}", path.display());
    let here = beside();
    for (what, before) in &baseline.beside {
        let now = here.get(what).map_or("nothing", String::as_str);
        if now != before {
            println!("note: {what} is {now:?}, the baseline was counted with {before:?}");
        }
    }
    Ok(tell(&gate(&counts, &baseline)))
}

fn no_baseline(key: &Key) -> ExitCode {
    println!(
        "no baseline fits {}, {}, {} with {}: this is no pass; `just bless` makes one, commit it",
        key.rustc,
        key.valgrind,
        key.arch,
        key.cpu.join(" ")
    );
    ExitCode::from(results::Verdict::Inconclusive.exit_code())
}

fn read(path: &Path) -> Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    read_counts(&text).with_context(|| path.display().to_string())
}

/// The accepted counts of `key`.
fn find(folder: &Path, key: &Key) -> Result<Option<(PathBuf, Baseline)>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let baseline: Baseline = read_json(&path, "baseline")?;
            if baseline.key == *key {
                return Ok(Some((path, baseline)));
            }
        }
    }
    Ok(None)
}

fn free_name(folder: &Path, key: &Key) -> PathBuf {
    let rustc = key.rustc.split(' ').nth(1).unwrap_or("unknown");
    let name = format!("{}-rustc-{rustc}-{}", key.arch, key.valgrind);
    (1..)
        .map(|number| match number {
            1 => folder.join(format!("{name}.json")),
            number => folder.join(format!("{name}-{number}.json")),
        })
        .find(|path| !path.exists())
        .unwrap_or_default()
}

fn key() -> Result<Key> {
    let this = std::env::current_exe()?;
    let this = this.to_string_lossy();
    // What counts is the CPU that valgrind shows, not the one below it.
    let cpu = output("valgrind", &["-q", "--tool=none", &this, "gate", "--cpu"])?;
    Ok(Key {
        rustc: output("rustc", &["--version"])?,
        valgrind: output("valgrind", &["--version"])?,
        arch: std::env::consts::ARCH.to_owned(),
        cpu: cpu.split_whitespace().map(str::to_owned).collect(),
    })
}

/// What moves counts by little: told when it differs.
fn beside() -> BTreeMap<String, String> {
    let tools = [
        ("libc", "getconf", ["GNU_LIBC_VERSION"]),
        ("cc", "cc", ["-dumpfullversion"]),
    ];
    let found = |(name, tool, args): &(&str, &str, [&str; 1])| {
        Some(((*name).to_owned(), output(tool, args).ok()?))
    };
    tools.iter().filter_map(found).collect()
}

fn output(tool: &str, args: &[&str]) -> Result<String> {
    let hint = || format!("expected `{tool}` to be installed and to run");
    let output = Command::new(tool).args(args).output().with_context(hint)?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{}: {}", hint(), why.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Of the features that this tree, its libraries or libc choose code by.
fn cpu() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! present {
            ($($name:tt),*) => {
                [$(($name, std::arch::is_x86_feature_detected!($name))),*]
            };
        }
        let all = present!(
            "sse3",
            "ssse3",
            "sse4.1",
            "sse4.2",
            "popcnt",
            "aes",
            "pclmulqdq",
            "avx",
            "avx2",
            "fma",
            "bmi1",
            "bmi2",
            "lzcnt",
            "movbe",
            "adx",
            "sha",
            "vaes",
            "vpclmulqdq",
            "avx512f",
            "avx512bw",
            "avx512vl",
            "avx512ifma"
        );
        all.iter()
            .filter(|(_, is)| *is)
            .map(|(name, _)| *name)
            .collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

fn tell(report: &GateReport) -> ExitCode {
    let width = report.paths.iter().map(|path| path.name.len()).max();
    let width = width.unwrap_or_default();
    let number = |n: Option<u64>| n.map_or("-".to_owned(), |n| n.to_string());
    for path in &report.paths {
        let change = path
            .change()
            .map(|change| format!("{:+.2} %", change * 100.0));
        println!(
            "{:<width$} {:>12} {:>12} {:>10}",
            path.name,
            number(path.before),
            number(path.now),
            change.unwrap_or_default()
        );
    }
    report
        .notes
        .iter()
        .for_each(|note| println!("note: {note}"));
    for reason in &report.reasons {
        println!("{}: {}", reason.verdict.name(), reason.text);
    }
    println!("verdict: {}", report.verdict.name());
    ExitCode::from(report.verdict.exit_code())
}
