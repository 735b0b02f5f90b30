//! How far an import or export is: a bar on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Rows between two looks at the clock.
const STEP: u64 = 4_096;

/// How often a plain line is written, so that a log of an hour stays short.
const LINE: Duration = Duration::from_secs(10);

/// Counts the rows of one file on standard error.
pub struct Progress {
    what: String,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
    told: Instant,
}

impl Progress {
    /// Begins; a `total` of 0 is not known.
    pub fn new(what: &str, total: u64) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = if total > 0 {
                ProgressBar::new(total)
            } else {
                ProgressBar::no_length()
            };
            // The template is a constant; without it the library's own is as good.
            if let Ok(style) =
                ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} rows, {eta} left")
            {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            bar
        });
        let (what, done, told) = (what.to_owned(), 0, Instant::now());
        Progress {
            what,
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
            match self.total {
                0 => crate::tell!("{}: {} rows", self.what, self.done),
                total => crate::tell!("{}: {} of {total} rows", self.what, self.done),
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => crate::tell!("{}: {} rows done", self.what, self.done),
        }
    }
}
