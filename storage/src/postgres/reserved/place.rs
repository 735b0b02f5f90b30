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

/// Makes the folder of an account's reserve for a database, durably.
///
/// Errors: `BadName`, `Full`, `Io`.
pub(super) fn make(dir: &DataDir, account_id: &str, database_id: &str) -> Result<(), StorageError> {
    check_journal_name(account_id)?;
    let (folder, disk) = (dir.root().join("reserve").join(account_id), &**dir.disk());
    let made = disk.create_folder(&folder);
    made.map_err(|e| StorageError::io("create folder", &folder, e))?;
    let mark = folder.join(mark(database_id));
    if mark.exists() {
        return Ok(());
    }
    replace_file(disk, &mark, b"").map_err(|e| StorageError::io("write", &mark, e))
}

/// What is in the folder of a reserve for each database that it was made for. One that was made anew for
/// another database does not pass for the one that was moved away.
fn mark(database_id: &str) -> String {
    format!("{MARK}{database_id}")
}

const MARK: &str = "of.";

/// Returns whether an account's reserve of a database is where it was made, empty or not.
pub(crate) fn has_reserve(root: &Path, account_id: &str, database_id: &str) -> bool {
    let folder = root.join("reserve").join(account_id);
    if folder.join(mark(database_id)).exists() {
        return true;
    }
    let Ok(files) = std::fs::read_dir(&folder) else {
        return false;
    };
    // One of a build that left no mark is of the only database that the folder was used with.
    let mut names = files.flatten().map(|file| file.file_name());
    !names.any(|name| name.to_string_lossy().starts_with(MARK))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_that_was_moved_away_is_missed_whatever_was_made_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let dir = DataDir::open(folder.path()).unwrap();
        let is_there = |id: &str| has_reserve(folder.path(), "paper", id);
        assert!(!is_there("one"));
        make(&dir, "paper", "one").unwrap();
        make(&dir, "paper", "two").unwrap();
        make(&dir, "paper", "one").unwrap();
        assert!(is_there("one") && is_there("two") && !is_there("three"));
        let reserve = folder.path().join("reserve/paper");
        std::fs::rename(&reserve, folder.path().join("moved")).unwrap();
        assert!(!is_there("one"));
        make(&dir, "paper", "two").unwrap();
        assert!(is_there("two") && !is_there("one"));
        // As a build without marks has left it.
        std::fs::remove_file(reserve.join("of.two")).unwrap();
        std::fs::write(reserve.join("next.spare"), b"").unwrap();
        assert!(is_there("one"));
    }
}
