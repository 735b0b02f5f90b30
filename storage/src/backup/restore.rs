//! Brings a backup into an empty folder, and into empty databases.

use sha2::{Digest, Sha256};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::blobs::{Progress, Step};
use super::databases::{DAYS, DatabaseCopy, TableCopy};
use super::list::{id_of, read};
use super::load::{self, Filled, Targets};
use super::manifest::{FileCopy, Manifest};
use super::{MANIFESTS, blob_key, damaged, each_object};
use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open, RealDisk, write_all};
use crate::port::objects::{ContentHash, ObjectKey, Objects};
use crate::postgres::{PgServer, each_row};

/// Stands in a folder as long as its restore is under way: nothing starts on it.
pub const UNFINISHED: &str = "restore.unfinished";

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub id: String,
    pub manifest: Manifest,
}

/// A restore that has brought everything, and whose places are refused by every start until it is
/// finished: whoever began it compares what is there before.
#[derive(Debug)]
#[must_use = "nothing starts on what was restored until it is finished"]
pub struct Restoring {
    marker: PathBuf,
    filled: Filled,
}

impl Restoring {
    /// Returns the database of journals, to be read by whoever restores alone; `None` where they are
    /// in the folder.
    pub fn journals(&self) -> Option<&PgServer> {
        self.filled.journals()
    }

    /// Lets starts have what was restored: the folder first, the database of journals last.
    ///
    /// # Errors
    /// Of the folder, `Unavailable` of a database: what still has its mark is refused.
    pub fn finish(self) -> Result<(), StorageError> {
        let folder = self.marker.parent().unwrap_or(&self.marker);
        let unmarked = RealDisk
            .remove(&self.marker)
            .and_then(|()| RealDisk.sync_folder(folder));
        unmarked.map_err(|e| StorageError::io("remove", &self.marker, e))?;
        self.filled.unmark()
    }
}

/// Finds a backup by its id, or the newest one; `None` when there is none.
///
/// # Errors
/// `BadName` for an id that is none; `DamagedBackup`, `NewerVersion` of its manifest; what the
/// store cannot do.
pub fn find(objects: &dyn Objects, id: Option<&str>) -> Result<Option<Restored>, StorageError> {
    let key = match id {
        Some(id) => Some(ObjectKey::new(&format!("{MANIFESTS}{id}"))?),
        None => newest(objects)?,
    };
    let Some(key) = key else {
        return Ok(None);
    };
    let manifest = read(objects, &key)?;
    Ok(manifest.map(|manifest| Restored {
        manifest,
        id: id_of(&key),
    }))
}

/// Returns the key of the newest list; `None` when there is none.
pub(super) fn newest(objects: &dyn Objects) -> Result<Option<ObjectKey>, StorageError> {
    let mut newest = None;
    each_object(objects, MANIFESTS, &mut |info| {
        newest = Some(info.key);
        Ok(())
    })?;
    Ok(newest)
}

/// Writes the files of a backup into a folder that is empty or not there, durably, and its rows into
/// databases that are empty. Nothing starts on them until [`Restoring::finish`].
///
/// # Errors
/// - `NotEmpty`, `NotEmptyDatabase`, `UnfinishedDatabase`: nothing was touched;
/// - `Setting`: the targets are of another kind than what the backup is of; nothing was touched;
/// - `NewerVersion`: a newer build took it; nothing was touched;
/// - `DamagedBackup`: a part is missing or is not what was stored;
/// - what the folder, a database or the store cannot do. After an error the folder and the databases
///   that were begun are refused by every start: empty them and restore again.
pub fn restore(
    objects: &dyn Objects,
    backup: &Restored,
    data_dir: &Path,
    to: &Targets<'_>,
    progress: Progress<'_>,
) -> Result<Restoring, StorageError> {
    let disk = RealDisk;
    load::check(&backup.id, &backup.manifest, to)?;
    refuse_what_is_there(data_dir)?;
    load::check_targets(to)?;
    let failed = |action, path: &Path, error| StorageError::io(action, path, error);
    disk.create_folder(data_dir)
        .map_err(|e| failed("create folder", data_dir, e))?;
    let marker = data_dir.join(UNFINISHED);
    let marked = disk
        .open(&marker, Open::Create)
        .and_then(|_| disk.sync_folder(data_dir));
    marked.map_err(|e| failed("write", &marker, e))?;
    let reading = Reading {
        objects,
        backup: &backup.id,
        bytes: Cell::new(0),
        progress,
    };
    for file in &backup.manifest.files {
        write_file(&disk, &reading, file, &data_dir.join(&file.path))?;
    }
    let filled = load::load(&reading, &backup.manifest, to)?;
    Ok(Restoring { marker, filled })
}

/// What a check of a backup has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Parts that it names, each once, and their bytes.
    pub parts: u64,
    pub bytes: u64,
    /// What is wrong, for people: each names a part.
    pub damaged: Vec<String>,
}

/// Reads every part of a backup against its length and hash, and changes nothing.
///
/// # Errors
/// What the store cannot do; that a part is damaged is none.
pub fn check_parts(
    objects: &dyn Objects,
    backup: &Restored,
    progress: Progress<'_>,
) -> Result<Checked, StorageError> {
    let reading = Reading {
        objects,
        backup: &backup.id,
        bytes: Cell::new(0),
        progress,
    };
    let mut checked = Checked::default();
    let parts: BTreeMap<_, _> = backup.manifest.parts().collect();
    for (hash, bytes) in parts {
        checked.parts += 1;
        checked.bytes += bytes;
        match reading.part(&ContentHash(hash), bytes, "parts") {
            Ok(_) => {}
            Err(error @ StorageError::DamagedBackup { .. }) => {
                checked.damaged.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(checked)
}

/// The parts of a backup that is read.
pub(super) struct Reading<'r> {
    objects: &'r dyn Objects,
    backup: &'r str,
    bytes: Cell<u64>,
    progress: Progress<'r>,
}

impl Reading<'_> {
    /// Returns a part, checked. `what` it is of is for people.
    ///
    /// Errors: `DamagedBackup`; of the store.
    pub(super) fn part(
        &self,
        hash: &ContentHash,
        bytes: u64,
        what: &str,
    ) -> Result<Vec<u8>, StorageError> {
        let key = blob_key(hash)?;
        let bad = |reason| Err(damaged(self.backup, key.as_str(), reason));
        let content = match self.objects.get(&key) {
            Ok(Some(content)) => content,
            Ok(None) => return bad("is missing"),
            Err(StorageError::Damaged { .. }) => return bad("is not what was stored"),
            Err(error) => return Err(error),
        };
        if content.len() as u64 != bytes {
            return bad("has another length");
        }
        if ContentHash(Sha256::digest(&content).into()) != *hash {
            return bad("is not what was stored");
        }
        self.bytes.set(self.bytes.get() + bytes);
        (self.progress)(&Step {
            what,
            bytes: self.bytes.get(),
        });
        Ok(content)
    }

    /// The error of a table that has fewer rows than its list says, or more.
    pub(super) fn short(&self, table: &str) -> StorageError {
        damaged(
            self.backup,
            &format!("table {table}"),
            "has another number of rows than its list says",
        )
    }

    /// Returns the days of series by table.
    ///
    /// Errors: as [`Reading::part`].
    pub(super) fn days(
        &self,
        table: &TableCopy,
    ) -> Result<BTreeMap<String, Vec<i64>>, StorageError> {
        let mut days: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for (name, day, _) in self.day_rows(table)? {
            days.entry(name).or_default().push(i64::from(day));
        }
        Ok(days)
    }

    /// Returns the days of series that had their index for reading.
    ///
    /// Errors: as [`Reading::part`].
    pub(super) fn closed_days(
        &self,
        copy: &DatabaseCopy,
    ) -> Result<Vec<(String, i32)>, StorageError> {
        let Some(table) = copy.table(DAYS) else {
            return Ok(Vec::new());
        };
        let closed = self.day_rows(table)?.into_iter();
        let closed = closed.filter(|(_, _, is_closed)| *is_closed);
        Ok(closed.map(|(name, day, _)| (name, day)).collect())
    }

    fn day_rows(&self, table: &TableCopy) -> Result<Vec<(String, i32, bool)>, StorageError> {
        let mut bytes = Vec::new();
        for part in table.slices.iter().flat_map(|slice| &slice.parts) {
            bytes.extend(self.part(&part.hash, part.bytes, DAYS)?);
        }
        let mut rows = Vec::new();
        each_row(&bytes, &mut |row| {
            let is_closed = row.field(2)? == [1];
            rows.push((row.text(0)?.to_owned(), row.int4(1)?, is_closed));
            Ok(())
        })?;
        Ok(rows)
    }
}

fn refuse_what_is_there(data_dir: &Path) -> Result<(), StorageError> {
    let mut entries = match std::fs::read_dir(data_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StorageError::io("list", data_dir, error)),
    };
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(StorageError::NotEmpty {
            path: data_dir.to_owned(),
        }),
    }
}

fn write_file(
    disk: &dyn Disk,
    reading: &Reading<'_>,
    copy: &FileCopy,
    path: &Path,
) -> Result<(), StorageError> {
    let failed = |error| StorageError::io("write", path, error);
    let folder = path.parent().unwrap_or(path);
    disk.create_folder(folder)
        .map_err(|e| StorageError::io("create folder", folder, e))?;
    let file = disk.open(path, Open::Create).map_err(failed)?;
    let mut at = 0;
    for part in &copy.parts {
        let content = reading.part(&part.hash, part.bytes, "files")?;
        write_zeros(&*file, at, part.offset).map_err(failed)?;
        write_all(&*file, &content, part.offset).map_err(failed)?;
        at = part.offset + part.bytes;
    }
    write_zeros(&*file, at, copy.length).map_err(failed)?;
    file.sync_data().map_err(|e| StorageError::fsync(path, e))?;
    disk.sync_folder(folder)
        .map_err(|e| StorageError::fsync(folder, e))
}

/// Writes zeros, and no hole: a journal relies on the space of its segments being its own.
fn write_zeros(file: &dyn DiskFile, mut at: u64, end: u64) -> io::Result<()> {
    static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];
    while at < end {
        let bytes = (end - at).min(ZEROS.len() as u64) as usize;
        write_all(file, &ZEROS[..bytes], at)?;
        at += bytes as u64;
    }
    Ok(())
}
