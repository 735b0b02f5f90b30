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

mod blobs;
mod manifest;
mod prune;
mod restore;
mod take;
#[cfg(test)]
mod tests;
mod writers;

pub use manifest::{JournalEnd, Manifest};
pub use prune::{Pruned, YOUNG, prune};
pub use restore::{Restored, UNFINISHED, find, restore};
pub use take::{Copied, Taken, copy};
pub use writers::refuse_writers;

use crate::StorageError;
use crate::error::{Damage, Position};
use crate::port::objects::{ContentHash, ObjectKey};

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

/// The error of a backup that is not what was stored.
fn malformed(what: &str, reason: &'static str) -> StorageError {
    StorageError::Damaged {
        position: Position {
            segment: what.to_owned(),
            offset: 0,
            sequence: 0,
        },
        reason: Damage::Malformed(reason),
    }
}
