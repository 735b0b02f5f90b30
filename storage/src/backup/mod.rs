//! Copies of a data folder in an object store, and the way back.
//!
//! ```text
//! backup/blobs/<sha256>       a part of a file, up to 1 MiB; parts of zeros are left out
//! backup/manifests/<time>     one backup: its files, of which parts, and where each journal ended
//! backup/writers/<name>       somebody who writes here now
//! ```
//!
//! A part is stored once, however many backups have it: a journal only grows, so the next backup
//! copies what came since. The manifest is stored last, so a backup that was cut off is none.
//!
//! A copy is taken while the folder is in use, without its lock. What says how far a journal was
//! durable (`records/`, snapshots) is read before the journals, so the copy is what a kill at some
//! moment behind its begin could have left, and starts as such a folder does.
//!
//! Of databases (`tables.rs`, `frames.rs`) it has all rows as of one moment each. Journals go by
//! groups of frames and series by days, so that what is old is not copied again; what was moved to a
//! bucket is in it as rows, so that a restore (`load.rs`) needs no bucket.

mod blobs;
mod databases;
mod files;
mod frames;
mod list;
mod load;
mod manifest;
mod prune;
mod reserves;
mod restore;
mod rows;
mod tables;
mod take;
#[cfg(test)]
mod tests;
mod writers;

pub use blobs::{Progress, Step};
pub use databases::Holds;
pub use list::{Listed, list};
pub use load::Targets;
pub use manifest::{Contents, JournalEnd, Manifest};
pub use prune::{Keep, Pruned, YOUNG, prune};
pub use restore::{Checked, Restored, Restoring, UNFINISHED, check_parts, find, restore};
pub use take::{Copied, Source, Taken, copy};

use crate::StorageError;
use crate::port::objects::{ContentHash, ObjectInfo, ObjectKey, Objects};

const BLOBS: &str = "backup/blobs/";
const MANIFESTS: &str = "backup/manifests/";

/// Bytes of a part: small enough that a growing segment is copied little more than once, large
/// enough that the puts of a large journal are thousands and not millions.
const PART_BYTES: usize = 1 << 20;

/// Objects that are listed at a time.
const PAGE: usize = 1_000;

fn blob_key(hash: &ContentHash) -> Result<ObjectKey, StorageError> {
    ObjectKey::new(&format!("{BLOBS}{hash}"))
}

/// Shows what is stored below a name, in order.
fn each_object(
    objects: &dyn Objects,
    prefix: &str,
    each: &mut dyn FnMut(ObjectInfo) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    let mut last: Option<ObjectKey> = None;
    loop {
        let page = objects.list(prefix, last.as_ref(), PAGE)?;
        let is_last = page.len() < PAGE;
        last = page.last().map(|info| info.key.clone());
        page.into_iter().try_for_each(&mut *each)?;
        if is_last {
            return Ok(());
        }
    }
}

/// The error of a backup that is not what was stored. `part` is the key of an object.
fn damaged(backup: &str, part: &str, reason: &'static str) -> StorageError {
    StorageError::DamagedBackup {
        backup: backup.to_owned(),
        part: part.to_owned(),
        reason,
    }
}
