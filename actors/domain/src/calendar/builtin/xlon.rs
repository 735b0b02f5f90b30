//! London stocks.

use super::{MONDAY_TO_FRIDAY, hours, single};
use crate::calendar::rule::WeekendShift::{NextMonday, PreviousFriday, TwoDaysLater};
use crate::calendar::{
    AnnualRule, CalendarSpec, Date, DayHours, SessionHours, SessionKind, Weekday,
};

/// Continuous trade. The closing auction collects orders in the minutes after `closes`.
const HOURS: [SessionHours; 1] = [hours(SessionKind::Regular, (8, 0), (16, 30))];

const HALF_DAY_HOURS: [SessionHours; 1] = [hours(SessionKind::Regular, (8, 0), (12, 30))];

/// Bank holidays by proclamation, those among them that stand for a usual one which was moved.
const CLOSURES: [(Date, &str); 10] = [
    (Date::constant(2002, 6, 3), "Golden Jubilee"),
    (Date::constant(2002, 6, 4), "Spring bank holiday, moved"),
    (Date::constant(2011, 4, 29), "Wedding of Prince William"),
    (Date::constant(2012, 6, 4), "Spring bank holiday, moved"),
    (Date::constant(2012, 6, 5), "Diamond Jubilee"),
    (
        Date::constant(2020, 5, 8),
        "Early May bank holiday, moved to VE Day",
    ),
    (Date::constant(2022, 6, 2), "Spring bank holiday, moved"),
    (Date::constant(2022, 6, 3), "Platinum Jubilee"),
    (Date::constant(2022, 9, 19), "Funeral of Queen Elizabeth II"),
    (Date::constant(2023, 5, 8), "Coronation of King Charles III"),
];

/// Source: bank holidays of England and Wales (Banking and Financial Dealings Act 1971 and
/// proclamations under it), on which the exchange does not trade.
pub(super) fn spec() -> CalendarSpec {
    CalendarSpec {
        name: "XLON".to_owned(),
        time_zone: "Europe/London".to_owned(),
        weekdays: MONDAY_TO_FRIDAY.to_vec(),
        hours: HOURS.to_vec(),
        half_day_hours: HALF_DAY_HOURS.to_vec(),
        holidays: holidays(),
        // The last trading day before Christmas and before the New Year.
        half_days: vec![
            AnnualRule::fixed("Christmas Eve", 12, 24).shifted(PreviousFriday),
            AnnualRule::fixed("New Year's Eve", 12, 31).shifted(PreviousFriday),
        ],
        days: single(&CLOSURES, &DayHours::Closed),
    }
}

fn holidays() -> Vec<AnnualRule> {
    use Weekday::Monday;
    vec![
        AnnualRule::fixed("New Year's Day", 1, 1).shifted(NextMonday),
        AnnualRule::easter("Good Friday").plus_days(-2),
        AnnualRule::easter("Easter Monday").plus_days(1),
        AnnualRule::nth("Early May bank holiday", 5, Monday, 1).except(&[2020]),
        AnnualRule::nth("Spring bank holiday", 5, Monday, -1).except(&[2002, 2012, 2022]),
        AnnualRule::nth("Summer bank holiday", 8, Monday, -1),
        AnnualRule::fixed("Christmas Day", 12, 25).shifted(TwoDaysLater),
        AnnualRule::fixed("Boxing Day", 12, 26).shifted(TwoDaysLater),
    ]
}
