//! Keeps the newest backups and removes the others, with the parts that none of the kept ones has.
//!
//! The lists go first and the parts then, so that what is cut off in between leaves parts that
//! nothing names, which the next removal takes.

use std::collections::BTreeSet;
use std::time::Duration;

use super::list::{id_of, read};
use super::writers::Writing;
use super::{BLOBS, MANIFESTS, PAGE, blob_key, damaged};
use crate::error::StorageError;
use crate::port::objects::{ObjectInfo, ObjectKey, Objects};

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

/// Keeps the newest `keep` backups of a store, at least one. `now_s` is the time now, in seconds
/// since 1970; parts younger than `young` stay.
///
/// # Errors
/// - `Locked`: a backup is being taken, or another removal is under way; nothing was removed.
/// - `DamagedBackup`, `NewerVersion`: the list of a backup that is kept cannot be read, so that nobody
///   knows which parts it needs; no backup and no part was removed.
/// - what the store cannot do. What is left to remove goes next time.
pub fn prune(
    objects: &dyn Objects,
    keep: usize,
    now_s: i64,
    young: Duration,
) -> Result<Pruned, StorageError> {
    let mut writing = Writing::prune(objects)?;
    let mut manifests: Vec<ObjectKey> = Vec::new();
    each(objects, MANIFESTS, &mut |info| {
        manifests.push(info.key);
        Ok(())
    })?;
    let kept = manifests.split_off(manifests.len().saturating_sub(keep.max(1)));
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
    each(objects, BLOBS, &mut |info| {
        if info.stored_at < oldest && !named.contains(&info.key) && objects.delete(&info.key)? {
            pruned.removed_parts += 1;
            pruned.removed_bytes += info.bytes;
        }
        writing.go_on()
    })?;
    Ok(pruned)
}

/// Shows what is stored below a name, in order.
fn each(
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FolderObjects;
    use crate::backup::{Source, Taken, Targets, copy, find, restore};
    use std::fs;
    use std::path::Path;
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

        fn prune(&self, keep: usize) -> Result<Pruned, StorageError> {
            prune(&self.objects, keep, LATER, YOUNG)
        }

        fn restored(&self, to: &str) -> [String; 2] {
            let to = self.folder.path().join(to);
            let found = find(&self.objects, None).unwrap().unwrap();
            let targets = Targets::default();
            let restoring = restore(&self.objects, &found, &to, &targets, &|_| {}).unwrap();
            restoring.finish().unwrap();
            ["one", "two"].map(|name| fs::read_to_string(to.join(name)).unwrap())
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
        let pruned = prune(&world.objects, 1, now, YOUNG).unwrap();
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
    fn a_backup_whose_mark_counted_as_that_of_nobody_is_none() {
        let world = World::new();
        let first = world.take(1, ["a", "x"]);
        let data = world.folder.path().join("data");
        let under_way = copy(&Source::folder(&data), &world.objects, 3, &mut |_, _| {}).unwrap();
        let mark = world.objects.list("backup/writers/", None, 1).unwrap();
        world.objects.delete(&mark[0].key).unwrap();
        world.prune(1).unwrap();
        let refused = under_way.finish("").unwrap_err();
        assert!(
            matches!(refused, StorageError::StalledWriter { .. }),
            "{refused}"
        );
        let newest = find(&world.objects, None).unwrap().unwrap();
        assert_eq!(newest.id, first.id);
    }

    #[test]
    fn the_mark_of_a_killed_writer_grows_old() {
        let world = World::new();
        world.take(1, ["a", "x"]);
        let mark = ObjectKey::new("backup/writers/backup-1-1").unwrap();
        world.objects.put(&mark, &mut &b""[..]).unwrap();
        assert!(world.prune(1).is_err());
        let path = world.folder.path().join("store/data").join(mark.as_str());
        age(&path, 16 * 60);
        world.prune(1).unwrap();
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

    fn age(path: &Path, seconds: u64) {
        let then = std::time::SystemTime::now() - Duration::from_secs(seconds);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(then).unwrap();
    }
}
