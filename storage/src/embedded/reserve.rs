//! Where a journal that is kept on a server goes on while the server is away.
//!
//! ```text
//! <data folder>/reserve/<account>/next.spare              zero-filled, ready
//!                                 <first>-<chain>.seg     in use: frames that the server may lack
//! ```
//! The frames are those that the server will store, in their order and in the same chain. The file's
//! name says what they follow: the first sequence, and the link of the chain before it. So a reserve
//! that a killed process has left tells by itself whether the server still stands where it begins.
//! Its space is never given back, since it is needed when there may be none.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::data_dir::{DataDir, check_journal_name};
use super::frame::{Header, next_record};
use super::journal::Active;
use super::open::open_newest;
use super::read::{SegmentName, file_name};
use super::scan::{Scan, scan_segment};
use super::spare::{Spare, sync_folder_of};
use crate::StorageError;
use crate::disk::{Disk, Open, RealDisk, write_all};
use crate::error::{Damage, Position};
use crate::port::journal::{ChainHash, Head, Record};

/// Zeros that are written at a time.
const BLOCK: usize = 64 * 1024;

/// A frame in the reserve.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// Sequence of its first record.
    pub(crate) first: u64,
    /// The journal's end with it.
    pub(crate) after: Head,
    pub(crate) frame: Vec<u8>,
}

impl Kept {
    /// Returns its records.
    pub(crate) fn records(&self) -> Vec<Record> {
        let header = Header::parse(&self.frame).ok();
        let body = header.as_ref().and_then(|header| header.body(&self.frame));
        // It was made here, or checked when it was read.
        let mut body = body.unwrap_or_default();
        let mut records = Vec::new();
        while let Some(record) = next_record(&mut body) {
            records.push(record.to_record());
        }
        records
    }
}

/// What an earlier run has left.
#[derive(Debug)]
pub(crate) struct Left {
    /// What the first frame follows.
    pub(crate) before: Head,
    pub(crate) frames: Vec<Kept>,
}

/// The reserve of one account.
#[derive(Debug)]
pub(crate) struct ReserveFile {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    spare: Spare,
    active: Option<Active>,
}

impl ReserveFile {
    /// Finds an account's reserve, or makes it, and returns what is in it.
    ///
    /// # Errors
    /// `Full` without space for it; `Damaged`, `NewerVersion`: what was left cannot be used;
    /// `BadName`, `Io`, `FsyncFailed`.
    pub(crate) fn open(
        dir: &DataDir,
        account_id: &str,
        bytes: u64,
    ) -> Result<(ReserveFile, Option<Left>), StorageError> {
        check_journal_name(account_id)?;
        let disk = Arc::clone(dir.disk());
        let folder = dir.root().join("reserve").join(account_id);
        disk.create_folder(&folder)
            .map_err(|e| StorageError::io("create folder", &folder, e))?;
        let left = read_left(&*disk, &folder)?;
        let mut spare = Spare::find(&*disk, folder.join("next.spare"), bytes)?;
        let (active, left) = match left {
            Some((active, left)) => (Some(active), Some(left)),
            None => (None, None),
        };
        if active.is_none() && !spare.is_ready() {
            spare.build(&*disk)?;
            if !spare.is_ready() {
                let what = format!("the journal's reserve \"{}\"", folder.display());
                return Err(StorageError::Full { what });
            }
        }
        let reserve = ReserveFile {
            disk,
            folder,
            spare,
            active,
        };
        Ok((reserve, left))
    }

    /// Returns the folder, for people.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the bytes that frames may still take; 0 where there was no space to make it anew.
    pub(crate) fn left_bytes(&self) -> u64 {
        match &self.active {
            Some(active) => active.bytes.saturating_sub(active.used_bytes),
            None if self.spare.is_ready() => self.spare.bytes,
            None => 0,
        }
    }

    /// Makes a frame durable here. `before` is what it follows.
    ///
    /// # Errors
    /// `Full`: nothing was written. `Io`, `FsyncFailed`: abort and recover.
    pub(crate) fn append(&mut self, before: &Head, frame: &[u8]) -> Result<(), StorageError> {
        if frame.len() as u64 > self.left_bytes() {
            let what = "the journal's reserve".to_owned();
            return Err(StorageError::Full { what });
        }
        let active = match &mut self.active {
            Some(active) => active,
            None => {
                let begun = begin(&*self.disk, &self.folder, &mut self.spare, before)?;
                self.active.insert(begun)
            }
        };
        write_all(&*active.file, frame, active.used_bytes)
            .map_err(|e| StorageError::io_fatal("write", &active.path, e))?;
        active
            .file
            .sync_data()
            .map_err(|e| StorageError::fsync(&active.path, e))?;
        active.used_bytes += frame.len() as u64;
        Ok(())
    }

    /// Empties it, once the server has everything.
    ///
    /// A crash on the way leaves it whole, or a file that the next start makes anew: never a part
    /// of its frames.
    ///
    /// # Errors
    /// `Io`, `FsyncFailed`: abort and recover.
    pub(crate) fn clear(&mut self) -> Result<(), StorageError> {
        let Some(active) = self.active.take() else {
            return Ok(());
        };
        let building = self.spare.path.with_extension("building");
        self.rename(&active.path, &building)?;
        let zeros = vec![0; BLOCK];
        let mut at = 0;
        while at < active.used_bytes {
            // At most BLOCK, so the cast keeps the value.
            let block = &zeros[..(active.used_bytes - at).min(BLOCK as u64) as usize];
            write_all(&*active.file, block, at)
                .map_err(|e| StorageError::io_fatal("write", &building, e))?;
            at += block.len() as u64;
        }
        active
            .file
            .sync_data()
            .map_err(|e| StorageError::fsync(&building, e))?;
        let spare = self.spare.path.clone();
        self.rename(&building, &spare)?;
        self.spare = Spare::find(&*self.disk, spare, self.spare.bytes)?;
        if !self.spare.is_ready() {
            // One of another size was left by another build.
            self.spare.build(&*self.disk)?;
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), StorageError> {
        self.disk
            .rename(from, to)
            .map_err(|e| StorageError::io_fatal("rename", from, e))?;
        sync_folder_of(&*self.disk, to)
    }
}

/// Makes the spare the file in use.
fn begin(
    disk: &dyn Disk,
    folder: &Path,
    spare: &mut Spare,
    before: &Head,
) -> Result<Active, StorageError> {
    let Head { sequence, chain } = before;
    let path = folder.join(format!("{:020}-{chain}.seg", sequence + 1));
    disk.rename(&spare.path, &path)
        .map_err(|e| StorageError::io_fatal("rename", &path, e))?;
    sync_folder_of(disk, &path)?;
    spare.take();
    let file = disk
        .open(&path, Open::Write)
        .map_err(|e| StorageError::io_fatal("open", &path, e))?;
    Ok(Active {
        file,
        path,
        bytes: spare.bytes,
        used_bytes: 0,
    })
}

/// Returns the first and last sequence that wait in the reserve of each account in a data folder,
/// in use or left. Changes nothing.
///
/// # Errors
/// `Damaged`, `NewerVersion` of a reserve; `Io`.
pub(crate) fn waiting(root: &Path) -> Result<BTreeMap<String, (u64, u64)>, StorageError> {
    let (disk, folder) = (RealDisk, root.join("reserve"));
    let folders = disk
        .folders(&folder)
        .map_err(|e| StorageError::io_fatal("list", &folder, e))?;
    let mut found = BTreeMap::new();
    for folder in folders {
        let Some((_, left)) = scan_left(&disk, &folder)? else {
            continue;
        };
        if let Some(last) = left.frames.last() {
            let ends = (left.before.sequence + 1, last.after.sequence);
            found.insert(file_name(&folder), ends);
        }
    }
    Ok(found)
}

/// Returns what is in use in the reserve of an account, its file's name and the length of that;
/// `None` where nothing waits. Changes nothing.
///
/// # Errors
/// `Damaged`, `NewerVersion` of the reserve; `Io`. One that is emptied meanwhile may look damaged.
pub(crate) fn look(root: &Path, account_id: &str) -> Result<Option<Waiting>, StorageError> {
    let (disk, folder) = (RealDisk, root.join("reserve").join(account_id));
    let Some((scan, left)) = scan_left(&disk, &folder)? else {
        return Ok(None);
    };
    let path = scan.segments.into_iter().next().map(|name| name.path);
    let Some(path) = path.filter(|_| !left.frames.is_empty()) else {
        return Ok(None);
    };
    let length = disk
        .open(&path, Open::Read)
        .and_then(|file| file.length())
        .map_err(|e| StorageError::io("read", &path, e))?;
    Ok(Some(Waiting { path, length, left }))
}

/// A reserve in use.
pub(crate) struct Waiting {
    pub(crate) path: PathBuf,
    /// Of the file, in bytes: its frames, and zeros behind them.
    pub(crate) length: u64,
    pub(crate) left: Left,
}

/// Reads what is in use, and cuts an unfinished last write.
fn read_left(disk: &dyn Disk, folder: &Path) -> Result<Option<(Active, Left)>, StorageError> {
    let Some((scan, left)) = scan_left(disk, folder)? else {
        return Ok(None);
    };
    let (active, _) = open_newest(disk, &scan)?;
    Ok(active.map(|active| (active, left)))
}

/// Reads and checks what is in use.
fn scan_left(disk: &dyn Disk, folder: &Path) -> Result<Option<(Scan, Left)>, StorageError> {
    let files = disk
        .files(folder)
        .map_err(|e| StorageError::io_fatal("list", folder, e))?;
    let in_use = |path: &PathBuf| path.extension().is_some_and(|it| it == "seg");
    let mut in_use: Vec<PathBuf> = files.into_iter().filter(in_use).collect();
    let Some(path) = in_use.pop() else {
        return Ok(None);
    };
    let before = named(&path).filter(|_| in_use.is_empty());
    let Some(before) = before else {
        let position = Position {
            segment: file_name(&path),
            offset: 0,
            sequence: 0,
        };
        let reason = Damage::Malformed("reserve name");
        return Err(StorageError::Damaged { position, reason });
    };
    let name = SegmentName {
        path,
        first: before.sequence + 1,
    };
    let mut scan = Scan::behind(before);
    let mut frames = Vec::new();
    scan.segments.push(name.clone());
    let found = scan_segment(disk, &name, true, &mut scan, &mut |header, frame| {
        frames.push(Kept {
            first: header.first,
            after: Head {
                sequence: header.last,
                chain: header.chain,
            },
            frame: frame.to_vec(),
        });
    })?;
    scan.finding = found;
    if let Some(refusal) = scan.refusal() {
        return Err(refusal);
    }
    Ok(Some((scan, Left { before, frames })))
}

/// Returns what a reserve of this name follows.
fn named(path: &Path) -> Option<Head> {
    let (first, chain) = path.file_stem()?.to_str()?.split_once('-')?;
    let first: u64 = first.parse().ok().filter(|first| *first > 0)?;
    if chain.len() != 64 || !chain.is_ascii() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&chain[at..at + 2], 16).ok()?;
    }
    Some(Head {
        sequence: first - 1,
        chain: ChainHash(bytes),
    })
}

#[cfg(test)]
mod tests;
