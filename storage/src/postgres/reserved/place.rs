//! Where reserves are, and of which database: `reserve/database` in the data folder.

use crate::StorageError;
use crate::disk::{read_all, replace_file};
use crate::embedded::{DataDir, check_journal_name, waiting_in_reserve};
use crate::error::{Damage, Position};
use std::io;
use std::path::Path;

/// An id and a name of a host, a port and a database.
const LONGEST: u64 = 4096;

/// Returns a data folder with its host, for people.
pub(super) fn folder_name(root: &Path) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
    match host.trim() {
        "" => root.display().to_string(),
        host => format!("{host}:{}", root.display()),
    }
}

/// Makes the folder of an account's reserve, durably.
///
/// Errors: `BadName`, `Full`, `Io`.
pub(super) fn make(dir: &DataDir, account_id: &str) -> Result<(), StorageError> {
    check_journal_name(account_id)?;
    let folder = dir.root().join("reserve").join(account_id);
    let made = dir.disk().create_folder(&folder);
    made.map_err(|e| StorageError::io("create folder", &folder, e))
}

/// Returns whether an account's reserve is where it was made, empty or not.
pub(super) fn has_reserve(root: &Path, account_id: &str) -> bool {
    root.join("reserve").join(account_id).is_dir()
}

/// Notes in a data folder of which database its reserves are from now on. Where an older build has
/// left something in them without that, nothing is noted: its chain tells, see [`note`].
///
/// Errors: `ReserveOfOther` while something of another database is in them; `Damaged`, `Io`.
pub(super) fn belong(dir: &DataDir, id: &str, name: &str) -> Result<(), StorageError> {
    let folder = dir.root().join("reserve");
    let path = folder.join("database");
    let disk = &**dir.disk();
    let noted = match read_all(disk, &path, LONGEST) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim_end().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(StorageError::io("read", &path, error)),
    };
    let now = format!("{id} {name}");
    if noted == now {
        return Ok(());
    }
    let of = noted.split_once(' ');
    if of.is_none() && !noted.is_empty() {
        return Err(StorageError::Damaged {
            position: Position {
                segment: path.display().to_string(),
                offset: 0,
                sequence: 0,
            },
            reason: Damage::Malformed("it does not say of which database the reserves are"),
        });
    }
    let is_its_own = of.is_some_and(|(of, _)| of == id);
    if !is_its_own && !waiting_in_reserve(dir.root())?.is_empty() {
        let Some((of, its_name)) = of else {
            return Ok(());
        };
        return Err(StorageError::ReserveOfOther {
            path: folder,
            of: format!("{its_name} ({of})"),
            found: format!("{name} ({id})"),
        });
    }
    note(dir, id, name)
}

/// Notes that the reserves of a data folder are of a database: what was in one of them goes on there.
///
/// Errors: `Io`.
pub(super) fn note(dir: &DataDir, id: &str, name: &str) -> Result<(), StorageError> {
    let folder = dir.root().join("reserve");
    let path = folder.join("database");
    let disk = &**dir.disk();
    disk.create_folder(&folder)
        .map_err(|e| StorageError::io("create folder", &folder, e))?;
    replace_file(disk, &path, format!("{id} {name}\n").as_bytes())
        .map_err(|e| StorageError::io("write", &path, e))
}
