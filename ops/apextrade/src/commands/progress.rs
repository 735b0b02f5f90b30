//! How far long work is: a bar on a terminal, plain lines elsewhere.

use apex_node::backup::Step;
use apex_node::replay::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a bar moves: smooth to the eye, and nothing to the machine.
const BAR: Duration = Duration::from_millis(100);

/// How often a plain line is written, so that a log of an hour stays short.
const LINE: Duration = Duration::from_secs(10);

/// Shows the progress of a replay on standard error until it is dropped.
pub async fn show(progress: Progress) {
    if std::io::stderr().is_terminal() {
        bar(&progress).await;
    } else {
        lines(&progress).await;
    }
}

async fn bar(progress: &Progress) {
    let bar = ProgressBar::no_length();
    // The template is a constant; without it the library's own is as good.
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} frames, {eta} left") {
        bar.set_style(style);
    }
    let mut ticks = tokio::time::interval(BAR);
    loop {
        ticks.tick().await;
        let (done, total) = progress.frames();
        if total > 0 {
            bar.set_length(total);
        }
        bar.set_position(done);
    }
}

async fn lines(progress: &Progress) {
    let mut ticks = tokio::time::interval(LINE);
    // The first tick comes at once, when there is nothing to tell yet.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        match progress.frames() {
            (done, 0) => crate::tell!("{done} frames"),
            (done, total) => crate::tell!("{done} of {total} frames"),
        }
    }
}

/// Shows how far a backup or a restore is, on standard error, until it is dropped.
pub struct Copying {
    bar: Option<ProgressBar>,
    told: Cell<Instant>,
}

impl Copying {
    /// Begins; nothing is shown before the first step.
    pub fn begin() -> Copying {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            // The template is a constant; without it the library's own is as good.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        Copying {
            bar,
            told: Cell::new(Instant::now()),
        }
    }

    /// Shows a step, where the last one was long enough ago.
    pub fn show(&self, step: &Step<'_>) {
        let Step { what, bytes } = step;
        let every = if self.bar.is_some() { BAR } else { LINE };
        if self.told.get().elapsed() < every {
            return;
        }
        self.told.set(Instant::now());
        match &self.bar {
            Some(bar) => {
                bar.set_position(*bytes);
                bar.set_message((*what).to_owned());
            }
            None => crate::tell!("apextrade: {bytes} bytes, now {what}"),
        }
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
