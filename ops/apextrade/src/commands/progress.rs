//! How far long work is: a bar on a terminal, plain lines elsewhere.

use apex_node::replay::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

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
