//! New York stocks.

use super::{MONDAY_TO_FRIDAY, hours, single};
use crate::calendar::rule::WeekendShift::{NearestWeekday, SundayToMonday};
use crate::calendar::{
    AnnualRule, CalendarSpec, Date, DayHours, SessionHours, SessionKind, Weekday,
};

/// Extended hours are one schedule for every year: 4:00 to 9:30 and 16:00 to 20:00, and after a half
/// day 13:00 to 17:00. Venues differ in them, and earlier years had shorter ones; where it matters
/// a venue's own hours replace these.
const HOURS: [SessionHours; 3] = [
    hours(SessionKind::Pre, (4, 0), (9, 30)),
    hours(SessionKind::Regular, (9, 30), (16, 0)),
    hours(SessionKind::Post, (16, 0), (20, 0)),
];

const HALF_DAY_HOURS: [SessionHours; 3] = [
    hours(SessionKind::Pre, (4, 0), (9, 30)),
    hours(SessionKind::Regular, (9, 30), (13, 0)),
    hours(SessionKind::Post, (13, 0), (17, 0)),
];

/// Days on which the exchange was closed beside its rules.
const CLOSURES: [(Date, &str); 10] = [
    (Date::constant(2001, 9, 11), "Attacks of September 11"),
    (Date::constant(2001, 9, 12), "Attacks of September 11"),
    (Date::constant(2001, 9, 13), "Attacks of September 11"),
    (Date::constant(2001, 9, 14), "Attacks of September 11"),
    (Date::constant(2004, 6, 11), "Mourning for Ronald Reagan"),
    (Date::constant(2007, 1, 2), "Mourning for Gerald Ford"),
    (Date::constant(2012, 10, 29), "Hurricane Sandy"),
    (Date::constant(2012, 10, 30), "Hurricane Sandy"),
    (
        Date::constant(2018, 12, 5),
        "Mourning for George H. W. Bush",
    ),
    (Date::constant(2025, 1, 9), "Mourning for Jimmy Carter"),
];

/// Source: NYSE Rule 7.2 (holidays) and the exchange's yearly notices of hours.
pub(super) fn spec() -> CalendarSpec {
    let mut days = single(&CLOSURES, &DayHours::Closed);
    // Christmas was a Thursday, and the exchange gave half of the Friday; in no later such year.
    days.extend(single(
        &[(Date::constant(2003, 12, 26), "Day after Christmas")],
        &DayHours::HalfDay,
    ));
    CalendarSpec {
        name: "XNYS".to_owned(),
        time_zone: "America/New_York".to_owned(),
        weekdays: MONDAY_TO_FRIDAY.to_vec(),
        hours: HOURS.to_vec(),
        half_day_hours: HALF_DAY_HOURS.to_vec(),
        holidays: holidays(),
        half_days: half_days(),
        days,
    }
}

fn holidays() -> Vec<AnnualRule> {
    use Weekday::{Monday, Thursday};
    vec![
        // On a Saturday it is not made up for: the Friday closes the books of the year.
        AnnualRule::fixed("New Year's Day", 1, 1).shifted(SundayToMonday),
        AnnualRule::nth("Martin Luther King Jr. Day", 1, Monday, 3),
        AnnualRule::nth("Washington's Birthday", 2, Monday, 3),
        AnnualRule::easter("Good Friday").plus_days(-2),
        AnnualRule::nth("Memorial Day", 5, Monday, -1),
        AnnualRule::fixed("Juneteenth", 6, 19)
            .shifted(NearestWeekday)
            .since(2022),
        AnnualRule::fixed("Independence Day", 7, 4).shifted(NearestWeekday),
        AnnualRule::nth("Labor Day", 9, Monday, 1),
        AnnualRule::nth("Thanksgiving Day", 11, Thursday, 4),
        AnnualRule::fixed("Christmas Day", 12, 25).shifted(NearestWeekday),
    ]
}

fn half_days() -> Vec<AnnualRule> {
    use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
    vec![
        AnnualRule::fixed("Day before Independence Day", 7, 3)
            .only_on(&[Monday, Tuesday, Thursday]),
        // Up to 2012 a Thursday's holiday was followed by a short Friday; since then the
        // Wednesday before it is short.
        AnnualRule::fixed("Day after Independence Day", 7, 5)
            .only_on(&[Friday])
            .until(2012),
        AnnualRule::fixed("Day before Independence Day", 7, 3)
            .only_on(&[Wednesday])
            .since(2013),
        AnnualRule::nth("Day after Thanksgiving", 11, Thursday, 4).plus_days(1),
        // A Friday is the holiday itself, since Christmas is then a Saturday.
        AnnualRule::fixed("Christmas Eve", 12, 24).only_on(&[Monday, Tuesday, Wednesday, Thursday]),
    ]
}
