//! The embedded backend: files in a data folder, no server.
//!
//! ```text
//! <data folder>/lock                                    held while a process uses the folder
//!               journal/<account>/<first sequence>.seg  frames, then zeros
//!                                 base                  the last record before the first segment, if any
//!                                 next.spare            the next segment, zero-filled ahead of need
//!                                 reserve.spare         the segment for a full disk
//!                                 *.building            a spare in the making
//!               reserve/<account>/next.spare              for a journal whose server is away (`reserve.rs`)
//!               folder.id                             made at random, once (`folder_id.rs`)
//!               snapshots/<account>/<sequence>.snap
//!               records/<table>.tbl                   and zz_changes.log, of changes over several tables
//!               objects/                              closed segments: `closed.rs`
//!               series/<instrument>/<stream>/<day>.ser
//! ```

use std::path::Path;
use std::sync::Arc;

use crate::FolderObjects;
use crate::StorageError;
use crate::disk::Disk;
use crate::port::journal::Snapshot;
use crate::port::objects::Objects;

mod base;
mod closed;
mod closing;
mod data_dir;
mod folder_id;
mod frame;
mod journal;
mod journals;
mod open;
mod options;
mod read;
mod records;
mod reserve;
mod scan;
mod series;
mod snapshot;
mod spare;
mod tail;

#[cfg(test)]
mod closing_tests;
#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod foreign_tests;

pub use data_dir::DataDir;
pub use journal::EmbeddedJournal;
pub use journals::EmbeddedJournals;
pub use options::{Opened, Options, Preallocation};
pub use records::{EmbeddedRecords, read_record};
pub use series::EmbeddedSeries;

pub(crate) use base::{check_sum as base_check_sum, of as base_of, path as base_path};
pub(crate) use closed::ClosedSegments;
pub(crate) use data_dir::{accounts_on, check_journal_name, journal_folder, snapshot_folder};
pub(crate) use folder_id::folder_id_of;
pub(crate) use frame::{FrameBuilder, Header, MAX_FRAME_BYTES, VERSION, genesis, next_record};
pub(crate) use read::{SegmentName, SegmentReader};
pub(crate) use reserve::{
    Kept, Left, ReserveFile, Waiting, look as look_into_reserve, waiting as waiting_in_reserve,
};
pub(crate) use scan::{Finding, Scan, beginning, check_frame, scan, scan_whole, walk_closed};

/// In a data folder: objects of the folder itself, such as segments that no start needs.
pub(crate) const OBJECTS: &str = "objects";

/// Opens the store of objects of a data folder.
///
/// # Errors
/// `Io`, `Full`.
pub fn own_objects(root: &Path) -> Result<Arc<dyn Objects>, StorageError> {
    Ok(Arc::new(FolderObjects::open(&root.join(OBJECTS))?))
}

/// Looks at it where it is, as whoever does not own the folder has to.
pub fn objects_if_any(root: &Path) -> Option<Arc<dyn Objects>> {
    let folder = root.join(OBJECTS);
    folder
        .is_dir()
        .then(|| Arc::new(FolderObjects::look(&folder)) as Arc<dyn Objects>)
}

/// Returns the newest whole snapshot of an account in a data folder.
pub(crate) fn latest_snapshot(
    disk: &dyn Disk,
    root: &Path,
    account_id: &str,
) -> Result<Option<Snapshot>, StorageError> {
    snapshot::latest(
        disk,
        &data_dir::snapshot_folder(root, account_id),
        account_id,
    )
}
