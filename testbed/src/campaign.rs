//! All runs of a spec, one after the other, in one folder.

use std::path::{Path, PathBuf};
use std::time::Duration;

use measure::files::{write_atomic, write_json};
use measure::{CampaignRecord, WallAnchor, folder};

use crate::error::TestbedError;
use crate::interrupt::Interrupt;
use crate::local::Local;
use crate::netns::Netns;
use crate::progress::{Progress, Silent};
use crate::provider::Provider;
use crate::run::{Run, io};
use crate::spec::{Point, ProviderKind, Spec};
use crate::ssh::Ssh;

/// Start, readiness and stop of one run, roughly; for the estimate only.
const OVERHEAD: Duration = Duration::from_secs(4);

/// Default of [`Options::stop_within`].
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How a campaign is run, apart from its spec.
#[derive(Debug)]
pub struct Options {
    /// The campaign folder; absent: `runs/<name>-<UTC time>`.
    pub out: Option<PathBuf>,
    /// The program with the subcommands `keygen`, `node` and `load`.
    pub executable: PathBuf,
    /// The command that repeats the campaign, for the record.
    pub command: String,
    /// Who is told how it goes on.
    pub progress: Box<dyn Progress>,
    /// Raised when the user wants to stop.
    pub interrupt: Interrupt,
    /// Time between SIGTERM and SIGKILL.
    pub stop_within: Duration,
    /// The hosts of provider `ssh`.
    pub inventory: Option<PathBuf>,
    /// Keep keys and journals of every run in its folder `scratch`.
    pub keep_scratch: bool,
}

impl Options {
    /// Options with the running program as the executable, silent and not interruptible.
    ///
    /// # Errors
    /// [`TestbedError::Io`] when the running program's path cannot be found out.
    pub fn of_this_program(command: String) -> Result<Self, TestbedError> {
        let executable =
            std::env::current_exe().map_err(io("find", Path::new("/proc/self/exe")))?;
        Ok(Self {
            out: None,
            executable,
            command,
            progress: Box::new(Silent),
            interrupt: Interrupt::default(),
            stop_within: STOP_WITHIN,
            inventory: None,
            keep_scratch: false,
        })
    }
}

/// A campaign that was carried out as far as possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// True when the user ended it early; the folder is sealed and readable all the same.
    pub interrupted: bool,
}

/// Runs every point of a spec and returns the campaign folder.
///
/// A system that fails to start, crashes or stalls is part of the record and no error: judge the
/// folder with `results`.
///
/// # Errors
/// [`TestbedError`] when the record itself cannot be written.
pub fn run(spec: &Spec, options: &Options) -> Result<Finished, TestbedError> {
    let mut provider = provider(spec, options)?;
    let begun = WallAnchor::now();
    let root = create_root(spec, options, begun)?;
    let points = spec.points();
    let record = CampaignRecord {
        schema: measure::SCHEMA_VERSION,
        experiment: spec.name.clone(),
        spec_hash: spec.hash(),
        runs: points.iter().map(|point| point.name.clone()).collect(),
        begun,
        command: options.command.clone(),
    };
    write_atomic(&root.join(folder::SPEC), spec.resolved_toml().as_bytes())?;
    write_json(&root.join(folder::CAMPAIGN), &record)?;

    let load = &spec.load;
    let load_s = load.warmup_s + load.duration_s + load.cooldown_s.min(2.0);
    let estimate = |point: &Point| {
        // A drill waits until its replicas had time to become ready.
        let drill = point.drill.map_or(Duration::ZERO, |_| {
            crate::run::drill_ready_within(point.replicas)
        });
        OVERHEAD + drill + Duration::from_secs_f64(load_s)
    };
    let total = points.iter().map(estimate).sum();
    options.progress.begin(points.len(), total);
    let mut done = Duration::ZERO;
    for point in &points {
        if options.interrupt.is_raised() {
            break;
        }
        options.progress.position(done);
        done += estimate(point);
        let run_root = root.join(&point.name);
        Run::begin(spec, point, options, provider.as_mut(), &run_root)?.execute()?;
    }
    options.progress.end();
    Ok(Finished {
        folder: root,
        interrupted: options.interrupt.is_raised(),
    })
}

/// Made first: where it cannot be had, there is nothing to record.
fn provider(spec: &Spec, options: &Options) -> Result<Box<dyn Provider>, TestbedError> {
    let of_ssh = spec.provider == ProviderKind::Ssh;
    if let (false, Some(path)) = (of_ssh, &options.inventory) {
        return Err(TestbedError::Setup(format!(
            "--inventory {} is for provider ssh, found {}",
            path.display(),
            spec.provider.name()
        )));
    }
    Ok(match spec.provider {
        ProviderKind::Local => Box::new(Local::default()),
        ProviderKind::Netns => Box::new(Netns::new(&spec.network)?),
        ProviderKind::Ssh => {
            let path = options.inventory.as_deref().ok_or_else(|| {
                TestbedError::Setup(
                    "provider ssh needs hosts: give --inventory FILE, see docs/providers.md".into(),
                )
            })?;
            Box::new(Ssh::new(path, &options.executable)?)
        }
    })
}

fn create_root(spec: &Spec, options: &Options, begun: WallAnchor) -> Result<PathBuf, TestbedError> {
    let root = options.out.clone().unwrap_or_else(|| {
        Path::new("runs").join(format!("{}-{}", spec.name, utc_stamp(begun.unix_ns)))
    });
    if root.join(folder::CAMPAIGN).exists() {
        return Err(TestbedError::Setup(format!(
            "expected a new folder, found a campaign in {}; choose another --out",
            root.display()
        )));
    }
    std::fs::create_dir_all(&root).map_err(io("create", &root))?;
    // Configurations name files by absolute paths, so that no process depends on a folder.
    root.canonicalize().map_err(io("resolve", &root))
}

/// `20261122T231551Z` of Unix nanoseconds. The calendar is the proleptic Gregorian one, by
/// Hinnant's `civil_from_days`.
fn utc_stamp(unix_ns: u64) -> String {
    let seconds = unix_ns / 1_000_000_000;
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = (shifted_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests;
