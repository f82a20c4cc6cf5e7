//! CPU profiles of a window: flamegraph and folded stacks, begun by the config or by SIGUSR2.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::path::PathBuf;

use pprof::{ProfilerGuard, ProfilerGuardBuilder, Report};

use crate::config::ProfileSection;

/// Takes profiles one after the other. All calls from the replica's thread; sampling itself is by
/// signal, and covers all threads by the CPU time they use.
pub struct Profiler {
    section: ProfileSection,
    dir: PathBuf,
    /// When the configured window begins; taken once.
    due_ns: Option<u64>,
    running: Option<(ProfilerGuard<'static>, u64)>,
    taken: u32,
}

impl Profiler {
    /// `dir`: where profiles go.
    pub fn new(section: ProfileSection, dir: PathBuf, now_ns: u64) -> Profiler {
        let due_ns = section.after_s.map(|s| now_ns + s * 1_000_000_000);
        Profiler {
            section,
            dir,
            due_ns,
            running: None,
            taken: 0,
        }
    }

    /// Begins and ends windows that are due.
    pub fn tick(&mut self, now_ns: u64) {
        if self.due_ns.is_some_and(|due_ns| now_ns >= due_ns) {
            self.due_ns = None;
            self.begin(now_ns);
        }
        if self
            .running
            .as_ref()
            .is_some_and(|(_, end_ns)| now_ns >= *end_ns)
        {
            self.end();
        }
    }

    /// SIGUSR2: begins a window, or ends the one that is running.
    pub fn toggle(&mut self, now_ns: u64) {
        match self.running {
            None => self.begin(now_ns),
            Some(_) => self.end(),
        }
    }

    /// Ends a running window and writes it. A profile is an extra: failures are logged, not fatal.
    pub fn end(&mut self) {
        let Some((guard, _)) = self.running.take() else {
            return;
        };
        let base = self.dir.join(format!("profile-{}", self.taken));
        self.taken += 1;
        match guard.report().build() {
            Ok(report) => match write(&report, &base) {
                Ok(()) => tracing::info!(path = %base.display(), "profile written (.svg, .folded)"),
                Err(error) => {
                    tracing::error!(%error, path = %base.display(), "profile not written")
                }
            },
            Err(error) => tracing::error!(%error, "profile lost"),
        }
    }

    fn begin(&mut self, now_ns: u64) {
        if self.running.is_some() {
            return;
        }
        let hz = i32::try_from(self.section.hz).unwrap_or(i32::MAX);
        // Unwinding through these can deadlock in the signal handler.
        let blocklist = ["libc", "libgcc", "pthread", "vdso"];
        let built = ProfilerGuardBuilder::default()
            .frequency(hz)
            .blocklist(&blocklist)
            .build();
        match built {
            Ok(guard) => {
                let end_ns = now_ns + self.section.duration_s * 1_000_000_000;
                self.running = Some((guard, end_ns));
                tracing::info!(hz, seconds = self.section.duration_s, "profile begun");
            }
            Err(error) => tracing::error!(%error, "profile not begun"),
        }
    }
}

impl fmt::Debug for Profiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profiler")
            .field("running", &self.running.is_some())
            .field("taken", &self.taken)
            .finish_non_exhaustive()
    }
}

fn write(report: &Report, base: &std::path::Path) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let svg = File::create(base.with_extension("svg")).map_err(text)?;
    report.flamegraph(svg).map_err(|error| error.to_string())?;
    std::fs::write(base.with_extension("folded"), folded(report)).map_err(text)
}

/// One line per stack, outermost frame first, as flamegraph tools read it.
fn folded(report: &Report) -> String {
    let mut stacks = BTreeMap::<String, isize>::new();
    for (frames, count) in &report.data {
        let mut stack = frames.thread_name_or_id();
        for symbol in frames
            .frames
            .iter()
            .rev()
            .flat_map(|inlined| inlined.iter().rev())
        {
            stack.push(';');
            stack.push_str(&symbol.name().replace(';', ":"));
        }
        *stacks.entry(stack).or_default() += count;
    }
    stacks
        .into_iter()
        .map(|(stack, count)| format!("{stack} {count}\n"))
        .collect()
}

#[cfg(test)]
mod tests;
