//! Takes a backup of a data folder, which may be in use.

use std::io;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::blobs::Blobs;
use super::manifest::{FileCopy, JournalEnd, Manifest, Part, is_inside};
use super::{MANIFESTS, PART_BYTES};
use crate::disk::{Disk, Open, RealDisk, all_zero};
use crate::embedded::{
    ClosedSegments, Finding, OBJECTS, Scan, accounts_on, base_of, base_path, journal_folder,
    objects_if_any, scan, scan_whole, snapshot_folder,
};
use crate::error::StorageError;
use crate::port::journal::RecordRef;
use crate::port::journals::AUDIT_JOURNAL;
use crate::port::objects::{ContentHash, ObjectKey, Objects};

/// The lock belongs to the process that uses the folder.
const LEFT_OUT: [&str; 1] = ["lock"];

/// The archive of market data in a data folder.
const ARCHIVE: &str = "archive";

/// A journal in use is looked at again: a frame that is being written may be seen in parts. What
/// is damaged stays so at its place, what is written is whole a moment later.
const LOOKS: usize = 100;

/// How long after a look the next one comes: many times what a write takes.
const BETWEEN: Duration = Duration::from_millis(5);

/// A copy whose manifest is not stored yet: nobody finds it.
pub struct Copied<'a> {
    blobs: Blobs<'a>,
    manifest: Manifest,
}

impl std::fmt::Debug for Copied<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copied")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

/// A backup that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its name, for `restore`.
    pub id: String,
    pub manifest: Manifest,
    /// Parts that were not there yet.
    pub copied_parts: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Bytes of parts that an earlier backup had stored.
    pub known_bytes: u64,
}

/// Copies a data folder, and shows every record of every journal as far as it is in the copy.
/// `begun_ns` is the time now, in nanoseconds since 1970.
///
/// # Errors
/// - `Damaged`, `NewerVersion`: a journal is not what was written; nothing can be restored from
///   this attempt, and earlier backups stand.
/// - `NotFound`: there is no such folder.
/// - what the folder or the store cannot do.
pub fn copy<'a>(
    data_dir: &Path,
    objects: &'a dyn Objects,
    begun_ns: u64,
    each: &mut dyn FnMut(&str, RecordRef<'_>),
) -> Result<Copied<'a>, StorageError> {
    if !data_dir.is_dir() {
        return Err(StorageError::NotFound {
            path: data_dir.to_owned(),
        });
    }
    let mut taking = Taking {
        root: data_dir,
        disk: &RealDisk,
        blobs: Blobs::open(objects)?,
        files: Vec::new(),
    };
    // Before the journals, see the module.
    taking.folder(data_dir)?;
    taking.tree(&data_dir.join("records"))?;
    let accounts = accounts_on(&RealDisk, data_dir)?;
    for account_id in &accounts {
        taking.folder(&snapshot_folder(data_dir, account_id))?;
    }
    // The audit's checkpoints, which must not be ahead of it.
    taking.own_objects("audit")?;
    let mut journals = Vec::new();
    for account_id in accounts {
        let found = taking.journal(&account_id)?;
        // Again from the beginning, now that it is known how far it goes.
        replay(
            taking.disk,
            data_dir,
            &account_id,
            found.head.sequence,
            each,
        )?;
        journals.push(JournalEnd {
            sequence: found.head.sequence,
            chain: found.head.chain.to_string(),
            account_id,
        });
    }
    let audit = journal_folder(data_dir, AUDIT_JOURNAL);
    if audit.is_dir() {
        taking.journal(AUDIT_JOURNAL)?;
    }
    // Behind the journals: what a base leaves to it is there before the base is.
    taking.own_objects("journals")?;
    taking.tree(&data_dir.join("series"))?;
    taking.archive()?;
    let manifest = Manifest {
        begun_ns,
        state_hash: String::new(),
        journals,
        files: taking.files,
    };
    Ok(Copied {
        blobs: taking.blobs,
        manifest,
    })
}

impl Copied<'_> {
    /// Stores the manifest: from now on the backup is there.
    ///
    /// # Errors
    /// Those of [`Objects::put`]; the copied parts serve the next attempt.
    pub fn finish(mut self, state_hash: &str) -> Result<Taken, StorageError> {
        state_hash.clone_into(&mut self.manifest.state_hash);
        let id = format!("{:020}", self.manifest.begun_ns);
        let key = ObjectKey::new(&format!("{MANIFESTS}{id}"))?;
        let text = self.manifest.write();
        self.blobs.objects.put(&key, &mut text.as_bytes())?;
        let counts = self.blobs.counts;
        Ok(Taken {
            id,
            manifest: self.manifest,
            copied_parts: counts.copied_parts,
            copied_bytes: counts.copied_bytes,
            known_bytes: counts.known_bytes,
        })
    }
}

/// Shows the records of a journal up to one of them.
fn replay(
    disk: &dyn Disk,
    root: &Path,
    account_id: &str,
    last: u64,
    each: &mut dyn FnMut(&str, RecordRef<'_>),
) -> Result<(), StorageError> {
    let mut shown = |record: RecordRef<'_>| {
        if record.sequence <= last {
            each(account_id, record);
        }
    };
    let folder = journal_folder(root, account_id);
    match objects_if_any(root) {
        Some(objects) => {
            let closed = ClosedSegments::new(&objects, account_id);
            scan_whole(disk, &folder, account_id, &closed, &mut shown).map(drop)
        }
        None => scan(disk, &folder, account_id, &mut shown).map(drop),
    }
}

struct Taking<'r, 'a> {
    root: &'r Path,
    disk: &'r dyn Disk,
    blobs: Blobs<'a>,
    files: Vec<FileCopy>,
}

impl Taking<'_, '_> {
    /// Copies the files of a folder and of the folders in it.
    fn tree(&mut self, folder: &Path) -> Result<(), StorageError> {
        self.folder(folder)?;
        let folders = self.disk.folders(folder);
        for inner in folders.map_err(|e| StorageError::io("list", folder, e))? {
            self.tree(&inner)?;
        }
        Ok(())
    }

    /// Copies what the folder's own store of objects has below a name.
    fn own_objects(&mut self, name: &str) -> Result<(), StorageError> {
        let objects = self.root.join(OBJECTS);
        // The hashes behind the content: one that is stored meanwhile is there without its content.
        for part in ["data", "hashes"] {
            self.tree(&objects.join(part).join(name))?;
        }
        Ok(())
    }

    /// Copies the archive of market data: each file with the hash of just that content, since an
    /// import may replace it meanwhile.
    fn archive(&mut self) -> Result<(), StorageError> {
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
    fn folder(&mut self, folder: &Path) -> Result<(), StorageError> {
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
        let mut found = self.journal_as_it_is(account_id)?;
        for _ in 1..LOOKS {
            let folder = journal_folder(self.root, account_id);
            let base = base_of(self.disk, &folder, account_id)?;
            if base.map_or(0, |base| base.sequence) == found.base.sequence {
                break;
            }
            self.files.truncate(before);
            found = self.journal_as_it_is(account_id)?;
        }
        Ok(found)
    }

    fn journal_as_it_is(&mut self, account_id: &str) -> Result<Scan, StorageError> {
        let folder = journal_folder(self.root, account_id);
        let mut found = scan(self.disk, &folder, account_id, &mut |_| {})?;
        let bad_at = |scan: &Scan| match &scan.finding {
            Some(Finding::Bad(position, _)) => Some(position.clone()),
            _ => None,
        };
        for _ in 1..LOOKS {
            let Some(seen) = bad_at(&found) else {
                break;
            };
            std::thread::sleep(BETWEEN);
            found = scan(self.disk, &folder, account_id, &mut |_| {})?;
            if bad_at(&found) == Some(seen) {
                break;
            }
        }
        if let Some(refusal) = found.refusal() {
            return Err(refusal);
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
