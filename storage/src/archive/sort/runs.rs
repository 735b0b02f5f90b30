//! Sorted runs of records in one temporary file, and their merge.

use super::record::{BYTES, Record};
use crate::StorageError;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Bytes that are written at a time.
const WRITE_BYTES: usize = 3_200 * BYTES;

/// Bytes of a run that are read at a time: 32 KiB.
const READ_BYTES: usize = 409 * BYTES;

/// Runs behind each other, each in order.
#[derive(Debug, Default)]
pub struct Runs {
    file: Option<(File, PathBuf)>,
    /// Where each stands, in bytes.
    runs: Vec<Range<u64>>,
    last: Option<(u32, i64)>,
}

impl Runs {
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Returns whether a run that begins so is one with the last one.
    pub fn goes_on_with(&self, first: &Record) -> bool {
        self.last.is_some_and(|last| last <= first.key())
    }

    /// Adds records that are in order.
    pub fn add(
        &mut self,
        folder: &Path,
        records: impl Iterator<Item = Result<Record, StorageError>>,
    ) -> Result<(), StorageError> {
        if self.file.is_none() {
            let file = tempfile::tempfile_in(folder).map_err(|error| failed(folder, error))?;
            self.file = Some((file, folder.to_owned()));
        }
        let mut records = records.peekable();
        let begin = self.runs.last().map_or(0, |run| run.end);
        match records.peek() {
            Some(Ok(first)) if self.goes_on_with(first) => {}
            _ => self.runs.push(begin..begin),
        }
        let (Some((file, folder)), Some(run)) = (&self.file, self.runs.last_mut()) else {
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(WRITE_BYTES);
        let write = |bytes: &mut Vec<u8>, run: &mut Range<u64>| -> Result<(), StorageError> {
            let written = file.write_all_at(bytes, run.end);
            written.map_err(|error| failed(folder, error))?;
            run.end += bytes.len() as u64;
            bytes.clear();
            Ok(())
        };
        for record in records {
            let record = record?;
            self.last = Some(record.key());
            bytes.extend_from_slice(&record.to_bytes());
            if bytes.len() == WRITE_BYTES {
                write(&mut bytes, run)?;
            }
        }
        write(&mut bytes, run)
    }

    /// Forgets all, and gives the space back.
    pub fn clear(&mut self) -> Result<(), StorageError> {
        if let Some((file, folder)) = &self.file {
            file.set_len(0).map_err(|error| failed(folder, error))?;
        }
        self.runs.clear();
        self.last = None;
        Ok(())
    }
}

fn failed(folder: &Path, error: io::Error) -> StorageError {
    StorageError::io("use a temporary file in", folder, error)
}

/// The records of runs in order; those of one key in the order of the runs.
#[derive(Debug)]
pub struct Merged<'a> {
    runs: Vec<Reader<'a>>,
    /// The next record of each run.
    next: BinaryHeap<Reverse<((u32, i64), usize)>>,
    is_over: bool,
}

impl<'a> Merged<'a> {
    pub fn of(all: &[&'a Runs]) -> Result<Merged<'a>, StorageError> {
        let mut merged = Merged {
            runs: Vec::new(),
            next: BinaryHeap::new(),
            is_over: false,
        };
        for runs in all {
            let Some((file, folder)) = &runs.file else {
                continue;
            };
            for run in &runs.runs {
                merged.runs.push(Reader::new(file, folder, run.clone()));
                merged.look(merged.runs.len() - 1)?;
            }
        }
        Ok(merged)
    }

    fn look(&mut self, run: usize) -> Result<(), StorageError> {
        if let Some(record) = self.runs[run].peek()? {
            self.next.push(Reverse((record.key(), run)));
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<Record>, StorageError> {
        let Some(Reverse((_, run))) = self.next.pop() else {
            return Ok(None);
        };
        let record = self.runs[run].peek()?;
        self.runs[run].at += BYTES;
        self.look(run)?;
        Ok(record)
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<Record, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.step().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}

#[derive(Debug)]
struct Reader<'a> {
    file: &'a File,
    folder: &'a Path,
    /// What was not read yet.
    left: Range<u64>,
    block: Vec<u8>,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, folder: &'a Path, run: Range<u64>) -> Reader<'a> {
        Reader {
            file,
            folder,
            left: run,
            block: Vec::new(),
            at: 0,
        }
    }

    fn peek(&mut self) -> Result<Option<Record>, StorageError> {
        if self.at == self.block.len() {
            let left = self.left.end - self.left.start;
            // At most READ_BYTES, so the cast keeps the value.
            self.block.resize(left.min(READ_BYTES as u64) as usize, 0);
            let read = self.file.read_exact_at(&mut self.block, self.left.start);
            read.map_err(|error| failed(self.folder, error))?;
            self.left.start += self.block.len() as u64;
            self.at = 0;
        }
        let Some(bytes) = self.block[self.at..].first_chunk() else {
            return Ok(None);
        };
        let record = Record::of_bytes(bytes);
        let changed = || failed(self.folder, io::ErrorKind::InvalidData.into());
        record.ok_or_else(changed).map(Some)
    }
}
