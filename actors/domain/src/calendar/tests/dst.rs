//! Every change of the clocks from 2000 to 2037, by the laws and not by the database.

use super::{CRYPTO, FX, XLON, XNYS, at};
use crate::calendar::{Calendar, Date, Weekday};
use crate::time::{NANOS_PER_SECOND, UnixNanos};

const HOUR: i64 = 3_600 * NANOS_PER_SECOND;

/// Checks the local time in the last nanosecond before a change and at it.
fn check_change(calendar: &Calendar, change: UnixNanos, before: &str, after: &str) {
    let last = calendar.local(change.plus(-1));
    assert_eq!(last, before, "before {after}");
    assert_eq!(calendar.local(change), after);
}

/// Checks that the sessions before and after a change are at the same local times.
fn check_openings(calendar: &Calendar, change: UnixNanos, open: &str) {
    let next = calendar.local(calendar.next_open(change).unwrap());
    let previous = calendar.previous_session(change, crate::calendar::Hours::Regular);
    let previous = calendar.local(previous.unwrap().open);
    let zone = |text: &str| text.get(19..).map(str::to_owned);
    for text in [&previous, &next] {
        assert_eq!(text.get(10..19), Some(open), "{text}");
    }
    assert_ne!(zone(&previous), zone(&next), "{previous} and {next}");
}

fn nth(year: i16, month: i8, nth: i8) -> Date {
    Date::nth_weekday(year, month, Weekday::Sunday, nth).unwrap()
}

/// Source: Uniform Time Act as amended in 1986 (first Sunday of April, last of October) and by the
/// Energy Policy Act of 2005 (second Sunday of March, first of November), at 2:00 local time.
#[test]
fn tc_c10_new_york_changes_its_clocks_by_law() {
    for year in 2000..=2037 {
        let (spring, autumn) = if year < 2007 {
            (nth(year, 4, 1), nth(year, 10, -1))
        } else {
            (nth(year, 3, 2), nth(year, 11, 1))
        };
        let change = at(&format!("{spring}T07:00:00Z"));
        let before = format!("{spring}T01:59:59.999999999-05:00");
        check_change(&XNYS, change, &before, &format!("{spring}T03:00:00-04:00"));
        check_openings(&XNYS, change, "T09:30:00");
        let change = at(&format!("{autumn}T06:00:00Z"));
        let before = format!("{autumn}T01:59:59.999999999-04:00");
        check_change(&XNYS, change, &before, &format!("{autumn}T01:00:00-05:00"));
        check_openings(&XNYS, change, "T09:30:00");
        // The currency week opens at 17:00 of the same Sunday, by the new clocks.
        let opened = FX.next_open(change).unwrap();
        assert_eq!(opened.since(change), 16 * HOUR, "{autumn}");
    }
}

/// Source: Summer Time Act 1972 and the Summer Time Order 2002: from the last Sunday of March to
/// that of October, at 1:00 GMT.
#[test]
fn tc_c11_london_changes_its_clocks_by_law() {
    for year in 2000..=2037 {
        let (spring, autumn) = (nth(year, 3, -1), nth(year, 10, -1));
        let change = at(&format!("{spring}T01:00:00Z"));
        let before = format!("{spring}T00:59:59.999999999+00:00");
        check_change(&XLON, change, &before, &format!("{spring}T02:00:00+01:00"));
        check_openings(&XLON, change, "T08:00:00");
        let change = at(&format!("{autumn}T01:00:00Z"));
        let before = format!("{autumn}T01:59:59.999999999+01:00");
        check_change(&XLON, change, &before, &format!("{autumn}T01:00:00+00:00"));
        check_openings(&XLON, change, "T08:00:00");
    }
}

#[test]
fn tc_c12_days_of_coins_and_currencies_are_always_24_hours() {
    let (first, last) = (super::date("2000-01-01"), super::date("2037-12-31"));
    for session in CRYPTO.sessions(first, last).unwrap() {
        assert_eq!(session.close.since(session.open), 24 * HOUR);
    }
    let mut lengths: Vec<i64> = FX
        .sessions(first, last)
        .unwrap()
        .iter()
        .map(|session| session.close.since(session.open) / HOUR)
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    // Clocks change on Sunday morning, when the market is closed.
    assert_eq!(lengths, [24]);
}
