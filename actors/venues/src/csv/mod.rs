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
//! - Events come in order of time; rows of the same time keep the order of the file. [`CsvRows`]
//!   gives them in the order of the file.
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
mod lines;
mod row;
mod rows;
mod time;

pub use doubt::RowDoubt;
pub use happenings::{HappeningsError, read_corporate_actions, read_funding};
pub use header::CsvKind;
pub use lines::{Fingerprint, Opener};
pub use row::RowError;
pub use rows::{CsvFile, CsvRows, Summary};

use crate::input;
use apex_domain::market::MarketEvent;
use apex_domain::{Instrument, InstrumentId};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// How many bad rows are kept with their reason. Enough to see a pattern; the rest is counted.
pub const BAD_ROWS_KEPT: usize = 100;

/// The largest file that is loaded, in bytes after inflating: all of it is held in memory. A longer
/// history is imported row by row.
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
    #[error(
        "{path:?} changed while it was read, and nothing of it was used: try again once nobody writes it"
    )]
    Changed { path: PathBuf },
    #[error(
        "{path:?} names more than {limit} instruments up to line {line}: split it, or choose one of them"
    )]
    TooManyInstruments {
        path: PathBuf,
        line: u64,
        limit: usize,
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
    /// One for each instrument that has a row that reads well, by id.
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

/// Loads CSV files into memory: for whoever needs all rows at once. [`CsvFile`] gives them one by one.
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
            Err(error) if lines::is_damage(&error) && !bytes.is_empty() => true,
            Err(error) => return Err(failed(error)),
        };
        if bytes.len() as u64 > MAX_BYTES {
            return Err(CsvError::TooLarge {
                path: path.to_owned(),
            });
        }
        parse(path, &bytes, cut_off, options)
    }
}

/// The end of a text that was cut off.
struct CutOff;

impl Read for CutOff {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn parse(
    path: &Path,
    bytes: &[u8],
    cut_off: bool,
    options: &CsvOptions,
) -> Result<Loaded, CsvError> {
    let open = || -> io::Result<Box<dyn Read + '_>> {
        Ok(match cut_off {
            true => Box::new(bytes.chain(CutOff)),
            false => Box::new(bytes),
        })
    };
    let file = CsvFile::look(path, Box::new(open), options, &mut || ())?;
    let (kind, names_instruments) = (file.kind(), file.names_instruments());
    let instruments = file.instruments();
    // Of a file in memory, so it fits.
    let mut events = Vec::with_capacity(file.row_count() as usize);
    let mut rows = file.read()?;
    for event in &mut rows {
        events.push(event?);
    }
    let summary = rows.finish()?;
    // Stable: rows of one time keep the order of the file.
    if !events.is_sorted_by_key(MarketEvent::ts_init) {
        events.sort_by_key(MarketEvent::ts_init);
    }
    Ok(Loaded {
        instruments,
        kind,
        events,
        bad_rows: summary.bad_rows,
        doubtful: summary.doubtful,
        has_sizes: summary.has_sizes,
        names_instruments,
        inferred: true,
        assumptions: summary.assumptions,
        warnings: summary.warnings,
    })
}

#[cfg(test)]
mod tests;
