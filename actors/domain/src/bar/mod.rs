//! Bars built from trades.
//!
//! The rule book of time bars:
//! - A cell is `[n * interval, (n + 1) * interval)` in nanoseconds since the epoch: its start
//!   belongs to it, its end to the next one.
//! - A trade belongs to the cell of its own exchange time, `ts_event`, whenever it arrives.
//! - The newest cell is open. It is finished, and its bar emitted, once a trade of a later cell
//!   arrives or the exchange's time is at or past its end.
//! - A cell without a trade gives no bar.
//! - A trade of an older cell is late. It is counted, and applied when the cell is still held:
//!   the finished bar is then emitted again, revised. Otherwise it changes nothing and is counted
//!   as missed. A late trade never opens a cell in between that had no trade before it was passed,
//!   unless that cell is within the held range; then its bar comes late.
//! - Inside a cell the close is the trade with the latest `ts_event`, of equal ones the last to
//!   arrive, and the open the one with the earliest, of equal ones the first to arrive.

mod time;

pub use time::{BarCounters, Cell, TimeBars};
