//! One stream: its days, and the sequences that it has.

use super::block::{Coded, Run, add_run, u64_at};
use super::scan::{append, damaged, mend};
use crate::StorageError;
use crate::disk::{Disk, Open, read_all, write_all};
use crate::embedded::spare::sync_folder_of;
use crate::error::Damage;
use crate::port::series::{Gap, Written, day_of};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// Sequences that were there when days were forgotten.
const SEEN: &str = "sequences";
const SEEN_MAGIC: [u8; 8] = *b"AXSS\x01\0\0\0";
/// Runs of a stream that lost days a thousand times a day for a century.
const MAX_SEEN_BYTES: u64 = 1 << 30;

/// What is known of a stream's files.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    /// Durable bytes by day.
    pub days: BTreeMap<i64, u64>,
    runs: Vec<Run>,
    /// A write could neither be finished nor undone: what is there is not known to be durable.
    broken: Option<StorageError>,
}

pub(super) fn day_path(folder: &Path, day: i64) -> PathBuf {
    folder.join(format!("{day}.ser"))
}

fn day_in(path: &Path) -> Option<i64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".ser")?
        .parse()
        .ok()
}

impl Files {
    /// Finds out what is there, and cuts unfinished writes.
    pub fn open<T: Coded>(disk: &dyn Disk, folder: PathBuf) -> Result<Files, StorageError> {
        let mut files = Files {
            runs: seen(disk, &folder)?,
            days: BTreeMap::new(),
            broken: None,
            folder,
        };
        let found = disk.files(&files.folder);
        let found = found.map_err(|error| StorageError::io("list", &files.folder, error))?;
        for path in found {
            let Some(day) = day_in(&path) else { continue };
            let (length, blocks) = mend::<T>(disk, &path)?;
            files.days.insert(day, length);
            for run in blocks.iter().flat_map(|block| &block.head.runs) {
                add_run(&mut files.runs, *run);
            }
        }
        Ok(files)
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn last(&self) -> u64 {
        self.runs.last().map_or(0, |run| run.1)
    }

    pub fn gaps(&self) -> Vec<Gap> {
        let mut next = 1;
        let mut gaps = Vec::new();
        for (first, last) in &self.runs {
            if *first > next {
                gaps.push(Gap {
                    first: next,
                    last: first - 1,
                });
            }
            next = last + 1;
        }
        gaps
    }

    fn has(&self, sequence: u64) -> bool {
        let at = self.runs.partition_point(|run| run.1 < sequence);
        self.runs.get(at).is_some_and(|run| run.0 <= sequence)
    }

    /// Stores the rows that are not there yet, by day. A crash may leave some days of a batch
    /// written and others not, so a repeat is told by its own sequence and not by the last one.
    pub fn write<T: Coded>(
        &mut self,
        disk: &dyn Disk,
        rows: &[T],
    ) -> Result<Written, StorageError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        let mut days: BTreeMap<i64, Vec<T>> = BTreeMap::new();
        let mut written = Written::default();
        for row in rows {
            if self.has(row.sequence()) {
                written.repeated += 1;
                continue;
            }
            days.entry(day_of(row.ts())).or_default().push(*row);
            written.stored += 1;
        }
        for (day, rows) in days {
            self.write_day(disk, day, &rows)?;
        }
        Ok(written)
    }

    fn write_day<T: Coded>(
        &mut self,
        disk: &dyn Disk,
        day: i64,
        rows: &[T],
    ) -> Result<(), StorageError> {
        let path = day_path(&self.folder, day);
        let length = self.days.get(&day).copied().unwrap_or(0);
        if length == 0 {
            let made = disk.create_folder(&self.folder);
            made.map_err(|error| StorageError::io("create folder", &self.folder, error))?;
        }
        let outcome = append(disk, &path, length, rows);
        let end = outcome.map_err(|failed| {
            if !failed.is_cut {
                self.broken = Some(failed.error.clone());
            }
            failed.error
        })?;
        if length == 0 {
            sync_folder_of(disk, &path)?;
        }
        self.days.insert(day, end);
        for row in rows {
            add_run(&mut self.runs, (row.sequence(), row.sequence()));
        }
        Ok(())
    }

    /// Removes days, and keeps in mind which sequences there were. Returns the days.
    pub fn forget(&mut self, disk: &dyn Disk, before: i64) -> Result<Vec<i64>, StorageError> {
        let days: Vec<i64> = self.days.range(..before).map(|(day, _)| *day).collect();
        if days.is_empty() {
            return Ok(days);
        }
        self.keep_seen(disk)?;
        for day in &days {
            let path = day_path(&self.folder, *day);
            let removed = disk.remove(&path);
            removed.map_err(|error| StorageError::io("remove", &path, error))?;
            self.days.remove(day);
        }
        let synced = disk.sync_folder(&self.folder);
        synced.map_err(|error| StorageError::fsync(&self.folder, error))?;
        Ok(days)
    }

    fn keep_seen(&self, disk: &dyn Disk) -> Result<(), StorageError> {
        let mut bytes = SEEN_MAGIC.to_vec();
        for (first, last) in &self.runs {
            bytes.extend_from_slice(&first.to_le_bytes());
            bytes.extend_from_slice(&last.to_le_bytes());
        }
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes());
        replace(disk, &self.folder.join(SEEN), &bytes)
    }
}

fn seen(disk: &dyn Disk, folder: &Path) -> Result<Vec<Run>, StorageError> {
    let path = folder.join(SEEN);
    let bytes = match read_all(disk, &path, MAX_SEEN_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StorageError::io("read", &path, error)),
    };
    let body = checked(&bytes, &SEEN_MAGIC);
    let body = body.ok_or_else(|| damaged(&path, 0, Damage::Checksum))?;
    let runs = body.chunks_exact(16);
    Ok(runs.map(|run| (u64_at(run, 0), u64_at(run, 8))).collect())
}

/// Returns what is between the magic and the check of a small file.
pub(super) fn checked<'a>(bytes: &'a [u8], magic: &[u8; 8]) -> Option<&'a [u8]> {
    let (all, check) = bytes.split_last_chunk::<8>()?;
    let is_whole = xxh3_64(all) == u64::from_le_bytes(*check);
    all.strip_prefix(magic).filter(|_| is_whole)
}

/// Writes a small file as a whole: it is the old or the new one, whatever happens.
pub(super) fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StorageError> {
    let aside = path.with_extension("building");
    let failed = |action: &'static str| {
        let aside = aside.clone();
        move |error| StorageError::io(action, &aside, error)
    };
    let file = disk.open(&aside, Open::Create).map_err(failed("create"))?;
    write_all(&*file, bytes, 0).map_err(failed("write"))?;
    let synced = file.sync_data();
    synced.map_err(|error| StorageError::fsync(&aside, error))?;
    disk.rename(&aside, path).map_err(failed("rename"))?;
    sync_folder_of(disk, path)
}
