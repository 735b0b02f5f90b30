//! The sessions of a market in one sorted table, and the questions asked of it.

use super::zone::Zone;
use super::{CalendarError, Date, FIRST_DATE, LAST_DATE};
use crate::time::UnixNanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What part of a trading day a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// Extended hours before the regular session.
    Pre,
    /// The session that makes the day's opening and closing price.
    Regular,
    /// Extended hours after the regular session.
    Post,
}

/// Which sessions a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hours {
    Regular,
    /// The regular session and those before and after it.
    Extended,
}

/// A span of trade without a break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub kind: SessionKind,
    /// The date that its trades belong to; not always the local date of `open`.
    pub trading_date: Date,
    /// Inclusive.
    pub open: UnixNanos,
    /// Exclusive: at this instant the session is over.
    pub close: UnixNanos,
}

impl Session {
    pub fn contains(&self, ts: UnixNanos) -> bool {
        self.open <= ts && ts < self.close
    }
}

/// When a market trades, from [`FIRST_DATE`] to [`LAST_DATE`].
///
/// Answers hold for instants of those dates in the market's own time zone; where the trading day
/// begins on the evening before, from the evening before the first to that of the last date. An
/// instant or date outside, and an answer that would be outside, is
/// [`CalendarError::OutOfRange`].
///
/// ```
/// use apex_domain::calendar::{Calendar, Hours, parse_instant};
///
/// # fn main() -> Result<(), apex_domain::calendar::CalendarError> {
/// let market = Calendar::builtin("XNYS")?;
/// let noon = parse_instant("2018-04-27T12:00:00-04:00")?;
/// assert!(market.is_open(noon, Hours::Regular)?);
/// assert_eq!(market.local(market.next_close(noon)?), "2018-04-27T16:00:00-04:00");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Calendar {
    pub(super) name: String,
    pub(super) time_zone: String,
    pub(super) zone: Zone,
    /// In order, never overlapping: `build` checks it.
    pub(super) sessions: Vec<Session>,
    /// Those of `sessions` that are regular; at most one a date.
    pub(super) regular: Vec<Session>,
    /// Opening and close of each stretch of regular trade without a break, in order.
    pub(super) stretches: Vec<(UnixNanos, UnixNanos)>,
    /// Why a date is closed, short or special.
    pub(super) day_names: BTreeMap<Date, String>,
    /// The first instant that can be asked for, inclusive.
    pub(super) from: UnixNanos,
    /// The end of what can be asked for, exclusive.
    pub(super) until: UnixNanos,
}

impl Calendar {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the IANA name of the market's time zone.
    pub fn time_zone(&self) -> &str {
        &self.time_zone
    }

    /// Returns the market's local time with its offset, such as `2024-07-03T09:30:00-04:00`. Holds
    /// for every instant, also outside the calendar's range.
    pub fn local(&self, ts: UnixNanos) -> String {
        self.zone.text(ts)
    }

    /// Returns the date that the market's wall calendar shows, which is not always the trading
    /// date. Holds for every instant, also outside the calendar's range.
    pub fn local_date(&self, ts: UnixNanos) -> Date {
        self.zone.date(ts)
    }

    /// Returns the session that `ts` is in, of any kind, or `None` between sessions. At the very
    /// instant of a close it is the next session or none.
    ///
    /// Errors: [`CalendarError::OutOfRange`].
    pub fn session_at(&self, ts: UnixNanos) -> Result<Option<Session>, CalendarError> {
        self.check_instant(ts)?;
        let begun = begun(&self.sessions, ts);
        let last = begun.checked_sub(1).and_then(|at| self.sessions.get(at));
        Ok(last.filter(|session| session.contains(ts)).copied())
    }

    /// Returns whether the market trades at `ts`.
    ///
    /// Errors: [`CalendarError::OutOfRange`].
    pub fn is_open(&self, ts: UnixNanos, hours: Hours) -> Result<bool, CalendarError> {
        let session = self.session_at(ts)?;
        Ok(session.is_some_and(|session| {
            hours == Hours::Extended || session.kind == SessionKind::Regular
        }))
    }

    /// Returns the first session that opens after `ts`. One that is under way does not count, nor
    /// does one that opens at `ts` itself.
    ///
    /// Errors: [`CalendarError::OutOfRange`], also when there is no further one in range.
    pub fn next_session(&self, ts: UnixNanos, hours: Hours) -> Result<Session, CalendarError> {
        self.check_instant(ts)?;
        let table = self.table(hours);
        let next = table.get(begun(table, ts));
        self.found(next, "the session after", ts)
    }

    /// Returns the last session that closed at or before `ts`.
    ///
    /// Errors: [`CalendarError::OutOfRange`], also when there is no earlier one in range.
    pub fn previous_session(&self, ts: UnixNanos, hours: Hours) -> Result<Session, CalendarError> {
        self.check_instant(ts)?;
        let table = self.table(hours);
        let previous = ended(table, ts).checked_sub(1).and_then(|at| table.get(at));
        self.found(previous, "the session before", ts)
    }

    /// Returns the trading date of `ts`: that of the session it is in, else that of the next
    /// session of any kind. A Saturday belongs to Monday, and 21:00 in New York to the next day.
    ///
    /// Errors: [`CalendarError::OutOfRange`].
    pub fn trading_date(&self, ts: UnixNanos) -> Result<Date, CalendarError> {
        match self.session_at(ts)? {
            Some(session) => Ok(session.trading_date),
            None => Ok(self.next_session(ts, Hours::Extended)?.trading_date),
        }
    }

    /// Returns the first opening of a regular session after `ts`. Where one session follows the
    /// other without a break it is the turn of the day.
    ///
    /// Errors: [`CalendarError::OutOfRange`].
    pub fn next_open(&self, ts: UnixNanos) -> Result<UnixNanos, CalendarError> {
        Ok(self.next_session(ts, Hours::Regular)?.open)
    }

    /// Returns the first close of a regular session after `ts`.
    ///
    /// Errors: [`CalendarError::OutOfRange`].
    pub fn next_close(&self, ts: UnixNanos) -> Result<UnixNanos, CalendarError> {
        self.check_instant(ts)?;
        let next = self.regular.get(ended(&self.regular, ts));
        Ok(self.found(next, "the close after", ts)?.close)
    }

    /// Returns when a DAY order sent at `ts` expires: it works before this instant and no longer
    /// at it. For [`Hours::Regular`] that is the close of the regular session under way, else of
    /// the next one, so that an order sent after the close lives on the next trading date. For
    /// [`Hours::Extended`] it is the end of the last session of the trading date of `ts`.
    ///
    /// Source: FIX TimeInForce (59) = 0, Day.
    ///
    /// Errors: [`CalendarError::OutOfRange`].
    pub fn day_order_expiry(
        &self,
        ts: UnixNanos,
        hours: Hours,
    ) -> Result<UnixNanos, CalendarError> {
        if hours == Hours::Regular {
            return self.next_close(ts);
        }
        let date = self.trading_date(ts)?;
        let last = self.sessions_between(date, date).last();
        Ok(self.found(last, "the close after", ts)?.close)
    }

    /// Returns the sessions of the trading dates `from` to `to`, both inclusive, in their order.
    /// Empty where none of the dates trades.
    ///
    /// Errors: [`CalendarError::OutOfRange`] for a date outside, and for `to` before `from`.
    pub fn sessions(&self, from: Date, to: Date) -> Result<&[Session], CalendarError> {
        check_date("from", from)?;
        check_date("to", to)?;
        if to < from {
            return Err(CalendarError::Text {
                field: "to",
                text: to.to_string(),
                expected: "at or after from",
            });
        }
        Ok(self.sessions_between(from, to))
    }

    /// Returns the regular session of a trading date, or `None` when there is none. Its `open` is
    /// the instant of the opening auction and its `close` that of the closing auction, or the
    /// begin of the call where a venue collects orders beyond the close.
    ///
    /// Errors: [`CalendarError::OutOfRange`].
    pub fn regular_session(&self, date: Date) -> Result<Option<Session>, CalendarError> {
        check_date("date", date)?;
        let at = self
            .regular
            .binary_search_by_key(&date, |session| session.trading_date);
        Ok(at.ok().and_then(|at| self.regular.get(at)).copied())
    }

    /// Returns why a date is closed, short or special, such as `Good Friday`; `None` for a usual
    /// day and for a usual weekend.
    pub fn day_name(&self, date: Date) -> Option<&str> {
        self.day_names.get(&date).map(String::as_str)
    }

    /// Returns the dates from `from` to `to`, both inclusive, that are closed, short or special,
    /// and why, in their order. Empty when `to` is before `from`.
    pub fn special_days(&self, from: Date, to: Date) -> impl Iterator<Item = (Date, &str)> {
        // Not a range with two ends: that panics when it runs backwards.
        self.day_names
            .range(from..)
            .take_while(move |(date, _)| **date <= to)
            .map(|(date, name)| (*date, name.as_str()))
    }

    fn table(&self, hours: Hours) -> &[Session] {
        match hours {
            Hours::Regular => &self.regular,
            Hours::Extended => &self.sessions,
        }
    }

    fn sessions_between(&self, from: Date, to: Date) -> &[Session] {
        let begin = self.sessions.partition_point(|one| one.trading_date < from);
        let end = self.sessions.partition_point(|one| one.trading_date <= to);
        self.sessions.get(begin..end).unwrap_or_default()
    }

    pub(super) fn check_instant(&self, ts: UnixNanos) -> Result<(), CalendarError> {
        if self.from <= ts && ts < self.until {
            return Ok(());
        }
        Err(self.out_of_range("instant", ts))
    }

    fn found(
        &self,
        session: Option<&Session>,
        field: &'static str,
        ts: UnixNanos,
    ) -> Result<Session, CalendarError> {
        session.copied().ok_or_else(|| self.out_of_range(field, ts))
    }

    fn out_of_range(&self, field: &'static str, ts: UnixNanos) -> CalendarError {
        CalendarError::OutOfRange {
            field,
            value: self.local(ts),
        }
    }
}

/// Returns how many sessions of a table open at or before `ts`.
fn begun(table: &[Session], ts: UnixNanos) -> usize {
    table.partition_point(|session| session.open <= ts)
}

/// Returns how many sessions of a table are over at `ts`.
fn ended(table: &[Session], ts: UnixNanos) -> usize {
    table.partition_point(|session| session.close <= ts)
}

fn check_date(field: &'static str, date: Date) -> Result<(), CalendarError> {
    if (FIRST_DATE..=LAST_DATE).contains(&date) {
        return Ok(());
    }
    Err(CalendarError::OutOfRange {
        field,
        value: date.to_string(),
    })
}
