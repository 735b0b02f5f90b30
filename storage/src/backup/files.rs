//! Copies the files of a data folder, which may be in use.

use std::io;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::PART_BYTES;
use super::blobs::Blobs;
use super::manifest::{FileCopy, JournalEnd, Part, is_inside};
use crate::disk::{Disk, Open, RealDisk, all_zero};
use crate::embedded::{
    ClosedSegments, Finding, OBJECTS, Scan, accounts_on, base_of, base_path, changes_made,
    journal_folder, objects_if_any, scan, scan_whole, snapshot_folder,
};
use crate::error::{Damage, Position, StorageError};
use crate::port::journal::RecordRef;
use crate::port::journals::AUDIT_JOURNAL;
use crate::port::objects::ContentHash;

/// The lock belongs to the process that uses the folder, and a folder that comes back is another one.
const LEFT_OUT: [&str; 2] = ["lock", "folder.id"];

/// The archive of market data in a data folder.
const ARCHIVE: &str = "archive";

/// A journal in use is looked at again: a frame that is being written may be seen in parts, and old
/// segments may be moved meanwhile. What is damaged stays so at its place, what is written is whole
/// a moment later.
pub(super) const LOOKS: usize = 100;

/// How long after a look the next one comes: many times what a write takes.
pub(super) const BETWEEN: Duration = Duration::from_millis(5);

/// Shows the records of a journal up to one of them, each once.
///
/// Errors: `Damaged` when these are not all there.
fn replay(
    disk: &dyn Disk,
    root: &Path,
    account_id: &str,
    last: u64,
    each: &mut dyn FnMut(&str, RecordRef<'_>),
) -> Result<(), StorageError> {
    let (mut shown, mut expected) = (0, 1);
    let mut in_order = true;
    let mut show = |record: RecordRef<'_>| {
        in_order &= record.sequence == expected;
        expected += 1;
        if record.sequence <= last {
            shown = record.sequence;
            each(account_id, record);
        }
    };
    let folder = journal_folder(root, account_id);
    let walked = match objects_if_any(root) {
        Some(objects) => {
            let closed = ClosedSegments::new(&objects, account_id);
            scan_whole(disk, &folder, account_id, &closed, &mut show)?
        }
        None => scan(disk, &folder, account_id, &mut show)?,
    };
    if shown >= last && in_order {
        return Ok(());
    }
    // What comes behind it is of the next backup, and may be half written.
    let reason = Damage::Sequence {
        expected: last,
        found: shown,
    };
    let position = Position {
        segment: folder.display().to_string(),
        offset: 0,
        sequence: shown + 1,
    };
    Err(walked
        .refusal()
        .unwrap_or(StorageError::Damaged { position, reason }))
}

/// A copy under way.
pub(super) struct Files<'r, 'a> {
    pub(super) root: &'r Path,
    pub(super) disk: &'r dyn Disk,
    pub(super) blobs: Blobs<'a>,
    pub(super) files: Vec<FileCopy>,
}

impl Files<'_, '_> {
    /// Copies the journals of the folder and what says how far they were durable, which goes first.
    /// Returns where they end.
    pub(super) fn journals(
        &mut self,
        each: &mut dyn FnMut(&str, RecordRef<'_>),
    ) -> Result<Vec<JournalEnd>, StorageError> {
        self.records()?;
        let accounts = accounts_on(&RealDisk, self.root)?;
        for account_id in &accounts {
            self.folder(&snapshot_folder(self.root, account_id))?;
        }
        // The audit's checkpoints, which must not be ahead of it.
        self.own_objects("audit")?;
        let mut journals = Vec::new();
        for account_id in accounts {
            let found = self.journal(&account_id)?;
            let writing = self.blobs.writing.clone();
            // A long one takes long. A store that is away is asked once.
            let mut lives = Ok(());
            let mut show = |account_id: &str, record: RecordRef<'_>| {
                if lives.is_ok() {
                    lives = writing.go_on();
                    each(account_id, record);
                }
            };
            // Again from the beginning, now that it is known how far it goes.
            let last = found.head.sequence;
            replay(self.disk, self.root, &account_id, last, &mut show)?;
            lives?;
            journals.push(JournalEnd {
                sequence: found.head.sequence,
                chain: found.head.chain.to_string(),
                account_id,
            });
        }
        if journal_folder(self.root, AUDIT_JOURNAL).is_dir() {
            self.journal(AUDIT_JOURNAL)?;
        }
        // Behind the journals: what a base leaves to it is there before the base is.
        self.own_objects("journals")?;
        Ok(journals)
    }

    /// Copies the tables of records, none with a part of a change over several of them: that is noted when
    /// all of them have it, so it is copied again when a note came meanwhile.
    fn records(&mut self) -> Result<(), StorageError> {
        let folder = self.root.join("records");
        let before = self.files.len();
        let mut noted = changes_made(self.disk, &folder)?;
        for _ in 0..LOOKS {
            self.tree(&folder)?;
            let now = changes_made(self.disk, &folder)?;
            if now == noted {
                return Ok(());
            }
            noted = now;
            self.files.truncate(before);
            std::thread::sleep(BETWEEN);
        }
        Err(StorageError::Locked {
            path: folder,
            holder: "a node that changes several of its tables without end: back it up again"
                .to_owned(),
        })
    }

    /// Copies the files of a folder and of the folders in it.
    pub(super) fn tree(&mut self, folder: &Path) -> Result<(), StorageError> {
        self.folder(folder)?;
        let folders = self.disk.folders(folder);
        for inner in folders.map_err(|e| StorageError::io("list", folder, e))? {
            self.tree(&inner)?;
        }
        Ok(())
    }

    /// Copies what the folder's own store of objects has below a name.
    pub(super) fn own_objects(&mut self, name: &str) -> Result<(), StorageError> {
        let objects = self.root.join(OBJECTS);
        // The hashes behind the content: one that is stored meanwhile is there without its content.
        for part in ["data", "hashes"] {
            self.tree(&objects.join(part).join(name))?;
        }
        Ok(())
    }

    /// Copies the archive of market data: each file with the hash of just that content, since an
    /// import may replace it meanwhile.
    pub(super) fn archive(&mut self) -> Result<(), StorageError> {
        let root = self.root.join(ARCHIVE);
        self.archived(&root.join("data"), &root)
    }

    fn archived(&mut self, folder: &Path, root: &Path) -> Result<(), StorageError> {
        let failed = |error| StorageError::io("list", folder, error);
        for path in self.disk.files(folder).map_err(failed)? {
            let hash = self.hashed_file(&path)?;
            // One that went away meanwhile has no hash either.
            if let Some(hash) = hash {
                let key = path.strip_prefix(root.join("data")).unwrap_or(&path);
                let content = format!("{hash}\n");
                let part = Part {
                    offset: 0,
                    bytes: content.len() as u64,
                    hash: self.blobs.store(content.as_bytes())?,
                };
                self.files.push(FileCopy {
                    path: self.relative(&root.join("hashes").join(key))?,
                    length: part.bytes,
                    parts: vec![part],
                });
            }
        }
        for inner in self.disk.folders(folder).map_err(failed)? {
            self.archived(&inner, root)?;
        }
        Ok(())
    }

    /// Copies the files of a folder. One that goes away meanwhile, as an old snapshot does, is
    /// left out.
    pub(super) fn folder(&mut self, folder: &Path) -> Result<(), StorageError> {
        let files = self.disk.files(folder);
        for path in files.map_err(|e| StorageError::io("list", folder, e))? {
            let name = path.file_name().unwrap_or_default();
            let is_passing = path
                .extension()
                .is_some_and(|it| it == "building" || it == "new");
            if !is_passing && LEFT_OUT.iter().all(|left_out| name != *left_out) {
                self.file(&path, None)?;
            }
        }
        Ok(())
    }

    /// Copies a journal up to its last whole frame. Again, when old segments were moved meanwhile.
    fn journal(&mut self, account_id: &str) -> Result<Scan, StorageError> {
        let before = self.files.len();
        let folder = journal_folder(self.root, account_id);
        self.blobs.begin(&format!("journal of {account_id}"));
        for _ in 0..LOOKS {
            let found = self.journal_as_it_is(account_id);
            let was = match &found {
                Ok(found) => found.base.sequence,
                Err(error) if error.is_not_found() => 0,
                Err(_) => return found,
            };
            let base = base_of(self.disk, &folder, account_id)?;
            if found.is_ok() && base.map_or(0, |base| base.sequence) == was {
                return found;
            }
            self.files.truncate(before);
        }
        Err(StorageError::Locked {
            path: folder,
            holder: "a node that moves its old segments without end: back it up again".to_owned(),
        })
    }

    fn journal_as_it_is(&mut self, account_id: &str) -> Result<Scan, StorageError> {
        let folder = journal_folder(self.root, account_id);
        let writing = self.blobs.writing.clone();
        let mut lives = Ok(());
        let mut walked = |_: RecordRef<'_>| {
            if lives.is_ok() {
                lives = writing.go_on();
            }
        };
        let mut found = scan(self.disk, &folder, account_id, &mut walked)?;
        let bad_at = |scan: &Scan| match &scan.finding {
            Some(Finding::Bad(position, _)) => Some(position.clone()),
            _ => None,
        };
        for _ in 1..LOOKS {
            let Some(seen) = bad_at(&found) else {
                break;
            };
            std::thread::sleep(BETWEEN);
            found = scan(self.disk, &folder, account_id, &mut walked)?;
            if bad_at(&found) == Some(seen) {
                break;
            }
        }
        lives?;
        if let Some(refusal) = found.refusal() {
            let base = base_of(self.disk, &folder, account_id)?;
            let has_moved = base.map_or(0, |base| base.sequence) != found.base.sequence;
            return if has_moved { Ok(found) } else { Err(refusal) };
        }
        if found.base.sequence > 0 {
            self.file(&base_path(&folder), None)?;
        }
        let newest = found.segments.len().saturating_sub(1);
        for (index, segment) in found.segments.iter().enumerate() {
            // The newest goes on growing: what comes behind the end is of the next backup.
            let used_bytes = (index == newest).then_some(found.used_bytes);
            self.file(&segment.path, used_bytes)?;
        }
        Ok(found)
    }

    /// Copies a file; behind `used_bytes` it counts as zeros.
    fn file(&mut self, path: &Path, used_bytes: Option<u64>) -> Result<(), StorageError> {
        self.copy(path, used_bytes, &mut |_| {})
    }

    /// Copies a whole file and returns the hash of its content.
    fn hashed_file(&mut self, path: &Path) -> Result<Option<ContentHash>, StorageError> {
        let mut hash = Sha256::new();
        let before = self.files.len();
        self.copy(path, None, &mut |content| hash.update(content))?;
        let is_there = self.files.len() > before;
        Ok(is_there.then(|| ContentHash(hash.finalize().into())))
    }

    fn copy(
        &mut self,
        path: &Path,
        used_bytes: Option<u64>,
        each: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StorageError> {
        let failed = |error| StorageError::io("read", path, error);
        let file = match self.disk.open(path, Open::Read) {
            Ok(file) => file,
            // The folder is looked at again where that matters.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let length = file.length().map_err(failed)?;
        let end = used_bytes.unwrap_or(length).min(length);
        let mut copy = FileCopy {
            path: self.relative(path)?,
            length,
            parts: Vec::new(),
        };
        let mut block = vec![0; PART_BYTES];
        let mut offset = 0;
        while offset < end {
            // At most PART_BYTES, so the cast keeps the value.
            let wanted = (end - offset).min(PART_BYTES as u64) as usize;
            let read = file.read_at(&mut block[..wanted], offset).map_err(failed)?;
            if read == 0 {
                // A table that was cut meanwhile.
                copy.length = offset;
                break;
            }
            let content = &block[..read];
            each(content);
            if !all_zero(content) {
                let (hash, bytes) = (self.blobs.store(content)?, read as u64);
                copy.parts.push(Part {
                    offset,
                    bytes,
                    hash,
                });
            }
            offset += read as u64;
        }
        self.files.push(copy);
        Ok(())
    }

    fn relative(&self, path: &Path) -> Result<String, StorageError> {
        let below = path.strip_prefix(self.root).ok().and_then(Path::to_str);
        let below = below.filter(|below| is_inside(below));
        below.map(str::to_owned).ok_or(StorageError::BadName {
            what: "file to back up",
            name: path.display().to_string(),
            form: "UTF-8 without line breaks",
        })
    }
}
