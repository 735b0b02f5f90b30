//! What is in the file of a day, and where an unfinished last write is cut.

use super::block::{Coded, Head, MAGIC, NoHead, VERSION, put_block, take_rows};
use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open, write_all};
use crate::embedded::read::file_name;
use crate::embedded::tail::lacks_a_sector;
use crate::error::{Damage, Position};
use crate::port::series::MAX_BATCH_ROWS;
use memchr::memmem;
use std::path::Path;

/// Read at a time for a head: most have one run.
const HEAD_READ: usize = 256;

/// Larger than any write, so that what is behind a broken block and longer is damage.
const MAX_WRITE_BYTES: u64 = (MAX_BATCH_ROWS as u64 / 16) * 4_096;

/// A block's place and head.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub at: u64,
    pub head: Head,
}

pub(super) fn damaged(path: &Path, offset: u64, reason: Damage) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: file_name(path),
            offset,
            sequence: 0,
        },
        reason,
    }
}

/// Returns up to so many bytes.
fn read(file: &dyn DiskFile, path: &Path, at: u64, bytes: usize) -> Result<Vec<u8>, StorageError> {
    let mut buffer = vec![0; bytes];
    let read = file.read_at(&mut buffer, at);
    let read = read.map_err(|error| StorageError::io("read", path, error))?;
    buffer.truncate(read);
    Ok(buffer)
}

/// Returns the head of the block at an offset; `None` when there is none.
fn head_at<T: Coded>(
    file: &dyn DiskFile,
    path: &Path,
    at: u64,
) -> Result<Option<Head>, StorageError> {
    let mut bytes = read(file, path, at, HEAD_READ)?;
    let mut parsed = Head::parse(&bytes);
    if let Err(NoHead::Short(needed)) = parsed
        && bytes.len() == HEAD_READ
    {
        bytes = read(file, path, at, needed)?;
        parsed = Head::parse(&bytes);
    }
    match parsed {
        Ok(head) if head.kind == T::KIND => Ok(Some(head)),
        Err(NoHead::Version(found)) => Err(StorageError::NewerVersion {
            file: file_name(path),
            found,
            supported: VERSION,
        }),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Walks over the blocks in the first `length` bytes of a file, and returns where the first one
/// begins that is none; at the end of the file when all are whole.
pub(super) fn walk<T: Coded>(
    file: &dyn DiskFile,
    path: &Path,
    length: u64,
    mut visit: impl FnMut(Block),
) -> Result<u64, StorageError> {
    let mut at = 0;
    while at < length {
        let Some(head) = head_at::<T>(file, path, at)? else {
            break;
        };
        let next = at + head.block_bytes(T::BYTES) as u64;
        if next > length {
            break;
        }
        visit(Block { at, head });
        at = next;
    }
    Ok(at)
}

/// Reads the rows of a block.
pub(super) fn rows_at<T: Coded>(
    file: &dyn DiskFile,
    path: &Path,
    block: &Block,
) -> Result<Vec<T>, StorageError> {
    let bytes = read(file, path, block.at, block.head.block_bytes(T::BYTES))?;
    let rows = take_rows(&block.head, &bytes);
    rows.ok_or_else(|| damaged(path, block.at, Damage::Checksum))
}

/// Opens the file of a day, cuts an unfinished last write, and returns its length and blocks.
pub(super) fn mend<T: Coded>(
    disk: &dyn Disk,
    path: &Path,
) -> Result<(u64, Vec<Block>), StorageError> {
    let failed = |action| move |error| StorageError::io(action, path, error);
    let file = disk.open(path, Open::Write).map_err(failed("open"))?;
    let length = file.length().map_err(failed("read"))?;
    let mut blocks = Vec::new();
    let mut end = walk::<T>(&*file, path, length, |block| blocks.push(block))?;
    // The rows of earlier writes are checked when they are read.
    let last_batch = blocks.last().map_or(0, |block| block.head.batch);
    let from = blocks.partition_point(|block| block.at < last_batch);
    for index in from..blocks.len() {
        if rows_at::<T>(&*file, path, &blocks[index]).is_err() {
            end = blocks[index].at;
            blocks.truncate(index);
            break;
        }
    }
    if end == length {
        return Ok((length, blocks));
    }
    if !is_unfinished::<T>(&*file, path, end, length)? {
        return Err(damaged(path, end, Damage::Checksum));
    }
    tracing::warn!(file = %path.display(), bytes = length - end, "an unfinished write is cut off");
    file.set_len(end).map_err(failed("cut"))?;
    let synced = file.sync_data();
    synced.map_err(|error| StorageError::fsync(path, error))?;
    Ok((end, blocks))
}

/// Returns whether what begins at `end` can be a write that a crash has cut: no whole block of a
/// later write is behind it, and it ends early or lacks a sector.
fn is_unfinished<T: Coded>(
    file: &dyn DiskFile,
    path: &Path,
    end: u64,
    length: u64,
) -> Result<bool, StorageError> {
    if length - end > MAX_WRITE_BYTES {
        return Ok(false);
    }
    let rest = read(file, path, end, (length - end) as usize)?;
    let is_later = |at: usize| {
        let head = Head::parse(&rest[at..]);
        head.is_ok_and(|head| head.batch > end && take_rows::<T>(&head, &rest[at..]).is_some())
    };
    if memmem::find_iter(&rest, &MAGIC).any(is_later) {
        return Ok(false);
    }
    Ok(match Head::parse(&rest) {
        Ok(head) if head.block_bytes(T::BYTES) > rest.len() => true,
        Err(NoHead::Short(_)) => true,
        _ => lacks_a_sector(&rest, end),
    })
}

/// Appends rows to the file of a day of `length` bytes, durably, and returns the new length. When
/// that fails the file is cut to what it was.
pub(super) fn append<T: Coded>(
    disk: &dyn Disk,
    path: &Path,
    length: u64,
    rows: &[T],
) -> Result<u64, Failed> {
    let mut bytes = Vec::new();
    for block in rows.chunks(super::block::BLOCK_ROWS) {
        put_block(block, length, &mut bytes);
    }
    let how = if length == 0 {
        Open::Create
    } else {
        Open::Write
    };
    let io = |error| StorageError::io("write", path, error);
    let file = disk.open(path, how).map_err(|error| Failed {
        error: io(error),
        is_cut: true,
    })?;
    let written = write_all(&*file, &bytes, length).map_err(io);
    let synced = written.and_then(|()| {
        file.sync_data()
            .map_err(|error| StorageError::fsync(path, error))
    });
    match synced {
        Ok(()) => Ok(length + bytes.len() as u64),
        Err(error) => Err(Failed {
            error,
            is_cut: file.set_len(length).is_ok() && file.sync_data().is_ok(),
        }),
    }
}

/// A write that failed, and whether nothing of it is left.
pub(super) struct Failed {
    pub error: StorageError,
    pub is_cut: bool,
}
