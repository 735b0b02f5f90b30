//! Bars built from trades.
//!
//! [`BarBuilder`] makes the bars of any [`crate::market::BarSpec`] of one instrument; one machine
//! a kind does the work: [`TimeBars`], [`TickBars`], [`VolumeBars`], [`ValueBars`], [`RenkoBars`].
//! All of them count in integers, so the same trades give the same bars anywhere.
//!
//! The rules, each with its reason, are written in `docs/guide/bars.md`; the numbers of its rules
//! (TC-B01 and on) are in the names of the tests here. In short:
//! - Time bars go by the trade's own `ts_event`; all others by the order of arrival.
//! - A published bar is never rewritten. A late trade is counted.
//! - A trade that crosses a threshold of quantity or value is split, so that no quantity is lost
//!   or counted twice: bars, open bar and late trades together hold what was traded.

mod builder;
mod renko;
mod spec;
mod tape;
#[cfg(test)]
mod tests;
mod tick;
mod time;
mod value;
mod volume;

pub use builder::BarBuilder;
pub use renko::RenkoBars;
pub use spec::{BarSpecError, check_spec, parse_spec, spec_text};
pub use tape::{BARS_PER_TRADE_MAX, BarCounters};
pub use tick::TickBars;
pub use time::{AHEAD_NS, Cell, TimeBars, TradeColumns};
pub use value::ValueBars;
pub use volume::VolumeBars;
