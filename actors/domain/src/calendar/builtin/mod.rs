//! The calendars that come with the platform, one file a market.

mod continuous;
mod xlon;
mod xnys;

use super::{
    CalendarSpec, Date, DayEntry, DayHours, SessionHours, SessionKind, TimeOfDay, Weekday,
};

/// Names of the calendars that are built in: New York and London stocks by their ISO 10383 codes,
/// spot currencies, and markets that never close.
pub const NAMES: [&str; 4] = ["XNYS", "XLON", "FX", "CRYPTO"];

pub(super) fn find(name: &str) -> Option<CalendarSpec> {
    match name {
        "XNYS" => Some(xnys::spec()),
        "XLON" => Some(xlon::spec()),
        "FX" => Some(continuous::fx()),
        "CRYPTO" => Some(continuous::crypto()),
        _ => None,
    }
}

const MONDAY_TO_FRIDAY: [Weekday; 5] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
];

/// A session within its trading date, between (hour, minute) and (hour, minute).
const fn hours(kind: SessionKind, opens: (u16, u16), closes: (u16, u16)) -> SessionHours {
    SessionHours {
        kind,
        opens: TimeOfDay::at(opens.0, opens.1),
        closes: TimeOfDay::at(closes.0, closes.1),
        opens_day_before: false,
    }
}

fn single(days: &[(Date, &str)], hours: &DayHours) -> Vec<DayEntry> {
    days.iter()
        .map(|(date, name)| DayEntry {
            date: *date,
            name: (*name).to_owned(),
            hours: hours.clone(),
        })
        .collect()
}
