//! The parts of backups: stored once each, by the hash of their content.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::writers::Writing;
use super::{BLOBS, PAGE, blob_key};
use crate::error::StorageError;
use crate::port::objects::{ContentHash, ObjectKey, Objects};

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) copied_parts: u64,
    pub(super) copied_bytes: u64,
    pub(super) known_bytes: u64,
}

/// The parts of a store while a backup is written to it.
pub(super) struct Blobs<'a> {
    pub(super) objects: &'a dyn Objects,
    /// Stored parts and their lengths: one of another length was damaged there.
    known: BTreeMap<String, u64>,
    pub(super) counts: Counts,
    writing: Writing<'a>,
}

impl<'a> Blobs<'a> {
    pub(super) fn open(objects: &'a dyn Objects) -> Result<Blobs<'a>, StorageError> {
        // Before the list: what is in it is not removed from now on.
        let writing = Writing::backup(objects)?;
        Ok(Blobs {
            objects,
            known: list(objects)?,
            counts: Counts::default(),
            writing,
        })
    }

    /// Stores a part unless it is there.
    pub(super) fn store(&mut self, content: &[u8]) -> Result<ContentHash, StorageError> {
        self.writing.go_on()?;
        let (hash, bytes) = (
            ContentHash(Sha256::digest(content).into()),
            content.len() as u64,
        );
        let key = blob_key(&hash)?;
        if self.known.get(key.as_str()) == Some(&bytes) {
            self.counts.known_bytes += bytes;
            return Ok(hash);
        }
        self.objects.put(&key, &mut &*content)?;
        self.counts.copied_parts += 1;
        self.counts.copied_bytes += bytes;
        self.known.insert(key.to_string(), bytes);
        Ok(hash)
    }
}

/// Returns the parts that are stored, and their lengths.
fn list(objects: &dyn Objects) -> Result<BTreeMap<String, u64>, StorageError> {
    let mut known = BTreeMap::new();
    let mut last: Option<ObjectKey> = None;
    loop {
        let page = objects.list(BLOBS, last.as_ref(), PAGE)?;
        let is_last = page.len() < PAGE;
        last = page.last().map(|info| info.key.clone());
        known.extend(page.into_iter().map(|it| (it.key.to_string(), it.bytes)));
        if is_last {
            return Ok(known);
        }
    }
}
