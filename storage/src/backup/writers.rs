//! Who writes to a store of backups: `backup/writers/<kind>-<time>`.
//!
//! A removal must not take a part away that a backup under way counts on. Each puts its mark first
//! and looks for the other's then, so of two that begin at once at least one sees the other. A mark
//! is renewed while its writer lives; of one that was killed it is old soon.
//!
//! Whoever takes a writer for dead removes its mark before it goes on, and a writer whose mark is gone
//! gives up. So one that only stood still learns of it, however clocks go: ages are told by the store's
//! own times alone, as the difference to a mark that was put just now.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::each_object;
use crate::error::StorageError;
use crate::port::objects::{ObjectInfo, ObjectKey, Objects};

const WRITERS: &str = "backup/writers/";
const BACKUP: &str = "backup";
const PRUNE: &str = "prune";

/// How often a mark is renewed.
const RENEWED: Duration = Duration::from_secs(60);

/// Age at which a mark is of nobody: many times that, since a store may be slow.
const OLD_SECONDS: i64 = 15 * 60;

/// Age at which its own writer gives it up, before others do.
const LOST: Duration = Duration::from_secs(14 * 60);

/// The mark of a writer, removed when it is dropped.
pub(super) struct Writing<'a> {
    objects: &'a dyn Objects,
    key: ObjectKey,
    renewed: Cell<Renewed>,
}

/// When the store was asked last to take the mark: it took it then or later.
#[derive(Clone, Copy)]
struct Renewed {
    at: Instant,
    /// The same by the clock, which goes on while the machine sleeps.
    by_clock: SystemTime,
}

impl Renewed {
    fn now() -> Renewed {
        Renewed {
            at: Instant::now(),
            by_clock: SystemTime::now(),
        }
    }

    fn age(self) -> Duration {
        let by_clock = self.by_clock.elapsed().unwrap_or_default();
        self.at.elapsed().max(by_clock)
    }
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
        let (writing, now) = Writing::begin(objects, BACKUP)?;
        // Keys that may not delete are enough for a backup: what it cannot remove is not its error.
        writing.refuse(PRUNE, now, &mut |mark| {
            let _ = objects.delete(mark);
            Ok(())
        })?;
        Ok(writing)
    }

    /// Errors: `Locked` while a backup is taken, or another one removes; of the store.
    pub(super) fn prune(objects: &'a dyn Objects) -> Result<Writing<'a>, StorageError> {
        let (writing, now) = Writing::begin(objects, PRUNE)?;
        for kind in [PRUNE, BACKUP] {
            writing.refuse(kind, now, &mut |mark| objects.delete(mark).map(drop))?;
        }
        Ok(writing)
    }

    /// Puts the mark, and returns the store's time with it.
    fn begin(objects: &'a dyn Objects, kind: &str) -> Result<(Writing<'a>, i64), StorageError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ns = since.unwrap_or_default().as_nanos();
        let process = std::process::id();
        let key = ObjectKey::new(&format!("{WRITERS}{kind}-{now_ns}-{process}"))?;
        let writing = Writing {
            objects,
            key,
            renewed: Cell::new(Renewed::now()),
        };
        writing.put()?;
        let mark = writing.mark()?.ok_or_else(|| writing.stalled())?;
        Ok((writing, mark.stored_at))
    }

    fn put(&self) -> Result<(), StorageError> {
        self.objects.put(&self.key, &mut &b""[..]).map(drop)
    }

    /// Returns the mark as it is stored; `None` when somebody has removed it.
    fn mark(&self) -> Result<Option<ObjectInfo>, StorageError> {
        let found = self.objects.list(self.key.as_str(), None, 1)?.pop();
        Ok(found.filter(|info| info.key == self.key))
    }

    /// Removes the marks of who is gone, and refuses one of who is not.
    fn refuse(
        &self,
        kind: &'static str,
        now: i64,
        remove: &mut dyn FnMut(&ObjectKey) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let what = match kind {
            BACKUP => "a backup that is being taken",
            _ => "a removal of old backups",
        };
        each_object(self.objects, &format!("{WRITERS}{kind}-"), &mut |info| {
            if info.key == self.key {
                return Ok(());
            }
            let age = now - info.stored_at;
            if age >= OLD_SECONDS {
                return remove(&info.key);
            }
            Err(StorageError::Locked {
                path: info.key.as_str().into(),
                holder: format!(
                    "{what}: wait for its end, or {} s if it was killed",
                    OLD_SECONDS - age
                ),
            })
        })
    }

    /// Says that the writer lives; to be called often.
    ///
    /// Errors: `StalledWriter` when it did not for so long that it counted as dead; of the store.
    pub(super) fn go_on(&self) -> Result<(), StorageError> {
        let age = self.renewed.get().age();
        if age < RENEWED {
            return Ok(());
        }
        self.renew()
    }

    /// Puts the mark anew, where nobody has taken this writer for dead so far.
    ///
    /// Errors: `StalledWriter`; of the store.
    pub(super) fn renew(&self) -> Result<(), StorageError> {
        self.confirm()?;
        let renewed = Renewed::now();
        self.put()?;
        self.renewed.set(renewed);
        Ok(())
    }

    /// Checks that nobody has taken this writer for dead so far.
    ///
    /// Errors: `StalledWriter`; of the store.
    pub(super) fn confirm(&self) -> Result<(), StorageError> {
        if self.renewed.get().age() < LOST && self.mark()?.is_some() {
            return Ok(());
        }
        Err(self.stalled())
    }

    fn stalled(&self) -> StorageError {
        StorageError::StalledWriter {
            mark: self.key.to_string(),
        }
    }

    /// As a machine that slept for so long, or a statement that took it.
    #[cfg(test)]
    pub(super) fn stand_still(&self, time: Duration) {
        let mut renewed = self.renewed.get();
        renewed.by_clock -= time;
        self.renewed.set(renewed);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::FolderObjects;
    use crate::backup::PAGE;
    use std::fs::File;
    use std::path::Path;

    /// Makes all marks older by so much, as the store tells it. Returns how many these are.
    pub(in crate::backup) fn age_marks(store: &Path, time: Duration) -> usize {
        let marks = store.join("data").join(WRITERS);
        let mut count = 0;
        for mark in std::fs::read_dir(marks).unwrap() {
            let file = File::options().write(true).open(mark.unwrap().path());
            let file = file.unwrap();
            let stored = file.metadata().unwrap().modified().unwrap();
            file.set_modified(stored - time).unwrap();
            count += 1;
        }
        count
    }

    fn is_stalled(outcome: Result<(), StorageError>) -> bool {
        matches!(outcome, Err(StorageError::StalledWriter { .. }))
    }

    #[test]
    fn a_writer_that_stood_still_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let objects = FolderObjects::open(&folder.path().join("store")).unwrap();
        let writing = Writing::backup(&objects).unwrap();
        writing.go_on().unwrap();
        writing.confirm().unwrap();
        writing.stand_still(LOST);
        for refused in [writing.go_on(), writing.renew(), writing.confirm()] {
            assert!(is_stalled(refused));
        }
    }

    #[test]
    fn a_mark_is_renewed_and_one_that_was_taken_for_dead_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let objects = FolderObjects::open(&store).unwrap();
        let writing = Writing::backup(&objects).unwrap();
        let stored_at = || writing.mark().unwrap().map(|mark| mark.stored_at);
        age_marks(&store, Duration::from_secs(600));
        let old = stored_at();
        writing.stand_still(Duration::from_secs(600));
        writing.go_on().unwrap();
        assert!(stored_at() > old);
        // It stands still, and does not know it: its clocks do not tell.
        age_marks(&store, Duration::from_secs(15 * 60 + 5));
        drop(Writing::prune(&objects).unwrap());
        assert_eq!(stored_at(), None);
        writing.stand_still(RENEWED);
        for refused in [writing.go_on(), writing.renew(), writing.confirm()] {
            assert!(is_stalled(refused));
        }
        assert_eq!(stored_at(), None);
    }

    #[test]
    fn marks_of_who_is_gone_do_not_hide_who_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let objects = FolderObjects::open(&store).unwrap();
        // More than a page of them, and all before the one that lives.
        let marks = store.join("data").join(WRITERS);
        std::fs::create_dir_all(&marks).unwrap();
        for number in 0..=PAGE {
            std::fs::write(marks.join(format!("{BACKUP}-0{number}-1")), b"").unwrap();
        }
        age_marks(&store, Duration::from_secs(16 * 60));
        let alive = Writing::backup(&objects).unwrap();
        let refused = Writing::prune(&objects).map(drop).unwrap_err();
        assert!(matches!(refused, StorageError::Locked { .. }), "{refused}");
        drop(alive);
        drop(Writing::prune(&objects).unwrap());
        assert_eq!(objects.list(WRITERS, None, 10).unwrap(), []);
    }
}
