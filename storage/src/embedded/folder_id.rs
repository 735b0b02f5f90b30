//! The id of a data folder: it tells one folder from another, whatever their paths are.

use super::data_dir::DataDir;
use super::read::file_name;
use crate::StorageError;
use crate::disk::{Disk, RealDisk, read_all, replace_file};
use crate::error::{Damage, Position};
use std::io;
use std::path::{Path, PathBuf};

/// 16 random bytes in hexadecimal digits, and the end of the line.
const BYTES: usize = 33;

impl DataDir {
    /// Returns the id of this folder, 32 hexadecimal digits. It is made at random and durable
    /// before this returns for the first time; a copy of the folder has the same one.
    ///
    /// # Errors
    /// `Damaged`: the file `folder.id` is not what was written. `Io`, `Full`.
    pub fn id(&self) -> Result<String, StorageError> {
        let path = path_in(self.root());
        if let Some(id) = read(&**self.disk(), &path)? {
            return Ok(id);
        }
        let id = random().map_err(|e| StorageError::io("make", &path, e))?;
        replace_file(&**self.disk(), &path, format!("{id}\n").as_bytes())
            .map_err(|e| StorageError::io("write", &path, e))?;
        Ok(id)
    }
}

/// Returns the id of a data folder that another process may use; `None` where none was made yet.
///
/// Errors: `Damaged`, `Io`.
pub(crate) fn folder_id_of(root: &Path) -> Result<Option<String>, StorageError> {
    read(&RealDisk, &path_in(root))
}

fn path_in(root: &Path) -> PathBuf {
    root.join("folder.id")
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Option<String>, StorageError> {
    let found = match read_all(disk, path, BYTES as u64 * 2) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StorageError::io("read", path, error)),
    };
    let id = String::from_utf8(found).unwrap_or_default();
    let digits = id.trim_end();
    if id.len() == BYTES && digits.len() == BYTES - 1 && is_hex(digits) {
        return Ok(Some(digits.to_owned()));
    }
    Err(StorageError::Damaged {
        position: Position {
            segment: file_name(path),
            offset: 0,
            sequence: 0,
        },
        reason: Damage::Malformed("folder id"),
    })
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_id_and_another_has_another() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let id = |folder: &tempfile::TempDir| DataDir::open(folder.path()).unwrap().id().unwrap();
        let made = id(&first);
        assert_eq!(made.len(), 32);
        assert_eq!(id(&first), made);
        assert_eq!(folder_id_of(second.path()).unwrap(), None);
        assert!(!second.path().join("folder.id").exists());
        assert_ne!(id(&second), made);
        assert_eq!(folder_id_of(first.path()).unwrap(), Some(made));
    }

    #[test]
    fn an_id_that_was_damaged_is_refused_and_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        for bad in ["", "short\n", &format!("{}\n", "g".repeat(32))] {
            std::fs::write(folder.path().join("folder.id"), bad).unwrap();
            let refused = DataDir::open(folder.path()).unwrap().id();
            let refused = refused.expect_err("it is damaged");
            assert!(refused.to_string().contains("folder.id"), "{refused}");
        }
    }
}
