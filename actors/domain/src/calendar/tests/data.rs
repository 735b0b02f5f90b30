//! Calendars as data: what an operator adds, and what is refused.

use super::{at, date};
use crate::calendar::{
    AnnualRule, Calendar, CalendarError, CalendarSpec, DayEntry, DayHours, Hours, SessionHours,
    SessionKind, Weekday,
};

fn xnys() -> CalendarSpec {
    CalendarSpec::builtin("XNYS").unwrap()
}

fn entry(day: &str, hours: DayHours) -> DayEntry {
    DayEntry {
        date: date(day),
        name: "by the operator".to_owned(),
        hours,
    }
}

fn regular(opens: &str, closes: &str) -> SessionHours {
    SessionHours {
        kind: SessionKind::Regular,
        opens: opens.parse().unwrap(),
        closes: closes.parse().unwrap(),
        opens_day_before: false,
    }
}

#[test]
fn an_operator_s_day_goes_before_every_rule() {
    let special = DayHours::Special(vec![regular("12:00", "16:00")]);
    let spec = xnys().with_days(&[
        entry("2026-03-04", DayHours::Closed),
        entry("2026-03-05", DayHours::HalfDay),
        // Thanksgiving, a Saturday, and a closure that is built in.
        entry("2026-11-26", DayHours::Normal),
        entry("2026-03-07", DayHours::Normal),
        entry("2018-12-05", special),
    ]);
    let calendar = Calendar::new(&spec).unwrap();
    let closes = |day: &str| {
        let session = calendar.regular_session(date(day)).unwrap()?;
        Some(calendar.local(session.close))
    };
    assert_eq!(closes("2026-03-04"), None);
    assert_eq!(closes("2026-03-05").unwrap(), "2026-03-05T13:00:00-05:00");
    assert_eq!(closes("2026-11-26").unwrap(), "2026-11-26T16:00:00-05:00");
    assert_eq!(closes("2026-03-07").unwrap(), "2026-03-07T16:00:00-05:00");
    let late = at("2018-12-05T11:59:59-05:00");
    assert_eq!(calendar.is_open(late, Hours::Extended), Ok(false));
    assert_eq!(
        calendar.is_open(late.plus(1_000_000_000), Hours::Regular),
        Ok(true)
    );
    assert_eq!(
        calendar.day_name(date("2026-03-04")),
        Some("by the operator")
    );
    // A DAY order skips what was closed.
    let sent = at("2026-03-03T17:00:00-05:00");
    let expiry = calendar.day_order_expiry(sent, Hours::Regular).unwrap();
    assert_eq!(calendar.local(expiry), "2026-03-05T13:00:00-05:00");
}

#[test]
fn a_calendar_comes_back_from_its_bytes() {
    for name in crate::calendar::NAMES {
        let spec = CalendarSpec::builtin(name).unwrap();
        let bytes = postcard::to_allocvec(&spec).unwrap();
        assert_eq!(postcard::from_bytes::<CalendarSpec>(&bytes).unwrap(), spec);
    }
}

#[test]
fn a_market_that_is_not_built_in_is_made_of_data_alone() {
    let mut spec = CalendarSpec::builtin("XLON").unwrap();
    spec.name = "XTKS".to_owned();
    spec.time_zone = "Asia/Tokyo".to_owned();
    spec.hours = vec![regular("09:00", "15:30")];
    spec.half_day_hours.clear();
    spec.half_days.clear();
    spec.days.clear();
    spec.holidays = vec![AnnualRule::nth("Marine Day", 7, Weekday::Monday, 3)];
    let calendar = Calendar::new(&spec).unwrap();
    let next = calendar.next_open(at("2026-07-17T15:30:00+09:00")).unwrap();
    assert_eq!(calendar.local(next), "2026-07-21T09:00:00+09:00");
}

#[test]
fn an_unknown_name_is_refused_with_those_that_are_known() {
    let error = Calendar::builtin("NYSE").unwrap_err();
    let expected = "calendar \"NYSE\" is not known; known are XNYS, XLON, FX, CRYPTO";
    assert_eq!(error.to_string(), expected);
}

fn check_refused(change: impl FnOnce(&mut CalendarSpec), field: &str, why: &str) {
    let mut spec = xnys();
    change(&mut spec);
    let error = Calendar::new(&spec).unwrap_err();
    let CalendarError::Spec {
        field: found,
        why: reason,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(found, field, "{error}");
    assert!(reason.contains(why), "{error}");
}

#[test]
fn hours_that_contradict_themselves_are_refused() {
    check_refused(|spec| spec.name.clear(), "name", "empty");
    check_refused(|spec| spec.weekdays.clear(), "weekdays", "empty");
    check_refused(
        |spec| spec.time_zone = "New York".to_owned(),
        "time_zone",
        "New York",
    );
    check_refused(|spec| spec.hours.clear(), "hours", "0 regular");
    check_refused(
        |spec| spec.half_day_hours.clear(),
        "half_day_hours",
        "0 regular",
    );
    check_refused(|spec| spec.hours.swap(0, 1), "hours", "begins before");
    check_refused(
        |spec| spec.hours[1].closes = spec.hours[1].opens,
        "hours",
        "is empty",
    );
    check_refused(|spec| spec.hours[2] = spec.hours[1], "hours", "2 regular");
    check_refused(
        |spec| spec.hours[0].kind = SessionKind::Post,
        "hours",
        "order",
    );
    // Each day is well by itself, but it begins before the evening of the last one ends.
    check_refused(
        |spec| spec.hours[0].opens_day_before = true,
        "hours",
        "overlap",
    );
}

#[test]
fn rules_and_days_that_cannot_be_meant_are_refused() {
    let holiday = |rule: AnnualRule| move |spec: &mut CalendarSpec| spec.holidays.push(rule);
    check_refused(
        holiday(AnnualRule::fixed("x", 2, 30)),
        "holidays",
        "no year has",
    );
    check_refused(
        holiday(AnnualRule::fixed("x", 13, 1)),
        "holidays",
        "no year has",
    );
    let weekday = Weekday::Monday;
    check_refused(
        holiday(AnnualRule::nth("x", 1, weekday, 0)),
        "holidays",
        "no year has",
    );
    check_refused(
        holiday(AnnualRule::nth("x", 0, weekday, 1)),
        "holidays",
        "no year has",
    );
    check_refused(
        holiday(AnnualRule::nth("x", 1, weekday, i8::MIN)),
        "holidays",
        "no year has",
    );
    let far = AnnualRule::easter("x").plus_days(i16::MIN);
    check_refused(holiday(far), "holidays", "plus_days");
    let backwards = AnnualRule::easter("x").since(2020).until(2019);
    check_refused(holiday(backwards), "holidays", "first_year");
    let day = |day: &'static str, hours: DayHours| {
        move |spec: &mut CalendarSpec| spec.days.push(entry(day, hours))
    };
    check_refused(day("1999-12-31", DayHours::Closed), "days", "outside");
    check_refused(day("2025-01-09", DayHours::Closed), "days", "twice");
    let empty = DayHours::Special(Vec::new());
    check_refused(day("2026-01-09", empty), "days: 2026-01-09", "0 regular");
}
