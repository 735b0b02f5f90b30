//! Makes segments ahead of need.
//!
//! A spare is filled with zeros and synced under the name `*.building`, then renamed: a spare under
//! its final name is always whole. Writing real zeros (and not only reserving space) lets a later
//! fdatasync write data alone, since no length, no allocation and no "unwritten" mark changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::JoinHandle;

use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open, write_all, zero_from};

const CHUNK_BYTES: usize = 1024 * 1024;

/// One zero-filled file kept ready, or in the making, or missing for want of space.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    status: Status,
}

#[derive(Debug)]
enum Status {
    Missing,
    Ready,
    Building {
        done: Receiver<Result<(), StorageError>>,
        helper: Option<JoinHandle<()>>,
        /// Whether there was no space before: then it counts only once it is ready.
        after_full: bool,
    },
}

impl Spare {
    /// Finds a spare left by an earlier run; one of another size or with content is removed.
    pub(crate) fn find(disk: &dyn Disk, path: PathBuf, bytes: u64) -> Result<Spare, StorageError> {
        let failed = |e| StorageError::io("open", &path, e);
        let building = path.with_extension("building");
        disk.remove(&building)
            .map_err(|e| StorageError::io("remove", &building, e))?;
        let whole = match disk.open(&path, Open::Read) {
            Ok(file) => {
                file.length().map_err(failed)? == bytes && zero_from(&*file, 0).map_err(failed)?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(failed(error)),
        };
        if !whole {
            disk.remove(&path).map_err(failed)?;
        }
        let status = if whole {
            Status::Ready
        } else {
            Status::Missing
        };
        Ok(Spare {
            path,
            bytes,
            status,
        })
    }

    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.status, Status::Ready)
    }

    /// Returns whether it is there, or on its way with no reason to doubt it.
    pub(crate) fn is_expected(&self) -> bool {
        matches!(
            self.status,
            Status::Ready
                | Status::Building {
                    after_full: false,
                    ..
                }
        )
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self.status, Status::Missing)
    }

    /// Makes it now. No space leaves it missing and is no error.
    pub(crate) fn build(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        let built = build(disk, &self.path, self.bytes);
        self.settle(built)
    }

    /// Makes it on a thread of its own. `after_full` says that space was missing before.
    pub(crate) fn build_aside(&mut self, disk: Arc<dyn Disk>, after_full: bool) {
        // One result, so one place; the helper never waits.
        let (tell, done) = sync_channel(1);
        let (path, bytes) = (self.path.clone(), self.bytes);
        let work = move || {
            // Nobody listens any more when the journal was closed meanwhile.
            let _ = tell.send(build(&*disk, &path, bytes));
        };
        let spawned = std::thread::Builder::new()
            .name("journal-spare".into())
            .spawn(work);
        self.status = match spawned {
            Ok(helper) => Status::Building {
                done,
                helper: Some(helper),
                after_full,
            },
            // Without a thread it is as if there were no space: the next probe tries again.
            Err(_) => Status::Missing,
        };
    }

    /// Takes note of a helper that is done.
    pub(crate) fn poll(&mut self) -> Result<(), StorageError> {
        let Status::Building { done, .. } = &self.status else {
            return Ok(());
        };
        match done.try_recv() {
            Err(TryRecvError::Empty) => Ok(()),
            Err(TryRecvError::Disconnected) => self.settle(Err(helper_died(&self.path))),
            Ok(built) => self.settle(built),
        }
    }

    /// Waits for a helper at work.
    pub(crate) fn wait(&mut self) -> Result<(), StorageError> {
        let Status::Building { done, .. } = &self.status else {
            return Ok(());
        };
        let built = done.recv().unwrap_or_else(|_| Err(helper_died(&self.path)));
        self.settle(built)
    }

    /// Marks it as used up: its file has another name now.
    pub(crate) fn take(&mut self) {
        self.status = Status::Missing;
    }

    fn settle(&mut self, built: Result<(), StorageError>) -> Result<(), StorageError> {
        let (status, result) = match built {
            Ok(()) => (Status::Ready, Ok(())),
            Err(StorageError::Full { .. }) => (Status::Missing, Ok(())),
            Err(error) => (Status::Missing, Err(error)),
        };
        self.status = status;
        result
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // A helper that outlived its journal would fight with the next one over the same name.
        if let Status::Building { helper, .. } = &mut self.status
            && let Some(helper) = helper.take()
        {
            let _ = helper.join();
        }
    }
}

fn helper_died(path: &Path) -> StorageError {
    StorageError::io_fatal(
        "preallocate",
        path,
        io::Error::other("helper thread panicked"),
    )
}

fn build(disk: &dyn Disk, path: &Path, bytes: u64) -> Result<(), StorageError> {
    let building = path.with_extension("building");
    let built = fill(disk, &building, bytes)
        .and_then(|()| {
            disk.rename(&building, path)
                .map_err(|e| StorageError::io("rename", path, e))
        })
        .and_then(|()| sync_folder_of(disk, path));
    if built.is_err() {
        // A part of a spare would only keep the last free bytes from everybody else.
        let _ = disk.remove(&building);
    }
    built
}

fn fill(disk: &dyn Disk, path: &Path, bytes: u64) -> Result<(), StorageError> {
    let file = disk
        .open(path, Open::Create)
        .map_err(|e| StorageError::io("create", path, e))?;
    let zeros = vec![0; CHUNK_BYTES];
    let mut at = 0;
    while at < bytes {
        // At most CHUNK_BYTES, so the cast keeps the value.
        let chunk = &zeros[..(bytes - at).min(CHUNK_BYTES as u64) as usize];
        write_all(&*file, chunk, at).map_err(|e| StorageError::io("preallocate", path, e))?;
        // Chunk by chunk, so that a commit never queues behind a whole segment of zeros.
        sync(&*file, path)?;
        at += chunk.len() as u64;
    }
    Ok(())
}

fn sync(file: &dyn DiskFile, path: &Path) -> Result<(), StorageError> {
    // Delayed allocation may find out only now that there is no space.
    file.sync_data()
        .map_err(|e| match crate::error::no_space(&e) {
            true => StorageError::io("preallocate", path, e),
            false => StorageError::fsync(path, e),
        })
}

/// Makes the names in a file's folder durable.
pub(crate) fn sync_folder_of(disk: &dyn Disk, path: &Path) -> Result<(), StorageError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    disk.sync_folder(folder)
        .map_err(|e| StorageError::fsync(folder, e))
}
