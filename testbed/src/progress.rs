//! What a long campaign tells while it goes on.

use std::fmt;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Listener to a campaign's progress.
pub trait Progress: fmt::Debug {
    /// Begins a campaign expected to take `total`.
    fn begin(&self, _runs: usize, _total: Duration) {}
    /// A run does something else now.
    fn step(&self, _run: usize, _name: &str, _step: &str) {}
    /// Expected time of everything that is done so far.
    fn position(&self, _done: Duration) {}
    /// The campaign has ended.
    fn end(&self) {}
}

/// Tells nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A bar with an estimate on stderr; hidden when stderr is no terminal.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
}

impl Default for Bar {
    fn default() -> Self {
        let bar = ProgressBar::no_length();
        if let Ok(style) = ProgressStyle::with_template(
            "{elapsed_precise} [{bar:28}] {percent:>3} % {prefix} {msg}",
        ) {
            bar.set_style(style);
        }
        Self { bar }
    }
}

impl Progress for Bar {
    fn begin(&self, runs: usize, total: Duration) {
        self.bar.set_length(millis(total));
        self.bar
            .set_message(format!("{runs} runs, about {} s", total.as_secs()));
    }

    fn step(&self, run: usize, name: &str, step: &str) {
        self.bar.set_prefix(format!("#{run}"));
        self.bar.set_message(format!("{name}: {step}"));
    }

    fn position(&self, done: Duration) {
        self.bar.set_position(millis(done));
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
