//! Between instants and local time: the one place that converts to the types of `jiff`.

use super::{CalendarError, Date, TimeOfDay};
use crate::time::UnixNanos;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone of the database that is compiled in.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    zone: TimeZone,
}

impl Zone {
    /// Returns the zone with this IANA name, such as `America/New_York`.
    ///
    /// Never asks the machine: its database may be older, newer or missing, and two machines
    /// would then disagree about the same journal.
    pub fn named(name: &str) -> Option<Zone> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        Some(Zone { zone })
    }

    /// Returns when local clocks show `time` on `date`; 24:00 is midnight of the next date. A time
    /// that comes twice is the first one; a time that is left out is as much later as the gap.
    pub fn instant(&self, date: Date, time: TimeOfDay) -> UnixNanos {
        let minutes = time.minutes();
        let (days, minutes) = (minutes / 1440, minutes % 1440);
        let midnight = date.plus_days(days as i16).0.at(0, 0, 0, 0);
        let local = midnight.saturating_add(jiff::Span::new().minutes(minutes));
        let timestamp = self.zone.to_timestamp(local).unwrap_or(Timestamp::MAX);
        // Beyond 2262 in either direction: far outside of every calendar, so the bound will do.
        let nanos = timestamp.as_nanosecond();
        UnixNanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// Returns the local date.
    pub fn date(&self, ts: UnixNanos) -> Date {
        Date(self.zone.to_datetime(timestamp(ts)).date())
    }

    /// Returns `2024-07-03T09:30:00-04:00`, with a fraction only where there is one.
    pub fn text(&self, ts: UnixNanos) -> String {
        let timestamp = timestamp(ts);
        let seconds = self.zone.to_offset(timestamp).seconds();
        let (sign, seconds) = if seconds < 0 {
            ('-', -seconds)
        } else {
            ('+', seconds)
        };
        let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
        let local = self.zone.to_datetime(timestamp);
        format!("{local}{sign}{hours:02}:{minutes:02}")
    }
}

fn timestamp(ts: UnixNanos) -> Timestamp {
    // Every `i64` of nanoseconds fits: `Timestamp` reaches from year -9999 to 9999.
    Timestamp::from_nanosecond(i128::from(ts.0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reads an instant: a whole number of nanoseconds since 1970-01-01 UTC, or a date and time with
/// its offset such as `2018-04-27T16:00:00-04:00` or `2018-04-27T20:00:00Z`.
///
/// Errors: anything else, a local time without an offset among it, since it would have to be
/// guessed.
pub fn parse_instant(text: &str) -> Result<UnixNanos, CalendarError> {
    let read = || match text.parse::<i64>() {
        Ok(nanos) => Some(nanos),
        Err(_) => i64::try_from(text.parse::<Timestamp>().ok()?.as_nanosecond()).ok(),
    };
    read().map(UnixNanos).ok_or_else(|| CalendarError::Text {
        field: "instant",
        text: text.to_owned(),
        expected: "a time such as 2018-04-27T16:00:00-04:00, or nanoseconds since 1970",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, date: &str, time: &str, expected: &str) {
        let zone = Zone::named(zone).unwrap();
        let ts = zone.instant(date.parse().unwrap(), time.parse().unwrap());
        assert_eq!(zone.text(ts), expected);
        assert_eq!(parse_instant(expected), Ok(ts), "{expected}");
    }

    #[test]
    fn local_times_come_back_with_their_offset() {
        let new_york = "America/New_York";
        check(new_york, "2024-07-03", "09:30", "2024-07-03T09:30:00-04:00");
        check(new_york, "2024-01-03", "24:00", "2024-01-04T00:00:00-05:00");
        check(
            "Europe/London",
            "2024-07-03",
            "08:00",
            "2024-07-03T08:00:00+01:00",
        );
        check("UTC", "2024-07-03", "00:00", "2024-07-03T00:00:00+00:00");
    }

    #[test]
    fn a_time_that_is_left_out_or_comes_twice_has_one_meaning() {
        let new_york = "America/New_York";
        check(new_york, "2024-03-10", "02:30", "2024-03-10T03:30:00-04:00");
        check(new_york, "2024-11-03", "01:30", "2024-11-03T01:30:00-04:00");
        check(
            "Europe/London",
            "2024-03-31",
            "01:00",
            "2024-03-31T02:00:00+01:00",
        );
        check(
            "Europe/London",
            "2024-10-27",
            "01:00",
            "2024-10-27T01:00:00+01:00",
        );
    }

    #[test]
    fn instants_are_read_with_an_offset_only() {
        assert_eq!(parse_instant("-1"), Ok(UnixNanos(-1)));
        let fraction = parse_instant("1970-01-01T00:00:00.000000001Z");
        assert_eq!(fraction, Ok(UnixNanos(1)));
        for text in [
            "",
            "now",
            "2018-04-27",
            "2018-04-27T16:00:00",
            "9999-01-01T00:00:00Z",
        ] {
            assert!(parse_instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_zone_is_none() {
        assert!(Zone::named("America/Gotham").is_none());
    }

    #[test]
    fn every_instant_has_a_text() {
        let zone = Zone::named("America/New_York").unwrap();
        assert!(zone.text(UnixNanos::MIN).starts_with("1677-"));
        assert!(zone.text(UnixNanos(i64::MAX)).starts_with("2262-"));
    }
}
