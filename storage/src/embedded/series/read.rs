//! Reading a range: one day after the other, the blocks of a day merged by time.
//!
//! A feed's rows are nearly in order, so one or two blocks are open at a time. Only those are in
//! memory that overlap in time, whatever the day holds.

use super::block::Coded;
use super::scan::{Block, rows_at, walk};
use super::stream::day_path;
use crate::StorageError;
use crate::disk::{Disk, DiskFile, Open};
use crate::port::series::TimeRange;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;

/// The rows of a stream in a range.
pub(super) struct Reader<T> {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    /// Days to come and their durable bytes.
    days: std::vec::IntoIter<(i64, u64)>,
    range: TimeRange,
    day: Option<Day<T>>,
}

/// The day that is read.
struct Day<T> {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    /// Blocks to come, by their earliest time.
    blocks: std::iter::Peekable<std::vec::IntoIter<Block>>,
    /// The rows of open blocks, and the next row of each: time, sequence, block.
    open: Vec<std::vec::IntoIter<T>>,
    free: Vec<usize>,
    next: BinaryHeap<Reverse<(i64, u64, usize)>>,
    heads: Vec<Option<T>>,
}

impl<T: Coded> Reader<T> {
    pub fn new(
        disk: Arc<dyn Disk>,
        folder: PathBuf,
        days: Vec<(i64, u64)>,
        range: TimeRange,
    ) -> Reader<T> {
        Reader {
            disk,
            folder,
            days: days.into_iter(),
            range,
            day: None,
        }
    }

    /// Opens the next day; `None` when there is no other. One that was forgotten meanwhile is
    /// passed over.
    fn next_day(&mut self) -> Result<Option<Day<T>>, StorageError> {
        for (day, length) in self.days.by_ref() {
            let path = day_path(&self.folder, day);
            let file = match self.disk.open(&path, Open::Read) {
                Ok(file) => file,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StorageError::io("open", &path, error)),
            };
            let (from, to) = (self.range.from.0, self.range.to.0);
            let mut blocks = Vec::new();
            let end = walk::<T>(&*file, &path, length, |mut block| {
                if block.head.latest >= from && block.head.earliest < to {
                    // Only a writer asks for them.
                    block.head.runs.shrink_to_fit();
                    blocks.push(block);
                }
            })?;
            if end < length {
                let reason = crate::error::Damage::Checksum;
                return Err(super::scan::damaged(&path, end, reason));
            }
            blocks.sort_by_key(|block| block.head.earliest);
            return Ok(Some(Day {
                file,
                path,
                blocks: blocks.into_iter().peekable(),
                open: Vec::new(),
                free: Vec::new(),
                next: BinaryHeap::new(),
                heads: Vec::new(),
            }));
        }
        Ok(None)
    }
}

impl<T: Coded> Day<T> {
    fn next(&mut self) -> Result<Option<T>, StorageError> {
        loop {
            let earliest = self.next.peek().map(|Reverse((ts, ..))| *ts);
            let block = self
                .blocks
                .next_if(|block| earliest.is_none_or(|ts| block.head.earliest <= ts));
            let Some(block) = block else { break };
            let rows = rows_at::<T>(&*self.file, &self.path, &block)?.into_iter();
            let slot = self.free.pop().unwrap_or(self.open.len());
            if slot == self.open.len() {
                self.open.push(rows);
                self.heads.push(None);
            } else {
                self.open[slot] = rows;
            }
            self.advance(slot);
        }
        let Some(Reverse((.., slot))) = self.next.pop() else {
            return Ok(None);
        };
        let row = self.heads[slot].take();
        self.advance(slot);
        Ok(row)
    }

    fn advance(&mut self, slot: usize) {
        match self.open[slot].next() {
            Some(row) => {
                self.next.push(Reverse((row.ts(), row.sequence(), slot)));
                self.heads[slot] = Some(row);
            }
            None => {
                self.open[slot] = Vec::new().into_iter();
                self.free.push(slot);
            }
        }
    }
}

impl<T: Coded> Iterator for Reader<T> {
    type Item = Result<T, StorageError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(day) = &mut self.day else {
                match self.next_day() {
                    Ok(None) => return None,
                    Ok(day) => self.day = day,
                    Err(error) => {
                        self.days = Vec::new().into_iter();
                        return Some(Err(error));
                    }
                }
                continue;
            };
            match day.next() {
                Ok(Some(row)) if row.ts() < self.range.from.0 => {}
                Ok(Some(row)) if row.ts() < self.range.to.0 => return Some(Ok(row)),
                Ok(_) => self.day = None,
                Err(error) => {
                    self.day = None;
                    self.days = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}
