//! A campaign folder that was left before its end: what of it stands, and what is to be run.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use measure::event::read_events;
use measure::files::{JsonLines, read_json};
use measure::{CampaignRecord, EventKind, Fingerprint, RunFolder, SealState, WallAnchor, folder};
use serde::{Deserialize, Serialize};

use super::Options;
use crate::error::TestbedError;
use crate::run::io;
use crate::spec::Spec;

/// Remains of runs that did not come to their end.
const ASIDE: &str = "aside";
/// One line for every time that a campaign was gone on with.
const RESUMED: &str = "resumed.jsonl";
/// Processes of a killed orchestrator end by themselves, within 10 s.
const ENDED_WITHIN: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A line of `resumed.jsonl`.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at: WallAnchor,
    /// Runs that were there already.
    kept: usize,
    /// Where remains went, relative to the campaign folder.
    aside: Vec<String>,
    binary_hash: Option<String>,
}

/// A campaign to be gone on with.
pub(super) struct Resumed {
    pub(super) root: PathBuf,
    pub(super) spec: Spec,
    pub(super) record: CampaignRecord,
}

/// What is there of one run.
enum Found {
    Nothing,
    Whole,
    /// Why it is none.
    Remains(String),
}

impl Resumed {
    /// Reads plan and spec, which have to belong together.
    pub(super) fn open(root: &Path) -> Result<Self, TestbedError> {
        if !root.join(folder::CAMPAIGN).is_file() {
            return Err(TestbedError::Setup(format!(
                "expected the folder of a campaign with its {}, found none in {}; name the folder that \
                 `reforge run` printed or was given as --out",
                folder::CAMPAIGN,
                root.display()
            )));
        }
        let root = root.canonicalize().map_err(io("resolve", root))?;
        let record: CampaignRecord = read_json(&root.join(folder::CAMPAIGN), "campaign")?;
        let spec = Spec::load(&root.join(folder::SPEC), &[])?;
        if spec.hash() != record.spec_hash {
            return Err(TestbedError::Setup(format!(
                "{}: expected the spec that the campaign began with ({}), found another one ({}); \
                 put it back, or begin a new campaign with `reforge run`",
                root.join(folder::SPEC).display(),
                short(&record.spec_hash),
                short(&spec.hash()),
            )));
        }
        Ok(Self { root, spec, record })
    }

    /// Moves remains aside, and names the planned runs that are to be made.
    pub(super) fn prepare(&self, options: &Options) -> Result<Vec<String>, TestbedError> {
        let here = Fingerprint::collect();
        let (mut todo, mut remains, mut kept) = (Vec::new(), Vec::new(), 0);
        for name in &self.record.runs {
            let root = self.root.join(name);
            match self.look(&root)? {
                Found::Whole => {
                    if !options.mix {
                        self.refuse_unlike(&root, &here)?;
                    }
                    kept += 1;
                    continue;
                }
                Found::Remains(why) => remains.push((name.clone(), why)),
                Found::Nothing => {}
            }
            todo.push(name.clone());
        }
        // Nothing is moved before everything was found to be in order.
        let mut aside = Vec::new();
        for (name, why) in remains {
            await_end_of_processes(&self.root.join(&name))?;
            let place = self.set_aside(&name)?;
            options
                .progress
                .say(&format!("{name} ({why}) is now {place}"));
            aside.push(place);
        }
        options.progress.say(&format!(
            "{kept} runs are kept, {} are to be made",
            todo.len()
        ));
        JsonLines::open(&self.root.join(RESUMED))?.append(&Line {
            at: WallAnchor::now(),
            kept,
            aside,
            binary_hash: here.binary_hash,
        })?;
        Ok(todo)
    }

    fn look(&self, root: &Path) -> Result<Found, TestbedError> {
        let remains = |why: &str| Ok(Found::Remains(why.into()));
        if !root.exists() {
            return Ok(Found::Nothing);
        }
        let run = RunFolder::open(root);
        match run.seal_state()? {
            SealState::Unsealed => return remains("without a seal: cut off before its end"),
            SealState::Broken(files) => {
                return remains(&format!(
                    "changed since it was sealed: {}",
                    files.join(", ")
                ));
            }
            SealState::Intact => {}
        }
        if run.read_run()?.spec_hash != self.record.spec_hash {
            return remains("of another spec");
        }
        let events = read_events(&run.path(folder::EVENTS))?;
        match events.iter().any(|e| e.kind == EventKind::Interrupted) {
            true => remains("interrupted by the user"),
            false => Ok(Found::Whole),
        }
    }

    /// Pairs of runs of two programs or machines are no pairs.
    fn refuse_unlike(&self, root: &Path, here: &Fingerprint) -> Result<(), TestbedError> {
        let path = root.join(folder::FINGERPRINT);
        let then: Fingerprint = read_json(&path, "fingerprint")?;
        let machine = then.unlike_machine(here);
        let mut unlike = machine.clone();
        // A commit that moved on without a new binary changes nothing.
        if then.binary_hash != here.binary_hash {
            unlike.extend(then.unlike_program(here));
        }
        match unlike.is_empty() {
            true => Ok(()),
            false => Err(TestbedError::Setup(format!(
                "expected the program and machine that made the runs in {}, found others ({}); build that \
                 commit, begin a new campaign, or mix them knowingly with --mix",
                self.root.display(),
                unlike.join("; ")
            ))),
        }
    }

    fn set_aside(&self, name: &str) -> Result<String, TestbedError> {
        let aside = self.root.join(ASIDE);
        std::fs::create_dir_all(&aside).map_err(io("create", &aside))?;
        let place = (1u32..)
            .map(|k| format!("{ASIDE}/{name}.{k}"))
            .find(|place| !self.root.join(place).exists())
            .unwrap_or_default();
        let from = self.root.join(name);
        std::fs::rename(&from, self.root.join(&place)).map_err(io("set aside", &from))?;
        Ok(place)
    }
}

/// An orchestrator that was killed cannot have waited for its children: they would write into folders that
/// move, and take time from the next run.
fn await_end_of_processes(root: &Path) -> Result<(), TestbedError> {
    let Ok(events) = read_events(&root.join(folder::EVENTS)) else {
        return Ok(());
    };
    let deadline = Instant::now() + ENDED_WITHIN;
    for event in events {
        let EventKind::ProcessStarted { name, pid } = event.kind else {
            continue;
        };
        while is_of(pid, root) {
            if Instant::now() >= deadline {
                return Err(TestbedError::Setup(format!(
                    "expected {name} of the run in {} to have ended, found process {pid} alive; end it \
                     (kill {pid}) and resume again",
                    root.display()
                )));
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
    Ok(())
}

/// Ids are given out again: only a process with a file of the run among its arguments is meant.
fn is_of(pid: u32, root: &Path) -> bool {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let of = |argument: &[u8]| Path::new(&*String::from_utf8_lossy(argument)).starts_with(root);
    arguments.split(|byte| *byte == 0).any(of)
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
