//! All runs of a spec, one after the other, in one folder.

mod capacity;
mod resume;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use measure::files::{write_atomic, write_json};
use measure::{CampaignRecord, WallAnchor, folder, utc_stamp};

use crate::error::TestbedError;
use crate::interrupt::Interrupt;
use crate::local::Local;
use crate::netns::Netns;
use crate::plan::{Plan, time_of};
use crate::progress::{Progress, Silent};
use crate::provider::Provider;
use crate::run::{Run, io};
use crate::spec::find_probe;
use crate::spec::{Point, ProviderKind, Spec};
use crate::ssh::Ssh;
pub use capacity::Judge;
pub(crate) use capacity::probes_max;
use capacity::search;
use resume::Resumed;

/// Held by the process that works on a campaign.
const LOCK: &str = "campaign.lock";

/// Default of [`Options::stop_within`].
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// How a campaign is run, apart from its spec.
#[derive(Debug, Clone)]
pub struct Options {
    /// The campaign folder; absent: `runs/<name>-<UTC time>`.
    pub out: Option<PathBuf>,
    /// The program with the subcommands `keygen`, `node` and `load`.
    pub executable: PathBuf,
    /// The command that repeats the campaign, for the record.
    pub command: String,
    /// Who is told how it goes on.
    pub progress: Rc<dyn Progress>,
    /// Raised when the user wants to stop.
    pub interrupt: Interrupt,
    /// Time between SIGTERM and SIGKILL.
    pub stop_within: Duration,
    /// The hosts of provider `ssh`.
    pub inventory: Option<PathBuf>,
    /// Keep keys and journals of every run in its folder `scratch`.
    pub keep_scratch: bool,
    /// Go on with a campaign that another program or machine began.
    pub mix: bool,
    /// Another build of the program: it makes every run as well, in changing order, in a campaign of its
    /// own beside the first one. Provider `local` only.
    pub against: Option<PathBuf>,
    /// Says whether probes keep up; needed by specs with `[capacity]` only.
    pub judge: Option<Rc<dyn Judge>>,
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
            progress: Rc::new(Silent),
            interrupt: Interrupt::default(),
            stop_within: STOP_WITHIN,
            inventory: None,
            keep_scratch: false,
            mix: false,
            against: None,
            judge: None,
        })
    }
}

/// A campaign that was carried out as far as possible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// The campaign of [`Options::against`], absolute.
    pub against: Option<PathBuf>,
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
    start(spec, options, Extent::All)
}

/// One run of an earlier campaign again, by the name of its folder, in a new campaign.
///
/// # Errors
/// [`TestbedError::Setup`] when the spec has no such run; as [`run`].
pub fn run_again(spec: &Spec, name: &str, options: &Options) -> Result<Finished, TestbedError> {
    let mut points = spec.points().into_iter();
    let point = match spec.capacity {
        Some(_) => find_probe(spec, name),
        None => points.find(|point| point.name == name),
    };
    let point = point.ok_or_else(|| {
        TestbedError::Setup(format!(
            "expected a run of the spec {}, found none named {name}: was the folder renamed?",
            spec.name
        ))
    })?;
    start(spec, options, Extent::One(Box::new(point)))
}

/// How much of a spec is run.
enum Extent {
    All,
    One(Box<Point>),
}

fn start(spec: &Spec, options: &Options, extent: Extent) -> Result<Finished, TestbedError> {
    let begun = WallAnchor::now();
    let points = match (extent, spec.capacity) {
        (Extent::One(point), _) => Some(vec![*point]),
        (Extent::All, None) => Some(spec.points()),
        // Which runs there will be turns out as they are made.
        (Extent::All, Some(_)) => None,
    };
    let against = against(spec, options, points.is_some())?;
    let root = create_root(spec, options, begun)?;
    let runs = points.iter().flatten().map(|point| point.name.clone());
    let record = CampaignRecord {
        schema: measure::SCHEMA_VERSION,
        experiment: spec.name.clone(),
        spec_hash: spec.hash(),
        runs: runs.collect(),
        begun,
        command: options.command.clone(),
    };
    let mut sides = vec![(options.clone(), root.clone())];
    if let Some(options) = against {
        let root = create_root(spec, &options, begun)?;
        sides.push((options, root));
    }
    let mut locks = Vec::new();
    for (_, root) in &sides {
        // The spec first: whoever finds a plan finds what it is a plan of.
        write_atomic(&root.join(folder::SPEC), spec.resolved_toml().as_bytes())?;
        locks.push(lock(root)?);
        write_json(&root.join(folder::CAMPAIGN), &record)?;
    }
    match points {
        Some(points) => carry_out(spec, &sides, &points),
        None => find_capacity(spec, options, &root, record),
    }
}

/// Options of the other build's side. Its campaign lies beside the first one: `<out>-against`.
fn against(spec: &Spec, options: &Options, planned: bool) -> Result<Option<Options>, TestbedError> {
    let Some(program) = &options.against else {
        return Ok(None);
    };
    let refuse = |why: String| Err(TestbedError::Setup(why));
    if !program.is_file() {
        let program = program.display();
        return refuse(format!(
            "--against: expected another build of reforge, found no file {program}"
        ));
    }
    if spec.provider != ProviderKind::Local || !planned {
        return refuse(format!(
            "--against needs provider local and runs that are known before, found provider {}{}",
            spec.provider.name(),
            if planned { "" } else { " and [capacity]" }
        ));
    }
    let out = options.out.clone().ok_or_else(|| {
        TestbedError::Setup(
            "--against needs --out DIR; the other build's runs go to DIR-against".into(),
        )
    })?;
    let mut beside = out.into_os_string();
    beside.push("-against");
    Ok(Some(Options {
        out: Some(beside.into()),
        executable: program.canonicalize().map_err(io("resolve", program))?,
        against: None,
        ..options.clone()
    }))
}

/// Probes that are there already are taken as they are.
fn find_capacity(
    spec: &Spec,
    options: &Options,
    root: &Path,
    mut record: CampaignRecord,
) -> Result<Finished, TestbedError> {
    let (Some(goal), Some(judge)) = (spec.capacity, &options.judge) else {
        return Err(TestbedError::Setup(
            "expected somebody who judges the probes of [capacity], found nobody".into(),
        ));
    };
    let plan = Plan::of(spec);
    let probes = plan.runs.len() * probes_max(&goal) as usize;
    options.progress.begin(probes, plan.time());
    let mut provider = provider(spec, options)?;
    let mut done = Duration::ZERO;
    search(spec, goal, judge.as_ref(), root, |point| {
        let run_root = root.join(&point.name);
        if run_root.join(folder::SUMS).exists() {
            return Ok(true);
        }
        if options.interrupt.is_raised() {
            return Ok(false);
        }
        options
            .progress
            .position(done, plan.time().saturating_sub(done));
        done += time_of(spec, point);
        if !record.runs.contains(&point.name) {
            record.runs.push(point.name.clone());
            write_json(&root.join(folder::CAMPAIGN), &record)?;
        }
        Run::begin(spec, point, options, provider.as_mut(), &run_root)?.execute()?;
        Ok(!options.interrupt.is_raised())
    })?;
    options.progress.end();
    Ok(Finished {
        folder: root.to_path_buf(),
        against: None,
        interrupted: options.interrupt.is_raised(),
    })
}

/// Goes on with a campaign that ended early, from its folder alone. Runs that are sealed stay as they
/// are; what is left of others is moved into the folder `aside`.
///
/// # Errors
/// [`TestbedError::Setup`] when the folder is no campaign, its spec is another one than it began with,
/// another process works on it, or its runs were made by another program or on another machine; as [`run`].
pub fn resume(root: &Path, options: &Options) -> Result<Finished, TestbedError> {
    let resumed = Resumed::open(root)?;
    let _lock = lock(&resumed.root)?;
    let todo = resumed.prepare(options)?;
    // Every run names the command that repeats the whole campaign.
    let command = resumed.record.command.clone();
    let options = Options {
        command,
        ..options.clone()
    };
    let (spec, root) = (&resumed.spec, &resumed.root);
    if spec.capacity.is_some() {
        return find_capacity(spec, &options, root, resumed.record.clone());
    }
    let mut points = spec.points();
    points.retain(|point| todo.contains(&point.name));
    carry_out(spec, &[(options, root.clone())], &points)
}

/// Makes every point, on each side: in changing order, so that drift and warmth favour none.
fn carry_out(
    spec: &Spec,
    sides: &[(Options, PathBuf)],
    points: &[Point],
) -> Result<Finished, TestbedError> {
    let (options, root) = &sides[0];
    let mut provider = provider(spec, options)?;
    let mut todo: Vec<(&Point, &(Options, PathBuf))> = Vec::new();
    for (at, point) in points.iter().enumerate() {
        let from = todo.len();
        todo.extend(sides.iter().map(|side| (point, side)));
        if (at + point.repetition as usize) % 2 == 1 {
            todo[from..].reverse();
        }
    }
    let mut left: Duration = todo.iter().map(|(point, _)| time_of(spec, point)).sum();
    options.progress.begin(todo.len(), left);
    let (mut done, begun) = (Duration::ZERO, Instant::now());
    for (point, (options, root)) in todo {
        if options.interrupt.is_raised() {
            break;
        }
        options
            .progress
            .position(done, corrected(left, done, begun.elapsed()));
        let estimate = time_of(spec, point);
        done += estimate;
        left = left.saturating_sub(estimate);
        let run_root = root.join(&point.name);
        Run::begin(spec, point, options, provider.as_mut(), &run_root)?.execute()?;
    }
    options.progress.end();
    Ok(Finished {
        folder: root.clone(),
        against: sides.get(1).map(|(_, root)| root.clone()),
        interrupted: options.interrupt.is_raised(),
    })
}

/// Estimates turn out alike in one campaign.
fn corrected(left: Duration, done: Duration, took: Duration) -> Duration {
    match done.is_zero() {
        true => left,
        false => left.mul_f64((took.as_secs_f64() / done.as_secs_f64()).clamp(0.2, 5.0)),
    }
}

/// Two processes must not work on one campaign. The lock ends with the process that holds it.
fn lock(root: &Path) -> Result<File, TestbedError> {
    let path = root.join(LOCK);
    let file = File::create(&path).map_err(io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TestbedError::Setup(format!(
            "expected a campaign that nobody works on, found {} locked by another process; \
             wait for it, or end it",
            root.display()
        ))),
        Err(TryLockError::Error(source)) => Err(io("lock", &path)(source)),
    }
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
            "expected a new folder, found a campaign in {path}; choose another --out, or go on with it: \
             reforge resume {path}",
            path = root.display()
        )));
    }
    std::fs::create_dir_all(&root).map_err(io("create", &root))?;
    // Configurations name files by absolute paths, so that no process depends on a folder.
    root.canonicalize().map_err(io("resolve", &root))
}
