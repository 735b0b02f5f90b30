//! Takes a backup of a data folder and of databases, which may be in use.

use std::path::Path;
use std::sync::Arc;

use super::blobs::{Blobs, Progress};
use super::databases::Holds;
use super::files::Files;
use super::manifest::Manifest;
use super::reserves::{self, ReserveCopy};
use super::tables::Tables;
use super::{MANIFESTS, find};
use crate::disk::RealDisk;
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
    let mut journals = None;
    if let Some(server) = source.journals {
        // First: what goes to the server meanwhile is then in both and not in neither.
        let reserves = reserves::copy(source.data_dir, &mut files.blobs)?;
        let dump = Dump::begin(server)?;
        let mut tables = Tables::new(&dump, &mut files.blobs, earlier.database(Holds::Journals));
        let ends = reserves.iter().map(|it| (it.account_id.clone(), it.end));
        let copied = tables.journals(source.moved, &ends.collect(), each)?;
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
                Dump::begin(server)?
            }
            None => Dump::begin(server)?,
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

    /// Stores the manifest: from now on the backup is there.
    ///
    /// # Errors
    /// `StalledWriter` when parts of it may have been removed meanwhile; those of [`Objects::put`]; the
    /// copied parts serve the next attempt.
    pub fn finish(mut self, state_hash: &str) -> Result<Taken, StorageError> {
        state_hash.clone_into(&mut self.manifest.state_hash);
        let id = format!("{:020}", self.manifest.begun_ns);
        let key = ObjectKey::new(&format!("{MANIFESTS}{id}"))?;
        let text = self.manifest.write();
        self.blobs.writing.confirm()?;
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
