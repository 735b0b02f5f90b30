//! The data folder: its layout and its lock.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::StorageError;
use crate::disk::{Disk, RealDisk};
use crate::port::journals::AUDIT_JOURNAL;

/// Folder of the keyed records below the root.
pub(crate) const RECORDS: &str = "records";

/// A data folder in use by this process.
///
/// Dropping the last handle gives the folder free, and so does the death of the process.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// What is open here, by folder below the root: a second writer would tear the chain.
    claimed: Mutex<BTreeSet<String>>,
    /// Held for its lock; `None` on a simulated disk, which no other process can see.
    _lock: Option<File>,
}

impl DataDir {
    /// Makes the folder where it is missing and takes it for this process.
    ///
    /// # Errors
    /// - `Locked`: another process has it; the message says which.
    /// - `UnfinishedRestore`: only a part of a backup is there.
    /// - `Full`, `Io`, `FsyncFailed`: it could not be made.
    pub fn open(root: &Path) -> Result<Arc<DataDir>, StorageError> {
        RealDisk
            .create_folder(root)
            .map_err(|e| StorageError::io("create folder", root, e))?;
        let lock = take_lock(&root.join("lock"))?;
        if root.join(crate::backup::UNFINISHED).exists() {
            return Err(StorageError::UnfinishedRestore {
                path: root.to_owned(),
            });
        }
        Ok(Arc::new(DataDir {
            root: root.to_owned(),
            disk: Arc::new(RealDisk),
            claimed: Mutex::default(),
            _lock: Some(lock),
        }))
    }

    /// Uses a folder on a disk of the caller's making: for simulations and fault tests.
    pub fn on_disk(disk: Arc<dyn Disk>, root: &Path) -> Arc<DataDir> {
        Arc::new(DataDir {
            root: root.to_owned(),
            disk,
            claimed: Mutex::default(),
            _lock: None,
        })
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the accounts that have a journal here, sorted.
    ///
    /// # Errors
    /// `Io` when the folder cannot be read.
    pub fn accounts(&self) -> Result<Vec<String>, StorageError> {
        accounts_on(&*self.disk, &self.root)
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    pub(crate) fn records_folder(&self) -> PathBuf {
        self.root.join(RECORDS)
    }

    /// Marks a folder below the root as in use by one owner in this process, until `release`.
    pub(crate) fn claim(&self, folder: &str) -> Result<(), StorageError> {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        if claimed.insert(folder.to_owned()) {
            return Ok(());
        }
        Err(StorageError::Locked {
            path: self.root.join(folder),
            holder: format!("this process ({})", std::process::id()),
        })
    }

    pub(crate) fn release(&self, folder: &str) {
        self.claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(folder);
    }
}

pub(crate) fn journal_folder(root: &Path, account_id: &str) -> PathBuf {
    root.join(journal_claim(account_id))
}

/// Returns the name under which an account's journal is claimed.
pub(crate) fn journal_claim(account_id: &str) -> String {
    format!("journal/{account_id}")
}

pub(crate) fn snapshot_folder(root: &Path, account_id: &str) -> PathBuf {
    root.join("snapshots").join(account_id)
}

pub(crate) fn accounts_on(disk: &dyn Disk, root: &Path) -> Result<Vec<String>, StorageError> {
    let folder = root.join("journal");
    let found = disk
        .folders(&folder)
        .map_err(|e| StorageError::io("list", &folder, e))?;
    let names = found.iter().filter_map(|path| path.file_name()?.to_str());
    Ok(names
        .filter(|name| check_account_id(name).is_ok())
        .map(str::to_owned)
        .collect())
}

/// Refuses what no journal can be called: it is an account's, or the audit's.
pub(crate) fn check_journal_name(name: &str) -> Result<(), StorageError> {
    if name == AUDIT_JOURNAL {
        return Ok(());
    }
    check_account_id(name)
}

/// Refuses what is not an account id of CONTRACT form, and the two such that name folders.
pub(crate) fn check_account_id(account_id: &str) -> Result<(), StorageError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let good = (1..=64).contains(&account_id.len())
        && account_id.chars().all(allowed)
        && account_id.chars().any(|c| c != '.');
    if good {
        return Ok(());
    }
    Err(StorageError::BadName {
        what: "account id",
        name: account_id.chars().take(80).collect(),
        form: "[A-Za-z0-9._-]{1,64}",
    })
}

/// Takes the lock, and makes sure that it is that of the file which is there: a start that failed may
/// have removed its own between the opening of it here and the lock.
fn take_lock(path: &Path) -> Result<File, StorageError> {
    loop {
        let file = lock_file(path)?;
        let is_there = |file: &File| -> std::io::Result<bool> {
            let (held, named) = (file.metadata()?, std::fs::metadata(path)?);
            Ok((held.dev(), held.ino()) == (named.dev(), named.ino()))
        };
        match is_there(&file) {
            Ok(true) => return Ok(file),
            Ok(false) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(StorageError::io("lock", path, error)),
        }
    }
}

fn lock_file(path: &Path) -> Result<File, StorageError> {
    let failed = |error| StorageError::io("lock", path, error);
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600);
    let mut file = options.open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The number is for a person; without it the lock is as firm.
            let _ = (&file).take(20).read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            return Err(StorageError::Locked {
                path: path.to_owned(),
                holder,
            });
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    file.set_len(0).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_with_its_holder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path().join("deep/data");
        let held = DataDir::open(&root).expect("a free folder");
        let error = DataDir::open(&root).expect_err("it is in use");
        let holder = format!("is in use by process {}", std::process::id());
        assert!(error.to_string().ends_with(&holder), "{error}");
        drop(held);
        DataDir::open(&root).expect("it is free again");
    }

    #[test]
    fn names_that_leave_the_folder_are_no_account_ids() {
        for bad in ["", ".", "..", "a/b", "a b", "ä", &"x".repeat(65)] {
            assert!(check_account_id(bad).is_err(), "{bad:?}");
        }
        assert!(check_account_id(AUDIT_JOURNAL).is_err(), "it is no account");
        assert!(check_journal_name(AUDIT_JOURNAL).is_ok());
        for good in ["paper", "A-1_b.c", "...x", &"x".repeat(64)] {
            assert!(check_account_id(good).is_ok(), "{good:?}");
        }
    }
}
