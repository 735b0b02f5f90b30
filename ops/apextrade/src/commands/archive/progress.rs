//! How far an import or export is: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Rows between two looks at the clock.
const STEP: u64 = 4_096;

/// How often a plain line is written, so that a log of an hour stays short.
const LINE: Duration = Duration::from_secs(10);

/// What is done with the rows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Finding out what there is: how many rows, of what, with how many decimals.
    Look,
    /// Reading each row, which is all that is done with it.
    Check,
    /// Taking each row, told apart and sorted.
    Read,
    /// Writing them where they are meant to be.
    Write,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Look => "looking",
            Phase::Check => "checking, nothing is stored yet",
            Phase::Read => "reading",
            Phase::Write => "writing",
        }
    }
}

/// Counts the rows of one file on standard error.
pub struct Progress {
    what: String,
    phase: Phase,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Begins; a `total` of 0 is not known.
    pub fn new(what: &str, phase: Phase, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let (bar, template) = if total > 0 {
                let template = "{msg} {wide_bar} {pos}/{len} rows, {eta} left";
                (ProgressBar::new(total), template)
            } else {
                (ProgressBar::no_length(), "{msg} {spinner} {pos} rows")
            };
            // The template is a constant; without it the library's own is as good.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(format!("{what}, {}", phase.name()));
            bar
        });
        let (what, done, told) = (what.to_owned(), 0, Instant::now());
        Progress {
            what,
            phase,
            total,
            done,
            bar,
            told,
        }
    }

    /// Counts a row.
    pub fn step(&mut self) {
        self.done += 1;
        if !self.done.is_multiple_of(STEP) {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
        } else if self.told.elapsed() >= LINE {
            self.told = Instant::now();
            let (what, phase) = (&self.what, self.phase.name());
            match self.total {
                0 => crate::tell!("{what}, {phase}: {} rows", self.done),
                total => crate::tell!("{what}, {phase}: {} of {total} rows", self.done),
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            // What comes before is told while it takes long.
            None if self.phase != Phase::Write => {}
            None => crate::tell!("{}: {} rows done", self.what, self.done),
        }
    }
}
