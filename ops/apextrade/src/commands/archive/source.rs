//! A file to import: what is in it, by instrument and kind.

use super::progress::{Phase, Progress};
use super::tally::Tally;
use anyhow::{Context, Result, bail};
use apex_domain::InstrumentId;
use apex_storage::StorageError;
use apex_storage::archive::{
    ArchiveRow, Content, Head, ParquetRows, ParquetText, SeriesRow, Sorted, file_head,
};
use apex_storage::port::series::{BarRow, QuoteRow, TradeRow};
use apex_venues::csv::{CsvFile, CsvOptions, Opener};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What every Parquet file begins with.
const MAGIC: &[u8; 4] = b"PAR1";

/// How many bad rows are told with their reason; all are counted.
pub const BAD_KEPT: usize = 100;

/// Rows that a preview shows of each instrument and kind.
const FIRST_ROWS: usize = 5;

/// What a file holds of one instrument and kind.
#[derive(Debug)]
pub struct Series {
    /// What its rows are marked with.
    pub number: u32,
    pub head: Head,
    pub rows: u64,
    /// The oldest of them, where they are to be shown.
    pub first: Vec<SeriesRow>,
}

/// Where the rows of a file are.
#[derive(Debug)]
pub enum Stored {
    /// Nobody wants them.
    Nowhere,
    /// In order of series and time, on disk where they are many.
    Sorted(Sorted),
    /// In the file: it was exported from an archive, and is read as it is.
    File(PathBuf),
}

/// A row that is left out, or that is in doubt.
#[derive(Debug)]
pub struct Bad {
    /// Counted from 1, the header included; `None` of one that was read but does not fit.
    pub line: Option<u64>,
    pub reason: String,
}

/// What a file is known by: its length, and a checksum of its text or the time of its last change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    bytes: u64,
    stamp: u128,
}

/// A file that was looked through.
#[derive(Debug)]
pub struct Source {
    pub is_parquet: bool,
    /// What its rows are, as its columns say: `quote bars` are quotes to the archive.
    pub recognised: &'static str,
    pub series: Vec<Series>,
    pub stored: Stored,
    /// The file does not say what its rows are of.
    pub is_unnamed: bool,
    pub bad_count: u64,
    pub bad: Vec<Bad>,
    /// Rows that are there although they can hardly be meant so.
    pub doubtful_count: u64,
    /// Those among them that contradict themselves.
    pub contradictions: u64,
    pub doubtful: Vec<Bad>,
    pub notes: Vec<String>,
    pub mark: Mark,
}

/// What a caller chose.
#[derive(Debug)]
pub struct Choice<'a> {
    pub instrument: Option<&'a str>,
    pub interval_ns: Option<i64>,
}

/// What a file is looked through for.
#[derive(Clone, Copy, Debug)]
pub enum Purpose<'a> {
    /// To know what it is.
    Look {
        /// The first rows are to be shown.
        is_shown: bool,
        /// No row may be bad: those of a file that is stored as it is are read as well.
        is_checked: bool,
    },
    /// To store its rows, which are sorted in this folder where they do not fit in memory.
    Store(&'a Path),
}

impl Purpose<'_> {
    /// Returns how many of the first rows of a series are shown.
    fn shown(self) -> usize {
        match self {
            Purpose::Look { is_shown: true, .. } => FIRST_ROWS,
            Purpose::Look { .. } | Purpose::Store(_) => 0,
        }
    }
}

/// Looks through a file, in bounded memory whatever its size.
///
/// Errors: it cannot be read, is not recognised, has no row of what was chosen, or changes meanwhile.
pub fn load(path: &Path, choice: &Choice<'_>, purpose: Purpose<'_>) -> Result<Source> {
    let is_parquet = is_parquet(path)?;
    if is_parquet && let Some(head) = file_head(path)? {
        return ours(path, head, choice, purpose);
    }
    let options = CsvOptions {
        instrument: choice.instrument.map(str::to_owned),
    };
    let name = path.display().to_string();
    let mut looking = Progress::new(&name, Phase::Look, 0);
    let mut step = || looking.step();
    let file = if is_parquet {
        let open = || -> io::Result<Box<dyn Read>> {
            let text = ParquetText::open(path).map_err(io::Error::other)?;
            Ok(Box::new(text))
        };
        CsvFile::look(path, Box::new(open) as Opener<'_>, &options, &mut step)?
    } else {
        CsvFile::open(path, &options, &mut step)?
    };
    drop(looking);
    let (recognised, is_unnamed) = (file.kind().name(), !file.names_instruments());
    let (folder, is_kept) = match purpose {
        Purpose::Look { .. } => (std::env::temp_dir(), false),
        Purpose::Store(folder) => (folder.to_owned(), true),
    };
    let instruments = file.instruments();
    let mut tally = Tally::new(choice, instruments, &folder, is_kept, purpose.shown());
    let phase = match purpose {
        Purpose::Look { .. } => Phase::Check,
        Purpose::Store(_) => Phase::Read,
    };
    let mut reading = Progress::new(&name, phase, file.row_count());
    let mut rows = file.read()?;
    for event in &mut rows {
        tally.take(&event?)?;
        reading.step();
    }
    let summary = rows.finish()?;
    drop(reading);
    let bad_rows = summary.bad_rows.first.iter().map(|bad| Bad {
        line: Some(bad.line),
        reason: bad.reason.to_string(),
    });
    let doubtful = summary.doubtful.first.iter().map(|(line, doubt)| Bad {
        line: Some(*line),
        reason: doubt.to_string(),
    });
    let unfit = std::mem::take(&mut tally.bad);
    let bad_count = summary.bad_rows.count + tally.bad_count;
    let (series, sorted) = tally.finish()?;
    Ok(Source {
        is_parquet,
        recognised,
        series,
        stored: match purpose {
            Purpose::Store(_) => Stored::Sorted(sorted),
            Purpose::Look { .. } => Stored::Nowhere,
        },
        is_unnamed,
        bad_count,
        bad: bad_rows.chain(unfit).take(BAD_KEPT).collect(),
        doubtful_count: summary.doubtful.count,
        contradictions: summary.doubtful.contradictions,
        doubtful: doubtful.collect(),
        notes: [summary.assumptions, summary.warnings].concat(),
        mark: Mark {
            bytes: summary.fingerprint.bytes,
            stamp: summary.fingerprint.crc.into(),
        },
    })
}

fn is_parquet(path: &Path) -> Result<bool> {
    let mut first = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut first))
        .with_context(|| format!("cannot read \"{}\"", path.display()))?;
    Ok(first == MAGIC)
}

/// A file of the archive's own form.
fn ours(path: &Path, head: Head, choice: &Choice<'_>, purpose: Purpose<'_>) -> Result<Source> {
    let wanted = choice
        .instrument
        .map(InstrumentId::in_command)
        .transpose()?;
    if wanted.is_some_and(|wanted| wanted != head.instrument_id) {
        let (path, id) = (path.display(), &head.instrument_id);
        bail!("\"{path}\" holds {id} alone: leave --instrument out, or name it");
    }
    let mark = file_mark(path).with_context(|| format!("cannot read \"{}\"", path.display()))?;
    let (rows, first) = match head.content {
        Content::Trades => rows_of::<TradeRow>(path, purpose),
        Content::Quotes => rows_of::<QuoteRow>(path, purpose),
        Content::Bars { .. } => rows_of::<BarRow>(path, purpose),
    }?;
    Ok(Source {
        is_parquet: true,
        recognised: head.content.name(),
        series: vec![Series {
            number: 0,
            head,
            rows,
            first,
        }],
        stored: Stored::File(path.to_owned()),
        is_unnamed: false,
        bad_count: 0,
        bad: Vec::new(),
        doubtful_count: 0,
        contradictions: 0,
        doubtful: Vec::new(),
        notes: Vec::new(),
        mark,
    })
}

/// The text of such a file is not read for it.
pub fn file_mark(path: &Path) -> io::Result<Mark> {
    let found = std::fs::metadata(path)?;
    let changed = found.modified()?.duration_since(UNIX_EPOCH);
    Ok(Mark {
        bytes: found.len(),
        stamp: changed.map_or(0, |since| since.as_nanos()),
    })
}

/// Returns how many rows a file of the archive's own form has, and the first to be shown.
///
/// Errors: one cannot be read; when it is checked, of any of them, or it is older than the one before.
fn rows_of<R: ArchiveRow + Into<SeriesRow>>(
    path: &Path,
    purpose: Purpose<'_>,
) -> Result<(u64, Vec<SeriesRow>)> {
    let rows = ParquetRows::<R>::open(path)?;
    let count = rows.row_count();
    let is_checked = matches!(purpose, Purpose::Look { is_checked, .. } if is_checked);
    let mut reading = Progress::new(&path.display().to_string(), Phase::Check, count);
    let (mut first, mut last) = (Vec::new(), i64::MIN);
    for row in rows {
        if first.len() == purpose.shown() && !is_checked {
            break;
        }
        let row = row?;
        let ts_ns = row.ts().0;
        if ts_ns < last {
            let detail = "is older than the row before it: sort the file by time";
            return Err(StorageError::Row { ts_ns, detail }.into());
        }
        last = ts_ns;
        if first.len() < purpose.shown() {
            first.push(row.into());
        }
        reading.step();
    }
    Ok((count, first))
}

impl Source {
    pub fn rows(&self) -> u64 {
        self.series.iter().map(|series| series.rows).sum()
    }
}

#[cfg(test)]
mod tests;
