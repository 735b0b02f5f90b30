//! A calendar as data: what an operator can write down, and what the built-in ones are made of.

use super::{AnnualRule, Date, SessionKind, TimeOfDay, Weekday};
use serde::{Deserialize, Serialize};

/// One session of a trading day, in local time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionHours {
    pub kind: SessionKind,
    /// Inclusive.
    pub opens: TimeOfDay,
    /// Exclusive.
    pub closes: TimeOfDay,
    /// It opens on the date before the trading date, as currencies do at 17:00.
    #[serde(default)]
    pub opens_day_before: bool,
}

/// What a single day does instead of what the rules say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DayHours {
    /// No session.
    Closed,
    /// [`CalendarSpec::half_day_hours`].
    HalfDay,
    /// [`CalendarSpec::hours`], also on a holiday or on a weekday without trade.
    Normal,
    /// These hours.
    Special(Vec<SessionHours>),
}

/// A single day, which goes before every rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayEntry {
    pub date: Date,
    /// Why, for messages.
    pub name: String,
    pub hours: DayHours,
}

/// Everything that makes a calendar. It is checked by [`super::Calendar::new`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalendarSpec {
    /// Such as the ISO 10383 code of the market, `XNYS`.
    pub name: String,
    /// IANA name of the zone in which all hours are, such as `America/New_York`.
    pub time_zone: String,
    /// Weekdays that trade when no rule says otherwise.
    pub weekdays: Vec<Weekday>,
    /// Sessions of a usual day in their order, exactly one of them regular.
    pub hours: Vec<SessionHours>,
    /// Sessions of a half day; empty where there are none.
    #[serde(default)]
    pub half_day_hours: Vec<SessionHours>,
    /// Days without a session. They go before half days.
    #[serde(default)]
    pub holidays: Vec<AnnualRule>,
    #[serde(default)]
    pub half_days: Vec<AnnualRule>,
    /// Single days, at most one entry a date.
    #[serde(default)]
    pub days: Vec<DayEntry>,
}

impl CalendarSpec {
    /// Returns the calendar with these single days as well. An entry replaces what the calendar
    /// had for the same date; two new entries for one date are refused when it is built.
    #[must_use]
    pub fn with_days(mut self, entries: &[DayEntry]) -> CalendarSpec {
        let replaced = |date: Date| entries.iter().any(|entry| entry.date == date);
        self.days.retain(|entry| !replaced(entry.date));
        self.days.extend_from_slice(entries);
        self
    }
}
