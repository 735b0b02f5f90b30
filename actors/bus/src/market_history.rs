//! The market as it was: what a recorder kept of it.

use apex_domain::market::{Bar, BarSpec, Quote, Trade};
use apex_domain::{InstrumentId, UnixNanos};
use thiserror::Error;

/// A place in a stream: rows have a time, and a number where that is equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub ts: UnixNanos,
    pub sequence: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// By `ts_event`, of bars `ts_open`; inclusive.
    pub from: UnixNanos,
    /// Exclusive.
    pub to: UnixNanos,
    /// Only what lies behind it.
    pub after: Option<Place>,
    pub limit: usize,
}

/// A part of a stream, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<T> {
    pub rows: Vec<T>,
    /// Where the next part begins; `None` where there is no more.
    pub next: Option<Place>,
}

/// Why recorded market data cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MarketHistoryError {
    /// This run does not record that kind.
    #[error("{what} are not recorded here: set {setting} to the days to keep")]
    NotRecorded {
        what: &'static str,
        setting: &'static str,
    },
    /// No bars of this kind are made or recorded.
    #[error(
        "no bars of {interval_ns} ns: there are those of 1 minute, 5 minutes, 1 hour and 1 day, and \
         bars that do not count time once somebody has asked for them"
    )]
    NoSuchBars { interval_ns: i64 },
    #[error("recorded market data cannot be read: {0}")]
    Unreadable(String),
}

/// Recorded market data. Blocking: call it off the runtime's worker threads.
pub trait MarketHistory: Send + Sync {
    /// Returns prints; none of an instrument that nothing was recorded of.
    ///
    /// # Errors
    /// [`MarketHistoryError`].
    fn trades(&self, id: &InstrumentId, span: Span) -> Result<Part<Trade>, MarketHistoryError>;

    /// Returns quotes, as [`MarketHistory::trades`].
    ///
    /// # Errors
    /// [`MarketHistoryError`].
    fn quotes(&self, id: &InstrumentId, span: Span) -> Result<Part<Quote>, MarketHistoryError>;

    /// Returns finished bars, as [`MarketHistory::trades`]; the one that is going on too, as far as
    /// it is recorded.
    ///
    /// # Errors
    /// [`MarketHistoryError`].
    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        span: Span,
    ) -> Result<Part<Bar>, MarketHistoryError>;
}
