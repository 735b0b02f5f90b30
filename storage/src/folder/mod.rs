//! The objects port on a folder.
//!
//! ```text
//! data/     the objects, each under its key: other programs may read them in place
//! hashes/   under the same key, what the content hashes to
//! making/   what is being written; what is old there goes when the store is opened
//! ```
//!
//! An object is written aside, synced, and renamed. Its hash is stored before it: in between, both
//! the old one's and the new one's hash are there, and whichever content a crash leaves is known.
//! A key cannot be the folder of another one here.
//!
//! Several processes may store at once, as two backups do: nobody touches what another one is writing.
//! Where they store the same key it holds what one of them stored, and its hash may then be that of the
//! other: so they may only where content goes by its hash.

mod files;
#[cfg(test)]
mod tests;

use crate::StorageError;
use crate::port::objects::{ContentHash, ObjectInfo, ObjectKey, Objects, check_length, damaged};
use files::{make_folder, replace, sync_folder, walk};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Bytes read and written at a time.
const BLOCK: usize = 256 * 1024;

/// Age of a file in `making` that nobody writes any more: each is written at once, and the slowest
/// store takes a block in less.
const LEFT: Duration = Duration::from_secs(3_600);

/// Objects in a folder.
#[derive(Debug)]
pub struct FolderObjects {
    root: PathBuf,
    /// One at a time between an object's hash and its rename.
    renaming: Mutex<()>,
}

impl FolderObjects {
    /// Opens a folder, or makes it.
    ///
    /// # Errors
    /// `Io`, `Full`.
    pub fn open(root: &Path) -> Result<FolderObjects, StorageError> {
        let making = root.join("making");
        let opened = || {
            for folder in ["data", "hashes", "making"] {
                make_folder(root, Path::new(folder))?;
            }
            for left in fs::read_dir(&making)? {
                remove_left(&left?.path())?;
            }
            Ok(())
        };
        opened().map_err(|error| StorageError::io("open", root, error))?;
        Ok(FolderObjects::look(root))
    }

    /// Looks at a folder that another process may be writing to, and changes nothing of it. Not for
    /// storing.
    pub fn look(root: &Path) -> FolderObjects {
        FolderObjects {
            root: root.to_owned(),
            renaming: Mutex::new(()),
        }
    }

    fn path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join("data").join(key.as_str())
    }

    fn hash_path(&self, key: &ObjectKey) -> PathBuf {
        self.root.join("hashes").join(key.as_str())
    }

    /// Returns a name that no other process uses.
    fn new_file(&self) -> io::Result<PathBuf> {
        let number = getrandom::u64().map_err(|error| io::Error::other(error.to_string()))?;
        Ok(self.root.join("making").join(format!("{number:016x}")))
    }

    /// Opens an object's file; `None` when there is none.
    fn file(&self, key: &ObjectKey) -> Result<Option<File>, StorageError> {
        let path = self.path(key);
        let found = |file: File| Ok(file.metadata()?.is_file().then_some(file));
        match File::open(&path).and_then(found) {
            Ok(file) => Ok(file),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(StorageError::io("read", &path, error)),
        }
    }

    /// Returns the hashes that the content may have: one, or two while it is replaced.
    fn hashes(&self, key: &ObjectKey) -> Result<Vec<ContentHash>, StorageError> {
        let path = self.hash_path(key);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().filter_map(ContentHash::parse).collect()),
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(StorageError::io("read", &path, error)),
        }
    }

    /// Brings what was written into its place.
    fn place(&self, key: &ObjectKey, from: &Path, hash: ContentHash) -> io::Result<()> {
        let _one = self.renaming.lock().unwrap_or_else(PoisonError::into_inner);
        let (path, hash_path) = (self.path(key), self.hash_path(key));
        let relative = Path::new(key.as_str());
        let folder = relative.parent().unwrap_or(Path::new(""));
        make_folder(&self.root.join("hashes"), folder)?;
        make_folder(&self.root.join("data"), folder)?;
        let old = fs::read_to_string(&hash_path).unwrap_or_default();
        let old = old.lines().find(|line| *line != hash.to_string());
        let both = format!("{hash}\n{}\n", old.unwrap_or_default());
        replace(&hash_path, &self.new_file()?, both.as_bytes())?;
        fs::rename(from, &path)?;
        sync_folder(path.parent().unwrap_or(&self.root))?;
        replace(
            &hash_path,
            &self.new_file()?,
            format!("{hash}\n").as_bytes(),
        )
    }

    fn info(&self, key: ObjectKey) -> Result<Option<ObjectInfo>, StorageError> {
        let path = self.path(&key);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(StorageError::io("read", &path, error)),
        };
        let stored_at = metadata.modified().unwrap_or(UNIX_EPOCH);
        let since = stored_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Some(ObjectInfo {
            key,
            bytes: metadata.len(),
            stored_at: since.as_secs() as i64,
        }))
    }
}

impl Objects for FolderObjects {
    fn put(&self, key: &ObjectKey, content: &mut dyn Read) -> Result<ContentHash, StorageError> {
        let mut stored = || -> io::Result<ContentHash> {
            let making = self.new_file()?;
            let file = File::create_new(&making)?;
            let stored = copy(content, file).and_then(|hash| {
                self.place(key, &making, hash)?;
                Ok(hash)
            });
            if stored.is_err() {
                // What is left of it is removed when the store is opened again, some time.
                let _ = fs::remove_file(&making);
            }
            stored
        };
        stored().map_err(|error| StorageError::io("store", &self.path(key), error))
    }

    fn get(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StorageError> {
        // The hash first: an object that is replaced meanwhile is then looked at once more.
        for last in [false, true] {
            let hashes = self.hashes(key)?;
            let Some(mut file) = self.file(key)? else {
                return Ok(None);
            };
            let path = self.path(key);
            let failed = |error| StorageError::io("read", &path, error);
            check_length(file.metadata().map_err(failed)?.len())?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            if hashes.contains(&ContentHash(Sha256::digest(&bytes).into())) {
                return Ok(Some(bytes));
            }
            if last {
                return Err(damaged(key));
            }
        }
        Ok(None)
    }

    fn get_range(
        &self,
        key: &ObjectKey,
        offset: u64,
        length: u64,
    ) -> Result<Option<Vec<u8>>, StorageError> {
        check_length(length)?;
        let Some(file) = self.file(key)? else {
            return Ok(None);
        };
        let path = self.path(key);
        let failed = |error| StorageError::io("read", &path, error);
        let there = file.metadata().map_err(failed)?.len();
        let length = there.saturating_sub(offset).min(length);
        // Within memory, as was checked.
        let mut bytes = vec![0; length as usize];
        file.read_exact_at(&mut bytes, offset).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn hash(&self, key: &ObjectKey) -> Result<Option<ContentHash>, StorageError> {
        if self.file(key)?.is_none() {
            return Ok(None);
        }
        self.hashes(key)?
            .first()
            .copied()
            .map(Some)
            .ok_or_else(|| damaged(key))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&ObjectKey>,
        limit: usize,
    ) -> Result<Vec<ObjectInfo>, StorageError> {
        let data = self.root.join("data");
        let keys = walk(&data, prefix, after.map(ObjectKey::as_str), limit);
        let keys = keys.map_err(|error| StorageError::io("list", &data, error))?;
        let mut infos = Vec::with_capacity(keys.len());
        for key in keys {
            // A file that is none of ours, or was removed meanwhile.
            if let Ok(key) = ObjectKey::new(&key) {
                infos.extend(self.info(key)?);
            }
        }
        Ok(infos)
    }

    fn delete(&self, key: &ObjectKey) -> Result<bool, StorageError> {
        if self.file(key)?.is_none() {
            return Ok(false);
        }
        let _one = self.renaming.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(key);
        let removed = || {
            fs::remove_file(&path)?;
            sync_folder(path.parent().unwrap_or(&self.root))
        };
        match removed() {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(false),
            Err(error) => return Err(StorageError::io("remove", &path, error)),
        }
        // A hash without an object means nothing.
        let _ = fs::remove_file(self.hash_path(key));
        Ok(true)
    }

    fn presign(&self, _: &ObjectKey, _: Duration) -> Result<Option<String>, StorageError> {
        Ok(None)
    }

    fn expire(&self, prefix: &str, days: u32) -> Result<(), StorageError> {
        let age = Duration::from_secs(u64::from(days) * 86_400);
        let Some(oldest) = SystemTime::now().checked_sub(age) else {
            return Ok(());
        };
        let oldest = oldest.duration_since(UNIX_EPOCH).unwrap_or_default();
        for info in self.list(prefix, None, usize::MAX)? {
            if info.stored_at < oldest.as_secs() as i64 {
                self.delete(&info.key)?;
            }
        }
        Ok(())
    }
}

/// Removes what a process that ended has left half written.
fn remove_left(path: &Path) -> io::Result<()> {
    let written = match fs::metadata(path) {
        Ok(found) => found.modified()?,
        // Its writer was done with it.
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    if written.elapsed().unwrap_or_default() < LEFT {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if !is_absent(&error) => Err(error),
        _ => Ok(()),
    }
}

/// Copies content into a new file, durably, and returns its hash.
fn copy(content: &mut dyn Read, mut file: File) -> io::Result<ContentHash> {
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        let count = match content.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hash.update(&block[..count]);
        file.write_all(&block[..count])?;
    }
    file.sync_data()?;
    Ok(ContentHash(hash.finalize().into()))
}

/// A folder in the place of an object, or a file in that of a folder, is no object either.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}
