//! The parts of backups: stored once each, by the hash of their content.

use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::writers::Writing;
use super::{BLOBS, blob_key, each_object};
use crate::error::StorageError;
use crate::port::objects::{ContentHash, Objects};

/// How far a backup or a restore is.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// What is copied now, for people.
    pub what: &'a str,
    /// Bytes that are done, of all.
    pub bytes: u64,
}

/// Is told after each part how far it is.
pub type Progress<'a> = &'a dyn Fn(&Step<'_>);

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
    /// Shared with who waits for long beside it.
    pub(super) writing: Rc<Writing<'a>>,
    what: String,
    progress: Progress<'a>,
}

impl<'a> Blobs<'a> {
    pub(super) fn open(
        objects: &'a dyn Objects,
        progress: Progress<'a>,
    ) -> Result<Blobs<'a>, StorageError> {
        // Before the list: what is in it is not removed from now on.
        let writing = Rc::new(Writing::backup(objects)?);
        Ok(Blobs {
            objects,
            known: list(objects, &writing)?,
            counts: Counts::default(),
            writing,
            what: "files".to_owned(),
            progress,
        })
    }

    /// Says what is copied next.
    pub(super) fn begin(&mut self, what: &str) {
        what.clone_into(&mut self.what);
    }

    /// Counts parts of an earlier backup that are used again, where all of them are there. Returns
    /// whether they are.
    pub(super) fn use_again(
        &mut self,
        parts: impl Iterator<Item = (ContentHash, u64)> + Clone,
    ) -> Result<bool, StorageError> {
        self.writing.go_on()?;
        for (hash, bytes) in parts.clone() {
            if self.known.get(blob_key(&hash)?.as_str()) != Some(&bytes) {
                return Ok(false);
            }
        }
        self.counts.known_bytes += parts.map(|(_, bytes)| bytes).sum::<u64>();
        self.tell();
        Ok(true)
    }

    fn tell(&self) {
        let Counts {
            copied_bytes,
            known_bytes,
            ..
        } = self.counts;
        (self.progress)(&Step {
            what: &self.what,
            bytes: copied_bytes + known_bytes,
        });
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
            self.tell();
            return Ok(hash);
        }
        self.objects.put(&key, &mut &*content)?;
        self.counts.copied_parts += 1;
        self.counts.copied_bytes += bytes;
        self.known.insert(key.to_string(), bytes);
        self.tell();
        Ok(hash)
    }
}

/// Returns the parts that are stored, and their lengths.
fn list(
    objects: &dyn Objects,
    writing: &Writing<'_>,
) -> Result<BTreeMap<String, u64>, StorageError> {
    let mut known = BTreeMap::new();
    each_object(objects, BLOBS, &mut |info| {
        known.insert(info.key.to_string(), info.bytes);
        writing.go_on()
    })?;
    Ok(known)
}
