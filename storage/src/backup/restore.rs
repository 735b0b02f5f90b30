//! Brings a backup into an empty folder.

use std::io;
use std::path::Path;

use super::manifest::{FileCopy, Manifest};
use super::{MANIFESTS, PAGE, blob_key, malformed};
use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open, RealDisk, write_all};
use crate::port::objects::{ObjectKey, Objects};

/// Stands in a folder as long as its restore is under way: nothing starts on it.
pub const UNFINISHED: &str = "restore.unfinished";

/// A backup that was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub id: String,
    pub manifest: Manifest,
}

/// Finds a backup by its id, or the newest one; `None` when there is none.
///
/// # Errors
/// `BadName` for an id that is none; `Damaged` when its manifest is; what the store cannot do.
pub fn find(objects: &dyn Objects, id: Option<&str>) -> Result<Option<Restored>, StorageError> {
    let key = match id {
        Some(id) => Some(ObjectKey::new(&format!("{MANIFESTS}{id}"))?),
        None => newest(objects)?,
    };
    let Some(key) = key else {
        return Ok(None);
    };
    let Some(text) = objects.get(&key)? else {
        return Ok(None);
    };
    let id = key.as_str().trim_start_matches(MANIFESTS).to_owned();
    Ok(Some(Restored {
        manifest: Manifest::read(key.as_str(), &text)?,
        id,
    }))
}

fn newest(objects: &dyn Objects) -> Result<Option<ObjectKey>, StorageError> {
    let mut newest: Option<ObjectKey> = None;
    loop {
        let page = objects.list(MANIFESTS, newest.as_ref(), PAGE)?;
        let is_last = page.len() < PAGE;
        newest = page.into_iter().next_back().map(|it| it.key).or(newest);
        if is_last {
            return Ok(newest);
        }
    }
}

/// Writes the files of a backup into a folder that is empty or not there, durably.
///
/// # Errors
/// - `NotEmpty`: nothing was touched.
/// - `Damaged`: a part is missing or is not what was stored.
/// - what the folder or the store cannot do. After an error the folder is refused by every start:
///   empty it and restore again.
pub fn restore(
    objects: &dyn Objects,
    backup: &Restored,
    data_dir: &Path,
) -> Result<(), StorageError> {
    let disk = RealDisk;
    refuse_what_is_there(data_dir)?;
    let failed = |action, path: &Path, error| StorageError::io(action, path, error);
    disk.create_folder(data_dir)
        .map_err(|e| failed("create folder", data_dir, e))?;
    let marker = data_dir.join(UNFINISHED);
    let marked = disk
        .open(&marker, Open::Create)
        .and_then(|_| disk.sync_folder(data_dir));
    marked.map_err(|e| failed("write", &marker, e))?;
    for file in &backup.manifest.files {
        write_file(&disk, objects, file, &data_dir.join(&file.path))?;
    }
    let unmarked = disk
        .remove(&marker)
        .and_then(|()| disk.sync_folder(data_dir));
    unmarked.map_err(|e| failed("remove", &marker, e))
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
    objects: &dyn Objects,
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
        let key = blob_key(&part.hash)?;
        let content = objects.get(&key)?;
        let content =
            content.ok_or_else(|| malformed(key.as_str(), "backup: a part is missing"))?;
        if content.len() as u64 != part.bytes {
            return Err(malformed(key.as_str(), "backup: a part has another length"));
        }
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
