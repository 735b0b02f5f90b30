//! Names of objects: what a part holds, of whom, and of when.

use super::Archive;
use crate::StorageError;
use crate::port::objects::{ObjectInfo, ObjectKey};
use crate::port::series::{DAY_NS, TimeRange};
use apex_domain::id::InstrumentId;
use apex_domain::time::UnixNanos;
use std::fmt;

/// Keys that are listed at once.
const PAGE: usize = 1_000;

/// Bars of this interval and longer are kept by the year.
const BY_YEAR_NS: i64 = 3_600_000_000_000;

const UNITS: [(&str, i64); 7] = [
    ("d", DAY_NS),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// What a file of the archive holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Content {
    Trades,
    Quotes,
    /// Bars of one interval, 1 ns or more.
    Bars {
        interval_ns: i64,
    },
}

impl Content {
    /// Returns the word for it: `trades`, `quotes`, `bars`.
    pub fn name(self) -> &'static str {
        match self {
            Content::Trades => "trades",
            Content::Quotes => "quotes",
            Content::Bars { .. } => "bars",
        }
    }

    fn is_by_year(self) -> bool {
        matches!(self, Content::Bars { interval_ns } if interval_ns >= BY_YEAR_NS)
    }

    fn folder(self, id: &InstrumentId) -> String {
        let instrument = escaped(id.as_str());
        match self {
            Content::Bars { interval_ns } => {
                let interval = interval_text(interval_ns);
                format!("market/bars/interval={interval}/instrument={instrument}/")
            }
            ticks => format!("market/{}/instrument={instrument}/", ticks.name()),
        }
    }

    /// Returns the key of the part that a time is in.
    pub(super) fn key(self, id: &InstrumentId, ts: UnixNanos) -> Result<ObjectKey, StorageError> {
        let folder = self.folder(id);
        let date = self.date(ts);
        let name = if self.is_by_year() { "year" } else { "date" };
        ObjectKey::new(&format!("{folder}{name}={date}/rows.parquet"))
    }

    /// Returns the day or the year of a time, which sort as text: the range of [`UnixNanos`] has
    /// only years of four digits.
    fn date(self, ts: UnixNanos) -> String {
        let date = jiff::civil::date(1970, 1, 1)
            .checked_add(jiff::Span::new().days(ts.0.div_euclid(DAY_NS)))
            .expect("jiff's dates reach beyond those of 64 bits of nanoseconds");
        if self.is_by_year() {
            format!("{:04}", date.year())
        } else {
            date.to_string()
        }
    }

    /// Returns whether a part may hold rows of a range.
    pub(super) fn may_hold(self, key: &ObjectKey, range: TimeRange) -> bool {
        let mut parts = key.as_str().rsplit('/');
        let date = parts.nth(1).and_then(|part| part.split_once('='));
        let Some((_, date)) = date else { return false };
        let last = UnixNanos(range.to.0.saturating_sub(1));
        date >= self.date(range.from).as_str() && date <= self.date(last).as_str()
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Bars { interval_ns } => write!(f, "{} bars", interval_text(*interval_ns)),
            ticks => f.write_str(ticks.name()),
        }
    }
}

/// Writes an interval in its largest whole unit: `1m`, `4h`, `1d`, `250ms`.
pub fn interval_text(interval_ns: i64) -> String {
    let fits = |unit: &&(&str, i64)| interval_ns % unit.1 == 0;
    // The last unit always fits.
    let (name, unit) = UNITS.iter().find(fits).unwrap_or(&UNITS[6]);
    format!("{}{name}", interval_ns / unit)
}

/// Reads what [`interval_text`] writes; `None` for anything else and for zero.
pub fn parse_interval(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (digits, name) = text.split_at(end);
    let (_, unit) = UNITS.iter().find(|unit| unit.0 == name)?;
    let count: i64 = digits.parse().ok()?;
    count.checked_mul(*unit).filter(|interval| *interval > 0)
}

/// Writes an id so that an object's name can hold it. Different ids stay different.
fn escaped(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for c in id.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') {
            text.push(c);
        } else {
            text.push_str(&format!("_{:02X}", u32::from(c)));
        }
    }
    text
}

impl Archive {
    /// Returns the keys of all parts by time.
    pub(super) fn parts(
        &self,
        content: Content,
        id: &InstrumentId,
    ) -> Result<Vec<ObjectKey>, StorageError> {
        let folder = content.folder(id);
        let mut keys: Vec<ObjectKey> = Vec::new();
        loop {
            let page = self.objects.list(&folder, keys.last(), PAGE)?;
            let is_last = page.len() < PAGE;
            keys.extend(page.into_iter().map(|info| info.key));
            if is_last {
                return Ok(keys);
            }
        }
    }

    pub(super) fn first_part(
        &self,
        content: Content,
        id: &InstrumentId,
    ) -> Result<Option<ObjectInfo>, StorageError> {
        Ok(self.objects.list(&content.folder(id), None, 1)?.pop())
    }

    /// Returns the intervals of which there are bars, of whatever instrument.
    pub(super) fn intervals(&self) -> Result<Vec<i64>, StorageError> {
        const FOLDER: &str = "market/bars/interval=";
        let mut found = Vec::new();
        let mut after = None;
        while let Some(info) = self.objects.list(FOLDER, after.as_ref(), 1)?.pop() {
            let text = info.key.as_str().strip_prefix(FOLDER).unwrap_or_default();
            let interval = text.split('/').next().unwrap_or_default();
            found.extend(parse_interval(interval));
            // Behind all keys of this interval: no key has a character as high as this one.
            after = Some(ObjectKey::new(&format!("{FOLDER}{interval}/zzzz"))?);
        }
        found.sort_unstable();
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_named_by_kind_instrument_and_day_or_year() {
        let id = InstrumentId::new("BTC/USD_X.ALPACA").unwrap();
        let key = |content: Content, ts| content.key(&id, UnixNanos(ts)).unwrap().to_string();
        assert_eq!(
            key(Content::Trades, DAY_NS - 1),
            "market/trades/instrument=BTC_2FUSD_5FX.ALPACA/date=1970-01-01/rows.parquet"
        );
        let bars = |interval_ns| Content::Bars { interval_ns };
        assert!(key(bars(60_000_000_000), -1).ends_with("date=1969-12-31/rows.parquet"));
        assert!(key(bars(DAY_NS), -1).contains("interval=1d/"));
        assert!(key(bars(DAY_NS), -1).ends_with("year=1969/rows.parquet"));
        assert!(key(Content::Quotes, i64::MIN).ends_with("date=1677-09-21/rows.parquet"));
        assert!(key(Content::Quotes, i64::MAX).ends_with("date=2262-04-11/rows.parquet"));
    }

    #[test]
    fn intervals_are_read_as_they_are_written() {
        for (text, interval_ns) in [
            ("1m", 60_000_000_000),
            ("90s", 90_000_000_000),
            ("1d", DAY_NS),
        ] {
            assert_eq!(parse_interval(text), Some(interval_ns));
            assert_eq!(interval_text(interval_ns), text);
        }
        assert_eq!(interval_text(7), "7ns");
        for wrong in ["", "m", "0m", "-1m", "1", "1w", "99999999999999999999d"] {
            assert_eq!(parse_interval(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_parts_that_meet_a_range_are_opened() {
        let id = InstrumentId::new("X.SIM").unwrap();
        let key = Content::Trades.key(&id, UnixNanos(DAY_NS)).unwrap();
        let meets = |from, to| {
            let (from, to) = (UnixNanos(from), UnixNanos(to));
            Content::Trades.may_hold(&key, TimeRange { from, to })
        };
        assert!(meets(DAY_NS, DAY_NS + 1));
        assert!(meets(0, i64::MAX));
        assert!(!meets(0, DAY_NS), "the end is not in the range");
        assert!(!meets(2 * DAY_NS, i64::MAX));
    }
}
