//! The few things we ask of a file system, so that tests can be a bad one.
//!
//! [`RealDisk`] is the system's. [`SimDisk`] keeps everything in memory and can run out of space at
//! any byte, fail an fsync, write short, and lose whatever was not synced.

mod real;
mod sim;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub use real::RealDisk;
pub use sim::{Crash, SimDisk};

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// It must exist; for reading.
    Read,
    /// It must exist; for reading and writing.
    Write,
    /// It is made, or emptied when it exists; for reading and writing, mode 0600.
    Create,
}

/// A file system, as far as storage needs one.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// The system's; also `NotFound`.
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a folder and its parents, mode 0700, each durable in its parent.
    ///
    /// # Errors
    /// The system's.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Returns the paths of the files in a folder, sorted; none when there is no such folder.
    ///
    /// # Errors
    /// The system's.
    fn files(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Returns the paths of the folders in a folder, sorted; none when there is no such folder.
    ///
    /// # Errors
    /// The system's.
    fn folders(&self, folder: &Path) -> io::Result<Vec<PathBuf>>;
    /// Renames within a folder, over an existing file. Durable only after `sync_folder`.
    ///
    /// # Errors
    /// The system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; a missing one is no error. Durable only after `sync_folder`.
    ///
    /// # Errors
    /// The system's.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The system's.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// Returns the bytes free for us on the file system of a folder.
    ///
    /// # Errors
    /// The system's.
    fn free_bytes(&self, folder: &Path) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile: Send + fmt::Debug {
    /// Reads at an offset; fewer bytes than asked for only at the end of the file.
    ///
    /// # Errors
    /// The system's.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes at an offset, possibly only the first bytes; returns how many.
    ///
    /// # Errors
    /// The system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Makes content durable, and as much metadata as is needed to read it (fdatasync).
    ///
    /// # Errors
    /// The system's. What was written since the last success may be lost for good, even when a
    /// later call succeeds.
    fn sync_data(&self) -> io::Result<()>;
    /// Returns the length in bytes.
    ///
    /// # Errors
    /// The system's.
    fn length(&self) -> io::Result<u64>;
    /// Cuts or extends (with zeros) to a length.
    ///
    /// # Errors
    /// The system's.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
}

/// Writes all bytes, going on after a short write.
pub(crate) fn write_all(file: &dyn DiskFile, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write_at(bytes, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                bytes = &bytes[written..];
                at += written as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes a small file durably, in place of the one before. Until this returns, and after an error,
/// that one stands.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let building = path.with_extension("building");
    let written = || {
        let file = disk.open(&building, Open::Create)?;
        write_all(&*file, bytes, 0)?;
        file.sync_data()?;
        disk.rename(&building, path)?;
        disk.sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    written().inspect_err(|_| {
        // A part of it would only be in the way.
        let _ = disk.remove(&building);
    })
}

/// Reads a whole file of at most `limit` bytes.
pub(crate) fn read_all(disk: &dyn Disk, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Open::Read)?;
    let length = file.length()?;
    if length > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "file is over its size limit",
        ));
    }
    // The limit is far below usize::MAX, so the cast keeps the value.
    let mut bytes = vec![0; length as usize];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// Returns whether all bytes are zero. Compares blocks, which is fast without optimisation too.
pub(crate) fn all_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes
        .chunks(ZEROS.len())
        .all(|block| block == &ZEROS[..block.len()])
}

/// Returns whether a file holds only zeros from an offset to its end, with little memory.
pub(crate) fn zero_from(file: &dyn DiskFile, mut at: u64) -> io::Result<bool> {
    let mut block = vec![0; 64 * 1024];
    loop {
        let read = file.read_at(&mut block, at)?;
        if !all_zero(&block[..read]) {
            return Ok(false);
        }
        if read < block.len() {
            return Ok(true);
        }
        at += read as u64;
    }
}
