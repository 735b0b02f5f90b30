//! Who writes to a store of backups: `backup/writers/<kind>-<time>`.
//!
//! A removal must not take a part away that a backup under way counts on. Each puts its mark first
//! and looks for the other's then, so of two that begin at once at least one sees the other. A mark
//! is renewed while its writer lives; of one that was killed it is old soon.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::PAGE;
use crate::error::StorageError;
use crate::port::objects::{ObjectKey, Objects};

const WRITERS: &str = "backup/writers/";
const BACKUP: &str = "backup";
const PRUNE: &str = "prune";

/// How often a mark is renewed.
const RENEWED: Duration = Duration::from_secs(60);

/// Age at which a mark is of nobody: many times that, since a store may be slow.
const OLD_SECONDS: i64 = 15 * 60;

/// The mark of a writer, removed when it is dropped.
pub(super) struct Writing<'a> {
    objects: &'a dyn Objects,
    key: ObjectKey,
    renewed: Instant,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // One that stays is old soon.
        let _ = self.objects.delete(&self.key);
    }
}

impl<'a> Writing<'a> {
    /// Errors: `Locked` while old backups are removed; of the store.
    pub(super) fn backup(objects: &'a dyn Objects) -> Result<Writing<'a>, StorageError> {
        Writing::begin(objects, BACKUP, PRUNE)
    }

    /// Errors: `Locked` while a backup is taken, or another one removes; of the store.
    pub(super) fn prune(objects: &'a dyn Objects) -> Result<Writing<'a>, StorageError> {
        refuse(objects, PRUNE, None)?;
        Writing::begin(objects, PRUNE, BACKUP)
    }

    fn begin(
        objects: &'a dyn Objects,
        kind: &str,
        other: &'static str,
    ) -> Result<Writing<'a>, StorageError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ns = since.unwrap_or_default().as_nanos();
        let process = std::process::id();
        let key = ObjectKey::new(&format!("{WRITERS}{kind}-{now_ns}-{process}"))?;
        let writing = Writing {
            objects,
            key,
            renewed: Instant::now(),
        };
        writing.put()?;
        refuse(objects, other, Some(&writing.key))?;
        Ok(writing)
    }

    fn put(&self) -> Result<(), StorageError> {
        self.objects.put(&self.key, &mut &b""[..]).map(drop)
    }

    /// Says that the writer lives.
    pub(super) fn go_on(&mut self) -> Result<(), StorageError> {
        if self.renewed.elapsed() >= RENEWED {
            self.put()?;
            self.renewed = Instant::now();
        }
        Ok(())
    }
}

/// Refuses a store that a backup is being written to, without changing anything of it.
///
/// # Errors
/// `Locked`; of the store.
pub fn refuse_writers(objects: &dyn Objects) -> Result<(), StorageError> {
    refuse(objects, BACKUP, None)
}

/// Removes the mark of who is gone, and refuses one of who is not.
fn refuse(
    objects: &dyn Objects,
    kind: &'static str,
    own: Option<&ObjectKey>,
) -> Result<(), StorageError> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.unwrap_or_default().as_secs() as i64;
    let what = match kind {
        BACKUP => "a backup that is being taken",
        _ => "a removal of old backups",
    };
    for info in objects.list(&format!("{WRITERS}{kind}-"), None, PAGE)? {
        let age = now - info.stored_at;
        if age < OLD_SECONDS && Some(&info.key) != own {
            return Err(StorageError::Locked {
                path: info.key.as_str().into(),
                holder: format!(
                    "{what}: wait for its end, or {} s if it was killed",
                    OLD_SECONDS - age
                ),
            });
        }
    }
    Ok(())
}
