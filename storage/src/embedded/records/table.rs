//! One table: a file that is appended to, held in memory as a map.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::entry::{
    FILE_HEAD_BYTES, FILE_MAGIC, Row, VERSION, VERSION_SINGLE, decode, encode_group, encode_one,
    entry_bytes, file_head, is_unfinished, whole_bytes, whole_entry,
};
use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open, read_all, write_all};
use crate::embedded::read::file_name;
use crate::embedded::spare::sync_folder_of;
use crate::error::{Damage, Position};

/// A table below this is never rewritten: there is nothing to win.
const REWRITE_FROM_BYTES: u64 = 64 * 1024;

/// Largest table file; all of it is held in memory.
pub(super) const MAX_FILE_BYTES: u64 = 1 << 30;

pub(super) type Rows = BTreeMap<String, Vec<u8>>;

#[derive(Debug)]
pub(super) struct Table {
    path: PathBuf,
    version: u16,
    /// `None` until the first change.
    file: Option<Box<dyn DiskFile>>,
    pub end: u64,
    live_bytes: u64,
    pub rows: Rows,
    broken: Option<StorageError>,
}

impl Table {
    pub fn new(path: PathBuf) -> Table {
        Table {
            path,
            version: VERSION_SINGLE,
            file: None,
            end: 0,
            live_bytes: 0,
            rows: Rows::new(),
            broken: None,
        }
    }

    /// Reads a table, and cuts an unfinished last entry. `made` is the last of its changes over
    /// several tables that is noted as made.
    pub fn load(disk: &dyn Disk, path: PathBuf, made: u64) -> Result<Table, StorageError> {
        let mut table = Table::new(path);
        let content = match read_all(disk, &table.path, MAX_FILE_BYTES) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(table),
            Err(error) => return Err(StorageError::io_fatal("read", &table.path, error)),
        };
        let at = table.read(&content, made)?;
        let file = disk.open(&table.path, Open::Write);
        let file = file.map_err(|e| StorageError::io_fatal("open", &table.path, e))?;
        table.end = at as u64;
        if at < content.len() {
            let torn_bytes = content.len() - at;
            tracing::warn!(table = %table.path.display(), torn_bytes, "unfinished entry is cut");
            file.set_len(table.end)
                .map_err(|e| StorageError::io_fatal("cut", &table.path, e))?;
            file.sync_data()
                .map_err(|e| StorageError::fsync(&table.path, e))?;
        }
        table.file = Some(file);
        Ok(table)
    }

    /// Takes the rows of a file, and returns where what counts of it ends; an unfinished entry may
    /// follow, or one whose change was never made.
    pub fn read(&mut self, content: &[u8], made: u64) -> Result<usize, StorageError> {
        self.check_head(content)?;
        let mut at = FILE_HEAD_BYTES;
        while at < content.len() {
            let Some(body) = whole_entry(&content[at..]) else {
                break;
            };
            let entry = decode(body, self.version)
                .ok_or_else(|| self.damaged(at, Damage::Malformed("entry")))?;
            let next = at + whole_bytes(body);
            // Nothing follows a change before it is made. What follows one shows that it was.
            if entry.change > made && next == content.len() {
                if entry.change > made + 1 {
                    // Those before it were made, so the note of them is lost: whether this one
                    // was is not known.
                    return Err(self.damaged(at, Damage::Malformed("change")));
                }
                return Ok(at);
            }
            for row in entry.rows {
                self.set(row);
            }
            at = next;
        }
        if at < content.len() && !is_unfinished(&content[at..], at as u64) {
            return Err(self.damaged(at, Damage::Checksum));
        }
        Ok(at)
    }

    fn check_head(&mut self, content: &[u8]) -> Result<(), StorageError> {
        let (Some(head), true) = (
            content.first_chunk::<FILE_HEAD_BYTES>(),
            content.starts_with(&FILE_MAGIC),
        ) else {
            return Err(self.damaged(0, Damage::Malformed("table header")));
        };
        let found = u16::from_le_bytes([head[4], head[5]]);
        self.version = found;
        if (VERSION_SINGLE..=VERSION).contains(&found) && head[6..] == [0, 0] {
            return Ok(());
        }
        Err(StorageError::NewerVersion {
            file: file_name(&self.path),
            found,
            supported: VERSION,
        })
    }

    /// Changes a key in memory.
    fn set(&mut self, (key, value): Row<'_>) {
        let old = match value {
            Some(value) => self.rows.insert(key.to_owned(), value.to_owned()),
            None => self.rows.remove(key),
        };
        self.live_bytes -= old.map_or(0, |old| entry_bytes(key, &old));
        self.live_bytes += value.map_or(0, |value| entry_bytes(key, value));
    }

    fn damaged(&self, at: usize, reason: Damage) -> StorageError {
        let segment = file_name(&self.path);
        let position = Position {
            segment,
            offset: at as u64,
            sequence: 0,
        };
        StorageError::Damaged { position, reason }
    }

    /// Makes one change durably.
    pub fn write(&mut self, disk: &dyn Disk, row: Row<'_>) -> Result<(), StorageError> {
        self.append(disk, &encode_one(row))?;
        self.applied(disk, &[row]);
        Ok(())
    }

    /// Makes several changes durably, all or none.
    pub fn write_group(&mut self, disk: &dyn Disk, rows: &[Row<'_>]) -> Result<(), StorageError> {
        if let [row] = rows {
            return self.write(disk, *row);
        }
        self.stage(disk, 0, rows)?;
        self.applied(disk, rows);
        Ok(())
    }

    /// Appends several changes durably, without taking them over; those of a change over several
    /// tables count once that is noted as made.
    pub fn stage(
        &mut self,
        disk: &dyn Disk,
        change: u64,
        rows: &[Row<'_>],
    ) -> Result<(), StorageError> {
        self.take_groups(disk)?;
        self.append(disk, &encode_group(change, rows))
    }

    /// Cuts what was staged behind `end`.
    pub fn take_back(&mut self, end: u64) {
        let Some(file) = self.file.as_ref().filter(|_| self.end > end) else {
            return;
        };
        // Not synced: its change is not noted as made, so it does not count if it comes back, and
        // the next sync of the file comes before anything that is written in its place counts.
        match file.set_len(end) {
            Ok(()) => self.end = end,
            Err(error) => self.broken = Some(StorageError::io_fatal("cut", &self.path, error)),
        }
    }

    /// Takes over in memory what was made durable.
    pub fn applied(&mut self, disk: &dyn Disk, rows: &[Row<'_>]) {
        for row in rows {
            self.set(*row);
        }
        self.tidy(disk);
    }

    /// Refuses further changes when what is on the disk is not known.
    pub fn usable(&self) -> Result<(), StorageError> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    /// Refuses further changes: whether the last one counts is not known.
    pub fn break_by(&mut self, error: &StorageError) {
        self.broken.get_or_insert_with(|| error.clone());
    }

    /// Makes the file one that may hold groups: an older build must refuse it, not misread it.
    pub fn take_groups(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        self.usable()?;
        if self.version >= VERSION {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.version, VERSION);
        self.write_anew(disk).inspect_err(|error| {
            self.version = before;
            self.broken = error.must_abort().then(|| error.clone());
        })
    }

    /// Appends an entry durably. When there is no space the file is as before.
    fn append(&mut self, disk: &dyn Disk, entry: &[u8]) -> Result<(), StorageError> {
        self.usable()?;
        if self.file.is_none() {
            let made = self.write_anew(disk);
            made.inspect_err(|error| self.broken = error.must_abort().then(|| error.clone()))?;
        }
        let Some(file) = &self.file else {
            return Err(StorageError::NotFound {
                path: self.path.clone(),
            });
        };
        let written = write_all(&**file, entry, self.end).map_err(|error| {
            let failed = StorageError::io("write", &self.path, error);
            match file.set_len(self.end) {
                Ok(()) => failed,
                Err(error) => StorageError::io_fatal("cut", &self.path, error),
            }
        });
        let durable = written.and_then(|()| {
            file.sync_data()
                .map_err(|e| StorageError::fsync(&self.path, e))
        });
        match durable {
            Ok(()) => {
                self.end += entry.len() as u64;
                Ok(())
            }
            Err(error) => {
                self.broken = error.must_abort().then(|| error.clone());
                Err(error)
            }
        }
    }

    /// Writes the table anew when most of it is outdated.
    fn tidy(&mut self, disk: &dyn Disk) {
        if self.end < REWRITE_FROM_BYTES || self.live_bytes * 2 > self.end {
            return;
        }
        // The change itself is durable already. Without space the long file goes on to serve.
        if let Err(error) = self.write_anew(disk) {
            tracing::warn!(table = %self.path.display(), %error, "table was not rewritten");
            self.broken = error.must_abort().then_some(error);
        }
    }

    fn write_anew(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        let mut content = file_head(self.version);
        for (key, value) in &self.rows {
            content.extend(encode_one((key, Some(value))));
        }
        let building = self.path.with_extension("building");
        let failed = |e| StorageError::io("write", &building, e);
        let made = disk.open(&building, Open::Create).and_then(|file| {
            write_all(&*file, &content, 0)?;
            Ok(file)
        });
        let file = made.map_err(|error| {
            let _ = disk.remove(&building);
            failed(error)
        })?;
        file.sync_data()
            .map_err(|e| StorageError::fsync(&building, e))?;
        disk.rename(&building, &self.path)
            .map_err(|e| StorageError::io_fatal("rename", &building, e))?;
        sync_folder_of(disk, &self.path)?;
        self.file = Some(file);
        self.end = content.len() as u64;
        Ok(())
    }
}
