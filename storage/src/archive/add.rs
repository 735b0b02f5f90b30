//! Adding rows to the archive, part by part.

use super::Archive;
use super::merge::union;
use super::read::{part_rows, widened};
use super::rows::ArchiveRow;
use super::schema::Head;
use super::write::ParquetWriter;
use crate::StorageError;
use crate::port::objects::ObjectKey;
use crate::port::series::{Decimals, Rows};
use std::fs::File;
use std::io::{BufWriter, Seek};
use std::iter::Peekable;

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Added {
    pub stored: u64,
    /// Were there before.
    pub repeated: u64,
}

/// Some rows, spooled so that one part of them can be read while the next is not.
struct Spool {
    file: BufWriter<File>,
}

impl Archive {
    /// Adds rows, which come in order of time; those of the same part are stored together, and each
    /// part is durable before the next begins. After an error what was stored stays: adding the
    /// same rows again completes it.
    ///
    /// # Errors
    /// An item of `rows` that is one; `Row` for one that is older than the one before it or does not
    /// fit; `Parquet` for a part that is damaged; `Full`, `Io`, `Unavailable`.
    pub fn add<R: ArchiveRow>(
        &self,
        head: &Head,
        rows: impl Iterator<Item = Result<R, StorageError>>,
    ) -> Result<Added, StorageError> {
        let mut rows = rows.peekable();
        let mut added = Added::default();
        // An error before the first row has to show before anything is widened.
        if let Some(Err(error)) = rows.peek() {
            return Err(error.clone());
        }
        if rows.peek().is_none() {
            return Ok(added);
        }
        let wide = self.widen::<R>(head)?;
        while let Some(first) = rows.peek() {
            let ts = first.as_ref().map_err(Clone::clone)?.ts();
            let key = head.content.key(&head.instrument_id, ts)?;
            let (new, count) = self.spool(head, &wide, &key, &mut rows)?;
            let old = part_rows::<R>(self, &key, wide.decimals)?;
            let stored = self.merge(&wide, &key, old, new)?;
            added.stored += stored;
            added.repeated += count - stored;
        }
        Ok(added)
    }

    /// Takes the rows of one part, at the decimals of the archive, out of all.
    fn spool<R: ArchiveRow>(
        &self,
        head: &Head,
        wide: &Head,
        key: &ObjectKey,
        rows: &mut Peekable<impl Iterator<Item = Result<R, StorageError>>>,
    ) -> Result<(Rows<R>, u64), StorageError> {
        let by = Decimals {
            price: wide.decimals.price.saturating_sub(head.decimals.price),
            quantity: wide
                .decimals
                .quantity
                .saturating_sub(head.decimals.quantity),
        };
        let spool = Spool::new()?;
        let mut writer = ParquetWriter::new("a temporary file", spool.file, wide)?;
        loop {
            match rows.peek() {
                Some(Ok(row)) if head.content.key(&head.instrument_id, row.ts())? == *key => {}
                Some(Ok(_)) | None => break,
                Some(Err(error)) => return Err(error.clone()),
            }
            if let Some(row) = rows.next() {
                writer.push(&widened(row?, by)?)?;
            }
        }
        let (file, count) = writer.finish()?;
        let file = Spool { file }.rewound()?;
        let reader = super::read::open("a temporary file", file)?;
        let rows = super::read::ParquetRows::new("a temporary file".to_owned(), Box::new(reader))?;
        Ok((Box::new(rows), count))
    }

    /// Makes a part the union of two; returns how many rows are new. Without any it is left alone.
    fn merge<R: ArchiveRow>(
        &self,
        head: &Head,
        key: &ObjectKey,
        old: Rows<R>,
        new: Rows<R>,
    ) -> Result<u64, StorageError> {
        let mut writer = ParquetWriter::new(key.as_str(), Spool::new()?.file, head)?;
        let stored = union(old, new, &mut |row| writer.push(row))?;
        if stored > 0 {
            self.put(key, writer)?;
        }
        Ok(stored)
    }

    fn put<R: ArchiveRow>(
        &self,
        key: &ObjectKey,
        writer: ParquetWriter<R, BufWriter<File>>,
    ) -> Result<(), StorageError> {
        let (file, _) = writer.finish()?;
        let mut file = Spool { file }.rewound()?;
        self.objects.put(key, &mut file)?;
        Ok(())
    }

    /// Brings all parts of an instrument to the decimals that they need together with `head`, and
    /// returns it with those.
    fn widen<R: ArchiveRow>(&self, head: &Head) -> Result<Head, StorageError> {
        let mut parts = Vec::new();
        let mut wide = head.clone();
        for key in self.parts(head.content, &head.instrument_id)? {
            let part = self.part_head(&key)?;
            wide.decimals = wide.decimals.widest(part.decimals);
            parts.push((key, part.decimals));
        }
        parts.retain(|(_, decimals)| *decimals != wide.decimals);
        for (key, _) in parts {
            let mut writer = ParquetWriter::<R, _>::new(key.as_str(), Spool::new()?.file, &wide)?;
            for row in part_rows::<R>(self, &key, wide.decimals)? {
                writer.push(&row?)?;
            }
            self.put(&key, writer)?;
        }
        Ok(wide)
    }
}

impl Spool {
    fn new() -> Result<Spool, StorageError> {
        let file = tempfile::tempfile().map_err(Spool::failed)?;
        let file = BufWriter::with_capacity(256 * 1024, file);
        Ok(Spool { file })
    }

    fn failed(error: std::io::Error) -> StorageError {
        StorageError::io("use a temporary file in", &std::env::temp_dir(), error)
    }

    fn rewound(self) -> Result<File, StorageError> {
        let file = self.file.into_inner();
        let mut file = file.map_err(|error| Spool::failed(error.into_error()))?;
        file.rewind().map_err(Spool::failed)?;
        Ok(file)
    }
}
