//! Rows of many series in any order, given back series by series in order of time: for files whose
//! rows do not fit in memory.
//!
//! Some rows are held, sorted, and written behind each other to a temporary file as a run. At the end
//! the runs are merged. A run that begins where the one before ended goes on with it, so a file that
//! is in order is one run. When there are many, they become one run of a second file; the first one
//! is used anew. Rows of one series and time keep their order.

mod record;
mod runs;

use super::rows::ArchiveRow;
use crate::StorageError;
use crate::port::series::{BarRow, QuoteRow, TradeRow};
use record::Record;
pub use record::SeriesRow;
use runs::{Merged, Runs};
use std::io;
use std::path::{Path, PathBuf};

/// Rows that are held: some 40 MB, and runs that are long enough to be read in large pieces.
const HELD_ROWS: usize = 262_144;

/// Runs of a file before they become one. All are read at once, with 32 KiB in memory each.
const MAX_RUNS: usize = 256;

/// Takes rows, and sorts them with bounded memory.
#[derive(Debug)]
pub struct Sorter {
    folder: PathBuf,
    held_rows: usize,
    max_runs: usize,
    held: Vec<Record>,
    /// The runs of the first file, and those that were made of them.
    fresh: Runs,
    merged: Runs,
}

impl Sorter {
    /// Begins. Temporary files are made in `folder` once there is more than memory is meant to hold:
    /// 80 bytes a row, or twice that for a moment. Nothing of them outlives the process.
    pub fn new(folder: &Path) -> Sorter {
        Sorter::with_bounds(folder, HELD_ROWS, MAX_RUNS)
    }

    fn with_bounds(folder: &Path, held_rows: usize, max_runs: usize) -> Sorter {
        Sorter {
            folder: folder.to_owned(),
            held_rows,
            max_runs,
            held: Vec::new(),
            fresh: Runs::default(),
            merged: Runs::default(),
        }
    }

    /// Takes a row of a series.
    ///
    /// # Errors
    /// `Full`, `Io`: of the temporary file, and beyond some 10^10 rows.
    pub fn push(&mut self, series: u32, row: impl Into<SeriesRow>) -> Result<(), StorageError> {
        if self.held.len() == self.held_rows {
            self.write_held()?;
        }
        let row = row.into();
        self.held.push(Record { series, row });
        Ok(())
    }

    /// Returns what was taken.
    ///
    /// # Errors
    /// As [`Sorter::push`].
    pub fn finish(mut self) -> Result<Sorted, StorageError> {
        if self.fresh.is_empty() {
            self.sort_held();
        } else {
            self.write_held()?;
            self.held = Vec::new();
        }
        Ok(Sorted {
            held: self.held,
            merged: self.merged,
            fresh: self.fresh,
        })
    }

    fn sort_held(&mut self) {
        // Stable, as is the merge.
        self.held.sort_by_key(Record::key);
    }

    fn write_held(&mut self) -> Result<(), StorageError> {
        self.sort_held();
        let Some(first) = self.held.first() else {
            return Ok(());
        };
        if self.fresh.len() == self.max_runs && !self.fresh.goes_on_with(first) {
            self.merge_runs()?;
        }
        let held = self.held.drain(..).map(Ok);
        self.fresh.add(&self.folder, held)
    }

    /// Makes the runs of the first file one of the second.
    fn merge_runs(&mut self) -> Result<(), StorageError> {
        if self.merged.len() == self.max_runs {
            let limit = self.held_rows * self.max_runs * self.max_runs;
            let text = format!("more than {limit} rows that are not in order: split their file");
            let error = io::Error::new(io::ErrorKind::FileTooLarge, text);
            return Err(StorageError::io("sort rows in", &self.folder, error));
        }
        let rows = Merged::of(&[&self.fresh])?;
        self.merged.add(&self.folder, rows)?;
        self.fresh.clear()
    }
}

/// Rows in order of series and time.
#[derive(Debug)]
pub struct Sorted {
    /// All of them, unless they were too many.
    held: Vec<Record>,
    merged: Runs,
    fresh: Runs,
}

impl Sorted {
    /// Returns the rows with the numbers of their series, which rise. May be asked again.
    ///
    /// # Errors
    /// `Io`, here or as an item, which is then the last one.
    pub fn rows(&self) -> Result<SortedRows<'_>, StorageError> {
        Ok(SortedRows {
            held: self.held.iter(),
            // What was merged came first.
            merged: Merged::of(&[&self.merged, &self.fresh])?,
        })
    }
}

/// The rows of a [`Sorted`].
#[derive(Debug)]
pub struct SortedRows<'a> {
    held: std::slice::Iter<'a, Record>,
    merged: Merged<'a>,
}

impl Iterator for SortedRows<'_> {
    type Item = Result<(u32, SeriesRow), StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let held = self.held.next().copied().map(Ok);
        let item = held.or_else(|| self.merged.next())?;
        Some(item.map(|record| (record.series, record.row)))
    }
}

impl SeriesRow {
    /// Returns whether the archive has a place for all of its digits.
    pub fn fits(&self) -> bool {
        match self {
            SeriesRow::Trade(row) => row.fits(),
            SeriesRow::Quote(row) => row.fits(),
            SeriesRow::Bar(row) => row.fits(),
        }
    }
}

macro_rules! rows {
    ($($kind:ident($row:ty)),*) => {
        $(
            impl From<$row> for SeriesRow {
                fn from(row: $row) -> SeriesRow {
                    SeriesRow::$kind(row)
                }
            }

            impl TryFrom<SeriesRow> for $row {
                /// It is a row of another kind.
                type Error = SeriesRow;

                fn try_from(row: SeriesRow) -> Result<$row, SeriesRow> {
                    match row {
                        SeriesRow::$kind(row) => Ok(row),
                        other => Err(other),
                    }
                }
            }
        )*
    };
}

rows!(Trade(TradeRow), Quote(QuoteRow), Bar(BarRow));

#[cfg(test)]
mod tests;
