//! An object as a file that is read in ranges.

use crate::port::objects::{ObjectKey, Objects};
use bytes::{Buf, Bytes, buf::Reader};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that are read at least: a row group of ticks, whose columns lie behind each other.
const BLOCK: u64 = 2 << 20;

/// One object. What was read last is kept, since the next column is mostly in it.
pub(super) struct ObjectFile {
    objects: Arc<dyn Objects>,
    key: ObjectKey,
    bytes: u64,
    last: Mutex<(u64, Bytes)>,
}

impl ObjectFile {
    pub fn new(objects: Arc<dyn Objects>, key: ObjectKey, bytes: u64) -> ObjectFile {
        ObjectFile {
            objects,
            key,
            bytes,
            last: Mutex::new((0, Bytes::new())),
        }
    }

    fn range(&self, start: u64, length: u64) -> Result<Bytes> {
        let end = start.saturating_add(length);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, block) = &*last;
        if start < *at || end > at + block.len() as u64 {
            let wanted = length.max(BLOCK.min(self.bytes.saturating_sub(start)));
            let read = self.objects.get_range(&self.key, start, wanted);
            let read = read.map_err(|error| ParquetError::External(Box::new(error)))?;
            *last = (start, Bytes::from(read.unwrap_or_default()));
        }
        let (at, block) = &*last;
        let from = (start - at) as usize;
        let to = from.saturating_add(length as usize);
        if to > block.len() {
            return Err(ParquetError::EOF(format!(
                "{} ends before byte {end}",
                self.key
            )));
        }
        Ok(block.slice(from..to))
    }
}

impl Length for ObjectFile {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for ObjectFile {
    type T = Reader<Bytes>;

    /// Gives what is at hand behind `start`: heads of pages, which are short.
    fn get_read(&self, start: u64) -> Result<Reader<Bytes>> {
        let length = BLOCK.min(self.bytes.saturating_sub(start));
        // A head is some dozen bytes; what is known already need not be read again for it.
        let short = length.min(4_096);
        self.range(start, short).map(Buf::reader)
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.range(start, length as u64)
    }
}
