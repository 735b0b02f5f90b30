//! The reserves of a data folder: what accounts have decided while their database was away.

use std::collections::BTreeSet;
use std::path::Path;

use super::PART_BYTES;
use super::blobs::Blobs;
use super::files::{BETWEEN, LOOKS};
use super::manifest::{FileCopy, Part, is_inside};
use crate::disk::{Disk, RealDisk};
use crate::embedded::{Waiting, check_journal_name, look_into_reserve};
use crate::error::StorageError;
use crate::port::journal::Head;
use crate::postgres::has_reserve;

/// A reserve that was copied, and the journal's end with it.
pub(super) struct ReserveCopy {
    pub(super) account_id: String,
    pub(super) end: Head,
    pub(super) file: FileCopy,
}

/// Copies the whole frames of every reserve in use.
///
/// Errors: `Damaged`, `NewerVersion`: the next start would refuse it too; `Io`, of the store.
pub(super) fn copy(root: &Path, blobs: &mut Blobs<'_>) -> Result<Vec<ReserveCopy>, StorageError> {
    let folder = root.join("reserve");
    let folders = RealDisk.folders(&folder);
    let mut copies = Vec::new();
    for folder in folders.map_err(|e| StorageError::io("list", &folder, e))? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if check_journal_name(&name).is_err() {
            continue;
        }
        if let Some(waiting) = look(root, &name)? {
            copies.extend(store(root, &name, &waiting, blobs)?);
        }
    }
    Ok(copies)
}

/// Returns the accounts whose reserves of a database are in a data folder, in use or not.
///
/// Errors: `Io`.
pub(super) fn here(root: &Path, database_id: &str) -> Result<BTreeSet<String>, StorageError> {
    let folder = root.join("reserve");
    let folders = RealDisk.folders(&folder);
    let folders = folders.map_err(|e| StorageError::io("list", &folder, e))?;
    let names = folders.iter().filter_map(|folder| folder.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let is_here =
        |name: &String| check_journal_name(name).is_ok() && has_reserve(root, name, database_id);
    Ok(names.filter(is_here).collect())
}

/// Looks again at one that is written to or emptied meanwhile.
fn look(root: &Path, account_id: &str) -> Result<Option<Waiting>, StorageError> {
    let mut looks = 0;
    loop {
        match look_into_reserve(root, account_id) {
            Err(error) if looks < LOOKS && is_passing(&error) => {
                looks += 1;
                std::thread::sleep(BETWEEN);
            }
            found => return found,
        }
    }
}

fn is_passing(error: &StorageError) -> bool {
    error.is_not_found() || matches!(error, StorageError::Damaged { .. })
}

fn store(
    root: &Path,
    account_id: &str,
    waiting: &Waiting,
    blobs: &mut Blobs<'_>,
) -> Result<Option<ReserveCopy>, StorageError> {
    let below = waiting.path.strip_prefix(root).ok().and_then(Path::to_str);
    let (Some(path), Some(last)) = (
        below.filter(|below| is_inside(below)),
        waiting.left.frames.last(),
    ) else {
        return Ok(None);
    };
    let mut file = FileCopy {
        path: path.to_owned(),
        length: waiting.length,
        parts: Vec::new(),
    };
    let frames: Vec<&[u8]> = waiting.left.frames.iter().map(|it| &it.frame[..]).collect();
    // At most as large as a reserve, which is 8 MiB.
    for (index, content) in frames.concat().chunks(PART_BYTES).enumerate() {
        file.parts.push(Part {
            offset: (index * PART_BYTES) as u64,
            bytes: content.len() as u64,
            hash: blobs.store(content)?,
        });
    }
    Ok(Some(ReserveCopy {
        account_id: account_id.to_owned(),
        end: last.after,
        file,
    }))
}
