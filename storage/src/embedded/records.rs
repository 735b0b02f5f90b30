//! Keyed records: one file per table, an append log that is held in memory as a map.
//!
//! File: `"AXRT" | version u16 | zero u16`, then entries
//! `"AXRE" | body length u32 | check of these 8 bytes u64 | body | check of the body u64`, where the
//! body is `operation u8 | key length u16 | key | value`. A change appends one entry and syncs. When
//! most of a file is outdated entries, it is written anew aside and renamed over the old one. An
//! unfinished last entry is cut when the table is first used; damage anywhere else is refused.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::memmem;
use xxhash_rust::xxh3::xxh3_64;

use super::data_dir::{DataDir, RECORDS};
use super::frame::u64_at;
use super::read::file_name;
use super::spare::sync_folder_of;
use super::tail::lacks_a_sector;
use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open, RealDisk, read_all, write_all};
use crate::error::{Damage, Position};
use crate::port::records::{
    Entries, MAX_KEY_BYTES, MAX_VALUE_BYTES, Records, check_input, check_table,
};

const FILE_MAGIC: [u8; 8] = *b"AXRT\x01\0\0\0";
const VERSION: u16 = 1;
const ENTRY_MAGIC: [u8; 4] = *b"AXRE";
const HEAD_BYTES: usize = 16;
const CHECK_BYTES: usize = 8;
const MAX_BODY_BYTES: usize = 3 + MAX_KEY_BYTES + MAX_VALUE_BYTES;

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// A table below this is never rewritten: there is nothing to win.
const REWRITE_FROM_BYTES: u64 = 64 * 1024;

/// Largest table file; all of it is held in memory.
const MAX_FILE_BYTES: u64 = 1 << 30;

type Rows = BTreeMap<String, Vec<u8>>;

#[derive(Debug)]
struct Table {
    path: PathBuf,
    /// `None` until the first change.
    file: Option<Box<dyn DiskFile>>,
    end: u64,
    live_bytes: u64,
    rows: Rows,
    broken: Option<StorageError>,
}

/// Keyed records in a data folder.
#[derive(Debug)]
pub struct EmbeddedRecords {
    dir: Arc<DataDir>,
    tables: Mutex<BTreeMap<String, Table>>,
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
            tables: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Table>> {
        // A panic half-way through a change aborts the process, as every broken invariant does.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        name: &str,
        f: impl FnOnce(&dyn Disk, &mut Table) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let disk = &**self.dir.disk();
        let mut tables = self.lock();
        if !tables.contains_key(name) {
            let path = self.dir.records_folder().join(format!("{name}.tbl"));
            tables.insert(name.to_owned(), Table::load(disk, path)?);
        }
        match tables.get_mut(name) {
            Some(table) => f(disk, table),
            // It was inserted just above.
            None => Err(StorageError::NotFound {
                path: self.dir.records_folder(),
            }),
        }
    }
}

/// Returns the value of a key in a data folder that may be in use, without its lock and without
/// changing anything; `None` when the table or the key is not there.
///
/// # Errors
/// `Damaged`, `NewerVersion`, `BadName`, `Io`.
pub fn read_record(root: &Path, table: &str, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
    check_input(table, key, &[])?;
    let path = root.join(RECORDS).join(format!("{table}.tbl"));
    let content = match read_all(&RealDisk, &path, MAX_FILE_BYTES) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("read", &path, error)),
    };
    let mut read = Table::new(path);
    read.read(&content)?;
    Ok(read.rows.remove(key))
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
        self.with(table, |disk, table| {
            table.write(disk, PUT, key, value)?;
            let old = table.rows.insert(key.to_owned(), value.to_owned());
            table.live_bytes -= old.map_or(0, |old| entry_bytes(key, &old));
            table.live_bytes += entry_bytes(key, value);
            table.tidy(disk);
            Ok(())
        })
    }

    fn delete(&self, table: &str, key: &str) -> Result<bool, StorageError> {
        check_input(table, key, &[])?;
        self.with(table, |disk, table| {
            if !table.rows.contains_key(key) {
                return Ok(false);
            }
            table.write(disk, DELETE, key, &[])?;
            let old = table.rows.remove(key);
            table.live_bytes -= old.map_or(0, |old| entry_bytes(key, &old));
            table.tidy(disk);
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
}

impl Table {
    fn new(path: PathBuf) -> Table {
        Table {
            path,
            file: None,
            end: 0,
            live_bytes: 0,
            rows: Rows::new(),
            broken: None,
        }
    }

    fn load(disk: &dyn Disk, path: PathBuf) -> Result<Table, StorageError> {
        let mut table = Table::new(path);
        let content = match read_all(disk, &table.path, MAX_FILE_BYTES) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(table),
            Err(error) => return Err(StorageError::io_fatal("read", &table.path, error)),
        };
        let at = table.read(&content)?;
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
        let live = table
            .rows
            .iter()
            .map(|(key, value)| entry_bytes(key, value));
        table.live_bytes = live.sum();
        Ok(table)
    }

    /// Takes the rows of a file, and returns where its whole entries end; an unfinished one may
    /// follow.
    fn read(&mut self, content: &[u8]) -> Result<usize, StorageError> {
        self.check_magic(content)?;
        let mut at = FILE_MAGIC.len();
        while at < content.len() {
            let Some(body) = whole_entry(&content[at..]) else {
                break;
            };
            self.fold(body)
                .ok_or_else(|| self.damaged(at, Damage::Malformed("entry")))?;
            at += HEAD_BYTES + body.len() + CHECK_BYTES;
        }
        if at < content.len() && !is_unfinished(&content[at..], at as u64) {
            return Err(self.damaged(at, Damage::Checksum));
        }
        Ok(at)
    }

    fn check_magic(&self, content: &[u8]) -> Result<(), StorageError> {
        if content.starts_with(&FILE_MAGIC) {
            return Ok(());
        }
        if content.len() < FILE_MAGIC.len() || content[..4] != FILE_MAGIC[..4] {
            return Err(self.damaged(0, Damage::Malformed("table header")));
        }
        Err(StorageError::NewerVersion {
            file: file_name(&self.path),
            found: u16::from_le_bytes([content[4], content[5]]),
            supported: VERSION,
        })
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

    fn fold(&mut self, body: &[u8]) -> Option<()> {
        let (head, rest) = body.split_first_chunk::<3>()?;
        let key_bytes = usize::from(u16::from_le_bytes([head[1], head[2]]));
        let (key, value) = rest.split_at_checked(key_bytes)?;
        let key = std::str::from_utf8(key).ok()?;
        match head[0] {
            PUT => drop(self.rows.insert(key.to_owned(), value.to_owned())),
            DELETE => drop(self.rows.remove(key)),
            _ => return None,
        }
        Some(())
    }

    /// Appends an entry durably. When there is no space the file is as before.
    fn write(
        &mut self,
        disk: &dyn Disk,
        operation: u8,
        key: &str,
        value: &[u8],
    ) -> Result<(), StorageError> {
        if let Some(broken) = &self.broken {
            return Err(broken.clone());
        }
        if self.file.is_none() {
            let made = self.write_anew(disk);
            made.inspect_err(|error| self.broken = error.must_abort().then(|| error.clone()))?;
        }
        let Some(file) = &self.file else {
            return Err(StorageError::NotFound {
                path: self.path.clone(),
            });
        };
        let entry = encode(operation, key, value);
        let written = write_all(&**file, &entry, self.end).map_err(|error| {
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
        let mut content = FILE_MAGIC.to_vec();
        for (key, value) in &self.rows {
            content.extend(encode(PUT, key, value));
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

fn entry_bytes(key: &str, value: &[u8]) -> u64 {
    (HEAD_BYTES + 3 + key.len() + value.len() + CHECK_BYTES) as u64
}

fn encode(operation: u8, key: &str, value: &[u8]) -> Vec<u8> {
    // Key and value are within their limits, so both casts keep the values.
    let body_bytes = 3 + key.len() + value.len();
    let mut entry = Vec::with_capacity(HEAD_BYTES + body_bytes + CHECK_BYTES);
    entry.extend_from_slice(&ENTRY_MAGIC);
    entry.extend_from_slice(&(body_bytes as u32).to_le_bytes());
    entry.extend_from_slice(&xxh3_64(&entry[..8]).to_le_bytes());
    entry.push(operation);
    entry.extend_from_slice(&(key.len() as u16).to_le_bytes());
    entry.extend_from_slice(key.as_bytes());
    entry.extend_from_slice(value);
    let check = xxh3_64(&entry[HEAD_BYTES..]);
    entry.extend_from_slice(&check.to_le_bytes());
    entry
}

/// Returns the length of the body when the head of an entry is whole.
fn body_bytes(bytes: &[u8]) -> Option<usize> {
    let head = bytes.first_chunk::<HEAD_BYTES>()?;
    if head[..4] != ENTRY_MAGIC || xxh3_64(&head[..8]) != u64_at(head, 8) {
        return None;
    }
    let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    (length <= MAX_BODY_BYTES).then_some(length)
}

fn whole_entry(bytes: &[u8]) -> Option<&[u8]> {
    let length = body_bytes(bytes)?;
    let rest = bytes.get(HEAD_BYTES..HEAD_BYTES + length + CHECK_BYTES)?;
    let (body, check) = rest.split_at(length);
    (xxh3_64(body) == u64_at(check, 0)).then_some(body)
}

/// Returns whether what follows the last whole entry is a write that was never finished: a prefix,
/// or one of which some sectors never arrived. (See `tail.rs`; here the file ends with its data.)
fn is_unfinished(rest: &[u8], offset: u64) -> bool {
    if memmem::find_iter(&rest[1..], &ENTRY_MAGIC).any(|at| whole_entry(&rest[1 + at..]).is_some())
    {
        return false;
    }
    match body_bytes(rest) {
        Some(length) if rest.len() < HEAD_BYTES + length + CHECK_BYTES => true,
        Some(_) => lacks_a_sector(rest, offset),
        None => rest.len() < HEAD_BYTES || lacks_a_sector(rest, offset),
    }
}
