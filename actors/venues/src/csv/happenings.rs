//! Small files of what happens to holders: funding rates and corporate actions.
//!
//! Unlike market data, in which an odd row is left out, every row here moves money: one that
//! cannot be read refuses the file.

use super::time::{self, TimeColumn};
use crate::input;
use apex_domain::happening::{Happening, What};
use apex_domain::{Decimal, Money, Rate, UnixNanos, number};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The largest file in bytes after inflating: some half a million rows.
const MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Why a file of happenings was not loaded. It has to be mended; nothing was taken from it.
#[derive(Debug, Error)]
pub enum HappeningsError {
    #[error("{path:?} cannot be read: check the path and the rights")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path:?} holds more than {MAX_BYTES} bytes: split it by time")]
    TooLarge { path: PathBuf },
    #[error("{path:?} begins with {found:?}, expected the columns {expected}")]
    Header {
        path: PathBuf,
        found: String,
        expected: &'static str,
    },
    #[error("{path:?}, line {line}, {field}: {detail}")]
    Row {
        path: PathBuf,
        line: usize,
        field: &'static str,
        detail: String,
    },
}

/// A field and what is wrong with it.
type Wrong = (&'static str, String);

/// Reads funding: a time column, `rate`, and where there are any `mark` and `symbol`.
///
/// Errors: [`HappeningsError`].
pub fn read_funding(path: &Path) -> Result<Vec<Happening>, HappeningsError> {
    let expected = "ts (or ts_ns, ts_utc, timestamp, date), rate, and optionally mark, symbol";
    read(path, &["rate"], &["mark", "symbol"], expected, |row| {
        let mark = row.optional("mark").map(|text| positive("mark", text));
        Ok(What::Funding {
            rate: Rate(decimal("rate", row.text("rate"))?),
            mark: mark.transpose()?,
        })
    })
}

/// Reads corporate actions: a time column, `kind` (`split` or `dividend`), `ratio` for splits
/// such as `7:1`, `amount` for dividends, in quote currency for one unit, and where there is one
/// `symbol`.
///
/// Errors: [`HappeningsError`].
pub fn read_corporate_actions(path: &Path) -> Result<Vec<Happening>, HappeningsError> {
    let expected = "date (or ts, ts_ns, ts_utc, timestamp), kind, and ratio, amount or both, and \
                    optionally symbol";
    let optional = ["ratio", "amount", "symbol"];
    read(path, &["kind"], &optional, expected, |row| {
        match (
            row.text("kind"),
            row.optional("ratio"),
            row.optional("amount"),
        ) {
            ("split", Some(ratio), None) => {
                let (numerator, denominator) = self::ratio(ratio)?;
                Ok(What::Split {
                    numerator,
                    denominator,
                })
            }
            ("dividend", None, Some(amount)) => Ok(What::Dividend {
                amount: Money(positive("amount", amount)?),
            }),
            ("split", None, _) => wrong("ratio", "is missing: write new:old, such as 7:1"),
            ("split", _, Some(_)) => wrong("amount", "is stated for a split: leave it empty"),
            ("dividend", _, None) => wrong("amount", "is missing: what one unit is paid"),
            ("dividend", Some(_), _) => wrong("ratio", "is stated for a dividend: leave it empty"),
            (kind, _, _) => wrong("kind", format!("is {kind:?}, expected split or dividend")),
        }
    })
}

/// `None` for a column that holds no time.
fn time_column(name: &str) -> Option<TimeColumn> {
    match name {
        "ts_ns" => Some(TimeColumn::Nanos),
        "ts_utc" | "ts" | "timestamp" | "date" => Some(TimeColumn::Text),
        _ => None,
    }
}

/// One row by the names of its columns.
struct Row<'a> {
    names: &'a [&'a str],
    fields: Vec<&'a str>,
}

impl<'a> Row<'a> {
    /// Returns a field, empty where there is none.
    fn text(&self, name: &str) -> &'a str {
        let at = self.names.iter().position(|known| *known == name);
        at.map_or("", |at| self.fields[at])
    }

    fn optional(&self, name: &str) -> Option<&'a str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }
}

fn read(
    path: &Path,
    required: &[&str],
    optional: &[&str],
    expected: &'static str,
    what: impl Fn(&Row<'_>) -> Result<What, Wrong>,
) -> Result<Vec<Happening>, HappeningsError> {
    let text = load(path)?;
    let mut lines = text.lines().enumerate();
    let first = lines.next().map_or("", |(_, line)| line);
    let names: Vec<&str> = first.split(',').map(str::trim).collect();
    let time = names
        .iter()
        .find_map(|name| Some((*name, time_column(name)?)));
    let known = |name: &&str| {
        time.is_some_and(|(time, _)| time == *name)
            || required.contains(name)
            || optional.contains(name)
    };
    let is_whole = required.iter().all(|name| names.contains(name));
    let (Some((time_name, column)), true, true) = (time, is_whole, names.iter().all(known)) else {
        return Err(HappeningsError::Header {
            path: path.to_owned(),
            found: first.chars().take(200).collect(),
            expected,
        });
    };
    let mut happenings = Vec::new();
    let mut seen = BTreeSet::new();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let row = Row {
            names: &names,
            fields: line.split(',').map(str::trim).collect(),
        };
        let read = read_row(&row, (time_name, column), &what).and_then(|happening| {
            let kind = std::mem::discriminant(&happening.what);
            let key = (happening.ts, happening.symbol.clone(), format!("{kind:?}"));
            if seen.insert(key) {
                return Ok(happening);
            }
            wrong(
                "time",
                "is that of an earlier row of the same symbol and kind",
            )
        });
        happenings.push(read.map_err(|(field, detail)| HappeningsError::Row {
            path: path.to_owned(),
            line: at + 1,
            field,
            detail,
        })?);
    }
    happenings.sort_by_key(|happening| happening.ts);
    Ok(happenings)
}

fn read_row(
    row: &Row<'_>,
    (time_name, column): (&str, TimeColumn),
    what: &impl Fn(&Row<'_>) -> Result<What, Wrong>,
) -> Result<Happening, Wrong> {
    if row.fields.len() != row.names.len() {
        let (found, expected) = (row.fields.len(), row.names.len());
        return wrong(
            "row",
            format!("has {found} fields, the header has {expected}"),
        );
    }
    let ts: Option<UnixNanos> = time::parse(column, row.text(time_name).as_bytes());
    let Some(ts) = ts else {
        return wrong(
            "time",
            "is no time, such as 2014-06-09 or 2024-08-08T08:00:00Z",
        );
    };
    Ok(Happening {
        ts,
        symbol: row.optional("symbol").map(str::to_owned),
        what: what(row)?,
    })
}

fn load(path: &Path) -> Result<String, HappeningsError> {
    let io = |source| HappeningsError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let mut file = input::open(path).map_err(io)?.take(MAX_BYTES + 1);
    file.read_to_string(&mut text).map_err(io)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(HappeningsError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

fn ratio(text: &str) -> Result<(u32, u32), Wrong> {
    let parts = text.split_once(':').or_else(|| text.split_once('/'));
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
    match parts.map(|(new, old)| (number(new), number(old))) {
        Some((Some(numerator), Some(denominator))) => Ok((numerator, denominator)),
        _ => wrong(
            "ratio",
            "must be new:old in whole numbers above zero, such as 7:1",
        ),
    }
}

fn decimal(field: &'static str, text: &str) -> Result<Decimal, Wrong> {
    number::parse_decimal(text).map_err(|error| (field, error.to_string()))
}

fn positive(field: &'static str, text: &str) -> Result<Decimal, Wrong> {
    let value = decimal(field, text)?;
    if value > Decimal::ZERO {
        Ok(value)
    } else {
        wrong(field, "must be above zero")
    }
}

fn wrong<T>(field: &'static str, detail: impl Into<String>) -> Result<T, Wrong> {
    Err((field, detail.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn day(days: i64) -> UnixNanos {
        UnixNanos(days * 86_400 * 1_000_000_000)
    }

    #[test]
    fn funding_is_read_in_order_of_time() {
        let file = file("rate,ts,mark\n-0.0001,1970-01-03,\n0.0005,1970-01-02T00:00:00Z,100.5\n");
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        let row = |ts, rate, mark: Option<&str>| Happening {
            ts,
            symbol: None,
            what: What::Funding {
                rate: Rate(decimal(rate)),
                mark: mark.map(decimal),
            },
        };
        let expected = [
            row(day(1), "0.0005", Some("100.5")),
            row(day(2), "-0.0001", None),
        ];
        assert_eq!(read_funding(file.path()).unwrap(), expected);
    }

    #[test]
    fn splits_and_dividends_are_read() {
        let file = file(
            "date,symbol,kind,ratio,amount\n1970-01-02,AAPL,split,7:1,\n\n1970-01-03,AAPL,dividend,,0.47\n",
        );
        let read = read_corporate_actions(file.path()).unwrap();
        let split = What::Split {
            numerator: 7,
            denominator: 1,
        };
        let amount = Money::parse("0.47").unwrap();
        let whats: Vec<What> = read.iter().map(|row| row.what).collect();
        assert_eq!(whats, [split, What::Dividend { amount }]);
        assert_eq!(read[0].symbol.as_deref(), Some("AAPL"));
    }

    #[test]
    fn a_row_that_cannot_be_read_refuses_the_file_and_names_its_field() {
        for (text, expected) in [
            ("date,kind,ratio\n1970-01-02,split,0:1\n", "line 2, ratio"),
            ("date,kind,ratio\n1970-01-02,split,2\n", "line 2, ratio"),
            ("date,kind,ratio\n1970-01-02,merger,2:1\n", "line 2, kind"),
            ("date,kind,ratio\nyesterday,split,2:1\n", "line 2, time"),
            ("date,kind,ratio\n1970-01-02,split\n", "line 2, row"),
            (
                "date,kind,amount\n1970-01-02,dividend,-1\n",
                "line 2, amount",
            ),
            (
                "date,kind,ratio\n1970-01-02,split,2:1\n1970-01-02,split,3:1\n",
                "line 3, time",
            ),
            ("date,kind,rates\n", "expected the columns"),
            ("kind,ratio\n", "expected the columns"),
        ] {
            let error = read_corporate_actions(file(text).path()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
