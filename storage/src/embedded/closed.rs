//! Closed segments in the store of objects: `journals/<account>/<first sequence>.seg`, the frames
//! of a segment without the zeros behind them.
//!
//! Those of a database have its id in their keys, `journals/<database>/<account>/…`: a bucket may have
//! those of several, with accounts of the same names. Earlier builds stored them without it, and what
//! they have stored is read where it is. Such a segment may be one of another database. So one with the id
//! is preferred, and whoever reads goes from one to the next by its end.

use std::collections::BTreeSet;
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
    database_id: Option<String>,
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
            database_id: None,
        }
    }

    /// Those of a journal in a database, which is named by its id.
    pub(crate) fn of_database(
        objects: &Arc<dyn Objects>,
        database_id: &str,
        account_id: &str,
    ) -> ClosedSegments {
        ClosedSegments {
            database_id: Some(database_id.to_owned()),
            ..ClosedSegments::new(objects, account_id)
        }
    }

    pub(crate) fn objects(&self) -> &dyn Objects {
        &*self.objects
    }

    /// Where they are, and with a database where earlier builds have put them.
    fn prefixes(&self) -> (String, Option<String>) {
        let account = &self.account_id;
        let without = format!("journals/{account}/");
        match &self.database_id {
            Some(database) => (format!("journals/{database}/{account}/"), Some(without)),
            None => (without, None),
        }
    }

    /// Returns the key of the segment that begins with a record.
    pub(crate) fn key(&self, first: u64) -> Result<ObjectKey, StorageError> {
        key_in(&self.prefixes().0, first)
    }

    /// Returns the segments that begin at or before a record, in order. Others are on their way
    /// here, and their folder has them still. Of a database there may be some among them that are of
    /// others: they begin in the midst of its own.
    pub(crate) fn names_up_to(&self, sequence: u64) -> Result<Vec<SegmentName>, StorageError> {
        self.names_from(0, sequence)
    }

    /// As [`ClosedSegments::names_up_to`], from the segment on that holds a record.
    pub(crate) fn names_from(
        &self,
        from: u64,
        up_to: u64,
    ) -> Result<Vec<SegmentName>, StorageError> {
        let (prefix, without) = self.prefixes();
        let own = self.firsts(&prefix, up_to)?;
        let earlier = without.map(|without| self.firsts(&without, up_to));
        let earlier = earlier.transpose()?.unwrap_or_default();
        // The last one that begins at or before it holds it. It is not asked of one that may be of
        // another database as long as there is an own one.
        let holds = |firsts: &BTreeSet<u64>| firsts.range(..=from).next_back().copied();
        let begin = holds(&own).or_else(|| holds(&earlier)).unwrap_or_default();
        let folder = PathBuf::from(prefix);
        let all = own.union(&earlier).filter(|first| **first >= begin);
        Ok(all.map(|first| SegmentName::new(&folder, *first)).collect())
    }

    /// Returns where the segments under a name begin, up to a record.
    fn firsts(&self, prefix: &str, up_to: u64) -> Result<BTreeSet<u64>, StorageError> {
        let mut firsts = BTreeSet::new();
        let mut after = None;
        loop {
            let page = self.objects.list(prefix, after.as_ref(), PAGE)?;
            for info in &page {
                let first = info.key.as_str().strip_prefix(prefix);
                let first = first.and_then(|name| name.strip_suffix(".seg")?.parse().ok());
                firsts.extend(first.filter(|first: &u64| *first <= up_to));
            }
            match page.last() {
                Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
                _ => return Ok(firsts),
            }
        }
    }

    /// Opens the segment that begins with a record; `None` when there is none.
    pub(crate) fn open(&self, first: u64) -> Result<Option<SegmentReader>, StorageError> {
        let (prefix, without) = self.prefixes();
        let found = self.open_in(&prefix, first)?;
        match (found, without) {
            (None, Some(without)) => self.open_in(&without, first),
            (found, _) => Ok(found),
        }
    }

    fn open_in(&self, prefix: &str, first: u64) -> Result<Option<SegmentReader>, StorageError> {
        let key = key_in(prefix, first)?;
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
        let name = SegmentName::new(&PathBuf::from(prefix), first);
        SegmentReader::of(Box::new(file), &name.path).map(Some)
    }
}

fn key_in(prefix: &str, first: u64) -> Result<ObjectKey, StorageError> {
    ObjectKey::new(&format!("{prefix}{first:020}.seg"))
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
