//! The embedded backend: files in a data folder, no server.
//!
//! ```text
//! <data folder>/lock                                    held while a process uses the folder
//!               journal/<account>/<first sequence>.seg  frames, then zeros
//!                                 next.spare            the next segment, zero-filled ahead of need
//!                                 reserve.spare         the segment for a full disk
//!                                 *.building            a spare in the making
//!               snapshots/<account>/<sequence>.snap
//!               records/<table>.tbl
//!               series/<instrument>/<stream>/<day>.ser
//! ```

use std::path::Path;

use crate::StorageError;
use crate::disk::Disk;
use crate::port::journal::Snapshot;

mod data_dir;
mod frame;
mod journal;
mod journals;
mod open;
mod options;
mod read;
mod records;
mod scan;
mod series;
mod snapshot;
mod spare;
mod tail;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod damage_tests;
#[cfg(test)]
mod foreign_tests;
#[cfg(test)]
mod records_tests;

pub use data_dir::DataDir;
pub use journal::EmbeddedJournal;
pub use journals::EmbeddedJournals;
pub use options::{Opened, Options, Preallocation};
pub use records::{EmbeddedRecords, read_record};
pub use series::EmbeddedSeries;

pub(crate) use data_dir::{accounts_on, check_journal_name, journal_folder, snapshot_folder};
pub(crate) use frame::{FrameBuilder, Header, MAX_FRAME_BYTES, VERSION, genesis, next_record};
pub(crate) use scan::{Finding, Scan, scan};

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
