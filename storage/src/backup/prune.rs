//! Keeps the newest backups and removes the others, with the parts that none of the kept ones has.
//!
//! The lists go first and the parts then, so that what is cut off in between leaves parts that
//! nothing names, which the next removal takes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::list::{id_of, read};
use super::writers::Writing;
use super::{BLOBS, MANIFESTS, blob_key, damaged, each_object};
use crate::error::StorageError;
use crate::port::objects::{ObjectKey, Objects};

/// Parts younger than this stay: of a backup that was cut off they serve the next attempt.
pub const YOUNG: Duration = Duration::from_secs(6 * 3_600);

/// What was removed, and what is left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ids of the backups that are left, oldest first.
    pub kept: Vec<String>,
    /// Ids of those that were removed, oldest first.
    pub removed: Vec<String>,
    /// Parts that were removed, and their bytes.
    pub removed_parts: u64,
    pub removed_bytes: u64,
}

/// Which backups stay.
#[derive(Debug, Clone, Copy)]
pub struct Keep<'a> {
    /// So many of the newest, at least one.
    pub newest: usize,
    /// This one in any case: who has just taken it was told that it is there.
    pub also: Option<&'a str>,
}

/// Keeps some backups of a store and removes the others. `now_s` is the time now, in seconds
/// since 1970; parts younger than `young` stay.
///
/// # Errors
/// - `Locked`: a backup is being taken, or another removal is under way; nothing was removed.
/// - `DamagedBackup`, `NewerVersion`: the list of a backup that is kept cannot be read, so that nobody
///   knows which parts it needs; no backup and no part was removed.
/// - what the store cannot do. What is left to remove goes next time.
pub fn prune(
    objects: &dyn Objects,
    keep: Keep<'_>,
    now_s: i64,
    young: Duration,
) -> Result<Pruned, StorageError> {
    let writing = Writing::prune(objects)?;
    let mut manifests: Vec<ObjectKey> = Vec::new();
    each_object(objects, MANIFESTS, &mut |info| {
        manifests.push(info.key);
        Ok(())
    })?;
    let newest = manifests.split_off(manifests.len().saturating_sub(keep.newest.max(1)));
    let is_kept = |key: &ObjectKey| keep.also == Some(&id_of(key));
    let (mut kept, manifests): (Vec<_>, Vec<_>) = manifests.into_iter().partition(is_kept);
    kept.extend(newest);
    let mut named = BTreeSet::new();
    for key in &kept {
        let manifest = read(objects, key)?;
        let manifest = manifest.ok_or_else(|| damaged(&id_of(key), key.as_str(), "is gone"))?;
        for hash in manifest.hashes() {
            named.insert(blob_key(&hash)?);
        }
        writing.go_on()?;
    }
    let mut pruned = Pruned {
        kept: kept.iter().map(id_of).collect(),
        removed: manifests.iter().map(id_of).collect(),
        ..Pruned::default()
    };
    for key in &manifests {
        objects.delete(key)?;
        writing.go_on()?;
    }
    // What is younger than that stays.
    let oldest = now_s.saturating_sub(young.as_secs() as i64);
    each_object(objects, BLOBS, &mut |info| {
        if info.stored_at < oldest && !named.contains(&info.key) && objects.delete(&info.key)? {
            pruned.removed_parts += 1;
            pruned.removed_bytes += info.bytes;
        }
        writing.go_on()
    })?;
    Ok(pruned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;
    use crate::backup::writers::tests::age_marks;
    use crate::backup::{PAGE, Source, Taken, Targets, check_parts, copy, find, restore};
    use crate::port::objects::{ContentHash, ObjectInfo};
    use std::fs;
    use std::io::Read;
    use tempfile::TempDir;

    /// Behind everything that a test stores, whatever `young` is.
    const LATER: i64 = 1 << 40;

    struct World {
        folder: TempDir,
        objects: FolderObjects,
    }

    impl World {
        fn new() -> World {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("data")).unwrap();
            let objects = FolderObjects::open(&folder.path().join("store")).unwrap();
            World { folder, objects }
        }

        /// Takes a backup of a folder with these two files.
        fn take(&self, begun_ns: u64, files: [&str; 2]) -> Taken {
            let data = self.folder.path().join("data");
            for (name, content) in ["one", "two"].iter().zip(files) {
                fs::write(data.join(name), content).unwrap();
            }
            let copied = copy(
                &Source::folder(&data),
                &self.objects,
                begun_ns,
                &mut |_, _| {},
            );
            copied.unwrap().finish("").unwrap()
        }

        fn prune(&self, newest: usize) -> Result<Pruned, StorageError> {
            self.prune_but(newest, None)
        }

        fn prune_but(&self, newest: usize, also: Option<&str>) -> Result<Pruned, StorageError> {
            prune(&self.objects, Keep { newest, also }, LATER, YOUNG)
        }

        fn restored(&self, to: &str) -> [String; 2] {
            let to = self.folder.path().join(to);
            let found = find(&self.objects, None).unwrap().unwrap();
            let targets = Targets::default();
            let restoring = restore(&self.objects, &found, &to, &targets, &|_| {}).unwrap();
            restoring.finish().unwrap();
            ["one", "two"].map(|name| fs::read_to_string(to.join(name)).unwrap())
        }

        /// Makes marks older, as the store tells it, and returns how many these were.
        fn age_marks(&self, seconds: u64) -> usize {
            let store = self.folder.path().join("store");
            age_marks(&store, Duration::from_secs(seconds))
        }

        fn blobs(&self) -> usize {
            self.objects.list(BLOBS, None, PAGE).unwrap().len()
        }
    }

    #[test]
    fn the_newest_stay_with_all_that_they_need() {
        let world = World::new();
        let first = world.take(1, ["a", "shared"]);
        let second = world.take(2, ["b", "shared"]);
        let third = world.take(3, ["c", "shared"]);
        assert_eq!(world.blobs(), 4);
        let pruned = world.prune(2).unwrap();
        assert_eq!(pruned.removed, [first.id]);
        assert_eq!(pruned.kept, [second.id.clone(), third.id.clone()]);
        assert_eq!((pruned.removed_parts, pruned.removed_bytes), (1, 1));
        assert_eq!(world.restored("two-left"), ["c", "shared"]);
        // None is no number of backups to keep.
        let pruned = world.prune(0).unwrap();
        assert_eq!(
            (pruned.removed, pruned.kept),
            (vec![second.id], vec![third.id])
        );
        assert_eq!(world.restored("one-left"), ["c", "shared"]);
        assert_eq!(world.blobs(), 2);
    }

    #[test]
    fn young_parts_stay_and_what_a_crash_left_goes_later() {
        let world = World::new();
        world.take(1, ["a", "x"]);
        world.take(2, ["b", "x"]);
        let key = |id: u64| ObjectKey::new(&format!("{MANIFESTS}{id:020}")).unwrap();
        // As a removal that was killed behind the list leaves it.
        world.objects.delete(&key(1)).unwrap();
        let now = world.objects.list(BLOBS, None, 1).unwrap()[0].stored_at;
        let keep = Keep {
            newest: 1,
            also: None,
        };
        let pruned = prune(&world.objects, keep, now, YOUNG).unwrap();
        assert_eq!((pruned.removed_parts, world.blobs()), (0, 3));
        assert_eq!(world.prune(1).unwrap().removed_parts, 1);
        assert_eq!(world.restored("left"), ["b", "x"]);
    }

    #[test]
    fn nothing_is_removed_under_a_backup_and_no_backup_begins_under_a_removal() {
        let world = World::new();
        world.take(1, ["a", "x"]);
        world.take(2, ["b", "x"]);
        let data = world.folder.path().join("data");
        let under_way = copy(&Source::folder(&data), &world.objects, 3, &mut |_, _| {}).unwrap();
        let refused = world.prune(1).unwrap_err();
        assert!(
            refused.to_string().contains("a backup that is being taken"),
            "{refused}"
        );
        assert_eq!(world.blobs(), 3);
        under_way.finish("").unwrap();

        let removing = Writing::prune(&world.objects).unwrap();
        let refused = copy(&Source::folder(&data), &world.objects, 4, &mut |_, _| {}).unwrap_err();
        assert!(matches!(refused, StorageError::Locked { .. }), "{refused}");
        drop(removing);
        assert_eq!(world.prune(1).unwrap().removed.len(), 2);
    }

    #[test]
    fn a_backup_that_a_removal_took_for_dead_is_none() {
        let world = World::new();
        let first = world.take(1, ["a", "x"]);
        let data = world.folder.path().join("data");
        let under_way = copy(&Source::folder(&data), &world.objects, 3, &mut |_, _| {}).unwrap();
        // It stood still, and the clocks of its machine did not tell.
        assert_eq!(world.age_marks(16 * 60), 1);
        world.prune(1).unwrap();
        let refused = under_way.finish("").unwrap_err();
        assert!(
            matches!(refused, StorageError::StalledWriter { .. }),
            "{refused}"
        );
        let newest = find(&world.objects, None).unwrap().unwrap();
        assert_eq!(newest.id, first.id);
        // The next one is whole.
        world.take(4, ["a", "x"]);
        assert_eq!(world.restored("next"), ["a", "x"]);
    }

    /// A store in which something happens just before a list of a backup is stored, and whose clock is
    /// behind.
    struct Elsewhere<'w> {
        objects: &'w FolderObjects,
        before: &'w (dyn Fn() + Send + Sync),
        behind_s: i64,
    }

    impl Objects for Elsewhere<'_> {
        fn put(
            &self,
            key: &ObjectKey,
            content: &mut dyn Read,
        ) -> Result<ContentHash, StorageError> {
            if key.as_str().starts_with(MANIFESTS) {
                (self.before)();
            }
            self.objects.put(key, content)
        }

        fn get(&self, key: &ObjectKey) -> Result<Option<Vec<u8>>, StorageError> {
            self.objects.get(key)
        }

        fn get_range(
            &self,
            key: &ObjectKey,
            offset: u64,
            length: u64,
        ) -> Result<Option<Vec<u8>>, StorageError> {
            self.objects.get_range(key, offset, length)
        }

        fn hash(&self, key: &ObjectKey) -> Result<Option<ContentHash>, StorageError> {
            self.objects.hash(key)
        }

        fn list(
            &self,
            prefix: &str,
            after: Option<&ObjectKey>,
            limit: usize,
        ) -> Result<Vec<ObjectInfo>, StorageError> {
            let mut listed = self.objects.list(prefix, after, limit)?;
            listed
                .iter_mut()
                .for_each(|it| it.stored_at -= self.behind_s);
            Ok(listed)
        }

        fn delete(&self, key: &ObjectKey) -> Result<bool, StorageError> {
            self.objects.delete(key)
        }

        fn presign(&self, key: &ObjectKey, time: Duration) -> Result<Option<String>, StorageError> {
            self.objects.presign(key, time)
        }

        fn expire(&self, prefix: &str, days: u32) -> Result<(), StorageError> {
            self.objects.expire(prefix, days)
        }
    }

    #[test]
    fn a_list_that_was_stored_behind_a_removal_is_taken_back() {
        let world = World::new();
        let first = world.take(1, ["a", "x"]);
        let data = world.folder.path().join("data");
        // The request for it takes as long as the mark lives, and a removal goes by.
        let before = || {
            assert_eq!(world.age_marks(16 * 60), 1);
            world.prune(1).unwrap();
        };
        let interrupted = Elsewhere {
            objects: &world.objects,
            before: &before,
            behind_s: 0,
        };
        fs::write(data.join("one"), "c").unwrap();
        let under_way = copy(&Source::folder(&data), &interrupted, 3, &mut |_, _| {}).unwrap();
        let refused = under_way.finish("").unwrap_err();
        assert!(
            matches!(refused, StorageError::StalledWriter { .. }),
            "{refused}"
        );
        let newest = find(&world.objects, None).unwrap().unwrap();
        assert_eq!(newest.id, first.id);
    }

    #[test]
    fn ages_are_told_by_the_times_of_the_store() {
        let world = World::new();
        let first = world.take(1, ["a", "x"]);
        world.take(2, ["b", "x"]);
        let data = world.folder.path().join("data");
        let behind = Elsewhere {
            objects: &world.objects,
            before: &|| {},
            behind_s: 3_600,
        };
        let under_way = copy(&Source::folder(&data), &behind, 3, &mut |_, _| {}).unwrap();
        let keep = Keep {
            newest: 1,
            also: None,
        };
        let refused = prune(&behind, keep, LATER, YOUNG).unwrap_err();
        assert!(matches!(refused, StorageError::Locked { .. }), "{refused}");
        under_way.finish("").unwrap();
        assert!(find(&world.objects, Some(&first.id)).unwrap().is_some());
    }

    #[test]
    fn the_mark_of_a_killed_writer_grows_old() {
        let world = World::new();
        world.take(1, ["a", "x"]);
        let mark = ObjectKey::new("backup/writers/backup-1-1").unwrap();
        world.objects.put(&mark, &mut &b""[..]).unwrap();
        assert!(world.prune(1).is_err());
        world.age_marks(16 * 60);
        world.prune(1).unwrap();
        assert_eq!(world.objects.list("backup/writers/", None, 9).unwrap(), []);
    }

    #[test]
    fn one_that_was_taken_is_behind_those_of_a_clock_that_was_ahead() {
        let world = World::new();
        let tomorrow = [1_000_000, 1_000_001].map(|ns| world.take(ns, ["old", "x"]).id);
        let taken = world.take(3, ["new", "x"]);
        assert!(taken.id > tomorrow[1], "{taken:?}");
        // When it began is told as it was.
        assert_eq!(taken.manifest.begun_ns, 3);
        assert_eq!(world.restored("newest"), ["new", "x"]);
        assert_eq!(
            world.prune(1).unwrap().kept,
            std::slice::from_ref(&taken.id)
        );
        let next = world.take(4, ["newer", "x"]);
        assert!(next.id > taken.id);
        assert_eq!(world.restored("again"), ["newer", "x"]);
    }

    #[test]
    fn of_two_at_once_the_one_that_began_later_is_newer_whichever_ends_first() {
        let world = World::new();
        world.take(1, ["a", "x"]);
        let data = world.folder.path().join("data");
        let begin = |ns, one: &str| {
            fs::write(data.join("one"), one).unwrap();
            copy(&Source::folder(&data), &world.objects, ns, &mut |_, _| {}).unwrap()
        };
        let (slow, quick) = (begin(2, "b"), begin(3, "c"));
        let quick = quick.finish("").unwrap();
        let slow = slow.finish("").unwrap();
        assert!(quick.id > slow.id, "{quick:?} {slow:?}");
        assert_eq!(world.restored("newest"), ["c", "x"]);
        assert_eq!(world.prune(1).unwrap().kept, [quick.id]);
        // Nobody's list is written over, also where two began in the same nanosecond.
        let (one, other) = (begin(9, "d"), begin(9, "e"));
        let ids = [one.finish("").unwrap().id, other.finish("").unwrap().id];
        assert!(ids[0] < ids[1], "{ids:?}");
    }

    #[test]
    fn one_that_was_just_taken_stays_whatever_has_come_behind() {
        let world = World::new();
        world.take(1, ["a", "x"]);
        let taken = world.take(2, ["b", "x"]);
        let other = world.take(3, ["c", "x"]);
        let pruned = world.prune_but(1, Some(&taken.id)).unwrap();
        assert_eq!(pruned.kept, [taken.id.clone(), other.id]);
        assert_eq!(pruned.removed.len(), 1);
        let there = find(&world.objects, Some(&taken.id)).unwrap().unwrap();
        let checked = check_parts(&world.objects, &there, &|_| {}).unwrap();
        assert_eq!(checked.damaged, [""; 0]);
    }

    #[test]
    fn a_kept_list_that_cannot_be_read_stops_the_removal() {
        let world = World::new();
        let first = world.take(1, ["a", "x"]);
        world.take(2, ["b", "x"]);
        let key = ObjectKey::new(&format!("{MANIFESTS}{:020}", 2)).unwrap();
        world.objects.put(&key, &mut &b"no list"[..]).unwrap();
        let refused = world.prune(1).unwrap_err();
        assert!(
            matches!(refused, StorageError::DamagedBackup { .. }),
            "{refused}"
        );
        let there = find(&world.objects, Some(&first.id)).unwrap();
        assert!(there.is_some());
        assert_eq!(world.blobs(), 3);
    }
}
