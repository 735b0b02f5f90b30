//! Time series in files: one file a stream and day, blocks of rows appended.
//!
//! ```text
//! <data folder>/series/<instrument>/decimals
//!                                   trades/<day since 1970>.ser
//!                                   trades/sequences     which there were when days were forgotten
//!                                   bars-time-60000000000/...
//! ```
//! `block.rs` has the bytes, `scan.rs` finds the blocks of a file and cuts an unfinished last write,
//! `stream.rs` knows what a stream has, and `read.rs` merges. Roll-ups are made when they are read.

mod block;
mod read;
mod scan;
mod stream;
#[cfg(test)]
mod tests;

use super::data_dir::DataDir;
use crate::StorageError;
use crate::disk::read_all;
use crate::error::Damage;
use crate::port::series::{
    BarRow, Decimals, Gap, Kind, QuoteRow, RollUp, Rows, Series, Stream, TimeRange, TradeRow,
    Written, check_batch, check_decimals, day_of, same_decimals,
};
use crate::rolling::{Rolling, trades_of};
use apex_domain::id::InstrumentId;
use apex_domain::market::BarSpec;
use apex_domain::time::UnixNanos;
use block::Coded;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stream::Files;
use xxhash_rust::xxh3::xxh3_64;

const FOLDER: &str = "series";
const DECIMALS: &str = "decimals";
const DECIMALS_MAGIC: [u8; 8] = *b"AXSD\x01\0\0\0";

type Shared = Arc<Mutex<Option<Files>>>;

/// Time series in a data folder. One of them a folder at a time.
#[derive(Debug)]
pub struct EmbeddedSeries {
    dir: Arc<DataDir>,
    root: PathBuf,
    /// By folder; `None` until it is first used. A stream has a lock of its own, so that one does
    /// not wait for the disk of another.
    streams: Mutex<BTreeMap<PathBuf, Shared>>,
    declared: Mutex<BTreeMap<InstrumentId, Decimals>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the folder name of an instrument: its id, with `%` and two digits for what is no part of
/// a file name.
fn folder_of(id: &InstrumentId) -> String {
    let mut name = String::new();
    for (at, c) in id.as_str().char_indices() {
        let is_plain = c.is_ascii_alphanumeric() || matches!(c, '_' | '-') || (c == '.' && at > 0);
        match is_plain {
            true => name.push(c),
            // An instrument id has no other characters than these.
            false => name.push_str(&format!("%{:02X}", u32::from(c))),
        }
    }
    name
}

/// Returns the instrument of a folder name; `None` of a name that [`folder_of`] does not give.
fn id_of(folder: &str) -> Option<InstrumentId> {
    let mut text = String::new();
    let mut parts = folder.split('%');
    text.push_str(parts.next()?);
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        text.push(char::from(u8::from_str_radix(digits, 16).ok()?));
        text.push_str(rest);
    }
    let id = InstrumentId::new(&text).ok()?;
    (folder_of(&id) == folder).then_some(id)
}

impl EmbeddedSeries {
    /// Opens the time series of a data folder.
    ///
    /// # Errors
    /// `Locked` when they are open already; `Full`, `Io`, `FsyncFailed`.
    pub fn open(dir: &Arc<DataDir>) -> Result<EmbeddedSeries, StorageError> {
        let root = dir.root().join(FOLDER);
        let made = dir.disk().create_folder(&root);
        made.map_err(|error| StorageError::io("create folder", &root, error))?;
        dir.claim(FOLDER)?;
        Ok(EmbeddedSeries {
            dir: Arc::clone(dir),
            root,
            streams: Mutex::default(),
            declared: Mutex::default(),
        })
    }

    /// Does something with the files of a stream, which are looked through at first.
    fn with<T: Coded, R>(
        &self,
        folder: PathBuf,
        work: impl FnOnce(&mut Files) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let shared = lock(&self.streams)
            .entry(folder.clone())
            .or_default()
            .clone();
        let mut held = lock(&shared);
        let files = match &mut *held {
            Some(files) => files,
            none => none.insert(Files::open::<T>(&**self.dir.disk(), folder)?),
        };
        work(files)
    }

    fn folder(&self, id: &InstrumentId, stream: Stream) -> PathBuf {
        self.root.join(folder_of(id)).join(stream.name())
    }

    /// As [`EmbeddedSeries::with`], of rows of the stream's own kind.
    fn with_any<R>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        work: impl FnOnce(&mut Files) -> Result<R, StorageError>,
    ) -> Result<R, StorageError> {
        let folder = self.folder(id, stream);
        match stream {
            Stream::Trades => self.with::<TradeRow, R>(folder, work),
            Stream::Quotes => self.with::<QuoteRow, R>(folder, work),
            Stream::Bars(_) => self.with::<BarRow, R>(folder, work),
        }
    }

    fn write<T: Coded>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        rows: &[T],
    ) -> Result<Written, StorageError> {
        check_batch(rows)?;
        if self.decimals(id)?.is_none() {
            return Err(StorageError::NotDeclared {
                instrument_id: id.to_string(),
            });
        }
        let disk = self.dir.disk();
        self.with::<T, _>(self.folder(id, stream), |files| files.write(&**disk, rows))
    }

    fn read<T: Coded>(
        &self,
        id: &InstrumentId,
        stream: Stream,
        range: TimeRange,
    ) -> Result<Rows<T>, StorageError> {
        // Of what nobody declared nothing is kept in mind, whatever is asked for.
        if range.to <= range.from || self.decimals(id)?.is_none() {
            return Ok(Box::new(std::iter::empty()));
        }
        let (first, last) = (day_of(range.from.0), day_of(range.to.0));
        let reader = self.with::<T, _>(self.folder(id, stream), |files| {
            let days = files.days.range(first..=last);
            let days = days.map(|(day, length)| (*day, *length)).collect();
            let disk = self.dir.disk().clone();
            let folder = files.folder().to_owned();
            Ok(read::Reader::<T>::new(disk, folder, days, range))
        })?;
        Ok(Box::new(reader))
    }

    fn forget_in<T: Coded>(
        &self,
        folder: &Path,
        before: i64,
        days: &mut BTreeSet<i64>,
    ) -> Result<(), StorageError> {
        let disk = self.dir.disk();
        let gone = self.with::<T, _>(folder.to_owned(), |files| files.forget(&**disk, before))?;
        days.extend(gone);
        Ok(())
    }

    fn folders(&self, of: &Path) -> Result<Vec<PathBuf>, StorageError> {
        let found = self.dir.disk().folders(of);
        found.map_err(|error| StorageError::io("list", of, error))
    }
}

impl Drop for EmbeddedSeries {
    fn drop(&mut self) {
        self.dir.release(FOLDER);
    }
}

impl Series for EmbeddedSeries {
    fn declare(&self, id: &InstrumentId, decimals: Decimals) -> Result<(), StorageError> {
        check_decimals(decimals)?;
        if let Some(stored) = self.decimals(id)? {
            return same_decimals(id, stored, decimals);
        }
        let disk = &**self.dir.disk();
        let folder = self.root.join(folder_of(id));
        let made = disk.create_folder(&folder);
        made.map_err(|error| StorageError::io("create folder", &folder, error))?;
        let mut bytes = DECIMALS_MAGIC.to_vec();
        bytes.extend_from_slice(&[decimals.price, decimals.quantity]);
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        stream::replace(disk, &folder.join(DECIMALS), &bytes)?;
        lock(&self.declared).insert(id.clone(), decimals);
        Ok(())
    }

    fn decimals(&self, id: &InstrumentId) -> Result<Option<Decimals>, StorageError> {
        if let Some(known) = lock(&self.declared).get(id) {
            return Ok(Some(*known));
        }
        let path = self.root.join(folder_of(id)).join(DECIMALS);
        let bytes = match read_all(&**self.dir.disk(), &path, 64) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StorageError::io("read", &path, error)),
        };
        let Some([price, quantity]) = stream::checked(&bytes, &DECIMALS_MAGIC) else {
            return Err(scan::damaged(&path, 0, Damage::Checksum));
        };
        let decimals = Decimals {
            price: *price,
            quantity: *quantity,
        };
        lock(&self.declared).insert(id.clone(), decimals);
        Ok(Some(decimals))
    }

    fn instruments(&self) -> Result<Vec<InstrumentId>, StorageError> {
        let folders = self.folders(&self.root)?;
        let names = folders.iter().filter_map(|folder| folder.file_name());
        // A folder of another name is none of ours.
        let mut ids: Vec<InstrumentId> = names.filter_map(|name| id_of(name.to_str()?)).collect();
        ids.sort_unstable();
        let mut declared = Vec::with_capacity(ids.len());
        for id in ids {
            // One that a crash cut off before its decimals were written has no rows.
            if self.decimals(&id)?.is_some() {
                declared.push(id);
            }
        }
        Ok(declared)
    }

    fn write_trades(&self, id: &InstrumentId, rows: &[TradeRow]) -> Result<Written, StorageError> {
        self.write(id, Stream::Trades, rows)
    }

    fn write_quotes(&self, id: &InstrumentId, rows: &[QuoteRow]) -> Result<Written, StorageError> {
        self.write(id, Stream::Quotes, rows)
    }

    fn write_bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        rows: &[BarRow],
    ) -> Result<Written, StorageError> {
        self.write(id, Stream::Bars(spec), rows)
    }

    fn last_sequence(&self, id: &InstrumentId, stream: Stream) -> Result<u64, StorageError> {
        match self.decimals(id)? {
            None => Ok(0),
            Some(_) => self.with_any(id, stream, |files| Ok(files.last())),
        }
    }

    fn trades(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<TradeRow>, StorageError> {
        self.read(id, Stream::Trades, range)
    }

    fn quotes(&self, id: &InstrumentId, range: TimeRange) -> Result<Rows<QuoteRow>, StorageError> {
        self.read(id, Stream::Quotes, range)
    }

    fn bars(
        &self,
        id: &InstrumentId,
        spec: BarSpec,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        self.read(id, Stream::Bars(spec), range)
    }

    fn rolled(
        &self,
        id: &InstrumentId,
        roll_up: RollUp,
        range: TimeRange,
    ) -> Result<Rows<BarRow>, StorageError> {
        let trades = self.trades(id, trades_of(roll_up, range))?;
        Ok(Box::new(Rolling::new(roll_up, trades)))
    }

    fn roll_up(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn gaps(&self, id: &InstrumentId, stream: Stream) -> Result<Vec<Gap>, StorageError> {
        match self.decimals(id)? {
            None => Ok(Vec::new()),
            Some(_) => self.with_any(id, stream, |files| Ok(files.gaps())),
        }
    }

    fn maintain(&self, _now: UnixNanos) -> Result<(), StorageError> {
        Ok(())
    }

    fn forget(&self, kind: Kind, before: UnixNanos) -> Result<usize, StorageError> {
        let (before, mut days) = (day_of(before.0), BTreeSet::new());
        for instrument in self.folders(&self.root)? {
            for folder in self.folders(&instrument)? {
                let name = folder.file_name().and_then(|name| name.to_str());
                match (kind, name.unwrap_or_default()) {
                    (Kind::Trades, "trades") => {
                        self.forget_in::<TradeRow>(&folder, before, &mut days)?;
                    }
                    (Kind::Quotes, "quotes") => {
                        self.forget_in::<QuoteRow>(&folder, before, &mut days)?;
                    }
                    (Kind::Bars, name) if name.starts_with("bars-") => {
                        self.forget_in::<BarRow>(&folder, before, &mut days)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(days.len())
    }
}
