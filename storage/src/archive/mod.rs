//! Market data for ever: trades, quotes and bars as Parquet files on the objects port.
//!
//! ```text
//! market/trades/instrument=BTCUSDT.BINANCE/date=2024-08-08/rows.parquet
//! market/quotes/instrument=BTC_2FUSD.ALPACA/date=2024-08-08/rows.parquet
//! market/bars/interval=1m/instrument=SPY.SIM/date=2013-10-04/rows.parquet
//! market/bars/interval=1d/instrument=SPY.SIM/year=2013/rows.parquet
//! ```
//!
//! One object a UTC day, of bars of an hour or longer one a year: a day of those would be a file
//! for each handful of rows. The folders are named as Hive does, which DuckDB and Polars read as
//! columns. What an object name cannot hold is written as `_` and two hexadecimal digits.
//!
//! **Types**, so that pandas, Polars and DuckDB read a file without help (the guide shows how):
//! times are nanosecond UTC timestamps; prices and quantities are decimals of 18 digits at the
//! instrument's decimals, stored as the very integers that the engine computes with. That is exact,
//! sums exactly in each of the three, and is as short and as fast to read as an integer; a column of
//! doubles beside it would double the file and invite the inexact sum. Volumes of bars are decimals
//! of 38 digits, since they may pass what 64 bits hold. A quantity of zero is an unknown one, as in
//! CSV. The decimals, the instrument and the kind stand in the file's metadata too (`apextrade.*`).
//!
//! **Adding rows twice** changes nothing. Rows have no identity: a print may repeat in the same
//! nanosecond and is real each time. So each part becomes the union of what it holds and what is
//! added, in which a row stands as often as in the one that has it more often. The same file, a
//! longer version of it, or one that overlaps with it adds what is new in it and nothing else. What
//! this gives up: a file that *continues* within the same nanosecond with an equal row. The order of
//! rows of the same time is that of the file.
//!
//! **Decimals** are the same in all parts of an instrument's trades, quotes, or bars of an interval:
//! a reader of many files takes the first one's type. Rows with more decimals than those there widen
//! them first, part by part; a crash in the middle leaves each part right and whole, and the next
//! addition goes on.
//!
//! **Memory**: some row groups of [`ROW_GROUP_ROWS`]; where a nanosecond has rows here and gets others,
//! what tells those here apart, of at most a million of them. Rows that are not in order of time are
//! sorted before ([`Sorter`]).

mod add;
mod bars;
mod key;
mod merge;
mod objects_file;
mod read;
mod rows;
mod schema;
mod sort;
mod tabular;
#[cfg(test)]
mod tests;
mod write;

pub use add::Added;
pub use key::{Content, interval_text, parse_interval};
pub use read::{ParquetRows, file_head};
pub use rows::ArchiveRow;
pub use schema::Head;
pub use sort::{SeriesRow, Sorted, SortedRows, Sorter};
pub use tabular::ParquetText;
pub use write::ParquetWriter;

use crate::StorageError;
use crate::port::objects::Objects;
use crate::port::series::{Rows, TimeRange};
use apex_domain::id::InstrumentId;
use std::fmt;
use std::sync::Arc;

/// Rows of a row group: what is in memory at a time, some megabytes, and enough that a reader of
/// columns is not held up by their heads.
pub const ROW_GROUP_ROWS: usize = 131_072;

/// The archive in a store of objects. One writer at a time; readers see each part as it was or is.
#[derive(Clone)]
pub struct Archive {
    objects: Arc<dyn Objects>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Archive")
    }
}

impl Archive {
    pub fn new(objects: Arc<dyn Objects>) -> Archive {
        Archive { objects }
    }

    /// Returns what the archive holds of an instrument, in order.
    ///
    /// # Errors
    /// `Io`, `Unavailable`.
    pub fn contents(&self, id: &InstrumentId) -> Result<Vec<Content>, StorageError> {
        let mut found = Vec::new();
        for content in [Content::Trades, Content::Quotes] {
            if self.first_part(content, id)?.is_some() {
                found.push(content);
            }
        }
        for interval_ns in self.intervals()? {
            let content = Content::Bars { interval_ns };
            if self.first_part(content, id)?.is_some() {
                found.push(content);
            }
        }
        Ok(found)
    }

    /// Returns the decimals and all else that the files of an instrument have in common; `None`
    /// where there is no row.
    ///
    /// # Errors
    /// `Io`, `Unavailable`, `Parquet`.
    pub fn head(&self, content: Content, id: &InstrumentId) -> Result<Option<Head>, StorageError> {
        let mut widest: Option<Head> = None;
        for key in self.parts(content, id)? {
            let head = self.part_head(&key)?;
            let widest = widest.get_or_insert_with(|| head.clone());
            widest.decimals = widest.decimals.widest(head.decimals);
        }
        Ok(widest)
    }

    /// Returns the rows of a range by time, at the decimals of [`Archive::head`], and in the order
    /// of their file where that is equal. Their `sequence` is 0.
    ///
    /// # Errors
    /// `Io`, `Unavailable`, `Parquet`; here or as an item, which is then the last one.
    pub fn rows<R: ArchiveRow>(
        &self,
        content: Content,
        id: &InstrumentId,
        range: TimeRange,
    ) -> Result<Rows<R>, StorageError> {
        read::rows(self, content, id, range)
    }
}
