//! From a calendar's data to its table of sessions, with every contradiction refused.

use super::edges;
use super::table::{Calendar, Session, SessionKind};
use super::zone::Zone;
use super::{
    AnnualDay, AnnualRule, CalendarError, CalendarSpec, Date, DayEntry, DayHours, FIRST_DATE,
    LAST_DATE, SessionHours, TimeOfDay, builtin,
};
use std::collections::BTreeMap;

impl Calendar {
    /// Returns one of the calendars in [`super::NAMES`].
    ///
    /// Errors: [`CalendarError::UnknownCalendar`].
    pub fn builtin(name: &str) -> Result<Calendar, CalendarError> {
        Calendar::new(&CalendarSpec::builtin(name)?)
    }

    /// Makes a calendar of its data.
    ///
    /// Errors: [`CalendarError::Spec`] with the field: an unknown time zone, hours that are empty,
    /// out of order or without exactly one regular session, a rule for a day that no year has, two
    /// entries for one date or one out of range, sessions of two days that overlap.
    pub fn new(spec: &CalendarSpec) -> Result<Calendar, CalendarError> {
        let zone = Zone::named(&spec.time_zone).ok_or_else(|| {
            let why = format!("no time zone has the name \"{}\"", spec.time_zone);
            refusal(spec, "time_zone", why)
        })?;
        check(spec)?;
        let rules = Rules::new(spec)?;
        let mut sessions = Vec::new();
        let mut day_names = BTreeMap::new();
        let mut date = FIRST_DATE;
        while date <= LAST_DATE {
            let (hours, name) = rules.day(spec, date);
            if let Some(name) = name {
                day_names.insert(date, name.to_owned());
            }
            sessions.extend(hours.iter().map(|one| session(&zone, date, one)));
            date = date.plus_days(1);
        }
        check_order(spec, &sessions)?;
        let (from, until) = range(spec, &zone);
        let regular = sessions.iter().copied();
        let regular: Vec<Session> = regular
            .filter(|one| one.kind == SessionKind::Regular)
            .collect();
        Ok(Calendar {
            name: spec.name.clone(),
            time_zone: spec.time_zone.clone(),
            zone,
            stretches: edges::stretches(&regular),
            regular,
            sessions,
            day_names,
            from,
            until,
        })
    }
}

impl CalendarSpec {
    /// Returns the data of one of the calendars in [`super::NAMES`], to be changed and built.
    ///
    /// Errors: [`CalendarError::UnknownCalendar`].
    pub fn builtin(name: &str) -> Result<CalendarSpec, CalendarError> {
        builtin::find(name).ok_or_else(|| CalendarError::UnknownCalendar {
            name: name.to_owned(),
            known: builtin::NAMES.join(", "),
        })
    }
}

/// The rules of all years, by date.
struct Rules<'a> {
    holidays: BTreeMap<Date, &'a str>,
    half_days: BTreeMap<Date, &'a str>,
    days: BTreeMap<Date, &'a DayEntry>,
}

impl<'a> Rules<'a> {
    fn new(spec: &'a CalendarSpec) -> Result<Rules<'a>, CalendarError> {
        let mut days = BTreeMap::new();
        for entry in &spec.days {
            if days.insert(entry.date, entry).is_some() {
                let why = format!("{} is there twice", entry.date);
                return Err(refusal(spec, "days", why));
            }
        }
        Ok(Rules {
            holidays: by_date(&spec.holidays),
            half_days: by_date(&spec.half_days),
            days,
        })
    }

    /// Returns the hours of a date, none when it is closed, and what is special about it.
    fn day(&self, spec: &'a CalendarSpec, date: Date) -> (&'a [SessionHours], Option<&'a str>) {
        if let Some(entry) = self.days.get(&date) {
            let hours = match &entry.hours {
                DayHours::Closed => &[],
                DayHours::HalfDay => spec.half_day_hours.as_slice(),
                DayHours::Normal => spec.hours.as_slice(),
                DayHours::Special(hours) => hours.as_slice(),
            };
            return (hours, Some(&entry.name));
        }
        if !spec.weekdays.contains(&date.weekday()) {
            return (&[], None);
        }
        if let Some(name) = self.holidays.get(&date) {
            return (&[], Some(name));
        }
        if let Some(name) = self.half_days.get(&date) {
            return (&spec.half_day_hours, Some(name));
        }
        (&spec.hours, None)
    }
}

/// One year more at either end, because a shift may move a day over the turn of the year.
fn by_date(rules: &[AnnualRule]) -> BTreeMap<Date, &str> {
    let years = FIRST_DATE.year() - 1..=LAST_DATE.year() + 1;
    years
        .flat_map(|year| rules.iter().map(move |rule| (rule.date(year), rule)))
        .filter_map(|(date, rule)| Some((date?, rule.name.as_str())))
        .collect()
}

fn session(zone: &Zone, date: Date, hours: &SessionHours) -> Session {
    let opening_date = if hours.opens_day_before {
        date.plus_days(-1)
    } else {
        date
    };
    Session {
        kind: hours.kind,
        trading_date: date,
        open: zone.instant(opening_date, hours.opens),
        close: zone.instant(date, hours.closes),
    }
}

/// Returns the instants that may be asked for. A trading day that begins on the evening before
/// ends the range on the evening of the last date: what comes then belongs to a date outside.
fn range(spec: &CalendarSpec, zone: &Zone) -> (crate::UnixNanos, crate::UnixNanos) {
    match spec.hours.first().filter(|first| first.opens_day_before) {
        Some(first) => (
            zone.instant(FIRST_DATE.plus_days(-1), first.opens),
            zone.instant(LAST_DATE, first.opens),
        ),
        None => (
            zone.instant(FIRST_DATE, TimeOfDay::MIDNIGHT),
            zone.instant(LAST_DATE.plus_days(1), TimeOfDay::MIDNIGHT),
        ),
    }
}

fn check(spec: &CalendarSpec) -> Result<(), CalendarError> {
    if spec.name.is_empty() {
        return Err(refusal(spec, "name", "is empty"));
    }
    if spec.weekdays.is_empty() {
        return Err(refusal(spec, "weekdays", "is empty"));
    }
    check_hours(spec, "hours", &spec.hours)?;
    let has_half_days =
        !spec.half_days.is_empty() || spec.days.iter().any(|day| day.hours == DayHours::HalfDay);
    if has_half_days || !spec.half_day_hours.is_empty() {
        check_hours(spec, "half_day_hours", &spec.half_day_hours)?;
    }
    for (field, rules) in [("holidays", &spec.holidays), ("half_days", &spec.half_days)] {
        for rule in rules {
            if let Some(why) = wrong_rule(rule) {
                return Err(refusal(spec, field, format!("\"{}\" {why}", rule.name)));
            }
        }
    }
    for entry in &spec.days {
        if !(FIRST_DATE..=LAST_DATE).contains(&entry.date) {
            let why = format!("{} is outside {FIRST_DATE} to {LAST_DATE}", entry.date);
            return Err(refusal(spec, "days", why));
        }
        if let DayHours::Special(hours) = &entry.hours {
            check_hours(spec, &format!("days: {}", entry.date), hours)?;
        }
    }
    Ok(())
}

fn check_hours(
    spec: &CalendarSpec,
    field: &str,
    hours: &[SessionHours],
) -> Result<(), CalendarError> {
    let regular = hours
        .iter()
        .filter(|one| one.kind == SessionKind::Regular)
        .count();
    if regular != 1 {
        let why = format!("has {regular} regular sessions, and needs exactly one");
        return Err(refusal(spec, field, why));
    }
    let mut last = i32::MIN;
    for one in hours {
        let day_before = if one.opens_day_before { 24 * 60 } else { 0 };
        let opens = i32::from(one.opens.minutes()) - day_before;
        let closes = i32::from(one.closes.minutes());
        if opens >= closes {
            let why = format!("a session from {} to {} is empty", one.opens, one.closes);
            return Err(refusal(spec, field, why));
        }
        if opens < last {
            let why = format!("the session at {} begins before the last ends", one.opens);
            return Err(refusal(spec, field, why));
        }
        last = closes;
    }
    let kinds: Vec<SessionKind> = hours.iter().map(|one| one.kind).collect();
    if !kinds.is_sorted() {
        return Err(refusal(
            spec,
            field,
            "are not in the order pre, regular, post",
        ));
    }
    Ok(())
}

/// Returns what makes a rule one that can never hold, or holds by accident.
fn wrong_rule(rule: &AnnualRule) -> Option<&'static str> {
    // 2000 has a 29 February; every weekday comes at least four times in every month.
    let exists = match rule.day {
        AnnualDay::Fixed { month, day } => Date::new(2000, month, day).is_some(),
        AnnualDay::Nth { month, nth, .. } => {
            (1..=12).contains(&month) && (1..=5).contains(&nth.unsigned_abs())
        }
        AnnualDay::EasterSunday => true,
    };
    let backwards = match (rule.first_year, rule.last_year) {
        (Some(first), Some(last)) => first > last,
        _ => false,
    };
    if !exists {
        Some("is on a day that no year has")
    } else if rule.plus_days.unsigned_abs() > 31 {
        Some("has plus_days beyond 31 days")
    } else if backwards {
        Some("has first_year after last_year")
    } else {
        None
    }
}

fn check_order(spec: &CalendarSpec, sessions: &[Session]) -> Result<(), CalendarError> {
    for pair in sessions.windows(2) {
        if let [a, b] = pair
            && (a.close > b.open || b.open >= b.close)
        {
            let why = format!(
                "sessions of {} and {} overlap",
                a.trading_date, b.trading_date
            );
            return Err(refusal(spec, "hours", why));
        }
    }
    Ok(())
}

fn refusal(spec: &CalendarSpec, field: &str, why: impl Into<String>) -> CalendarError {
    CalendarError::Spec {
        calendar: spec.name.clone(),
        field: field.to_owned(),
        why: why.into(),
    }
}
