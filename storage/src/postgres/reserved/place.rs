//! Where reserves are, and of which database: `reserve/database` in the data folder.

use crate::StorageError;
use crate::disk::{read_all, replace_file};
use crate::embedded::{DataDir, waiting_in_reserve};
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

/// Notes in a data folder of which database its reserves are from now on.
///
/// Errors: `ReserveOfOther` while something of another database is in them. One that was left by an
/// older build says nothing, and its chain tells.
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
    let of = noted.split_once(' ').filter(|(of, _)| *of != id);
    if let Some((of, its_name)) = of
        && !waiting_in_reserve(dir.root())?.is_empty()
    {
        return Err(StorageError::ReserveOfOther {
            path: folder,
            of: format!("{its_name} ({of})"),
            found: format!("{name} ({id})"),
        });
    }
    disk.create_folder(&folder)
        .map_err(|e| StorageError::io("create folder", &folder, e))?;
    replace_file(disk, &path, format!("{now}\n").as_bytes())
        .map_err(|e| StorageError::io("write", &path, e))
}
