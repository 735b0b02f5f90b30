//! What backups there are.

use super::manifest::Manifest;
use super::{MANIFESTS, damaged, each_object};
use crate::error::StorageError;
use crate::port::objects::{ObjectKey, Objects};

/// A backup of a store, and what its list says; the error of a list that cannot be read.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Names it for `restore`.
    pub id: String,
    pub manifest: Result<Manifest, StorageError>,
}

/// Shows the backups of a store, oldest first, one after the other: the list of a large one has many
/// megabytes.
///
/// # Errors
/// What the store cannot do; that one of them is damaged is none.
pub fn list(objects: &dyn Objects, each: &mut dyn FnMut(Listed)) -> Result<(), StorageError> {
    each_object(objects, MANIFESTS, &mut |info| {
        // One that was removed meanwhile is none.
        if let Some(manifest) = read(objects, &info.key).transpose() {
            let id = id_of(&info.key);
            each(Listed { id, manifest });
        }
        Ok(())
    })
}

/// Returns the id of a backup by the key of its list.
pub(super) fn id_of(key: &ObjectKey) -> String {
    key.as_str().trim_start_matches(MANIFESTS).to_owned()
}

/// Reads the list of a backup; `None` when there is none.
///
/// Errors: `DamagedBackup`, `NewerVersion`; of the store.
pub(super) fn read(
    objects: &dyn Objects,
    key: &ObjectKey,
) -> Result<Option<Manifest>, StorageError> {
    let id = id_of(key);
    let text = match objects.get(key) {
        Err(StorageError::Damaged { .. }) => {
            return Err(damaged(&id, key.as_str(), "is not what was stored"));
        }
        other => other?,
    };
    text.map(|text| Manifest::read(&id, &text)).transpose()
}
