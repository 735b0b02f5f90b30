//! Takes a backup of a data folder and of databases, which may be in use.

use std::path::Path;
use std::sync::Arc;

use super::blobs::{Blobs, Progress};
use super::databases::Holds;
use super::files::Files;
use super::list::id_of;
use super::manifest::Manifest;
use super::reserves::{self, ReserveCopy};
use super::restore::newest;
use super::tables::{JournalSource, Tables};
use super::{MANIFESTS, damaged, find};
use crate::disk::RealDisk;
use crate::embedded::folder_id_of;
use crate::error::StorageError;
use crate::port::journal::RecordRef;
use crate::port::objects::{ObjectKey, Objects};
use crate::postgres::{Dump, PgServer};

/// What is backed up, in use or not.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The data folder; with a database it has the rest.
    pub data_dir: &'a Path,
    /// The database of journals and records; `None` where they are in the folder.
    pub journals: Option<&'a PgServer>,
    /// The database of time series, which may be the same; `None` where they are in the folder.
    pub series: Option<&'a PgServer>,
    /// Where old records of journals in the database were moved to, if anywhere.
    pub moved: Option<&'a Arc<dyn Objects>>,
    /// Version of the build, for people.
    pub build: &'a str,
    /// Is told how far it is.
    pub progress: Progress<'a>,
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("data_dir", &self.data_dir)
            .field("journals", &self.journals)
            .field("series", &self.series)
            .finish_non_exhaustive()
    }
}

impl<'a> Source<'a> {
    /// Returns a data folder with everything in it.
    pub fn folder(data_dir: &'a Path) -> Source<'a> {
        Source {
            data_dir,
            journals: None,
            series: None,
            moved: None,
            build: env!("CARGO_PKG_VERSION"),
            progress: &|_| {},
        }
    }
}

/// A copy whose manifest is not stored yet: nobody finds it.
pub struct Copied<'a> {
    blobs: Blobs<'a>,
    manifest: Manifest,
    /// The newest backup that was there when this one began.
    before: Option<ObjectKey>,
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

/// Copies a data folder and its databases, and shows every record of every account's journal as far
/// as it is in the copy. `begun_ns` is the time now, in nanoseconds since 1970.
///
/// # Errors
/// - `Damaged`, `NewerVersion`: a journal is not what was written; nothing can be restored from
///   this attempt, and earlier backups stand.
/// - `NewerVersion` of a database whose schema a newer build has made; `Setting` of an older one, and
///   of moved records whose bucket is not set.
/// - `NotFound`: there is no such folder.
/// - what the folder, the databases or the store cannot do.
pub fn copy<'a>(
    source: &Source<'a>,
    objects: &'a dyn Objects,
    begun_ns: u64,
    each: &mut dyn FnMut(&str, RecordRef<'_>),
) -> Result<Copied<'a>, StorageError> {
    if !source.data_dir.is_dir() {
        return Err(StorageError::NotFound {
            path: source.data_dir.to_owned(),
        });
    }
    let mut files = Files {
        root: source.data_dir,
        disk: &RealDisk,
        blobs: Blobs::open(objects, source.progress)?,
        files: Vec::new(),
    };
    let before = newest(objects)?;
    // Before the journals, see the module.
    files.folder(source.data_dir)?;
    let mut manifest = Manifest {
        begun_ns,
        build: source.build.to_owned(),
        ..Manifest::default()
    };
    if source.journals.is_none() {
        manifest.journals = files.journals(each)?;
    } else {
        files.own_objects("audit")?;
    }
    if source.journals.is_some() || source.series.is_some() {
        databases(source, &mut files, &mut manifest, each)?;
    }
    files.blobs.begin("files");
    if source.series.is_none() {
        files.tree(&source.data_dir.join("series"))?;
    }
    files.archive()?;
    manifest.files = files.files;
    Ok(Copied {
        blobs: files.blobs,
        manifest,
        before,
    })
}

/// Copies the databases, each as of one moment, and the reserves that the folder has for them.
fn databases<'a>(
    source: &Source<'a>,
    files: &mut Files<'_, 'a>,
    manifest: &mut Manifest,
    each: &mut dyn FnMut(&str, RecordRef<'_>),
) -> Result<(), StorageError> {
    // One that cannot be read has nothing that could be used again.
    let earlier = find(files.blobs.objects, None).ok().flatten();
    let earlier = earlier.map(|found| found.manifest).unwrap_or_default();
    let writing = files.blobs.writing.clone();
    let waiting = || writing.go_on();
    let mut journals = None;
    if let Some(server) = source.journals {
        // First: what goes to the server meanwhile is then in both and not in neither.
        let reserves = reserves::copy(source.data_dir, &mut files.blobs)?;
        let dump = Dump::begin(server)?.while_waiting(&waiting);
        // Behind it: an owner makes its reserve before the server notes it.
        let here = reserves::here(source.data_dir, &dump.database_id()?)?;
        let mut tables = Tables::new(&dump, &mut files.blobs, earlier.database(Holds::Journals));
        let ends = reserves.iter().map(|it| (it.account_id.clone(), it.end));
        let own = folder_id_of(source.data_dir)?;
        let from = JournalSource {
            moved: source.moved,
            watched: &ends.collect(),
            folder_id: own.as_deref(),
            reserves: &here,
        };
        let copied = tables.journals(&from, each)?;
        manifest.journals = copied.ends;
        manifest.databases.push(copied.database);
        // What the database has already is behind its end, and a start would refuse it.
        let waits = |copy: &ReserveCopy| !copied.passed.contains(&copy.account_id);
        let left = reserves.into_iter().filter(waits);
        files.files.extend(left.map(|copy| copy.file));
        journals = Some((server, dump));
    }
    if let Some(server) = source.series {
        // The same database is looked at once; another one keeps no old versions for this one.
        let dump = match journals {
            Some((other, dump)) if server.is_same(other)? => dump,
            Some((_, dump)) => {
                dump.end()?;
                Dump::begin(server)?.while_waiting(&waiting)
            }
            None => Dump::begin(server)?.while_waiting(&waiting),
        };
        let mut tables = Tables::new(&dump, &mut files.blobs, earlier.database(Holds::Series));
        manifest.databases.extend(tables.series()?);
    }
    Ok(())
}

impl Copied<'_> {
    /// Returns how many accounts have a journal in it.
    pub fn journals(&self) -> usize {
        self.manifest.journals.len()
    }

    /// Stores the manifest: from now on the backup is there. It is behind those that were there when it
    /// began, also where their clock was ahead. One that began later is newer, whichever ends first.
    ///
    /// # Errors
    /// - `StalledWriter` when parts of it may have been removed meanwhile; the copied parts serve the next
    ///   attempt;
    /// - `DamagedBackup` where that is so, or the newest one has no number for an id, and the message says
    ///   what is to be removed;
    /// - those of the store.
    pub fn finish(mut self, state_hash: &str) -> Result<Taken, StorageError> {
        state_hash.clone_into(&mut self.manifest.state_hash);
        let (objects, writing) = (self.blobs.objects, &self.blobs.writing);
        let text = self.manifest.write();
        writing.renew()?;
        let id = next_id(objects, self.before.as_ref(), self.manifest.begun_ns)?;
        let key = ObjectKey::new(&format!("{MANIFESTS}{id}"))?;
        objects.put(&key, &mut text.as_bytes())?;
        // Again: the request may have taken longer than a mark lives. A removal that took this writer
        // for dead has removed its mark before it looked which lists there are.
        if let Err(stalled) = writing.confirm() {
            let removed = objects.delete(&key);
            let reason = "may lack parts, and could not be taken back: remove this object";
            return Err(removed.map_or_else(|_| damaged(&id, key.as_str(), reason), |_| stalled));
        }
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

/// Returns the id of a backup that was begun then, behind the one that was the newest: its time, or
/// behind the other's id where that is of a clock that was ahead. What is kept and what is restored go by
/// the order of ids.
///
/// Errors: `DamagedBackup` where nothing comes behind the newest; of the store.
fn next_id(
    objects: &dyn Objects,
    before: Option<&ObjectKey>,
    begun_ns: u64,
) -> Result<String, StorageError> {
    /// Two that began behind the same one shall not get the same id: of their begins, which differ, this
    /// much is added.
    const APART_NS: u64 = 1_000_000_000;
    let mut number = begun_ns;
    if let Some(newest) = before {
        let last = id_of(newest);
        let known = last.parse::<u64>().ok().filter(|_| last.len() == 20);
        let behind = known.and_then(|known| known.checked_add(1 + begun_ns % APART_NS));
        let reason = "has no time for a name, and nothing comes behind it: remove this object";
        let behind = behind.ok_or_else(|| damaged(&last, newest.as_str(), reason))?;
        if format!("{begun_ns:020}") <= last {
            number = behind;
        }
    }
    loop {
        let id = format!("{number:020}");
        let key = ObjectKey::new(&format!("{MANIFESTS}{id}"))?;
        // Another one's list is never written over.
        if objects.hash(&key)?.is_none() {
            return Ok(id);
        }
        number = number.saturating_add(1);
    }
}
