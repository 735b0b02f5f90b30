//! A whole run over recorded data, in memory.
//!
//! [`run`] puts an account, a simulated venue and a strategy round a
//! [`LockStep`](crate::LockStep) and feeds it market events. The same options, data and build
//! give the same report, byte for byte, except for the two figures about wall time.

mod equity;
mod options;
mod report;
mod session;
mod statistics;
#[cfg(test)]
mod tests;

pub use options::{BacktestOptions, Fill, Margin};
pub use report::{BacktestReport, FillRow, Metrics};

use crate::error::StrategyError;
use crate::registry::{self, DataSource};
use crate::strategy::Strategy;
use apex_domain::account::Refusal;
use apex_domain::instrument::Instrument;
use apex_domain::market::MarketEvent;
use apex_domain::matching::ChoiceError;
use apex_domain::{Currency, InstrumentId, NumberError};
use session::Session;
use thiserror::Error;

/// Why a backtest gave no report. Each is for the caller to fix; trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BacktestError {
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    #[error("the data holds no market event")]
    NoEvents,
    #[error("the data comes without an instrument")]
    NoInstruments,
    /// Money of two currencies cannot be added.
    #[error("the data is quoted in {first} and {second}, select the instruments of one currency")]
    Currencies { first: Currency, second: Currency },
    #[error("{option} is {value}, {expected}")]
    Option {
        option: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("a model of the venue cannot be used")]
    Model(#[source] ChoiceError),
    /// A market of nothing but bars has no book, so that no order would ever fill.
    #[error(
        "fill book needs a book, quotes or prints and the data has only bars: choose next-open or \
         bar-close, or data that has them"
    )]
    NoBook,
    /// The account did not take its opening, such as a broken instrument definition.
    #[error("the account refused to be set up")]
    Account(#[source] Refusal),
    /// What a file says cannot happen to this instrument.
    #[error("{what} of {instrument_id} at {ts} ns cannot be booked: take its row out of the file")]
    Happening {
        what: &'static str,
        instrument_id: InstrumentId,
        ts: i64,
        #[source]
        source: Refusal,
    },
    #[error("money of this run does not fit an exact decimal")]
    Money(#[from] NumberError),
}

/// Runs the strategy that the options name over `events`, which come in the order in which they
/// are to be seen.
///
/// Errors: [`BacktestError`].
pub fn run(
    options: &BacktestOptions,
    events: impl IntoIterator<Item = MarketEvent>,
    instruments: Vec<Instrument>,
) -> Result<BacktestReport, BacktestError> {
    let strategy =
        registry::find(&options.strategy)?.build(DataSource::Rows, &options.parameters)?;
    run_strategy(options, strategy, events, instruments)
}

/// As [`run`], with a strategy of the caller's own; the name and parameters in the options are
/// not looked at.
///
/// Errors: [`BacktestError`].
pub fn run_strategy(
    options: &BacktestOptions,
    strategy: Box<dyn Strategy>,
    events: impl IntoIterator<Item = MarketEvent>,
    instruments: Vec<Instrument>,
) -> Result<BacktestReport, BacktestError> {
    let mut events = events.into_iter().peekable();
    let first = events.peek().ok_or(BacktestError::NoEvents)?;
    let mut session = Session::open(options, strategy, instruments, first)?;
    for event in events {
        session.take(event)?;
    }
    session.finish()
}
