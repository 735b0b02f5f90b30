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

/// Age at which its own writer gives it up: before others do, whose clocks may differ.
const LOST: Duration = Duration::from_secs(14 * 60);

/// The mark of a writer, removed when it is dropped.
pub(super) struct Writing<'a> {
    objects: &'a dyn Objects,
    key: ObjectKey,
    renewed: Instant,
    /// The same by the clock, which goes on while the machine sleeps.
    renewed_at: SystemTime,
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
            renewed_at: SystemTime::now(),
        };
        writing.put()?;
        refuse(objects, other, Some(&writing.key))?;
        Ok(writing)
    }

    fn put(&self) -> Result<(), StorageError> {
        self.objects.put(&self.key, &mut &b""[..]).map(drop)
    }

    /// Says that the writer lives.
    ///
    /// Errors: `StalledWriter` when it did not for so long that it counted as dead; of the store.
    pub(super) fn go_on(&mut self) -> Result<(), StorageError> {
        self.refuse_stalled()?;
        if self.renewed.elapsed() >= RENEWED {
            self.put()?;
            self.renewed = Instant::now();
            self.renewed_at = SystemTime::now();
        }
        Ok(())
    }

    /// Checks that nobody could take this writer for dead so far.
    ///
    /// Errors: `StalledWriter`; of the store.
    pub(super) fn confirm(&self) -> Result<(), StorageError> {
        self.refuse_stalled()?;
        let found = self.objects.list(self.key.as_str(), None, 1)?;
        match found.first() {
            Some(info) if info.key == self.key => Ok(()),
            _ => Err(self.stalled()),
        }
    }

    fn refuse_stalled(&self) -> Result<(), StorageError> {
        let by_clock = self.renewed_at.elapsed().unwrap_or_default();
        match self.renewed.elapsed().max(by_clock) < LOST {
            true => Ok(()),
            false => Err(self.stalled()),
        }
    }

    fn stalled(&self) -> StorageError {
        StorageError::StalledWriter {
            mark: self.key.to_string(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;

    #[test]
    fn a_writer_that_stood_still_or_lost_its_mark_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(&folder.path().join("store")).unwrap();
        let mut writing = Writing::backup(&objects).unwrap();
        writing.go_on().unwrap();
        writing.confirm().unwrap();
        // As a machine that slept, or a statement that took so long.
        writing.renewed_at -= LOST;
        for refused in [writing.go_on(), writing.confirm()] {
            let refused = refused.unwrap_err();
            assert!(
                matches!(refused, StorageError::StalledWriter { .. }),
                "{refused}"
            );
        }
        writing.renewed_at = SystemTime::now();
        writing.go_on().unwrap();
        assert!(objects.delete(&writing.key).unwrap());
        let refused = writing.confirm().unwrap_err();
        assert!(
            matches!(refused, StorageError::StalledWriter { .. }),
            "{refused}"
        );
    }
}
