//! Recordings as a feed: the pure part, without clock and speed.
//!
//! [`ReplayFeed`] reads the frames of one or several recordings in order of their receive time,
//! keeps a book, bars and statistics for each instrument, and gives what a live feed would have
//! given: trades, quotes, verified book changes, snapshots, bars and changes of the feed's state.
//! The shell round it decides when the next frame is due, pauses, and publishes.
//!
//! - Recordings that share an instrument are played one after the other by their first receive
//!   time, and its book is carried over. All others are merged by receive time; of equal times the
//!   recording that was given first goes first.
//! - A recording's clock may run behind the exchange's: nothing here assumes that an event was seen
//!   after it happened.
//! - What is said to have happened more than an hour away from when it was received is garbled: the
//!   frame counts as unreadable, since one such time would open bars in a far future.
//! - A line that cannot be read is counted and skipped. If it held a change of a book, the next
//!   change shows the hole, and the book is stale from there to the next snapshot.
//! - With `repeat`, everything begins anew after the last frame, times and ids moved on, so that
//!   to a reader time and numbers only grow. Books wait for their snapshot again.
//! - A clone is one more instrument fed by the same frames, a little later; it is marked
//!   synthetic.

mod deliver;
mod feed;
mod merge;
mod recording;
mod state;
mod summary;
#[cfg(test)]
mod tests;
mod track;

pub use feed::ReplayFeed;
pub use recording::Recording;
pub use state::Counts;
pub use summary::{BookSummary, FeedSummary, InstrumentSummary, MinuteBar};

use apex_domain::UnixNanos;
use apex_domain::bar::BarSpecError;
use apex_domain::id::IdError;
use apex_domain::market::{BarSpec, MarketEvent};
use apex_venues::capture::CaptureError;
use std::path::PathBuf;
use thiserror::Error;

/// How many unreadable lines are kept with their reason. Enough to see a pattern; the rest is
/// counted.
pub const BAD_FRAMES_KEPT: usize = 100;

/// The most clones of each instrument. Each reads the recording for itself, which takes about half
/// a megabyte; for more load start more processes.
pub const CLONES_MAX: u32 = 1_000;

/// How to replay.
#[derive(Clone, Debug, Default)]
pub struct ReplayOptions {
    /// Begin anew after the last frame, for ever.
    pub repeat: bool,
    /// How many more instruments are fed by each one's frames, named `BTCUSDT-C1.BINANCE` and on.
    pub clones: u32,
    /// Frames received before are only used to build the books.
    pub start_at: Option<UnixNanos>,
    /// The bars that are given as events, built from trades. The minute bars of the summary are
    /// always built and are events only when asked for here.
    pub bars: Vec<BarSpec>,
}

/// Why a replay cannot be started or go on.
#[derive(Debug, Error)]
pub enum ReplayError {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("no recording was given")]
    NoRecording,
    #[error("at most {CLONES_MAX} clones are possible, {wanted} were asked for")]
    Clones { wanted: u32 },
    #[error(transparent)]
    Bars(#[from] BarSpecError),
    #[error("the name of a clone is no instrument id")]
    CloneName(#[source] IdError),
}

/// One line of a recording and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// Index of the recording in the order given.
    pub recording: usize,
    /// Line in it, counted from 1.
    pub line: u64,
    /// When it was received, moved on by repeats and clones.
    pub ts: UnixNanos,
    /// The line could not be read.
    pub is_bad: bool,
    pub events: Vec<MarketEvent>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFrame {
    pub path: PathBuf,
    /// Counted from 1.
    pub line: u64,
    pub reason: String,
}
