//! Trading calendars: when a market is open, and to which trading date an instant belongs.
//!
//! A calendar is data, [`CalendarSpec`]: weekdays, hours, rules of the year, and single days. From
//! it [`Calendar`] makes one sorted table of sessions for [`FIRST_DATE`] to [`LAST_DATE`], and each
//! question is a search in that table. Beyond that range every answer is an error, since nobody
//! has decided yet when those markets will be closed.
//!
//! The rules of time zones are those of the time zone database that is compiled in, never those
//! of the machine, so that a replay gives the same sessions everywhere.
//!
//! What is not here: halts, auctions that move a close by minutes, and the moments of silence that
//! moved an opening. They are facts of a day that a venue reports, no plan.
//!
//! Start reading at [`Calendar`]; the four that are built in are in `builtin`.

mod build;
mod builtin;
mod date;
mod edges;
mod error;
mod rule;
mod shared;
mod spec;
mod table;
mod zone;

#[cfg(test)]
mod tests;

pub use builtin::NAMES;
pub use date::{Date, TimeOfDay, Weekday};
pub use error::CalendarError;
pub use rule::{AnnualDay, AnnualRule, WeekendShift};
pub use spec::{CalendarSpec, DayEntry, DayHours, SessionHours};
pub use table::{Calendar, Hours, Session, SessionKind};
pub use zone::parse_instant;

/// The first date of every calendar, inclusive.
pub const FIRST_DATE: Date = Date::constant(2000, 1, 1);

/// The last date of every calendar, inclusive: the last full year for which common time zone data
/// lists each change by itself.
pub const LAST_DATE: Date = Date::constant(2037, 12, 31);
