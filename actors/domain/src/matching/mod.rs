//! Matching: what a venue does with orders, as pure machines.
//!
//! [`order_book`] matches single orders by price and time. [`book_fill`] is a
//! [`crate::venue::VenueModel`] that fills our orders against replayed market data;
//! [`BarFill`] is one over bars, quotes or prints, where there is no book.
//! [`exchange`] is a market of simulated traders on real order books.

mod agents;
mod auction;
mod bar_fill;
pub mod book_fill;
#[cfg(test)]
mod cases;
mod choice;
mod costs;
pub mod exchange;
mod floor;
mod latency;
mod ledger;
mod margin;
mod one_account;
pub mod order_book;
pub mod random;
mod resting;
mod rules;
mod sessions;
mod sim_instrument;
#[cfg(test)]
mod tests;
mod visible_book;

pub use agents::{ClimateParameters, DayShape, MarketParameters, ParameterError, Regime};
pub use bar_fill::{BarFill, BarFillOptions, BarPath, BarVolume, FillModel};
pub use book_fill::{BookFill, BookFillOptions, QueueModel};
pub use choice::{ChoiceError, LatencyChoice, Model, ModelChoices};
pub use costs::{FeeModel, Slippage};
pub use exchange::{ExchangeEvent, ExchangeInput, SimError, SimExchange, SimOptions};
pub use latency::{Delayed, Latencies, LatencyModel, Way};
pub use ledger::{RestoredOrder, RestoredPosition};
pub use margin::{MarginOptions, MarginState};
pub use sessions::InSessions;
pub use sim_instrument::SimInstrument;
