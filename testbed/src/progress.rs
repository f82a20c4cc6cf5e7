//! What a long campaign tells while it goes on.

use std::cell::Cell;
use std::fmt;
use std::io::Write;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Listener to a campaign's progress.
pub trait Progress: fmt::Debug {
    /// Begins a campaign expected to take `total`.
    fn begin(&self, _runs: usize, _total: Duration) {}
    /// A run does something else now.
    fn step(&self, _run: usize, _name: &str, _step: &str) {}
    /// Expected time of everything that is done so far, and of what is left, corrected by how the
    /// estimates of this campaign turned out until now.
    fn position(&self, _done: Duration, _left: Duration) {}
    /// The campaign has ended.
    fn end(&self) {}
    /// Something worth a line that stays.
    fn say(&self, _line: &str) {}
}

/// Tells nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A bar with an estimate on stderr; hidden when stderr is no terminal.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    runs: Cell<usize>,
    left: Cell<Duration>,
}

impl Default for Bar {
    fn default() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template(
            "{elapsed_precise} [{bar:20}] {percent:>3} % {prefix} {msg}",
        ) {
            bar.set_style(style);
        }
        Self {
            bar,
            runs: Cell::default(),
            left: Cell::default(),
        }
    }
}

impl Progress for Bar {
    fn begin(&self, runs: usize, total: Duration) {
        self.runs.set(runs);
        self.left.set(total);
        self.bar.set_length(millis(total));
        self.bar
            .set_message(format!("{runs} runs, about {}", in_words(total)));
    }

    fn step(&self, run: usize, name: &str, step: &str) {
        let left = in_words(self.left.get());
        self.bar
            .set_prefix(format!("#{run} of {}, about {left} left", self.runs.get()));
        self.bar.set_message(format!("{name}: {step}"));
    }

    fn position(&self, done: Duration, left: Duration) {
        self.left.set(left);
        self.bar.set_position(millis(done));
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, line: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{line}");
        });
    }
}

/// `2 h 05 min`, `12 min`, `40 s`.
#[must_use]
pub fn in_words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60) {
        (0, 0..2) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {:02} min", minutes % 60),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
