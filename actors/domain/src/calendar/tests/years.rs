//! Days that were closed or short, as the exchanges published them, and counts of whole years.

use super::{XLON, XNYS, date};
use crate::calendar::{Calendar, SessionKind};

/// Returns the regular hours in local time: `closed`, or such as `09:30-16:00`.
fn hours(calendar: &Calendar, day: &str) -> String {
    let Some(session) = calendar.regular_session(date(day)).unwrap() else {
        return "closed".to_owned();
    };
    let clock = |ts| calendar.local(ts).get(11..16).unwrap().to_owned();
    format!("{}-{}", clock(session.open), clock(session.close))
}

fn check(calendar: &Calendar, expected: &[(&str, &str)]) {
    for (days, hours_expected) in expected {
        for day in days.split_whitespace() {
            let found = hours(calendar, day);
            assert_eq!(found, *hours_expected, "{} {day}", calendar.name());
        }
    }
}

#[test]
fn new_york_is_closed_on_holidays_and_days_of_mourning() {
    check(
        &XNYS,
        &[
            (
                "2001-09-11 2001-09-12 2001-09-13 2001-09-14 2004-06-11 2007-01-02",
                "closed",
            ),
            ("2012-10-29 2012-10-30 2018-12-05 2025-01-09", "closed"),
            (
                "2001-09-10 2001-09-17 2012-10-31 2025-01-08 2025-01-10",
                "09:30-16:00",
            ),
            // All of 2024.
            (
                "2024-01-01 2024-01-15 2024-02-19 2024-03-29 2024-05-27 2024-06-19",
                "closed",
            ),
            ("2024-07-04 2024-09-02 2024-11-28 2024-12-25", "closed"),
            // Juneteenth, by year.
            ("2020-06-19 2021-06-18 2021-06-21", "09:30-16:00"),
            ("2022-06-20 2023-06-19 2027-06-18", "closed"),
            // A New Year's Day on Saturday is not made up for, on Sunday it is.
            ("2004-12-31 2010-12-31 2021-12-31 2027-12-31", "09:30-16:00"),
            ("2006-01-02 2012-01-02 2017-01-02 2023-01-02", "closed"),
            // Holidays on Saturday and Sunday.
            ("2020-07-03 2021-07-05 2021-12-24 2022-12-26", "closed"),
        ],
    );
}

#[test]
fn new_york_closes_at_13_00_on_half_days_with_their_history() {
    check(
        &XNYS,
        &[
            (
                "2000-07-03 2001-07-03 2003-07-03 2013-07-03 2018-07-03 2019-07-03",
                "09:30-13:00",
            ),
            ("2023-07-03 2024-07-03 2025-07-03", "09:30-13:00"),
            // Independence Day on a Thursday: the Friday until 2012, since then the Wednesday.
            ("2002-07-05", "09:30-13:00"),
            ("2002-07-03 2013-07-05 2019-07-05", "09:30-16:00"),
            ("2000-11-24 2018-11-23 2024-11-29", "09:30-13:00"),
            (
                "2002-12-24 2003-12-24 2018-12-24 2024-12-24 2025-12-24",
                "09:30-13:00",
            ),
            // The Friday after a Thursday's Christmas, once.
            ("2003-12-26", "09:30-13:00"),
            ("2008-12-26 2014-12-26 2025-12-26", "09:30-16:00"),
            ("2024-12-31", "09:30-16:00"),
        ],
    );
}

#[test]
fn london_is_closed_on_bank_holidays_and_their_exceptions() {
    check(
        &XLON,
        &[
            (
                "2002-06-03 2002-06-04 2011-04-29 2012-06-04 2012-06-05 2020-05-08",
                "closed",
            ),
            ("2022-06-02 2022-06-03 2022-09-19 2023-05-08", "closed"),
            ("2002-05-27 2012-05-28 2020-05-04 2022-05-30", "08:00-16:30"),
            // All of 2024.
            (
                "2024-01-01 2024-03-29 2024-04-01 2024-05-06 2024-05-27 2024-08-26",
                "closed",
            ),
            ("2024-12-25 2024-12-26", "closed"),
            // Christmas on Saturday, on Sunday; Boxing Day on Saturday.
            ("2021-12-27 2021-12-28 2022-01-03", "closed"),
            ("2022-12-26 2022-12-27 2023-01-02", "closed"),
            ("2020-12-25 2020-12-28", "closed"),
            ("2020-12-29 2022-12-28", "08:00-16:30"),
        ],
    );
}

#[test]
fn london_closes_at_12_30_before_christmas_and_the_new_year() {
    check(
        &XLON,
        &[
            ("2019-12-24 2019-12-31 2024-12-24 2024-12-31", "08:00-12:30"),
            // On a weekend: the Friday before.
            ("2022-12-23 2022-12-30 2023-12-22 2023-12-29", "08:00-12:30"),
            ("2022-12-22 2022-12-29 2023-12-28", "08:00-16:30"),
        ],
    );
}

#[test]
fn years_have_as_many_trading_dates_as_weekdays_less_holidays() {
    for (calendar, year, expected) in [
        (&XNYS, 2001, 248),
        (&XNYS, 2012, 250),
        (&XNYS, 2018, 251),
        (&XNYS, 2020, 253),
        (&XNYS, 2023, 250),
        (&XNYS, 2024, 252),
        (&XNYS, 2025, 250),
        (&XLON, 2023, 251),
        (&XLON, 2024, 254),
    ] {
        let (from, to) = (format!("{year}-01-01"), format!("{year}-12-31"));
        let sessions = calendar.sessions(date(&from), date(&to)).unwrap();
        let dates = sessions
            .iter()
            .filter(|session| session.kind == SessionKind::Regular);
        assert_eq!(dates.count(), expected, "{} {year}", calendar.name());
    }
}

#[test]
fn a_special_day_has_a_name() {
    for (calendar, day, expected) in [
        (&XNYS, "2024-03-29", Some("Good Friday")),
        (&XNYS, "2018-12-05", Some("Mourning for George H. W. Bush")),
        (&XNYS, "2018-07-03", Some("Day before Independence Day")),
        (&XNYS, "2018-07-02", None),
        (&XNYS, "2018-07-01", None),
        (&XLON, "2022-09-19", Some("Funeral of Queen Elizabeth II")),
    ] {
        assert_eq!(calendar.day_name(date(day)), expected, "{day}");
    }
}

#[test]
fn special_days_are_listed_in_their_order() {
    let listed = |from: &str, to: &str| {
        let days = XNYS.special_days(date(from), date(to));
        let texts: Vec<String> = days.map(|(day, name)| format!("{day} {name}")).collect();
        texts.join(", ")
    };
    assert_eq!(
        listed("2018-11-22", "2018-12-05"),
        "2018-11-22 Thanksgiving Day, 2018-11-23 Day after Thanksgiving, \
         2018-12-05 Mourning for George H. W. Bush"
    );
    assert_eq!(listed("2018-12-05", "2018-11-22"), "");
}

#[test]
fn the_local_date_is_not_always_the_trading_date() {
    let evening = super::at("2018-04-27T21:00:00-04:00");
    assert_eq!(XNYS.local_date(evening), date("2018-04-27"));
    assert_eq!(XNYS.trading_date(evening), Ok(date("2018-04-30")));
}
