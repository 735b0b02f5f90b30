//! Bars, quotes, ticks and trades from CSV files, plain or gzip.
//!
//! The header tells what a file holds (see [`header::recognise`]). No instrument definition is
//! needed: one is inferred from the whole of the selected data, and the result says so.
//!
//! Rules that a caller has to know:
//! - A row's time is both `ts_event` and `ts_init`, and for a bar also `ts_open`: a file does not
//!   tell whether it means the start or the end of its cell.
//! - A quote bar becomes the [`Quote`](apex_domain::market::Quote) of its closing bid and ask at the row's time. Its other
//!   prices only count for the increment.
//! - A quote without a size has the quantity zero, which means unknown; see [`Loaded::has_sizes`].
//! - In a tick file a quote row with `0,0` for a side leaves that side as it was.
//! - Events come in order of time; rows of the same time keep the order of the file.
//! - Rows that cannot be read are counted, the first of them kept with line and reason. Rows that
//!   contradict themselves (high under low, bid above ask) are real: they load, with a warning, and
//!   a caller who wants none of them finds them in [`Loaded::doubtful`].
//! - Sizes that went through binary floats (`3.3214903500000004`) are rounded to the 15 digits
//!   that such a float carries and, in a file with any of them, to 8 decimals, with a warning.
//!   Prices are never rounded: more than 14 decimals make a bad row.
//! - Repeated rows are real prints and stay.

mod build;
mod doubt;
mod happenings;
mod header;
mod infer;
mod row;
mod time;

pub use doubt::RowDoubt;
pub use happenings::{HappeningsError, read_corporate_actions, read_funding};
pub use header::CsvKind;
pub use row::RowError;

use crate::input;
use apex_domain::market::MarketEvent;
use apex_domain::{Instrument, InstrumentId};
use build::Builder;
use infer::Selection;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How many bad rows are kept with their reason. Enough to see a pattern; the rest is counted.
pub const BAD_ROWS_KEPT: usize = 100;

/// The largest file that is loaded, in bytes after inflating. All rows are held in memory, since
/// the increments are only known after the last row; a longer history belongs in the store.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// What a caller may choose.
#[derive(Clone, Debug, Default)]
pub struct CsvOptions {
    /// Only the rows of this instrument; a bare symbol means the one at `SIM`. In a file without
    /// a symbol column it names the data.
    pub instrument: Option<String>,
}

/// Why a file was not loaded.
#[derive(Debug, Error)]
pub enum CsvError {
    #[error("cannot read {path:?}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path:?} holds more than {MAX_BYTES} bytes, split it or import it into the store")]
    TooLarge { path: PathBuf },
    #[error("{path:?} is empty")]
    Empty { path: PathBuf },
    #[error(
        "{path:?} does not begin with a known header (ts_ns, ts_utc, ts, timestamp or date, and \
         open high low close, bid ask, or price size), but with {found:?}"
    )]
    Header { path: PathBuf, found: String },
    #[error("instrument {text:?} is no instrument id")]
    Instrument {
        text: String,
        #[source]
        source: apex_domain::id::IdError,
    },
    #[error("{path:?} has no row of {wanted}, it holds {known}")]
    NotInFile {
        path: PathBuf,
        wanted: InstrumentId,
        known: String,
    },
    #[error("{path:?} has a header but no row")]
    NoRows { path: PathBuf },
    #[error("{path:?} has no valid row; line {line} {reason}")]
    NoValidRow {
        path: PathBuf,
        line: u64,
        reason: RowError,
    },
}

/// A row that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRow {
    /// Counted from 1, the header included.
    pub line: u64,
    pub reason: RowError,
}

/// The rows that were left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BadRows {
    pub count: u64,
    /// The first [`BAD_ROWS_KEPT`] of them.
    pub first: Vec<BadRow>,
}

impl BadRows {
    fn add(&mut self, line: u64, reason: RowError) {
        self.count += 1;
        if self.first.len() < BAD_ROWS_KEPT {
            self.first.push(BadRow { line, reason });
        }
    }
}

/// Rows that loaded although they can hardly be meant so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoubtfulRows {
    pub count: u64,
    /// Those among them that contradict themselves.
    pub contradictions: u64,
    /// The first [`BAD_ROWS_KEPT`] of them, with their lines, counted as those of [`BadRow`].
    pub first: Vec<(u64, RowDoubt)>,
}

impl DoubtfulRows {
    fn add(&mut self, line: u64, doubt: RowDoubt) {
        self.count += 1;
        self.contradictions += u64::from(doubt.contradicts());
        if self.first.len() < BAD_ROWS_KEPT {
            self.first.push((line, doubt));
        }
    }
}

/// A loaded file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// One for each instrument that has a row, by id.
    pub instruments: Vec<Instrument>,
    pub kind: CsvKind,
    /// One for each good row, by time.
    pub events: Vec<MarketEvent>,
    pub bad_rows: BadRows,
    pub doubtful: DoubtfulRows,
    /// True when the file states volumes or sizes. Without them quantities are zero, meaning
    /// unknown.
    pub has_sizes: bool,
    /// True when the rows say what they are of.
    pub names_instruments: bool,
    /// Always true for now: the definitions come from the data.
    pub inferred: bool,
    /// What was taken for granted, as sentences for a report.
    pub assumptions: Vec<String>,
    /// What is odd in the data, as sentences for a report.
    pub warnings: Vec<String>,
}

/// Loads CSV files.
#[derive(Debug)]
pub struct CsvSource;

impl CsvSource {
    /// Loads a file.
    ///
    /// Errors: [`CsvError`]; none is helped by trying again.
    pub fn open(path: &Path, options: &CsvOptions) -> Result<Loaded, CsvError> {
        let failed = |source| CsvError::Read {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let reader = input::open(path).map_err(failed)?;
        let cut_off = match reader.take(MAX_BYTES + 1).read_to_end(&mut bytes) {
            Ok(_) => false,
            // A gzip file that was cut still holds good rows before the cut.
            Err(error) if is_damage(&error) && !bytes.is_empty() => true,
            Err(error) => return Err(failed(error)),
        };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(CsvError::TooLarge {
                path: path.to_owned(),
            });
        }
        parse(path, &bytes, cut_off, options)
    }

    /// Loads what is at hand as the text of a file, whose path is for messages.
    ///
    /// Errors: as [`CsvSource::open`].
    pub fn from_text(path: &Path, text: &[u8], options: &CsvOptions) -> Result<Loaded, CsvError> {
        parse(path, text, false, options)
    }
}

fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
    )
}

/// Walks over the lines with their numbers, counted from 1.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut start = 0;
    let mut number = 0;
    std::iter::from_fn(move || {
        if start >= bytes.len() {
            return None;
        }
        let rest = &bytes[start..];
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        start += end + 1;
        number += 1;
        let line = &rest[..end];
        Some((number, line.strip_suffix(b"\r").unwrap_or(line)))
    })
}

fn parse(
    path: &Path,
    bytes: &[u8],
    cut_off: bool,
    options: &CsvOptions,
) -> Result<Loaded, CsvError> {
    let path_buf = || path.to_owned();
    let (_, first) = lines(bytes)
        .next()
        .ok_or_else(|| CsvError::Empty { path: path_buf() })?;
    let layout = header::recognise(first).ok_or_else(|| CsvError::Header {
        path: path_buf(),
        found: String::from_utf8_lossy(&first[..first.len().min(80)]).into_owned(),
    })?;
    // What follows the last whole line of a cut file may read as a row, but with half a number.
    let bytes = if cut_off {
        &bytes[..memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)]
    } else {
        bytes
    };
    let mut selection = Selection::new(&layout, options.instrument.as_deref())?;
    let mut rows = 0;
    for (_, line) in lines(bytes).skip(1).filter(|(_, line)| !line.is_empty()) {
        rows += 1;
        selection.learn(&layout, line);
    }
    let mut builder = Builder::new(&layout, selection.into_shapes());
    let mut last_line = 1;
    for (number, line) in lines(bytes).skip(1).filter(|(_, line)| !line.is_empty()) {
        last_line = number;
        if let Err(reason) = builder.take(number, line) {
            builder.bad_rows.add(number, reason);
        }
    }
    if cut_off {
        builder.bad_rows.add(last_line + 1, RowError::CutOff);
    }
    if rows == 0 {
        return Err(CsvError::NoRows { path: path_buf() });
    }
    if builder.events.is_empty() {
        if let Some(bad) = builder.bad_rows.first.first()
            && !builder.shapes.misses_the_wanted()
        {
            return Err(CsvError::NoValidRow {
                path: path_buf(),
                line: bad.line,
                reason: bad.reason.clone(),
            });
        }
        return Err(CsvError::NotInFile {
            path: path_buf(),
            wanted: builder.shapes.wanted(),
            known: builder.shapes.known(),
        });
    }
    Ok(builder.finish())
}

#[cfg(test)]
mod tests;
