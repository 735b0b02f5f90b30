//! Snapshots: one file each, written aside, synced, renamed.
//!
//! `"AXSN" | version u16 | zero u16 | sequence u64 | length u64 | sha256 | bytes`. The hash covers
//! account, sequence and bytes, so a snapshot copied to another account or name does not pass.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::frame::u64_at;
use crate::StorageError;
use crate::disk::{Disk, Open, read_all, write_all};
use crate::port::journal::{Snapshot, SnapshotIter};

const MAGIC: [u8; 4] = *b"AXSN";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 56;

/// Two, so that one that turns out damaged leaves one behind it.
const KEPT: usize = 2;

/// Largest snapshot: far above a state of ours, far below what would not fit in memory.
const MAX_BYTES: u64 = 1 << 30;

fn content_hash(account_id: &str, sequence: u64, bytes: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"apextrade snapshot v1\0");
    hash.update(account_id.as_bytes());
    hash.update([0]);
    hash.update(sequence.to_le_bytes());
    hash.update(bytes);
    hash.finalize().into()
}

/// Stores a snapshot and forgets all but the newest few.
pub(crate) fn write(
    disk: &dyn Disk,
    folder: &Path,
    account_id: &str,
    sequence: u64,
    bytes: &[u8],
) -> Result<(), StorageError> {
    let path = folder.join(format!("{sequence:020}.snap"));
    let building = path.with_extension("building");
    let mut content = Vec::with_capacity(HEADER_BYTES + bytes.len());
    content.extend_from_slice(&MAGIC);
    content.extend_from_slice(&VERSION.to_le_bytes());
    content.extend_from_slice(&[0; 2]);
    content.extend_from_slice(&sequence.to_le_bytes());
    content.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    content.extend_from_slice(&content_hash(account_id, sequence, bytes));
    content.extend_from_slice(bytes);
    let written = || {
        disk.create_folder(folder)?;
        let file = disk.open(&building, Open::Create)?;
        write_all(&*file, &content, 0)?;
        file.sync_data()?;
        disk.rename(&building, &path)?;
        disk.sync_folder(folder)
    };
    if let Err(source) = written() {
        let _ = disk.remove(&building);
        if crate::error::no_space(&source) {
            return Err(StorageError::io("write snapshot", &path, source));
        }
        return Err(StorageError::SnapshotFailed {
            path,
            source: Arc::new(source),
        });
    }
    let found = names(disk, folder)?;
    for (_, old) in found.iter().rev().skip(KEPT) {
        // An old snapshot that stays takes space and harms nobody.
        let _ = disk.remove(old);
    }
    Ok(())
}

/// Returns the newest snapshot that is whole.
pub(crate) fn latest(
    disk: &dyn Disk,
    folder: &Path,
    account_id: &str,
) -> Result<Option<Snapshot>, StorageError> {
    let names = names(disk, folder)?.into_iter().rev();
    let mut whole = names.filter_map(|name| read_or_warn(disk, name, account_id));
    Ok(whole.next())
}

/// Returns the sequence of the older one of two whole snapshots: a start takes it, or a newer one.
/// `None` with fewer: a start that finds one of them damaged must still have another.
pub(crate) fn oldest_of_two(
    disk: &dyn Disk,
    folder: &Path,
    account_id: &str,
) -> Result<Option<u64>, StorageError> {
    let names = names(disk, folder)?.into_iter().rev();
    let mut whole = names.filter_map(|name| read_or_warn(disk, name, account_id));
    Ok(whole.nth(KEPT - 1).map(|older| older.sequence))
}

/// Returns the snapshots that are whole, newest first, each read when it is asked for.
pub(crate) fn newest_first(
    disk: Arc<dyn Disk>,
    folder: &Path,
    account_id: &str,
) -> Result<SnapshotIter, StorageError> {
    let names = names(&*disk, folder)?.into_iter().rev();
    let account_id = account_id.to_owned();
    Ok(Box::new(names.filter_map(move |name| {
        read_or_warn(&*disk, name, &account_id).map(Ok)
    })))
}

fn read_or_warn(
    disk: &dyn Disk,
    (sequence, path): (u64, PathBuf),
    account_id: &str,
) -> Option<Snapshot> {
    match read(disk, &path, account_id, sequence) {
        Ok(Some(bytes)) => Some(Snapshot { sequence, bytes }),
        // Newer ones were written since it was listed, and it was the oldest.
        Ok(None) => None,
        Err(reason) => {
            tracing::warn!(snapshot = %path.display(), reason, "snapshot passed over");
            None
        }
    }
}

fn names(disk: &dyn Disk, folder: &Path) -> Result<Vec<(u64, PathBuf)>, StorageError> {
    let files = disk
        .files(folder)
        .map_err(|e| StorageError::io_fatal("list", folder, e))?;
    let named = |path: PathBuf| {
        let is_snapshot = path.extension()? == "snap";
        let sequence = path.file_stem()?.to_str()?.parse().ok()?;
        is_snapshot.then_some((sequence, path))
    };
    let mut names: Vec<_> = files.into_iter().filter_map(named).collect();
    names.sort();
    Ok(names)
}

/// Returns the state of a snapshot; `None` when it is gone.
fn read(
    disk: &dyn Disk,
    path: &Path,
    account_id: &str,
    sequence: u64,
) -> Result<Option<Vec<u8>>, String> {
    let mut content = match read_all(disk, path, MAX_BYTES) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    if content.len() < HEADER_BYTES || content[..4] != MAGIC || content[6..8] != [0; 2] {
        return Err("not a snapshot".into());
    }
    let version = u16::from_le_bytes([content[4], content[5]]);
    if version != VERSION {
        return Err(format!("version {version} is not known"));
    }
    let length = content.len() - HEADER_BYTES;
    if u64_at(&content, 8) != sequence || u64_at(&content, 16) != length as u64 {
        return Err("sequence or length does not match".into());
    }
    let bytes = content.split_off(HEADER_BYTES);
    if content[24..] != content_hash(account_id, sequence, &bytes) {
        return Err("content hash does not match".into());
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::SimDisk;

    #[test]
    fn one_that_is_pruned_between_listing_and_reading_is_no_damage() {
        let (disk, folder) = (SimDisk::new(), Path::new("snapshots"));
        for sequence in [4, 8] {
            write(&disk, folder, "paper", sequence, b"state").expect("there is space");
        }
        let listed = names(&disk, folder).expect("it can be listed");
        let kept = newest_first(Arc::new(disk.clone()), folder, "paper").expect("as well");
        write(&disk, folder, "paper", 12, b"state").expect("there is space");
        // What is damaged says why, and is warned of.
        let (sequence, path) = &listed[0];
        assert_eq!(read(&disk, path, "paper", *sequence), Ok(None));
        let kept: Result<Vec<_>, _> = kept.collect();
        let kept: Vec<u64> = kept
            .expect("no error")
            .iter()
            .map(|one| one.sequence)
            .collect();
        assert_eq!(kept, [8]);
        disk.set_content(path, b"x".to_vec());
        assert!(read(&disk, path, "paper", *sequence).is_err());
    }
}
