//! Civil dates, weekdays and times of day: what a calendar is written in.

use super::CalendarError;
use jiff::civil;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A date of the Gregorian calendar without a time zone, as `2024-07-03`. Range: years 1 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(pub(super) civil::Date);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Minutes since local midnight, as `09:30`. Range: 00:00 to 24:00, both inclusive; 24:00 is the
/// end of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeOfDay(u16);

const DAY_MINUTES: u16 = 24 * 60;

impl Date {
    /// For constants; what cannot be a date fails the build.
    pub(super) const fn constant(year: i16, month: i8, day: i8) -> Date {
        Date(civil::Date::constant(year, month, day))
    }

    /// Returns the date, or `None` when there is no such day, such as 29 February of most years.
    pub fn new(year: i16, month: i8, day: i8) -> Option<Date> {
        let known = (1..=9999).contains(&year);
        civil::Date::new(year, month, day)
            .ok()
            .filter(|_| known)
            .map(Date)
    }

    pub fn year(self) -> i16 {
        self.0.year()
    }

    pub fn weekday(self) -> Weekday {
        match self.0.weekday() {
            civil::Weekday::Monday => Weekday::Monday,
            civil::Weekday::Tuesday => Weekday::Tuesday,
            civil::Weekday::Wednesday => Weekday::Wednesday,
            civil::Weekday::Thursday => Weekday::Thursday,
            civil::Weekday::Friday => Weekday::Friday,
            civil::Weekday::Saturday => Weekday::Saturday,
            civil::Weekday::Sunday => Weekday::Sunday,
        }
    }

    /// Returns the date `days` later, or earlier when negative.
    #[must_use]
    pub fn plus_days(self, days: i16) -> Date {
        Date(self.0.saturating_add(jiff::Span::new().days(days)))
    }

    /// Returns the `nth` such weekday of a month: 1 to 5 from its begin, -1 to -5 from its end.
    /// `None` when the month has no fifth one, or for another `nth`.
    pub fn nth_weekday(year: i16, month: i8, weekday: Weekday, nth: i8) -> Option<Date> {
        let first = Date::new(year, month, 1)?;
        let ahead = |from: Date| (weekday as i16 - from.weekday() as i16).rem_euclid(7);
        let found = match nth {
            1..=5 => first.plus_days(ahead(first) + 7 * (i16::from(nth) - 1)),
            -5..=-1 => {
                let last = Date(first.0.last_of_month());
                let back = (7 - ahead(last)) % 7;
                last.plus_days(-back + 7 * (i16::from(nth) + 1))
            }
            _ => return None,
        };
        Some(found).filter(|date| date.0.month() == month)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = (self.0.year(), self.0.month(), self.0.day());
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Date {
    type Err = CalendarError;

    /// Errors: anything but `YYYY-MM-DD` with a day that exists.
    fn from_str(text: &str) -> Result<Date, CalendarError> {
        let read = || {
            let (year, rest) = text.split_once('-')?;
            let (month, day) = rest.split_once('-')?;
            let year = i16::try_from(digits(year, 4)?).ok()?;
            let month = i8::try_from(digits(month, 2)?).ok()?;
            Date::new(year, month, i8::try_from(digits(day, 2)?).ok()?)
        };
        read().ok_or_else(|| CalendarError::Text {
            field: "date",
            text: text.to_owned(),
            expected: "a date such as 2024-07-03",
        })
    }
}

impl TimeOfDay {
    pub const MIDNIGHT: TimeOfDay = TimeOfDay(0);

    /// For the calendars that are built in; what is no time of day becomes 24:00.
    pub(super) const fn at(hour: u16, minute: u16) -> TimeOfDay {
        let minutes = hour * 60 + minute;
        TimeOfDay(if minutes < DAY_MINUTES {
            minutes
        } else {
            DAY_MINUTES
        })
    }

    /// Returns minutes since midnight, 0 to 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl FromStr for TimeOfDay {
    type Err = CalendarError;

    /// Errors: anything but `HH:MM` from 00:00 to 24:00.
    fn from_str(text: &str) -> Result<TimeOfDay, CalendarError> {
        let read = || {
            let (hour, minute) = text.split_once(':')?;
            let (hour, minute) = (digits(hour, 2)?, digits(minute, 2)?);
            let minutes = hour * 60 + minute;
            (minute < 60 && minutes <= DAY_MINUTES).then_some(TimeOfDay(minutes))
        };
        read().ok_or_else(|| CalendarError::Text {
            field: "time of day",
            text: text.to_owned(),
            expected: "a time such as 09:30",
        })
    }
}

/// Reads exactly `length` digits, at most four.
fn digits(text: &str, length: usize) -> Option<u16> {
    let plain = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// What serde needs to write a value as its text.
macro_rules! as_text {
    ($kind:ident) => {
        impl TryFrom<String> for $kind {
            type Error = CalendarError;

            fn try_from(text: String) -> Result<$kind, CalendarError> {
                text.parse()
            }
        }

        impl From<$kind> for String {
            fn from(value: $kind) -> String {
                value.to_string()
            }
        }
    };
}

as_text!(Date);
as_text!(TimeOfDay);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_only_in_its_one_form() {
        let date: Date = "2024-02-29".parse().unwrap();
        assert_eq!(date.to_string(), "2024-02-29");
        assert_eq!(date.weekday(), Weekday::Thursday);
        for text in [
            "",
            "2023-02-29",
            "2024-2-29",
            "20240229",
            "2024-02-29T00:00",
            "2024-W09-4",
            "+024-02-29",
            "0000-01-01",
            "2024-13-01",
            "2024-00-10",
        ] {
            let error = text.parse::<Date>().unwrap_err();
            assert!(error.to_string().starts_with("date "), "{text}: {error}");
        }
    }

    #[test]
    fn a_time_of_day_ends_with_24_00() {
        for text in ["00:00", "09:30", "23:59", "24:00"] {
            assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
        }
        for text in ["24:01", "9:30", "09:60", "09:30:00", "-1:00", "99:99"] {
            assert!(text.parse::<TimeOfDay>().is_err(), "{text}");
        }
    }

    #[test]
    fn weekdays_are_counted_from_either_end_of_a_month() {
        let nth = |year, month, weekday, nth| {
            Date::nth_weekday(year, month, weekday, nth).map(|date| date.to_string())
        };
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(nth(2024, 11, Weekday::Thursday, 4), found("2024-11-28"));
        assert_eq!(nth(2024, 9, Weekday::Monday, 1), found("2024-09-02"));
        assert_eq!(nth(2024, 5, Weekday::Monday, -1), found("2024-05-27"));
        assert_eq!(nth(2024, 9, Weekday::Monday, -1), found("2024-09-30"));
        assert_eq!(nth(2024, 9, Weekday::Monday, -5), found("2024-09-02"));
        assert_eq!(nth(2024, 9, Weekday::Tuesday, 5), None);
        assert_eq!(nth(2024, 9, Weekday::Tuesday, 0), None);
    }
}
