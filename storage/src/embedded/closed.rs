//! Closed segments in the store of objects: `journals/<account>/<first sequence>.seg`, the frames
//! of a segment without the zeros behind them.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::read::{SegmentName, SegmentReader};
use crate::StorageError;
use crate::disk::DiskFile;
use crate::port::objects::{ObjectKey, Objects};

/// Keys that are listed at once.
const PAGE: usize = 1_000;

/// What is read of an object at a time: a segment is a few requests.
const BLOCK: u64 = 4 << 20;

/// The closed segments of one account.
#[derive(Clone)]
pub(crate) struct ClosedSegments {
    objects: Arc<dyn Objects>,
    account_id: String,
}

impl fmt::Debug for ClosedSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClosedSegments({})", self.account_id)
    }
}

impl ClosedSegments {
    pub(crate) fn new(objects: &Arc<dyn Objects>, account_id: &str) -> ClosedSegments {
        ClosedSegments {
            objects: objects.clone(),
            account_id: account_id.to_owned(),
        }
    }

    pub(crate) fn objects(&self) -> &dyn Objects {
        &*self.objects
    }

    fn prefix(&self) -> String {
        format!("journals/{}/", self.account_id)
    }

    /// Returns the key of the segment that begins with a record.
    pub(crate) fn key(&self, first: u64) -> Result<ObjectKey, StorageError> {
        ObjectKey::new(&format!("{}{first:020}.seg", self.prefix()))
    }

    fn name(&self, first: u64) -> SegmentName {
        SegmentName::new(&PathBuf::from(self.prefix()), first)
    }

    /// Returns the segments that begin at or before a record, in order. Others are on their way
    /// here, and their folder has them still.
    pub(crate) fn names_up_to(&self, sequence: u64) -> Result<Vec<SegmentName>, StorageError> {
        let mut names = Vec::new();
        let mut after = None;
        loop {
            let page = self.objects.list(&self.prefix(), after.as_ref(), PAGE)?;
            for info in &page {
                let first = info.key.as_str().strip_prefix(&self.prefix());
                let first = first.and_then(|name| name.strip_suffix(".seg")?.parse().ok());
                if let Some(first) = first.filter(|first| *first <= sequence) {
                    names.push(self.name(first));
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(names),
            }
        }
    }

    /// Opens the segment that begins with a record; `None` when there is none.
    pub(crate) fn open(&self, first: u64) -> Result<Option<SegmentReader>, StorageError> {
        let key = self.key(first)?;
        let info = self.objects.list(key.as_str(), None, 1)?.pop();
        let Some(info) = info.filter(|info| info.key == key) else {
            return Ok(None);
        };
        let file = ObjectFile {
            objects: self.objects.clone(),
            key,
            bytes: info.bytes,
            block: Mutex::default(),
        };
        SegmentReader::of(Box::new(file), &self.name(first).path).map(Some)
    }
}

/// An object that is read like a file.
struct ObjectFile {
    objects: Arc<dyn Objects>,
    key: ObjectKey,
    bytes: u64,
    /// What was read last, and where it begins.
    block: Mutex<(u64, Vec<u8>)>,
}

impl fmt::Debug for ObjectFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectFile({})", self.key)
    }
}

impl DiskFile for ObjectFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = 0;
        while done < buffer.len() {
            let at = offset + done as u64;
            if at >= self.bytes {
                break;
            }
            let (begin, bytes) = &*block;
            if at < *begin || at >= *begin + bytes.len() as u64 {
                let read = self.objects.get_range(&self.key, at, BLOCK);
                let read = read.map_err(io::Error::other)?.unwrap_or_default();
                if read.is_empty() {
                    // Shorter than it was: what is missing shows as damage.
                    break;
                }
                *block = (at, read);
            }
            let (begin, bytes) = &*block;
            // Within the block, which is no larger than memory.
            let from = (at - begin) as usize;
            let count = (bytes.len() - from).min(buffer.len() - done);
            buffer[done..done + count].copy_from_slice(&bytes[from..from + count]);
            done += count;
        }
        Ok(done)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}
