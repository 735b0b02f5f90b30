//! Times as files write them, to nanoseconds UTC.

use apex_domain::UnixNanos;

/// What a time column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeColumn {
    /// `ts_ns`: a whole number of nanoseconds since the epoch.
    Nanos,
    /// `ts_utc`, `ts`, `timestamp`, `date`: a date, a date with a time, or a whole number since
    /// the epoch whose unit its size tells.
    Text,
}

/// Reads a time. A date alone is 00:00 UTC, and a time without a zone is UTC.
///
/// Accepted: `2018-04-27`, `2021-12-31 23:01:00[.123456789]`, the same with `T`, with `Z`,
/// `+00:00` or `-0500` behind it, and whole numbers. A whole number in a column other than
/// `ts_ns` counts seconds up to 10^11, milliseconds up to 10^14, microseconds up to 10^17 and
/// nanoseconds above.
///
/// Returns `None` for anything else and for what does not fit the range of [`UnixNanos`].
pub fn parse(column: TimeColumn, text: &[u8]) -> Option<UnixNanos> {
    if column == TimeColumn::Nanos || text.iter().all(u8::is_ascii_digit) {
        let number: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        let unit = match number {
            _ if column == TimeColumn::Nanos => 1,
            0..100_000_000_000 => 1_000_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000,
            _ => 1,
        };
        return number.checked_mul(unit).map(UnixNanos);
    }
    let date = text.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let (year, month, day) = (
        digits(&date[..4])?,
        digits(&date[5..7])?,
        digits(&date[8..])?,
    );
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let midnight = days_from_civil(year, month, day) * 86_400;
    let (seconds, nanos) = match text.get(10) {
        None => (0, 0),
        Some(b'T' | b' ') => clock(&text[11..])?,
        Some(_) => return None,
    };
    (midnight + seconds)
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
        .map(UnixNanos)
}

/// Reads `HH:MM[:SS[.fraction]][zone]` as seconds and nanoseconds since midnight UTC.
fn clock(text: &[u8]) -> Option<(i64, i64)> {
    let two = |at: usize| text.get(at..at + 2).and_then(digits);
    if text.get(2) != Some(&b':') {
        return None;
    }
    let (hour, minute) = (two(0)?, two(3)?);
    let (mut second, mut nanos, mut at) = (0, 0, 5);
    if text.get(at) == Some(&b':') {
        second = two(6)?;
        at = 8;
        if text.get(at) == Some(&b'.') {
            let fraction = &text[at + 1..];
            let length = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
            if !(1..=9).contains(&length) {
                return None;
            }
            nanos = digits(&fraction[..length])? * 10_i64.pow(9 - length as u32);
            at += 1 + length;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = zone(&text[at..])?;
    Some((hour * 3_600 + minute * 60 + second - offset, nanos))
}

/// Reads nothing, `Z`, `+HH:MM` or `+HHMM` as the seconds that local time is ahead of UTC.
fn zone(text: &[u8]) -> Option<i64> {
    let (hours, minutes) = match text {
        b"" | b"Z" => return Some(0),
        [_, a, b, b':', c, d] | [_, a, b, c, d] => (digits(&[*a, *b])?, digits(&[*c, *d])?),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3_600 + minutes * 60;
    match text[0] {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    let mut value = 0;
    for byte in text {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(value)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days since 1970-01-01 in the proleptic Gregorian calendar.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(
            parse(TimeColumn::Text, text.as_bytes()),
            expected.map(UnixNanos),
            "{text}"
        );
    }

    #[test]
    fn the_forms_of_real_files_are_read() {
        check("1970-01-01", Some(0));
        check("2018-04-27", Some(1_524_787_200_000_000_000));
        check("2000-02-29", Some(951_782_400_000_000_000));
        let minute = Some(1_640_991_660_000_000_000);
        check("2021-12-31 23:01:00.000000", minute);
        check("2021-12-31T23:01:00Z", minute);
        check("2021-12-31 23:01:00+00:00", minute);
        check("2021-12-31T18:01:00.000-05:00", minute);
        check("2021-12-31T18:01-0500", minute);
        check("2013-10-07T08:00:00.054Z", Some(1_381_132_800_054_000_000));
    }

    #[test]
    fn whole_numbers_are_told_apart_by_their_size() {
        let expected = Some(1_640_991_660_000_000_000);
        check("1640991660", expected);
        check("1640991660000", expected);
        check("1640991660000000", expected);
        check("1640991660000000000", expected);
        assert_eq!(parse(TimeColumn::Nanos, b"-5"), Some(UnixNanos(-5)));
        assert_eq!(
            parse(TimeColumn::Nanos, b"1640991660"),
            Some(UnixNanos(1_640_991_660))
        );
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "x",
            "2018-02-29",
            "2018-13-01",
            "2018-00-10",
            "2018-04-31",
            "2018-4-27",
            "2018-04-27T",
            "2018-04-27T24:00:00",
            "2018-04-27T23:60:00",
            "2018-04-27T23:59:60",
            "2018-04-27T10:00:00.",
            "2018-04-27T10:00:00X",
            "2018-04-27T10:00:00+99:00",
            "9999-01-01",
            "2018-04-27x",
            "99999999999999999999",
            "1.5e9",
            "2018-04-27T10:00:00 05:00",
        ] {
            check(text, None);
        }
    }
}
