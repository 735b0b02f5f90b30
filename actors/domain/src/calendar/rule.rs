//! Days that come back each year: holidays and half days by rule.

use super::{Date, Weekday};
use serde::{Deserialize, Serialize};

/// Which day of a year is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum AnnualDay {
    /// `month` 1 to 12; a day that a year does not have, 29 February, is left out in that year.
    Fixed { month: i8, day: i8 },
    /// The `nth` weekday of a month: 1 to 5 from its begin, -1 to -5 from its end.
    Nth {
        month: i8,
        weekday: Weekday,
        nth: i8,
    },
    /// Western Easter Sunday.
    EasterSunday,
}

/// What becomes of a day that falls on Saturday or Sunday.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeekendShift {
    /// It stays there.
    #[default]
    Stay,
    /// Sunday moves to Monday, Saturday stays.
    SundayToMonday,
    /// Saturday moves to Friday, Sunday to Monday.
    NearestWeekday,
    /// Both move to Monday.
    NextMonday,
    /// Both move by two days: Christmas and Boxing Day, each of which may take the other's Monday.
    TwoDaysLater,
    /// Both move to Friday.
    PreviousFriday,
}

/// A day of each year, with the years in which the rule holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnnualRule {
    /// As people call it, for messages.
    pub name: String,
    pub day: AnnualDay,
    /// Days after `day`, negative for before; at most 31 either way.
    #[serde(default)]
    pub plus_days: i16,
    /// The rule holds only when the day, not yet shifted, is one of these; empty for any.
    #[serde(default)]
    pub only_on: Vec<Weekday>,
    #[serde(default)]
    pub weekend: WeekendShift,
    /// Inclusive; `None` for as long as calendars reach.
    #[serde(default)]
    pub first_year: Option<i16>,
    /// Inclusive; `None` for as long as calendars reach.
    #[serde(default)]
    pub last_year: Option<i16>,
    /// Years in which the rule did not hold.
    #[serde(default)]
    pub except_years: Vec<i16>,
}

impl AnnualRule {
    fn new(name: &str, day: AnnualDay) -> AnnualRule {
        AnnualRule {
            name: name.to_owned(),
            day,
            plus_days: 0,
            only_on: Vec::new(),
            weekend: WeekendShift::Stay,
            first_year: None,
            last_year: None,
            except_years: Vec::new(),
        }
    }

    pub fn fixed(name: &str, month: i8, day: i8) -> AnnualRule {
        AnnualRule::new(name, AnnualDay::Fixed { month, day })
    }

    pub fn nth(name: &str, month: i8, weekday: Weekday, nth: i8) -> AnnualRule {
        let day = AnnualDay::Nth {
            month,
            weekday,
            nth,
        };
        AnnualRule::new(name, day)
    }

    pub fn easter(name: &str) -> AnnualRule {
        AnnualRule::new(name, AnnualDay::EasterSunday)
    }

    #[must_use]
    pub fn plus_days(mut self, days: i16) -> AnnualRule {
        self.plus_days = days;
        self
    }

    #[must_use]
    pub fn only_on(mut self, weekdays: &[Weekday]) -> AnnualRule {
        self.only_on = weekdays.to_vec();
        self
    }

    #[must_use]
    pub fn shifted(mut self, weekend: WeekendShift) -> AnnualRule {
        self.weekend = weekend;
        self
    }

    #[must_use]
    pub fn since(mut self, year: i16) -> AnnualRule {
        self.first_year = Some(year);
        self
    }

    #[must_use]
    pub fn until(mut self, year: i16) -> AnnualRule {
        self.last_year = Some(year);
        self
    }

    #[must_use]
    pub fn except(mut self, years: &[i16]) -> AnnualRule {
        self.except_years = years.to_vec();
        self
    }

    /// Returns the date of the rule's day of `year`, or `None` in a year without one. A shift may
    /// move it into the year before or after.
    pub fn date(&self, year: i16) -> Option<Date> {
        let too_early = self.first_year.is_some_and(|first| year < first);
        let too_late = self.last_year.is_some_and(|last| year > last);
        if too_early || too_late || self.except_years.contains(&year) {
            return None;
        }
        let base = match self.day {
            AnnualDay::Fixed { month, day } => Date::new(year, month, day)?,
            AnnualDay::Nth {
                month,
                weekday,
                nth,
            } => Date::nth_weekday(year, month, weekday, nth)?,
            AnnualDay::EasterSunday => easter_sunday(year)?,
        };
        let date = base.plus_days(self.plus_days);
        let weekday = date.weekday();
        if !self.only_on.is_empty() && !self.only_on.contains(&weekday) {
            return None;
        }
        Some(date.plus_days(shift_days(self.weekend, weekday)))
    }
}

fn shift_days(shift: WeekendShift, weekday: Weekday) -> i16 {
    use WeekendShift::{NearestWeekday, NextMonday, PreviousFriday, SundayToMonday, TwoDaysLater};
    match (weekday, shift) {
        (Weekday::Saturday, NextMonday | TwoDaysLater) => 2,
        (Weekday::Saturday, NearestWeekday | PreviousFriday) => -1,
        (Weekday::Sunday, SundayToMonday | NearestWeekday | NextMonday) => 1,
        (Weekday::Sunday, TwoDaysLater) => 2,
        (Weekday::Sunday, PreviousFriday) => -2,
        _ => 0,
    }
}

/// Returns Easter Sunday of the Western churches.
///
/// Source: the "anonymous Gregorian" computus, in J. Meeus, Astronomical Algorithms, chapter 8.
fn easter_sunday(year: i16) -> Option<Date> {
    let y = i32::from(year);
    let golden = y.rem_euclid(19);
    let (century, of_century) = (y.div_euclid(100), y.rem_euclid(100));
    let correction = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - correction + 15) % 30;
    let to_sunday = (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * to_sunday) / 451;
    let from_march = epact + to_sunday - 7 * late + 114;
    let month = i8::try_from(from_march / 31).ok()?;
    Date::new(year, month, i8::try_from(from_march % 31 + 1).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &AnnualRule, expected: &[(i16, &str)]) {
        for (year, date) in expected {
            let found = rule.date(*year).map(|date| date.to_string());
            let found = found.unwrap_or_else(|| "none".to_owned());
            assert_eq!(found, *date, "{} in {year}", rule.name);
        }
    }

    #[test]
    fn easter_falls_on_the_published_dates() {
        // The earliest and the latest of the range, and both kinds of leap year.
        check(
            &AnnualRule::easter("Easter"),
            &[
                (2000, "2000-04-23"),
                (2008, "2008-03-23"),
                (2011, "2011-04-24"),
                (2024, "2024-03-31"),
                (2035, "2035-03-25"),
                (2037, "2037-04-05"),
                (2038, "2038-04-25"),
            ],
        );
    }

    #[test]
    fn a_day_on_a_weekend_goes_where_its_rule_says() {
        // In 2021 Christmas was a Saturday, in 2022 a Sunday.
        for (shift, saturday, sunday) in [
            (WeekendShift::Stay, "2021-12-25", "2022-12-25"),
            (WeekendShift::SundayToMonday, "2021-12-25", "2022-12-26"),
            (WeekendShift::NearestWeekday, "2021-12-24", "2022-12-26"),
            (WeekendShift::NextMonday, "2021-12-27", "2022-12-26"),
            (WeekendShift::TwoDaysLater, "2021-12-27", "2022-12-27"),
            (WeekendShift::PreviousFriday, "2021-12-24", "2022-12-23"),
        ] {
            let rule = AnnualRule::fixed("Christmas", 12, 25).shifted(shift);
            check(
                &rule,
                &[(2021, saturday), (2022, sunday), (2023, "2023-12-25")],
            );
        }
    }

    #[test]
    fn a_rule_holds_in_its_years_and_on_its_weekdays_only() {
        let rule = AnnualRule::fixed("Third of July", 7, 3)
            .only_on(&[Weekday::Wednesday])
            .since(2013)
            .until(2024)
            .except(&[2019]);
        check(
            &rule,
            &[
                (2002, "none"),
                (2013, "2013-07-03"),
                (2014, "none"),
                (2019, "none"),
                (2024, "2024-07-03"),
                (2030, "none"),
            ],
        );
    }

    #[test]
    fn days_are_counted_from_the_day_of_the_rule() {
        let rule = AnnualRule::nth("Day after Thanksgiving", 11, Weekday::Thursday, 4).plus_days(1);
        check(&rule, &[(2019, "2019-11-29"), (2024, "2024-11-29")]);
        let leap_day = AnnualRule::fixed("Leap day", 2, 29);
        check(&leap_day, &[(2023, "none"), (2024, "2024-02-29")]);
    }
}
