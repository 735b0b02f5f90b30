//! Checks a journal without a lock and without changing anything.

use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, RealDisk};
use crate::embedded::{ClosedSegments, Finding, VERSION, check_journal_name, scan, scan_whole};
use crate::error::StorageError;
use crate::port::journal::{Head, RecordRef};
use crate::port::objects::Objects;

/// What a journal holds and whether it is sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Whole records, up to the first bad place.
    pub records: u64,
    /// Commit batches, up to the first bad place.
    pub frames: u64,
    /// Bytes of an unfinished last write: no damage, cut when the journal is opened.
    pub torn_tail_bytes: u64,
    /// The last whole record and its link of the chain.
    pub head: Head,
    /// Where the journal stops being what was written, and why.
    pub first_bad: Option<FirstBad>,
}

/// The first damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstBad {
    /// File name of the segment.
    pub segment: String,
    /// Byte offset in it.
    pub offset: u64,
    /// The sequence expected there.
    pub sequence: u64,
    /// For a person.
    pub reason: String,
}

impl VerifyReport {
    /// Returns whether the journal is undamaged.
    pub fn ok(&self) -> bool {
        self.first_bad.is_none()
    }
}

/// Returns the accounts that have a journal in a data folder, sorted.
///
/// # Errors
/// `Io` when the folder cannot be read; a folder without journals has none.
pub fn accounts(data_dir: &Path) -> Result<Vec<String>, StorageError> {
    crate::embedded::accounts_on(&RealDisk, data_dir)
}

/// Checks every byte of an account's journal and shows each record, in order, up to the first bad
/// place, what was moved to the folder's store of objects first. Takes no lock; of a journal in use the last batch may look unfinished.
///
/// # Errors
/// `NotFound` without such a journal, `BadName`, `Io` when it cannot be read. Damage is no error
/// but the report's `first_bad`.
pub fn verify(
    data_dir: &Path,
    account_id: &str,
    each: &mut dyn FnMut(RecordRef<'_>),
) -> Result<VerifyReport, StorageError> {
    let objects = crate::embedded::objects_if_any(data_dir);
    verify_on(&RealDisk, data_dir, account_id, objects.as_ref(), each)
}

/// [`verify`] on a disk of the caller's making. `objects` has what was moved out of the folder;
/// without it what is left is checked, and shown from its first record on.
///
/// # Errors
/// As [`verify`].
pub fn verify_on(
    disk: &dyn Disk,
    data_dir: &Path,
    account_id: &str,
    objects: Option<&Arc<dyn Objects>>,
    each: &mut dyn FnMut(RecordRef<'_>),
) -> Result<VerifyReport, StorageError> {
    check_journal_name(account_id)?;
    let folder = crate::embedded::journal_folder(data_dir, account_id);
    let known = disk.folders(&data_dir.join("journal"));
    let known = known.map_err(|e| StorageError::io("list", data_dir, e))?;
    if !known.contains(&folder) {
        return Err(StorageError::NotFound { path: folder });
    }
    let scan = match objects.map(|objects| ClosedSegments::new(objects, account_id)) {
        Some(closed) => scan_whole(disk, &folder, account_id, &closed, each)?,
        None => scan(disk, &folder, account_id, each)?,
    };
    let mut report = VerifyReport {
        records: scan.records,
        frames: scan.frames,
        torn_tail_bytes: 0,
        head: scan.head,
        first_bad: None,
    };
    match scan.finding {
        None => report.first_bad = behind_snapshot(disk, data_dir, account_id, &scan.head)?,
        Some(Finding::Torn(bytes)) => {
            report.torn_tail_bytes = bytes;
            report.first_bad = behind_snapshot(disk, data_dir, account_id, &scan.head)?;
        }
        Some(Finding::Bad(at, damage)) => {
            report.first_bad = Some(FirstBad {
                segment: at.segment,
                offset: at.offset,
                sequence: at.sequence,
                reason: damage.to_string(),
            });
        }
        Some(Finding::Version(segment, found)) => {
            report.first_bad = Some(FirstBad {
                segment,
                offset: scan.used_bytes,
                sequence: scan.head.sequence + 1,
                reason: format!("format version {found}, this build reads up to {VERSION}"),
            });
        }
    }
    Ok(report)
}

/// A snapshot is taken of durable records only: one past the end shows that the end is gone.
fn behind_snapshot(
    disk: &dyn Disk,
    data_dir: &Path,
    account_id: &str,
    head: &Head,
) -> Result<Option<FirstBad>, StorageError> {
    let newest = crate::embedded::latest_snapshot(disk, data_dir, account_id)?;
    Ok(newest
        .filter(|snapshot| snapshot.sequence > head.sequence)
        .map(|snapshot| FirstBad {
            segment: String::new(),
            offset: 0,
            sequence: head.sequence + 1,
            reason: crate::Damage::EndsBeforeSnapshot {
                snapshot: snapshot.sequence,
            }
            .to_string(),
        }))
}
