//! Keyed records: one file per table, an append log that is held in memory as a map.
//!
//! File: `"AXRT" | version u16 | zero u16`, then entries
//! `"AXRE" | body length u32 | check of these 8 bytes u64 | body | check of the body u64`. A body is
//! `operation u8 | key length u16 | key | value` of one key, or from version 2 on a group,
//! `3 u8 | change u64 | count u16 | (operation u8 | key length u16 | value length u32 | key | value)…`.
//! A change appends one entry and syncs. When most of a file is outdated entries, it is written anew
//! aside and renamed over the old one. An unfinished last entry is cut when the table is first used;
//! damage anywhere else is refused.
//!
//! A change over several tables appends a group to each of them, numbered within its table, and then
//! notes these numbers as made by one group in `zz_changes.log`, which has the same form. Nothing is
//! appended to a table before that, so a group at its end that is not noted was never made and is cut.
//! The file is named so that a copy of the folder in order of name has it behind the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::data_dir::{DataDir, RECORDS};
use crate::StorageError;
use crate::disk::{Disk, RealDisk, read_all};
use crate::port::records::{
    Action, Change, Entries, Page, Records, check_changes, check_expected, check_input,
    check_table, machine_now_ns, page_of,
};
use entry::Row;
use table::{MAX_FILE_BYTES, Rows, Table};

mod entry;
mod table;
#[cfg(test)]
mod tests;

/// Which changes over several tables were made, by table.
const MADE: &str = "zz_changes.log";

/// Keyed records in a data folder.
#[derive(Debug)]
pub struct EmbeddedRecords {
    dir: Arc<DataDir>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<String, Table>,
    /// `None` until the first table is used.
    made: Option<Table>,
}

const CLAIM: &str = "records";

impl EmbeddedRecords {
    /// Opens the records of a data folder. Tables are read when they are first used.
    ///
    /// # Errors
    /// `Locked` when this process has them open already; `Full`, `Io`, `FsyncFailed`.
    pub fn open(dir: &Arc<DataDir>) -> Result<EmbeddedRecords, StorageError> {
        let folder = dir.records_folder();
        dir.disk()
            .create_folder(&folder)
            .map_err(|e| StorageError::io("create folder", &folder, e))?;
        dir.claim(CLAIM)?;
        Ok(EmbeddedRecords {
            dir: Arc::clone(dir),
            state: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic half-way through a change aborts the process, as every broken invariant does.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        name: &str,
        f: impl FnOnce(&dyn Disk, &mut Table) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut state = self.lock();
        self.load(&mut state, name)?;
        match state.tables.get_mut(name) {
            Some(table) => f(&**self.dir.disk(), table),
            None => Err(self.not_loaded()),
        }
    }

    /// Reads a table unless it was read before.
    fn load(&self, state: &mut State, name: &str) -> Result<(), StorageError> {
        if state.tables.contains_key(name) {
            return Ok(());
        }
        let (disk, folder) = (&**self.dir.disk(), self.dir.records_folder());
        if state.made.is_none() {
            state.made = Some(Table::load(disk, folder.join(MADE), 0)?);
        }
        let made = state
            .made
            .as_ref()
            .map_or(0, |made| made_of(&made.rows, name));
        let table = Table::load(disk, folder.join(format!("{name}.tbl")), made)?;
        state.tables.insert(name.to_owned(), table);
        Ok(())
    }

    /// Of a table that was loaded just before: it is there.
    fn not_loaded(&self) -> StorageError {
        StorageError::NotFound {
            path: self.dir.records_folder(),
        }
    }

    /// Writes to several tables. Until the numbers of their groups are noted nothing is changed,
    /// and where there is no space for all of it, all of it is cut again.
    fn write_tables(
        &self,
        state: &mut State,
        rows: &BTreeMap<&str, Vec<Row<'_>>>,
    ) -> Result<(), StorageError> {
        let disk = &**self.dir.disk();
        let State { tables, made } = state;
        let made = made.as_mut().ok_or_else(|| self.not_loaded())?;
        made.usable()?;
        let mut numbers = Vec::new();
        let mut ends = Vec::new();
        let mut outcome = Ok(());
        for (name, rows) in rows {
            let table = tables.get_mut(*name).ok_or_else(|| self.not_loaded())?;
            let number = made_of(&made.rows, name) + 1;
            // Made ready first: that can write the file anew, and moves its end.
            outcome = table.take_groups(disk);
            if outcome.is_ok() {
                ends.push((*name, table.end));
                numbers.push((*name, number.to_le_bytes()));
                outcome = table.stage(disk, number, rows);
            }
            if outcome.is_err() {
                break;
            }
        }
        let noted: Vec<Row<'_>> = numbers
            .iter()
            .map(|(name, number)| (*name, Some(&number[..])))
            .collect();
        let outcome = outcome.and_then(|()| made.write_group(disk, &noted));
        for (name, end) in ends {
            let Some(table) = tables.get_mut(name) else {
                continue;
            };
            match &outcome {
                Ok(()) => table.applied(disk, &rows[name]),
                // Whether it is made is not known: nothing may follow it.
                Err(error) if error.must_abort() => table.break_by(error),
                Err(_) => table.take_back(end),
            }
        }
        outcome
    }
}

/// Returns the number of a table's last change over several tables that was made; 0 for none.
fn made_of(made: &Rows, name: &str) -> u64 {
    let number = made.get(name).and_then(|bytes| bytes.first_chunk());
    number.map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Returns the value of a key in a data folder that may be in use, without its lock and without
/// changing anything; `None` when the table or the key is not there.
///
/// # Errors
/// `Damaged`, `NewerVersion`, `BadName`, `Io`.
pub fn read_record(root: &Path, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
    check_input(table, key, &[])?;
    let folder = root.join(RECORDS);
    let read = |name: &str, made: u64| {
        let path = folder.join(name);
        let mut read = Table::new(path.clone());
        match read_all(&RealDisk, &path, MAX_FILE_BYTES) {
            Ok(content) => read.read(&content, made).map(|_| read.rows),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Rows::new()),
            Err(error) => Err(StorageError::io("read", &path, error)),
        }
    };
    let made = read(MADE, 0)?;
    let mut rows = read(&format!("{table}.tbl"), made_of(&made, table))?;
    Ok(rows.remove(key))
}

/// Returns what the folder of records, which may be in use, has noted of changes over several tables:
/// while it stays the same no such change was made.
///
/// Errors: `Io`.
pub(crate) fn changes_made(disk: &dyn Disk, folder: &Path) -> Result<Vec<u8>, StorageError> {
    let path = folder.join(MADE);
    match read_all(disk, &path, MAX_FILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(|error| StorageError::io("read", &path, error)),
    }
}

impl Drop for EmbeddedRecords {
    fn drop(&mut self) {
        self.dir.release(CLAIM);
    }
}

impl Records for EmbeddedRecords {
    fn get(&self, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        check_input(table, key, &[])?;
        self.with(table, |_, table| Ok(table.rows.get(key).cloned()))
    }

    fn put(&self, table: &str, key: &str, value: &[u8]) -> Result<(), StorageError> {
        check_input(table, key, value)?;
        self.with(table, |disk, table| table.write(disk, (key, Some(value))))
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        check_input(table, key, &[])?;
        self.with(table, |disk, table| {
            if !table.rows.contains_key(key) {
                return Ok(false);
            }
            table.write(disk, (key, None))?;
            Ok(true)
        })
    }

    fn list(&self, table: &str) -> Result<Entries, StorageError> {
        check_table(table)?;
        self.with(table, |_, table| {
            Ok(table
                .rows
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect())
        })
    }

    fn change(&self, changes: &[Change]) -> Result<(), StorageError> {
        check_changes(changes)?;
        let mut state = self.lock();
        let names: BTreeSet<&str> = changes.iter().map(|it| it.table.as_str()).collect();
        for name in names {
            self.load(&mut state, name)?;
        }
        let tables = &state.tables;
        let found = |change: &Change| {
            let rows = tables.get(&change.table).map(|table| &table.rows)?;
            rows.get(&change.key).map(Vec::as_slice)
        };
        check_expected(changes, found)?;
        let mut rows: BTreeMap<&str, Vec<Row<'_>>> = BTreeMap::new();
        for change in changes {
            let value = match &change.action {
                Action::Put(value) => Some(value.as_slice()),
                Action::Delete if found(change).is_some() => None,
                Action::Keep | Action::Delete => continue,
            };
            let of_table = rows.entry(&change.table).or_default();
            of_table.push((&change.key, value));
        }
        if rows.len() > 1 {
            return self.write_tables(&mut state, &rows);
        }
        let disk = &**self.dir.disk();
        for (name, rows) in rows {
            let table = state.tables.get_mut(name);
            table
                .ok_or_else(|| self.not_loaded())?
                .write_group(disk, &rows)?;
        }
        Ok(())
    }

    fn page(&self, table: &str, page: &Page<'_>) -> Result<Entries, StorageError> {
        check_table(table)?;
        self.with(table, |_, table| Ok(page_of(&table.rows, page)))
    }

    fn now_ns(&self) -> Result<i64, StorageError> {
        Ok(machine_now_ns())
    }
}
